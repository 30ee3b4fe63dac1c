"""A real Elasticsearch server: the jars of Maven Central and two small classes of our own.

Gets: a folder. Gives: a server that runs. Touches: what `process` touches; a cache in the user's
home, where the node is built once. Never: a server that somebody else runs.

Maven Central has the server and its network module, and not the modules for analysis and for ``GET
/``: ``TestNodePlugin`` brings the few names that are used here, on the same Lucene. There are no
scripts, no security and no TLS in such a node. The jars are for tests alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from .process import Server, ServerError, answers

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

VERSION = "9.5.3"
LEAST_JAVA = 21
BUILD_S = 900  # downloading included

JDK_FOLDERS = {"/usr/lib/jvm": "*", "/Library/Java/JavaVirtualMachines": "*/Contents/Home"}

_SOURCES = Path(__file__).with_name("elasticsearch_node")
_NETWORK = "transport-netty4"
_PLUGIN = "echolens-test"
_CLASSES = {
    _NETWORK: "org.elasticsearch.transport.netty4.Netty4Plugin",
    _PLUGIN: "echolens.testnode.TestNodePlugin",
}
_JVM = (
    "-Xms512m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--enable-native-access=ALL-UNNAMED",
)


class ElasticsearchServer(Server):
    """One Elasticsearch node."""

    product = "Elasticsearch"
    port_names = ("http",)
    ready_s = 120

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, name: str = "") -> str:
        """The URL of a store whose index isn't there yet."""
        return f"elasticsearch://127.0.0.1:{self.ports['http']}/{name or f't-{uuid.uuid4().hex}'}"

    def client(self) -> Elasticsearch:
        """The server seen past the store."""
        from elasticsearch import Elasticsearch

        return Elasticsearch(self.endpoint)

    def command(self) -> Sequence[str]:
        java, home = _jdk() / "bin/java", _home()
        self.data.mkdir(parents=True, exist_ok=True)
        node = ["EsNode", str(home), str(self.data), str(self.ports["http"])]
        return [str(java), *_JVM, "-cp", f"{home / 'lib'}/*", *node]

    def is_ready(self) -> bool:
        return answers(f"{self.endpoint}/_cluster/health?wait_for_status=yellow&timeout=1s")


def _jdk() -> Path:
    """A JDK that is new enough; `java` on the path is often an older one."""
    given = os.environ.get("JAVA_HOME")
    roots = [Path(given)] if given else []
    for folder, pattern in JDK_FOLDERS.items():
        roots += sorted(Path(folder).glob(pattern))
    for root in roots:
        release = root / "release"
        if not release.is_file() or not (root / "bin/javac").is_file():
            continue
        found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
        if found and int(found[1]) >= LEAST_JAVA:
            return root
    raise ServerError(
        f"Elasticsearch needs a JDK {LEAST_JAVA} or newer; set JAVA_HOME to where one is."
    )


def _home() -> Path:
    """The built node, built now if it wasn't; several processes may ask at once."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    cache = Path.home() / ".cache/echolens-tests"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"elasticsearch-{VERSION}-{digest.hexdigest()[:16]}"
    if home.is_dir():
        return home
    with FileLock(f"{home}.lock", timeout=BUILD_S):
        if not home.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as name:
                built = Path(name) / "home"
                _build(built, _jdk())
                built.rename(home)
    return home


def _build(home: Path, jdk: Path) -> None:
    """Fetch the jars, compile the two classes, and lay all out as a node wants it.

    The jars of the network module must be below ``modules`` and not on the class path.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerError("Elasticsearch is fetched by Maven, and there is no `mvn`.")
    for name in ("lib", "config", "plugins", "logs", f"modules/{_NETWORK}", f"modules/{_PLUGIN}"):
        (home / name).mkdir(parents=True)
    pom = ["-f", str(_SOURCES / "pom.xml")]
    copy = ["dependency:copy-dependencies", f"-DoutputDirectory={home / 'lib'}"]
    _run([maven, "-q", "-B", *pom, *copy])
    for jar in _network_jars(home / "lib"):
        jar.rename(home / "modules" / _NETWORK / jar.name)
    for name, class_ in _CLASSES.items():
        _describe(home / "modules" / name, class_)
    _compile(jdk, home, "EsNode", home / "lib/es-node.jar")
    _compile(jdk, home, "TestNodePlugin", home / f"modules/{_PLUGIN}/{_PLUGIN}.jar")


def _network_jars(folder: Path) -> Iterator[Path]:
    yield from [*folder.glob("netty-*.jar"), folder / f"{_NETWORK}-{VERSION}.jar"]


def _describe(module: Path, class_: str) -> None:
    lines = {
        "name": module.name,
        "description": module.name,
        "version": VERSION,
        "elasticsearch.version": VERSION,
        "java.version": LEAST_JAVA,
        "classname": class_,
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    (module / "plugin-descriptor.properties").write_text(text)


def _compile(jdk: Path, home: Path, name: str, jar: Path) -> None:
    source = str(_SOURCES / f"{name}.java")
    with tempfile.TemporaryDirectory(dir=home) as classes:
        quiet = ["-proc:none", "-nowarn", "-cp", f"{home / 'lib'}/*"]
        _run([str(jdk / "bin/javac"), *quiet, "-d", classes, source])
        _run([str(jdk / "bin/jar"), "cf", str(jar), "-C", classes, "."])


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_S)
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"`{command[0]}` took longer than {BUILD_S} seconds.") from error
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise ServerError(f"`{command[0]}` failed while Elasticsearch was built:\n{said}")
