"""What readers of films and of recordings share: a stretch with what was said in it.

Gets: a file's bytes, and subtitles and transcripts that lie beside it. Gives: shots, windows of
sound, passages of what is said, all with their times; sound that is yet to be written down; what
the file says of itself. Touches: PyAV and PySceneDetect, through `films`. Never: a store, a path,
the network.

What is said is taken from subtitles beside a file, else from those inside, else a transcriber is
given the sound. A transcript without times goes with the sound, to be aligned to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO, ClassVar

from . import transcripts
from .errors import BadInputError, NotInstalledError
from .media import kind_of
from .passages import room_of
from .protocols import Limits
from .schema import Description, Draft, SkipReason, Wants
from .timed import Segment, Stretch

SAID = {"transcripts": transcripts.TRANSCRIPTS_VERSION}  # of every recipe


class TimedReader:
    """Turns a file with a length in time into documents. A `ModalityReader`, and `Timed`.

    Attributes:
        noun: what messages call such a file.
        pictures: whether they are looked at.
    """

    noun: ClassVar[str]
    pictures: ClassVar[bool]

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def describe(self, file: BinaryIO) -> Description:
        """What the file says of itself; the fields are those of `films.described`."""
        self._check(file)
        from .films import containers, described

        return described.describe(containers.facts(file))

    def stretch(
        self, file: BinaryIO, wants: Wants, start: float, beside: Mapping[str, bytes]
    ) -> Stretch:
        """Shots, windows and passages that begin in ``[start, start + STRETCH_S)``."""
        self._check(file)
        from .films import stretches

        lines, script, odd = _said(beside)
        said = stretches.Said(lines, script)
        stretch, here = stretches.read(file, wants, start, said, pictures=self.pictures)
        passages = transcripts.passages_of(here, room_of(wants.text_tokens))
        return replace(
            stretch,
            drafts=(*stretch.drafts, *passages),
            warnings=(*odd, *stretch.warnings),
        )

    def documents(self, file: BinaryIO, wants: Wants) -> Iterator[Draft]:
        """All documents of a file that nothing lies beside, stretch by stretch."""
        following: float | None = 0.0
        while following is not None:
            stretch = self.stretch(file, wants, following, {})
            yield from stretch.drafts
            following = stretch.following

    def _check(self, file: BinaryIO) -> None:
        """Refuse what is something else, and every such file where nothing can decode it."""
        file.seek(0)
        head = file.read(4096)
        if head and kind_of(head) == "text":
            raise BadInputError(SkipReason.CORRUPT, f"is text, not a {self.noun}")
        try:
            from .films import containers  # noqa: F401
        except NotInstalledError as error:
            message = f"is a {self.noun}, which needs the extra `echolens[video]`"
            raise BadInputError(SkipReason.NOT_INSTALLED, message) from error


def _said(beside: Mapping[str, bytes]) -> tuple[list[Segment], str | None, list[str]]:
    """What subtitles and transcripts say: with times; without; and what is odd about them."""
    lines: list[Segment] = []
    scripts: list[str] = []
    odd: list[str] = []
    for name in sorted(beside):
        left_out: list[str] = []
        try:
            parsed = transcripts.parse(name, beside[name], left_out)
        except BadInputError as error:
            odd.append(f"{name}: {error}")
            continue
        odd += (f"{name}: {what}" for what in left_out)
        if isinstance(parsed, str):
            scripts.append(parsed)
        else:
            lines += parsed
    return sorted(lines, key=lambda line: line.start), "\n\n".join(scripts) or None, odd
