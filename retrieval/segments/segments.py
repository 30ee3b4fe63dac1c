"""Rows of vectors with their ids in flat files, under one catalogue.

Gets: raw ids and vectors that are already checked. Gives: snapshots, rows of ids.
Touches: the files of one folder. Never: scores.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptError
from ..protocols import Problem
from ..schema import FloatArray
from ..vectors import is_id
from .catalogue import Catalogue, State, damaged, translated
from .files import ByteArray, RowFiles
from .ranking import RowArray

COMPACT_SHARE = 0.25  # of dead rows, above which a compaction is worth while
_BLOCK = 16_384  # rows copied or checked at once
_FILE = re.compile(r"(?:rows|ids)-(\d+)\.(?:f32|bin)")


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One committed state, to be read without a lock.

    Attributes:
        rows: (n, dim) float32 on the file's own pages; dead rows among them.
        ids: (n, 16) raw ids.
        alive: (n,) which rows aren't dead.
    """

    state: State
    rows: FloatArray
    ids: ByteArray
    alive: NDArray[np.bool_]


class Segments:
    """The rows of one folder. Safe to share between threads; writers exclude each other.

    Every method raises `CorruptError`, `StoreUnreachableError` (also: written though opened
    read-only) and `LockedError`.
    """

    def __init__(self, folder: Path, dim: int, *, read_only: bool, make: bool = True) -> None:
        """Open a folder of vectors of `dim` components; for writing, make it if `make`.

        Raises:
            NewerFormatError: a newer version wrote it.
            CorruptError: it is missing, and not to be made.
        """
        self.folder = folder
        self._dim = dim
        path = folder / "catalogue.sqlite"
        self._catalogue = Catalogue(path, dim=dim, read_only=read_only, make=make)
        self._last: Snapshot | None = None
        self.is_open = True
        if not read_only:
            try:
                self._recover()
            except BaseException:
                self.close()
                raise

    def state(self) -> State:
        """The last committed state's numbers, without a look at the rows."""
        with self._catalogue.reading() as state:
            return state

    def snapshot(self) -> Snapshot:
        """The last committed state."""
        return self.locate(())[0]

    def locate(self, ids: Iterable[str]) -> tuple[Snapshot, RowArray]:
        """The last committed state, and the rows in it of those ids that are there, rising."""
        raw = _raw_ids(ids)
        while True:
            with self._catalogue.reading() as state:
                snapshot = self._at(state)
                found = sorted(self._catalogue.find(raw).values()) if snapshot else []
            if snapshot is not None:
                return snapshot, np.array(found, np.intp)
            self._assert_compacted(state)

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether the rows that were alive in `snapshot` have all been untouched until now."""
        now, then = self.state(), snapshot.state
        return (now.generation, now.dead) == (then.generation, then.dead)

    def append(self, ids: ByteArray, vectors: FloatArray) -> None:
        """Write n different (n, 16) ids and (n, dim) vectors; a known id gets its new vector.

        What is there already, bit for bit, is left alone. Durable, and all or nothing.
        """
        with self._catalogue.writing() as state:
            keys = [row.tobytes() for row in ids]
            known = self._catalogue.find(keys)
            stored = self._current(state).rows
            new = [
                place
                for place, key in enumerate(keys)
                if key not in known or not np.array_equal(stored[known[key]], vectors[place])
            ]
            if not new:
                return
            ids, vectors = ids[new], vectors[new].astype("<f4")
            self._files(state.generation).append(state.rows, ids, vectors)
            self._catalogue.put(
                (keys[place], state.rows + offset, checksum(keys[place], vectors[offset]))
                for offset, place in enumerate(new)
            )
            replaced = [known[keys[place]] for place in new if keys[place] in known]
            self._catalogue.bury(replaced)
            self._catalogue.commit_rows(state.rows + len(new))
        if replaced:
            self._wipe()

    def delete(self, ids: Iterable[str]) -> None:
        """Delete ids; when it returns, the bytes of their vectors are gone from the files."""
        with self._catalogue.writing():
            found = self._catalogue.find(_raw_ids(ids))
            self._catalogue.remove(found)
            self._catalogue.bury(found.values())
        if found:
            self._wipe()
            self._catalogue.flush()

    def compact(self) -> None:
        """Copy the live rows to a new generation, if the dead ones exceed `COMPACT_SHARE`."""
        with self._catalogue.writing() as state:
            if state.dead <= COMPACT_SHARE * state.rows:
                return
            old = self._current(state)
            kept = np.flatnonzero(old.alive)
            files = self._files(state.generation + 1)
            for start in range(0, len(kept), _BLOCK):
                block = kept[start : start + _BLOCK]
                files.append(start, old.ids[block], old.rows[block])
            moved = [(row, old.ids[place].tobytes()) for row, place in enumerate(kept)]
            self._catalogue.switch(state.generation + 1, moved)
        self._recover()
        self._catalogue.flush()

    def scan(self) -> Iterator[str]:
        """All ids, each once, in their order."""
        last = b""
        while True:
            with self._catalogue.reading():
                ids = self._catalogue.after(last, _BLOCK)
            if not ids:
                return
            yield from (raw.hex() for raw in ids)
            last = ids[-1]

    def check(self) -> Iterator[Problem]:
        """Compare every row with its checksum, dead rows with zeros, and the catalogue's sums."""
        try:
            yield from self._problems()
        except CorruptError as error:
            yield Problem(self.folder.name, str(error), whole=True)

    def close(self) -> None:
        """Close the catalogue; mapped snapshots stay readable. Closing twice is no error."""
        self.is_open = False
        self._catalogue.close()

    def _files(self, generation: int) -> RowFiles:
        return RowFiles(self.folder, generation, self._dim)

    def _at(self, state: State) -> Snapshot | None:
        """The snapshot of a state, inside its transaction; None when its files are gone."""
        last = self._last
        if last is not None and state == last.state:
            return last
        try:
            rows, ids = self._files(state.generation).map(state.rows)
        except FileNotFoundError:
            return None
        alive, known = np.ones(state.rows, np.bool_), 0
        if last is not None and last.state.generation == state.generation:
            known = last.state.dead
            alive[: len(last.alive)] = last.alive
        alive[self._catalogue.buried(after=known)] = False
        self._last = Snapshot(state, rows, ids, alive)
        return self._last

    def _current(self, state: State) -> Snapshot:
        """The snapshot of a state in a write transaction, where no compaction can interfere."""
        snapshot = self._at(state)
        if snapshot is None:
            raise damaged(self._files(state.generation).rows_path, "or its ids are missing")
        return snapshot

    def _assert_compacted(self, before: State) -> None:
        """Files may be gone since a compaction came in between, and for no other reason."""
        with self._catalogue.reading() as state:
            if state.generation == before.generation:
                self._current(state)

    def _problems(self) -> list[Problem]:
        while True:
            snapshot = self.snapshot()
            with self._catalogue.reading() as state:
                if state != snapshot.state:
                    continue
                live, damage = self._catalogue.live(), self._catalogue.damage()
            problems = list(_wrong_rows(snapshot, live))
            if damage is not None:
                problems.append(Problem("catalogue.sqlite", damage, whole=True))
            if self.holds(snapshot):
                return problems

    def _wipe(self) -> None:
        """Zero the rows of tombstones that aren't noted as zeroed yet."""
        with self._catalogue.writing() as state:
            rows = self._catalogue.buried(after=self._catalogue.wiped())
            if rows:
                self._files(state.generation).wipe(rows)
                self._catalogue.commit_wiped(state.dead)

    def _recover(self) -> None:
        """Finish what a writer that died has left: rows to zero, files of other generations."""
        self._wipe()
        with self._catalogue.writing() as state, translated(self.folder):
            for path in self.folder.iterdir():
                name = _FILE.fullmatch(path.name)
                if name is not None and int(name[1]) != state.generation:
                    self._files(int(name[1])).remove()


