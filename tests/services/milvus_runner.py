"""Turns this process into a Milvus server: ``python milvus_runner.py CACHE DATA name=value...``.

Gets: where to keep the unpacked server, a folder for its data, settings, ports among them. Gives:
never returns. Touches: the two folders. Never: `MilvusServer` of the package, which outlives its
parent and its child.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import sys
from pathlib import Path

import milvus
from filelock import FileLock

PACKED = Path(milvus.__file__).parent / "data/bin"
SETTINGS = {
    "common.gracefulStopTimeout": "2",  # else a stop may take half an hour
    "common.session.ttl": "5",  # else a restart waits 30 s for the session of the killed server
    "proxy.timeTickInterval": "50",  # ms; a strongly consistent read waits for a tick or two
}
OWN = ("http", "etcd", "etcd_peer")  # ports that the package doesn't know as settings


def unpacked(cache: Path) -> Path:
    """The folder of the server's binaries, unpacked there once."""
    names = sorted(path.name for path in PACKED.glob("*.lzma"))
    sizes = [(name, (PACKED / name).stat().st_size) for name in names]
    folder = cache / f"milvus-{hashlib.sha256(repr(sizes).encode()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            new = folder.with_suffix(".new")
            new.mkdir(exist_ok=True)
            for name in names:
                target = new / name.removesuffix(".lzma")
                target.write_bytes(lzma.decompress((PACKED / name).read_bytes()))
                target.chmod(0o755)
            new.rename(folder)
    return folder


def configure(data: Path, given: dict[str, str]) -> Path:
    """Write the server's settings; gives those of its etcd, whose ports it takes from there."""
    config = milvus.MilvusServerConfig(data_dir=str(data))
    config.resolve_storage()
    for name in given.keys() - set(OWN):
        kind = config.get_type(name) if name in config.configurable_items else str
        config.set(name, given[name] == "true" if kind is bool else kind(given[name]))
    config.resolve_all_listen_ports = lambda: None  # a restart's are free for it alone
    config.resolve()
    client, peer = (f"http://127.0.0.1:{given[name]}" for name in ("etcd", "etcd_peer"))
    of_etcd = data / "configs/etcd.yaml"
    of_etcd.write_text(
        f"listen-client-urls: {client}\nadvertise-client-urls: {client}\n"
        f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\n"
        f"initial-cluster: default={peer}\n"
    )
    return of_etcd


def main(cache: str, data: str, *settings: str) -> None:
    """Write what the server needs, and become it: so signals reach it, and it dies as we would."""
    given = SETTINGS | dict(each.split("=", 1) for each in settings)
    binaries = unpacked(Path(cache))
    of_etcd = configure(Path(data), given)
    os.chdir(data)
    own = {
        "DEPLOY_MODE": "STANDALONE",
        "ETCD_CONFIG_PATH": str(of_etcd),
        "LD_LIBRARY_PATH": str(binaries),
        "METRICS_PORT": given["http"],
        "MILVUS_RUN_DIR": str(Path(data) / "run"),
    }
    os.execve(binaries / "milvus", ["milvus", "run", "standalone"], {**os.environ, **own})


if __name__ == "__main__":
    main(*sys.argv[1:])
