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


@pytest.mark.parametrize(("count", "says"), [(1, "1 recording "), (40, "40 recordings ")])
def test_recordings_that_nothing_can_find(count: int, says: str) -> None:
    tally = Tally()
    tally.unfindable = count

    (warning,) = tally.report().warnings

    assert warning.startswith(f"nothing of {says}")
    assert "--audio-encoder" in warning


def test_without_such_files_nothing_is_said_of_them() -> None:
    assert Tally().report().warnings == ()
