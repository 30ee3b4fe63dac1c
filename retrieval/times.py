"""Times in films and recordings as people read them.

Gets: seconds. Gives: text. Touches: nothing: pure. Never: a time zone, the time of day.
"""

from __future__ import annotations


def clock(seconds: float, decimals: int = 1) -> str:
    """``1:02:03.4``; without hours where there are none: ``0:13.0``.

    Args:
        seconds: finite; below 0 it is 0.
        decimals: of the seconds; 0 for whole ones, without a point.
    """
    scale = 10**decimals
    minutes, units = divmod(round(max(0.0, seconds) * scale), 60 * scale)
    hours, minutes = divmod(minutes, 60)
    rest = f"{units / scale:.{decimals}f}".zfill(3 + decimals if decimals else 2)
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"
