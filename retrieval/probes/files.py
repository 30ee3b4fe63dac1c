"""``probes.npz``: the probe vectors of a collection's encoder, and how alike they must stay.

Gets: the collection's folder, or the bytes of such a file. Gives: `Probes`. Touches: that one file,
written whole or not at all. Never: unpickles anything.

Its arrays: ``format``; vectors under ``space/modality``; a number under
``space/modality@precision``, the tolerance measured for it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.durable import replace_file
from retrieval.errors import CorruptError, NewerFormatError, StoreUnreachableError

from .record import Probes

FORMAT = 1
NAME = "probes.npz"


def read_probes(directory: Path) -> Probes:
    """Read a collection's probes: what `write_probes` was given.

    Raises:
        CorruptError: the file is missing or damaged.
        NewerFormatError: a newer Echolens wrote it.
        StoreUnreachableError: it can't be read.
    """
    path = directory / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _corrupt(path, "is missing") from error
    except OSError as error:
        raise StoreUnreachableError(
            f"{path} can't be read: {error.strerror}.", advice="Check its permissions."
        ) from error
    return load_probes(content, where=str(path))


def load_probes(content: bytes, *, where: str) -> Probes:
    """What `dump_probes` was given.

    Raises:
        CorruptError: it is damaged; the message says `where` it was read.
        NewerFormatError: a newer Echolens wrote it.
    """
    try:
        arrays = _unpack(content)
        version = int(arrays.pop("format"))
    except (
        EOFError,
        KeyError,
        NotImplementedError,  # zipfile: an unknown compression
        RuntimeError,  # zipfile: an encrypted member
        SyntaxError,  # numpy: an array's header
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _corrupt(where, f"is damaged ({error})") from error
    if version > FORMAT:
        raise NewerFormatError(
            f"{where} has format {version}; this Echolens reads up to {FORMAT}.",
            advice="Update it: pip install -U echolens.",
        )
    tolerances = {name: arrays.pop(name) for name in list(arrays) if "@" in name}
    for name, least in tolerances.items():
        if least.dtype != np.float64 or least.shape != () or not 0 < least <= 1:
            raise _corrupt(where, f"holds no tolerance under `{name}`")
    for name, vectors in arrays.items():
        if vectors.dtype != np.float32 or vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise _corrupt(where, f"holds no vectors under `{name}`")
    return Probes(arrays, {name: float(least) for name, least in tolerances.items()})


def write_probes(directory: Path, probes: Probes) -> None:
    """Replace a collection's probes: durable when it returns.

    Raises:
        StoreUnreachableError: no space or no permission; what was there stays.
    """
    replace_file(directory / NAME, dump_probes(probes))


def dump_probes(probes: Probes) -> bytes:
    """The probes as the bytes of such a file."""
    buffer = io.BytesIO()
    tolerances = {name: np.float64(least) for name, least in probes.tolerances.items()}
    arrays: dict[str, Any] = {"format": np.int64(FORMAT), **probes.vectors, **tolerances}
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpack(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # All checksums first: a damaged header could ask numpy for any amount of memory.
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"bad checksum of {damaged}")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _corrupt(where: object, what: str) -> CorruptError:
    return CorruptError(
        f"{where} {what}.",
        advice="Run `echolens verify --repair`: the same encoder can make it again.",
    )
