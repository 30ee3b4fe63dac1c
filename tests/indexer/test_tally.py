"""What a run's report says at its end agrees with its numbers."""

from __future__ import annotations

import pytest

from indexer.tally import Tally


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (1, "what is said in 1 file is not searched: name a transcriber with --transcriber"),
        (6, "what is said in 6 files is not searched: name a transcriber with --transcriber"),
        (1_200, "what is said in 1,200 files is not searched: name a transcriber"),
    ],
)
def test_what_is_said_and_nobody_heard(count: int, says: str) -> None:
    tally = Tally()
    tally.unheard = count

    (warning,) = tally.report().warnings

    assert warning.startswith(says)


def test_without_such_files_nothing_is_said_of_them() -> None:
    assert Tally().report().warnings == ()
