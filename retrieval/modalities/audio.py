"""Recordings: what is heard and what is said in them.

Gets: a recording's bytes, and transcripts that lie beside it. Gives: windows of sound, passages of
what is said, all with their times; sound that is yet to be written down; what it says of itself.
Touches: PyAV, through `films`. Never: looks at a picture; a store, a path, the network.

What is said is taken as for a film: see `modalities.video`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from retrieval import transcripts
from retrieval.errors import BadInputError, NotInstalledError
from retrieval.films import recipe
from retrieval.media import kind_of
from retrieval.protocols import Limits
from retrieval.schema import Description, Draft, SkipReason, Wants
from retrieval.timed import Segment, Sound, Stretch

_DEFAULT_TOKENS = 128  # for an encoder that doesn't say how much it reads
_SPECIAL_TOKENS = 2  # start and end, which encoders add
_WORDS = {"transcripts": transcripts.TRANSCRIPTS_VERSION}  # of the recipe
_QUERY_S = 60.0  # of a query that are listened to
_DEFAULT_RATE = 48_000  # for an encoder that doesn't say


class AudioReader:
    """Turns a recording into windows and speech. A `ModalityReader`, and `Timed`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Versions of decoding and cutting."""
        return {"reader": "audio", **recipe.of_recordings(), **_WORDS}

    def describe(self, file: BinaryIO) -> Description:
        """Length, codec, title, date; captions.

        The fields are those of `films.described`.
        """
        _check(file)
        from retrieval.films import containers, described

        return described.describe(containers.facts(file))

    def stretch(
        self, file: BinaryIO, wants: Wants, start: float, beside: Mapping[str, bytes]
    ) -> Stretch:
        """Windows and passages that begin in ``[start, start + STRETCH_S)``."""
        _check(file)
        from retrieval.films import stretches

        lines, script, odd = _said(beside)
        said = stretches.Said(lines, script)
        stretch, here = stretches.read(file, wants, start, said, pictures=False)
        room = (wants.text_tokens or _DEFAULT_TOKENS) - _SPECIAL_TOKENS
        return replace(
            stretch,
            drafts=(*stretch.drafts, *transcripts.passages_of(here, room)),
            warnings=(*odd, *stretch.warnings),
        )

    def documents(self, file: BinaryIO, wants: Wants) -> Iterator[Draft]:
        """All documents of a recording without a transcript beside it, stretch by stretch."""
        following: float | None = 0.0
        while following is not None:
            stretch = self.stretch(file, wants, following, {})
            yield from stretch.drafts
            following = stretch.following

    def query_input(self, data: bytes, wants: Wants) -> Sound:
        """The beginning of a sound, at the rate that the encoder likes."""
        file = io.BytesIO(data)
        _check(file)
        from retrieval.films import sound

        rate = wants.sample_rate or _DEFAULT_RATE
        samples = sound.sound(file, rate=rate, end=_QUERY_S)
        if not samples.size:
            raise BadInputError(SkipReason.NO_CONTENT, "holds no sound")
        return Sound(samples, rate)


def _check(file: BinaryIO) -> None:
    """Refuse what is no recording, and every one where nothing can decode it."""
    file.seek(0)
    head = file.read(4096)
    if head and kind_of(head) == "text":
        raise BadInputError(SkipReason.UNSUPPORTED, "is text, not a recording")
    try:
        from retrieval.films import containers  # noqa: F401
    except NotInstalledError as error:
        message = "is a recording, which needs the extra `echolens[video]`"
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
