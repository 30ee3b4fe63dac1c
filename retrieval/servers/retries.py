"""Asking a server again, a bounded number of times, when the fault may pass by itself.

Gets: a call. Gives: what it returns, or its last error. Touches: the clock. Never: a fault that
asking again can't mend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

ATTEMPTS = 4
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0

T = TypeVar("T")


def patiently(call: Callable[[], T], passing: Callable[[BaseException], bool]) -> T:
    """What `call` returns; after a fault that `passing` says may pass, it is made again.

    Waits grow from some 0.2 s by doubling, with jitter so that many clients don't come back at
    once; the fourth failure is raised as it is. `call` must bear being made twice.
    """
    from tenacity import (
        Retrying,
        retry_if_exception,
        stop_after_attempt,
        wait_exponential,
        wait_random,
    )

    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)
        + wait_random(0, FIRST_WAIT_S),
        retry=retry_if_exception(passing),
        reraise=True,
    )
    return retrying(call)
