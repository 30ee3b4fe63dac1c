"""``probes.npz``: the probe vectors of a collection's encoders.

Gets: the collection's folder. Gives: arrays by `probe_key`. Touches: that one file, written whole
or not at all. Never: unpickles anything.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.durable import replace_file
from retrieval.errors import CorruptError, NewerFormatError, StoreUnreachableError
from retrieval.schema import FloatArray

FORMAT = 1
NAME = "probes.npz"


def read_probes(directory: Path) -> dict[str, FloatArray]:
    """Read a collection's probe vectors: what `write_probes` was given.

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
    for name, vectors in arrays.items():
        if vectors.dtype != np.float32 or vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise _corrupt(path, f"holds no vectors under `{name}`")
    return arrays


def write_probes(directory: Path, probes: Mapping[str, FloatArray]) -> None:
    """Replace a collection's probe vectors, (n, dim) by `probe_key`: durable when it returns.

    Raises:
        StoreUnreachableError: no space or no permission; what was there stays.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"format": np.int64(FORMAT), **probes}
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
        advice="Restore it from a backup, or index again into a new collection.",
    )
