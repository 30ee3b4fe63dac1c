"""Where a film or a recording is broken, in words, each damage told once.

Gets: times at which decoding met with something. Gives: `Broken`s, in the caller's list.
Touches: nothing else. Never: a file.
"""

from __future__ import annotations

import math

from retrieval.times import clock

from .nouns import Broken

_SAME_DAMAGE_S = 1.0
_PROMISED_S = 1.0  # a film that ends so much before what its header says is told of


class Damage:
    """Collects where a film is broken while it is decoded from `start` on."""

    def __init__(self, broken: list[Broken], start: float = 0.0) -> None:
        self._broken = broken
        self._known = len(broken)
        self._start = start
        self._last = -math.inf
        self._went_back = False

    def at(self, time_s: float) -> None:
        """Something can't be decoded; close behind what is known already it isn't news."""
        if time_s < self._start:
            return
        if time_s > self._last + _SAME_DAMAGE_S:
            self._broken.append(Broken(time_s, f"is damaged at {clock(time_s, 2)}"))
        self._last = time_s

    def back(self, time_s: float) -> None:
        """Times went back from there: what doesn't get beyond is left out."""
        if not self._went_back:
            self._went_back = True
            what = f"begins anew at {clock(time_s, 2)}; what comes after is left out as far as that"
            self._broken.append(Broken(time_s, what))

    def ends(self, time_s: float, promised_s: float) -> None:
        """Reading came to the end of the file."""
        if promised_s > time_s + _PROMISED_S:
            what = f"ends at {clock(time_s, 2)}, though its header promises {clock(promised_s, 2)}"
            self._broken.append(Broken(time_s, what))
            self._last = time_s  # that its last frame is half a one isn't news, either

    def forget(self) -> None:
        """What was found was no damage: decoding had begun at a wrong place."""
        del self._broken[self._known :]
        self._last, self._went_back = -math.inf, False
