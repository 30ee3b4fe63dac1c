"""Which class reads files from where; one line a source.

Gets: a source's name and options. Gives: the source. Touches: nothing. Never: lists a file.

The readers of data sets come with all of evaluation, so only a run that needs them loads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .schema import Source
from .sources.failures import FailureSource
from .sources.folder import FolderSource


def open_folder(
    paths: Sequence[str], *, exclude: Sequence[str], follow_symlinks: bool, leave_out: Path
) -> Source:
    """Folders and single files."""
    return FolderSource(
        paths, exclude=exclude, follow_symlinks=follow_symlinks, leave_out=leave_out
    )


def open_captions(
    captions: str, *, images: Path | None, split: str | None, split_file: Path | None
) -> Source:
    """The pictures of a data set, with their captions."""
    from retrieval.evaluation.datasets import DatasetOptions

    from .sources.captions import CaptionsSource

    return CaptionsSource(captions, DatasetOptions(images, split, split_file))


def open_failures(uris: Iterable[str], below: Sequence[str]) -> Source:
    """Files that failed before (below the given paths, if any are given)."""
    return FailureSource(uris, below)