def checksum(raw_id: bytes, vector: FloatArray) -> int:
    """CRC-32 of a row: its id, then its little-endian bytes."""
    return zlib.crc32(vector.astype("<f4", copy=False).tobytes(), zlib.crc32(raw_id))


def _wrong_rows(snapshot: Snapshot, live: Sequence[tuple[bytes, int, int]]) -> Iterator[Problem]:
    alive = np.flatnonzero(snapshot.alive)
    if [row for _, row, _ in live] != alive.tolist():
        message = "Its live rows and its tombstones don't add up."
        yield Problem("catalogue.sqlite", message, whole=True)
        return
    for raw, row, stored in live:
        if snapshot.ids[row].tobytes() != raw:
            yield Problem(raw.hex(), f"Row {row} carries another id.")
        elif checksum(raw, snapshot.rows[row]) != stored:
            yield Problem(raw.hex(), f"The vector in row {row} doesn't match its checksum.")
    for row in np.flatnonzero(~snapshot.alive).tolist():
        if snapshot.rows[row].any() or snapshot.ids[row].any():
            yield Problem(f"row {row}", "It was deleted, and its bytes are still there.")


def _raw_ids(ids: Iterable[str]) -> list[bytes]:
    """Raw ids, each once; what can't be an id is left out, as it can't be in a store either."""
    return list({bytes.fromhex(text) for text in ids if is_id(text)})
