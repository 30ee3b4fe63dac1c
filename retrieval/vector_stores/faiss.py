"""``faiss:``: the rows of ``exact:``, looked at in half precision first.

Gets: ids, vectors, queries. Gives: rankings. Touches: the channel's folder, through `segments`,
and there ``index-<generation>.faiss`` with its ``.json``. Never: an answer that ``exact:`` would
not give.

FAISS holds every component in 16 bits, so a query reads half the bytes. How wrong its scores can
be is known (`_error`), hence every row that could be among the k best is nominated: the search
deepens until the worst score that FAISS lists lies under the window of that error. The true scores
then come from the float32 rows. Rows appended since the index was built, and several queries at
once (one matrix product beats FAISS there), take the way of ``exact:``.

The index is derived: its ``.json`` says which rows it covers and the checksum of its bytes, and an
index that doesn't fit is not read but built anew, in memory; a writer saves it when it closes. It
goes as soon as one of its rows dies, since it holds their numbers too.
"""

from __future__ import annotations

import json
import math
import os
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np

from ..errors import CorruptError
from ..protocols import Place
from ..schema import Channel, Document, FloatArray
from ..segments import RowArray, SegmentStore, Snapshot, candidates, rounding, sweep, threshold

_FORMAT = 1
_FEW = 3  # queries up to which FAISS is quicker than one matrix product
_STALE_SHARE = 0.2  # of rows past the index, above which it is built anew
_PAGE = 8_192  # 64-bit words summed at once by the checksum


@dataclass(frozen=True, slots=True)
class _Label:
    """What the ``.json`` beside an index says of it."""

    format: int
    rows: int
    dead: int
    bytes: int
    checksum: int


@dataclass(frozen=True, slots=True)
class _Index:
    """A loaded index over the first `rows` rows of a generation."""

    generation: int
    rows: int
    flat: Any


