"""Times as people read them."""

from __future__ import annotations

import pytest

from retrieval.times import clock


@pytest.mark.parametrize(
    ("seconds", "decimals", "shown"),
    [
        (0, 1, "0:00.0"),
        (13.04, 1, "0:13.0"),
        (59.94, 1, "0:59.9"),
        (59.97, 1, "1:00.0"),
        (3599.97, 1, "1:00:00.0"),
        (3723.4, 1, "1:02:03.4"),
        (360_000, 1, "100:00:00.0"),
        (-1, 1, "0:00.0"),
        (3.2, 2, "0:03.20"),
        (59.999, 2, "1:00.00"),
        (3723.456, 2, "1:02:03.46"),
        (7, 0, "0:07"),
        (3599.6, 0, "1:00:00"),
    ],
)
def test_a_time_is_shown_like_a_clock(seconds: float, decimals: int, shown: str) -> None:
    assert clock(seconds, decimals) == shown
