"""A connection to a Milvus server, or to a file of Milvus Lite, whose waits have an end.

Gets: a `Target`. Gives: what its client returns. Touches: the network, or the file; the log levels
of the client, which else prints traces to stderr. Never: a request without end, a secret in a
message.

The client's own retries (75 of them) are switched off: `patiently` makes them. gRPC itself ends a
request after the URL's ``timeout``. Milvus Lite is a server in a thread of this process, one for
each file, and this process alone may use the file until its last store there is closed.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pymilvus import MilvusClient

from ...errors import (
    CorruptError,
    EcholensError,
    LockedError,
    NotInstalledError,
    StoreUnreachableError,
)
from ...servers.address import Address
from ...servers.credentials import credentials_for
from ...servers.retries import patiently
from .address import Target
from .faults import FAULTS, LOADING, code_of, explained, may_pass

for _name in ("pymilvus", "milvus_lite", "grpc._server"):  # the last, of Milvus Lite
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

CONNECT_S = 4.0
LOADING_S = 8.0  # that a reader waits for a collection which the server is loading
PATIENCE_S = 4.0  # after which a fault is told though it might pass

T = TypeVar("T")


class Connection:
    """A client of a target. Several threads may use it at once."""

    def __init__(self, target: Target, *, read_only: bool) -> None:
        """Connect.

        Raises:
            StoreUnreachableError: there is no answer, or no access.
            LockedError, CorruptError, NotInstalledError: of Milvus Lite.
        """
        self.target = target
        self.timeout_s = float(target.options["timeout"])
        self.loading_s = min(LOADING_S, self.timeout_s) if read_only else self.timeout_s
        self._is_open = False
        if target.file is not None:
            _LITE.take(target.file)
        try:
            self.client: Any = self._tried(self._connect)
        except BaseException:
            if target.file is not None:
                _LITE.leave(target.file)
            raise
        self._is_open = True

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What a method of the client returns, retried while its fault may pass.

        Raises:
            CorruptError: the collection is missing.
            StoreUnreachableError: anything else that the server or the way there is at fault for.
        """
        return self._tried(
            lambda: getattr(self.client, method)(*arguments, retry_times=0, **options)
        )

    def close(self) -> None:
        """Let go of it; twice is no error."""
        if self._is_open:
            self._is_open = False
            self.client.close()
            if self.target.file is not None:
                _LITE.leave(self.target.file)

    def _tried(self, call: Callable[[], T]) -> T:
        begin = time.monotonic()

        def passing(error: BaseException) -> bool:
            return may_pass(error) and time.monotonic() < begin + PATIENCE_S

        while True:
            try:
                return patiently(call, passing)
            except FAULTS as error:
                if code_of(error) in LOADING and time.monotonic() < begin + self.loading_s:
                    continue
                raise explained(error, self.target) from error

    def _connect(self) -> MilvusClient:
        if self.target.server is None:
            return MilvusClient(str(self.target.file), dedicated=True, timeout=CONNECT_S)
        address = self.target.server
        known = credentials_for(address)
        return MilvusClient(
            f"{'https' if address.tls else 'http'}://{address.server.partition('://')[2]}",
            user=known.get("user", ""),
            password=known.get("password", ""),
            token=known.get("token", ""),
            db_name=str(address.options["db"]),
            timeout=min(CONNECT_S, self.timeout_s),
            dedicated=True,
            grpc_options=_grpc_options(self.timeout_s),
            **_tls(address),
        )


def _grpc_options(timeout_s: float) -> dict[str, Any]:
    every = {"name": [{}], "timeout": f"{timeout_s:.3f}s"}
    return {
        "grpc.service_config": json.dumps({"methodConfig": [every]}),
        "grpc.service_config_disable_resolution": 1,
        "grpc.initial_reconnect_backoff_ms": 200,
        "grpc.max_reconnect_backoff_ms": 2000,
    }


def _tls(address: Address) -> dict[str, Any]:
    if not address.tls:
        return {}
    if not address.ca:
        return {"secure": True}
    if not Path(address.ca).is_file():
        raise StoreUnreachableError(
            f"There is no file of certificates {address.ca}.", advice="Change `ca=` of the URL."
        )
    return {"secure": True, "server_pem_path": address.ca}


class _Lite:
    """The files of Milvus Lite that stores of this process have open, and how many of each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[str, int] = {}

    def take(self, file: Path) -> None:
        """Begin to use a file, whose folder is there."""
        servers = _servers()
        name = str(file.absolute())
        with self._lock:
            if not self._users.get(name) and servers.start_and_get_uri(name) is None:
                raise _not_opened(file)
            self._users[name] = self._users.get(name, 0) + 1

    def leave(self, file: Path) -> None:
        """End the use of a file; the last one frees it for other processes."""
        name = str(file.absolute())
        with self._lock:
            self._users[name] -= 1
            if not self._users[name]:
                _servers().release_server(name)


_LITE = _Lite()


def _servers() -> Any:
    try:
        from milvus_lite.server_manager import (  # type: ignore[import-untyped]
            server_manager_instance,
        )
    except ImportError as error:
        raise NotInstalledError(
            "`milvus:FILE.db` needs the package `milvus_lite`, which is not installed.",
            advice="pip install 'echolens[milvus-lite]'",
        ) from error
    return server_manager_instance


def _not_opened(file: Path) -> EcholensError:
    """Why a file of Milvus Lite can't be opened, which its server only logs."""
    from milvus_lite.db import MilvusLite  # type: ignore[import-untyped]
    from milvus_lite.exceptions import DataDirLockedError  # type: ignore[import-untyped]

    try:
        MilvusLite(str(file.absolute())).close()
    except DataDirLockedError:
        return LockedError(
            f"The Milvus Lite file {file} is open in another process, and only one may use it.",
            advice="Wait until it has ended; or use `exact:`, `faiss:` or a Milvus server.",
        )
    except OSError as error:
        return StoreUnreachableError(
            f"The Milvus Lite file {file} can't be opened: {error.strerror}.",
            advice="Milvus Lite needs a folder that can be written, also for reading.",
        )
    except Exception as error:  # noqa: BLE001 (whatever a damaged file makes it raise)
        return _damaged(file, error)
    return _damaged(file, None)


def _damaged(file: Path, error: Exception | None) -> CorruptError:
    why = f" ({type(error).__name__})" if error else ""
    return CorruptError(
        f"The Milvus Lite file {file} can't be read{why}.",
        advice="Bring it back from a backup, or run `echolens verify --repair`.",
    )
