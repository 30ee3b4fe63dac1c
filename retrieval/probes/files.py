"""``probes.npz``: the probe vectors of a collection's encoder, and how alike they must stay.

Gets: the collection's folder. Gives: `Probes`. Touches: that one file, written whole or not at
all. Never: unpickles anything.

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
        arrays = _unpack(path.read_bytes())
        version = int(arrays.pop("format"))
    except FileNotFoundError as error:
        raise _corrupt(path, "is missing") from error
    except OSError as error:
        raise StoreUnreachableError(
            f"{path} can't be read: {error.strerror}.", advice="Check its permissions."
        ) from error
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
        raise _corrupt(path, f"is damaged ({error})") from error
    if version > FORMAT:
        raise NewerFormatError(
            f"{path} has format {version}; this Echolens reads up to {FORMAT}.",
            advice="Update it: pip install -U echolens.",
        )
    tolerances = {name: arrays.pop(name) for name in list(arrays) if "@" in name}
    for name, least in tolerances.items():
        if least.dtype != np.float64 or least.shape != () or not 0 < least <= 1:
            raise _corrupt(path, f"holds no tolerance under `{name}`")
    for name, vectors in arrays.items():
        if vectors.dtype != np.float32 or vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise _corrupt(path, f"holds no vectors under `{name}`")
    return Probes(arrays, {name: float(least) for name, least in tolerances.items()})


def write_probes(directory: Path, probes: Probes) -> None:
    """Replace a collection's probes: durable when it returns.

    Raises:
        StoreUnreachableError: no space or no permission; what was there stays.
    """
    buffer = io.BytesIO()
    tolerances = {name: np.float64(least) for name, least in probes.tolerances.items()}
    arrays: dict[str, Any] = {"format": np.int64(FORMAT), **probes.vectors, **tolerances}
    np.savez(buffer, allow_pickle=False, **arrays)
    replace_file(directory / NAME, buffer.getvalue())


def _unpack(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # All checksums first: a damaged header could ask numpy for any amount of memory.
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"bad checksum of {damaged}")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _corrupt(path: Path, what: str) -> CorruptError:
    return CorruptError(
        f"{path} {what}.",
        advice="Run `echolens verify --repair`: the same encoder can make it again.",
    )
