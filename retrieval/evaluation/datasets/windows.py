"""Windows of films as data sets write them, and the seconds that they mean.

Gets: values as JSON or a line gives them. Gives: `Window`s. Touches: nothing. Never: mends one that
can't be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..moments import Window


def windows_of(values: Iterable[Any]) -> tuple[Window, ...]:
    """Pairs of start and end, in seconds.

    Raises:
        ValueError, TypeError: one is no pair of finite numbers, begins before 0 or has no length.
    """
    found = []
    for value in values:
        start, end = (float(one) for one in value)
        if not (math.isfinite(end) and 0 <= start < end):
            raise ValueError(f"{value} is no window")
        found.append((start, end))
    return tuple(found)
