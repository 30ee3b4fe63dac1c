"""A kill, as it looks from within."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class Killed(BaseException):
    """Nothing tidies up after it."""


def kill(
    owner: type, name: str, call: int, run: Callable[[], object], *, after: bool = True
) -> None:
    """Run something, and kill it before or after the n-th call of a method."""
    whole: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        result = whole(*arguments, **options)
        if calls == call:
            raise Killed
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            run()
