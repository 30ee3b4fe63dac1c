"""What a unit vector is: the one check of what an encoder gave and of what a store is given.

Gets: an array. Gives: what is wrong with it, in words. Touches: nothing. Never: raises; whose
fault it is, its caller knows.
"""

from __future__ import annotations

import numpy as np

from .schema import FloatArray

NORM_TOLERANCE = 1e-3  # how far a norm may be from 1


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
