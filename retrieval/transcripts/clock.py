"""When each character of a segment was said.

Gets: a segment. Gives: a function from places in its text to seconds. Touches: nothing: pure.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..timed import Segment


def clock_of(segment: Segment) -> Callable[[int], float]:
    """Seconds by place in the segment's text, which never fall.

    Known at the edges of its words that are found in the text, else at the segment's own; between
    them a character takes as long as another.
    """
    places, times, at = [0], [segment.start], 0
    for word in segment.words:
        found = segment.text.find(word.text, at)
        if found < 0 or not word.text:
            continue
        at = found + len(word.text)
        places += [found, at]
        times += [word.start, word.end]
    places.append(len(segment.text))
    times.append(segment.end)
    rising = np.maximum.accumulate(np.clip(times, segment.start, max(segment.start, segment.end)))

    def clock(place: int) -> float:
        return float(np.interp(place, places, rising))

    return clock
