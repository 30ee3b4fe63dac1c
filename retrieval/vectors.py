"""What a unit vector is: the one check of what an encoder gave and of what a store is given.

Gets: an array, ids. Gives: what is wrong with them. Touches: nothing. Never: an
`EcholensError`; whose fault it is, its caller knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .schema import FloatArray

NORM_TOLERANCE = 1e-3  # how far a norm may be from 1

_ID = re.compile("[0-9a-f]{32}")


def fault(vectors: FloatArray, shape: tuple[int, int]) -> str | None:
    """What keeps an array from being n unit vectors; None when nothing does.

    Args:
        vectors: whatever came.
        shape: (n, dim) that was expected.

    Returns:
        The rest of a sentence that begins with "vectors", such as "with NaN or infinite numbers".
    """
    if np.shape(vectors) != shape:
        return f"of shape {np.shape(vectors)} where {shape} was expected"
    if not np.isfinite(vectors).all():
        return "with NaN or infinite numbers"
    norms = np.linalg.norm(vectors, axis=1)
    worst = float(norms[np.abs(norms - 1).argmax()]) if len(norms) else 1.0
    if not abs(worst - 1) <= NORM_TOLERANCE:
        return f"that are not normalised (a norm is {worst:.4g})"
    return None


def is_id(text: str) -> bool:
    """Whether it is the id of a document: 32 lower-case hex characters."""
    return _ID.fullmatch(text) is not None


def check_ids(ids: Sequence[str]) -> None:
    """ValueError: one isn't an id, or comes twice."""
    wrong = next((text for text in ids if not is_id(text)), None)
    if wrong is not None:
        raise ValueError(f"id {wrong!r} isn't 32 lower-case hex characters")
    if len(set(ids)) != len(ids):
        raise ValueError("an id comes twice")


def checked_unit(vectors: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """float32. ValueError: they are no unit vectors of that (n, dim)."""
    wrong = fault(vectors, shape)
    if wrong:
        raise ValueError(f"vectors {wrong}")
    return np.ascontiguousarray(vectors, dtype=np.float32)
