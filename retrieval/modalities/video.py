"""Films: what they show, what is heard and what is said in them.

Gets: a film's bytes, and subtitles that lie beside it. Gives: shots, windows of sound, passages of
what is said, all with their times; sound that is yet to be written down; what it says of itself.
Touches: PyAV and PySceneDetect, through `films`. Never: a store, a path, the network.

What is said is taken from subtitles beside a film, else from those inside, else a transcriber is
given the sound. A transcript without times goes with the sound, to be aligned to it.

A file of text is no damaged film but something else: source code is called ``.ts``, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from retrieval import transcripts
from retrieval.errors import BadInputError, NotInstalledError
from retrieval.films import recipe
from retrieval.media import kind_of
from retrieval.protocols import Limits
from retrieval.schema import Description, Draft, SkipReason, Wants
from retrieval.timed import Segment, Stretch

_DEFAULT_TOKENS = 128  # for an encoder that doesn't say how much it reads
_SPECIAL_TOKENS = 2  # start and end, which encoders add
_WORDS = {"transcripts": transcripts.TRANSCRIPTS_VERSION}  # of the recipe


class VideoReader:
    """Turns a film into shots, windows and speech. A `ModalityReader`, and `Timed`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Versions of decoding and cutting; the detector of shots with its options."""
        return {"reader": "video", **recipe.of_films(), **_WORDS}

    def describe(self, file: BinaryIO) -> Description:
        """Length, size, frame rate, codecs, date, place and camera; captions.

        The fields are those of `films.described`.
        """
        _check(file)
        from retrieval.films import containers, described

        return described.describe(containers.facts(file))

    def stretch(
        self, file: BinaryIO, wants: Wants, start: float, beside: Mapping[str, bytes]
    ) -> Stretch:
        """Shots, windows and passages that begin in ``[start, start + STRETCH_S)``."""
        _check(file)
        from retrieval.films import stretches

        lines, script, odd = _said(beside)
        said = stretches.Said(lines, script)
        stretch, here = stretches.read(file, wants, start, said, pictures=True)
        room = (wants.text_tokens or _DEFAULT_TOKENS) - _SPECIAL_TOKENS
        return replace(
            stretch,
            drafts=(*stretch.drafts, *transcripts.passages_of(here, room)),
            warnings=(*odd, *stretch.warnings),
        )

    def documents(self, file: BinaryIO, wants: Wants) -> Iterator[Draft]:
        """All documents of a film without subtitles beside it, stretch by stretch."""
        following: float | None = 0.0
        while following is not None:
            stretch = self.stretch(file, wants, following, {})
            yield from stretch.drafts
            following = stretch.following

    def query_input(self, data: bytes, wants: Wants) -> Any:  # noqa: ARG002
        """A film can't be a query: refused."""
        message = "is a film, which can't be a query: ask with one of its pictures or its sound"
        raise BadInputError(SkipReason.UNSUPPORTED, message)


def _check(file: BinaryIO) -> None:
    """Refuse what is no film, and every film where nothing can decode one."""
    file.seek(0)
    head = file.read(4096)
    if head and kind_of(head) == "text":
        raise BadInputError(SkipReason.UNSUPPORTED, "is text, not a film")
    try:
        from retrieval.films import containers  # noqa: F401
    except NotInstalledError as error:
        message = "is a film, which needs the extra `echolens[video]`"
        raise BadInputError(SkipReason.NOT_INSTALLED, message) from error


def _said(beside: Mapping[str, bytes]) -> tuple[list[Segment], str | None, list[str]]:
    """What subtitles and transcripts say: with times; without; and what is odd about them."""
    lines: list[Segment] = []
    scripts: list[str] = []
    odd: list[str] = []
    for name in sorted(beside):
        try:
            parsed = transcripts.parse(name, beside[name])
        except BadInputError as error:
            odd.append(f"{name}: {error}")
            continue
        if isinstance(parsed, str):
            scripts.append(parsed)
        else:
            lines += parsed
    return sorted(lines, key=lambda line: line.start), "\n\n".join(scripts) or None, odd