class FaissStore(SegmentStore):
    """Flat FAISS index in half precision; the answers of ``exact:``, ties included."""

    smallest: ClassVar[int] = 8_192  # rows without an index that are looked at one by one

    def __init__(self, place: Place, channel: Channel) -> None:
        """Open the channel's vectors; for writing, make them if they may be new."""
        super().__init__(place, channel)
        self._lock = threading.Lock()
        self._index: _Index | None = None
        if not self.read_only:
            self._remove_stale()

    def upsert(
        self,
        ids: Sequence[str],
        vectors: FloatArray,
        documents: Sequence[Document] | None = None,
    ) -> None:
        """Write (n, dim) vectors under n ids; nothing is kept beside them. See `VectorStore`."""
        super().upsert(ids, vectors, documents)
        self._remove_stale()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete ids, and their numbers in all files."""
        super().delete(ids)
        self._remove_stale()

    def compact(self) -> None:
        """Rewrite the files without their dead rows, where these are many; save the index."""
        super().compact()
        self._remove_stale()
        self._save()

    def close(self) -> None:
        """Save the index, where it was opened for writing, and close the files."""
        try:
            if self.segments.is_open and not self.read_only:
                self._save()
        except CorruptError:
            pass  # searching and checking tell of it; closing has nothing to add
        finally:
            super().close()

    def nominate(self, snapshot: Snapshot, queries: FloatArray, k: int) -> list[RowArray]:
        """For each query the rows that may be among its k best, none of them missing."""
        if len(queries) > _FEW or 4 * k > len(snapshot.rows):
            return self.exhaustive(snapshot, queries, k)
        with self._lock:
            index = self._fitting(snapshot)
        if index is None:
            return self.exhaustive(snapshot, queries, k)
        return [self._deepen(snapshot, index, query, k) for query in queries]

    def _deepen(self, snapshot: Snapshot, index: _Index, query: FloatArray, k: int) -> RowArray:
        tail = np.arange(index.rows, len(snapshot.rows))
        tail_scores = sweep(snapshot.rows[index.rows :], query[None])[0]
        depth = 2 * k + 32
        while depth < index.rows // 4:
            listed, rows = index.flat.search(query[None], depth)
            rows = np.concatenate((rows[0], tail))
            scores = np.concatenate((listed[0], tail_scores))
            scores[~snapshot.alive[rows]] = -np.inf
            least = threshold(scores, k, _error(self.dim))
            if listed[0, -1] < least:
                return np.sort(rows[candidates(scores, least)])
            depth *= 4
        return self.exhaustive(snapshot, query[None], k)[0]

    def _fitting(self, snapshot: Snapshot) -> _Index | None:
        """The index for a snapshot: the one at hand, the saved one, or a new one."""
        if self._fits(self._index, snapshot):
            return self._index
        self._index = None
        if len(snapshot.rows) > self.smallest:
            saved = self._load(snapshot)
            self._index = saved if self._fits(saved, snapshot) else self._built(snapshot)
        return self._index

    def _fits(self, index: _Index | None, snapshot: Snapshot) -> bool:
        if index is None or index.generation != snapshot.state.generation:
            return False
        return index.rows <= len(snapshot.rows) <= index.rows + self._allowed_tail(index.rows)

    def _allowed_tail(self, rows: int) -> float:
        return max(self.smallest, _STALE_SHARE * rows)

    def _built(self, snapshot: Snapshot) -> _Index:
        flat = faiss.IndexScalarQuantizer(
            self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        flat.add(snapshot.rows)
        return _Index(snapshot.state.generation, len(snapshot.rows), flat)

    def _load(self, snapshot: Snapshot) -> _Index | None:
        """The saved index; None when there is none, or its bytes aren't those that were saved."""
        generation = snapshot.state.generation
        path, label = self._path(generation), self._label(generation)
        try:
            if label is None or path.stat().st_size != label.bytes:
                return None
            if _checksum(path) != label.checksum:
                return None
            flat = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (OSError, RuntimeError):  # gone just now, or FAISS can't read its own format
            return None
        return _Index(generation, label.rows, flat)

    def _save(self) -> None:
        """Write the index of the present rows, if they want one and the saved one doesn't fit.

        A disk without room for it is no error: whoever reads then builds the index in memory.
        """
        snapshot = self.segments.snapshot()
        rows, generation = len(snapshot.rows), snapshot.state.generation
        label = self._label(generation)
        covered = 0 if label is None else label.rows
        if rows <= covered + self._allowed_tail(covered):
            return
        path = self._path(generation)
        with suppress(OSError):
            _replace(path, faiss.serialize_index(self._built(snapshot).flat).data)
            size, dead = path.stat().st_size, snapshot.state.dead
            label = _Label(_FORMAT, rows, dead, size, _checksum(path))
            _replace(path.with_suffix(".json"), json.dumps(asdict(label)).encode("ascii"))

    def _remove_stale(self) -> None:
        """Remove saved indexes of other generations, and one that holds a row that has died."""
        state = self.segments.state()
        label, path = self._label(state.generation), self._path(state.generation)
        fits = label is not None and label.dead == state.dead
        keep = {path, path.with_suffix(".json")} if fits else set()
        for path in self.segments.folder.glob("index-*"):
            if path not in keep:
                with suppress(FileNotFoundError, PermissionError):  # mapped, on Windows
                    path.unlink()

    def _label(self, generation: int) -> _Label | None:
        try:
            label = _Label(**json.loads(self._path(generation).with_suffix(".json").read_bytes()))
        except (OSError, ValueError, TypeError):  # none, or damaged: the same as none
            return None
        return label if label.format == _FORMAT else None

    def _path(self, generation: int) -> Path:
        return self.segments.folder / f"index-{generation}.faiss"


def _error(dim: int) -> float:
    """How far a score from components in half precision can be from the true one.

    A component is off by 2**-10 of itself at most (half of that where FAISS rounds to the
    nearest, which depends on its build), and by 2**-24 where it is tiny.
    """
    return 1.01 * (2.0**-10 + math.sqrt(dim) * 2.0**-24) + 2 * rounding(dim)


def _checksum(path: Path) -> int:
    """CRC-32 of the sums of a file's pages, taken as 64-bit words, and of the bytes that remain.

    Several times quicker than a CRC of all its bytes.
    """
    data = np.memmap(path, np.uint8, "r").view(np.ndarray)
    whole = data.size // (8 * _PAGE) * (8 * _PAGE)
    sums = data[:whole].view("<u8").reshape(-1, _PAGE).sum(axis=1)
    return zlib.crc32(data[whole:].tobytes(), zlib.crc32(sums.tobytes()))


def _replace(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all."""
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
