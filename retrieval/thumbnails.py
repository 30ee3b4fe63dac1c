"""Thumbnails of key frames: what the shots of a film look like, without the film.

Gets: small JPEGs of a part of an asset. Gives: those that are kept. Touches:
``previews/thumbnails.sqlite`` in the collection's folder, which is made when there is something to
keep. Never: decodes, or asks another machine.

They are derived, and lie on the machine that read the film: where none is kept, whoever shows a
shot decodes it. An asset's are found by its id and their times, so a stretch that is read anew
replaces its own and nothing else. Several threads may ask at once.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from . import sqlite_files
from .schema import Span, Thumbnail

NAME = Path("previews", "thumbnails.sqlite")
FORMAT = 1
_WAIT_S = 5.0  # for another connection's commit
_SCHEMA = f"""
CREATE TABLE thumbnails (
    asset TEXT, time_s REAL, jpeg BLOB NOT NULL, PRIMARY KEY (asset, time_s)
);
PRAGMA user_version = {FORMAT};
"""


class Thumbnails:
    """The thumbnails of one collection on this machine; its file is opened when first needed."""

    def __init__(self, directory: Path, *, read_only: bool) -> None:
        self._path = directory / NAME
        self._read_only = read_only
        self._lock = Lock()
        self._opened: sqlite3.Connection | None = None

    def replace(self, parts: Iterable[tuple[str, Span, Sequence[Thumbnail]]]) -> None:
        """Keep thumbnails instead of those of the same parts of their assets; durable, or none is.

        Args:
            parts: (asset, part, its thumbnails); nothing at `Span.end` belongs to a part.
        """
        parts = list(parts)
        make = any(thumbnails for *_, thumbnails in parts)
        with self._using(make=make) as connection:
            if connection is None:
                return
            with sqlite_files.commit(connection):
                for asset, part, thumbnails in parts:
                    connection.execute(
                        "DELETE FROM thumbnails WHERE asset = ? AND time_s >= ? AND time_s < ?",
                        (asset, part.start, part.end),
                    )
                    connection.executemany(
                        "INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)",
                        ((asset, each.time_s, each.jpeg) for each in thumbnails),
                    )

    def of(self, asset: str, part: Span) -> list[Thumbnail]:
        """Those of a part of an asset, in order of time."""
        with self._using() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT time_s, jpeg FROM thumbnails WHERE asset = ? AND time_s >= ? AND time_s < ?"
                " ORDER BY time_s",
                (asset, part.start, part.end),
            )
            return [Thumbnail(time_s, jpeg) for time_s, jpeg in rows]

    def assets(self) -> list[str]:
        """The assets of which some are kept, sorted."""
        with self._using() as connection:
            if connection is None:
                return []
            found = connection.execute("SELECT DISTINCT asset FROM thumbnails ORDER BY asset")
            return [asset for (asset,) in found]

    def forget(self, assets: Iterable[str]) -> None:
        """Erase all of some assets, also from the file's log."""
        self.replace((asset, Span(0.0, math.inf), ()) for asset in assets)
        with self._using() as connection:
            if connection is not None:
                sqlite_files.erase_log(connection, _WAIT_S)

    def check(self) -> None:
        """Read everything.

        Raises:
            CorruptError: the file is damaged.
        """
        with self._using() as connection:
            if connection is None:
                return
            connection.execute("SELECT count(jpeg) FROM thumbnails").fetchone()
            (message,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if message != "ok":
                raise sqlite_files.damaged(self._path, message)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    @staticmethod
    def discard(directory: Path) -> None:
        """Delete a file that is beyond reading."""
        sqlite_files.remove(directory / NAME)

    @contextmanager
    def _using(self, *, make: bool = False) -> Iterator[sqlite3.Connection | None]:
        """The open file, for one thread; None while there is none and `make` doesn't ask for it."""
        with self._lock, sqlite_files.errors_of(self._path):
            if self._opened is None and (make or self._path.exists()):
                self._opened = self._open()
            yield self._opened

    def _open(self) -> sqlite3.Connection | None:
        """The file; read-only, None where its writer was killed before anything was in it."""
        if self._read_only:
            connection = sqlite_files.open_for_reading(self._path, wait_s=_WAIT_S)
        else:
            self._path.parent.mkdir(exist_ok=True)
            connection = sqlite_files.open_for_writing(self._path, make=True, wait_s=_WAIT_S)
        try:
            is_made = sqlite_files.version_of(connection, self._path, FORMAT) > 0
            if not self._read_only:
                self._prepare(connection, is_made=is_made)
        except BaseException:
            connection.close()
            raise
        if is_made or not self._read_only:
            return connection
        connection.close()
        return None

    def _prepare(self, connection: sqlite3.Connection, *, is_made: bool) -> None:
        sqlite_files.prepare_for_writing(connection, self._path)
        if not is_made:
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        sqlite_files.erase_log(connection, _WAIT_S)  # what a killed writer had deleted
