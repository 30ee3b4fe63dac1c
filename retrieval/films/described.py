"""What a film or a recording says of itself, as fields and captions.

Gets: `Facts`. Gives: a description. Touches: nothing. Never: a file.

Notes are free text by strangers. What a program or a camera wrote there, where a person would have
described something, is no caption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrieval.schema import Description, FieldValue

from .nouns import Facts

_LONGEST_S = 30 * 86_400  # a header that says more is nonsense
_LONGEST_TITLE = 300
_BOILERPLATE = re.compile(
    r"""(?ix)
      (encoded|created|made|converted|compressed|processed|recorded|edited)\s(by|with|using|in)\s.*
    | (lavf|lavc|handbrake|ffmpeg|x26[45]|google|youtube|vimeo)\S*.* | .*\bhandler
    | dcim\S* | (gopr|gh|gx|mvi|mov|vid|img|dsc|pxl|video)[-_ ]?[\d_\-.]+\w*(\.\w{2,4})?
    | https?://\S+ | untitled | default | unknown | title | track\s?\d+ | movie | video | audio
    | \W* | [\d\W_]+
    """
)


def describe(facts: Facts) -> Description:
    """Fields and captions.

    Fields: ``has_video``, ``has_audio``, ``audio_tracks``, and where known ``duration_s`` (as the
    container says), ``width``, ``height`` (as displayed), ``fps``, ``video_codec``,
    ``audio_codec``, ``title``, ``taken`` (ISO 8601), ``year``, ``camera``, ``latitude`` and
    ``longitude``.
    """
    return Description(dict(_fields(facts)), tuple(_captions(facts)))


def _fields(facts: Facts) -> Iterator[tuple[str, FieldValue]]:
    yield "has_video", facts.has_video
    yield "has_audio", facts.has_audio
    yield "audio_tracks", facts.audio_tracks
    if facts.duration_s is not None and 0 < facts.duration_s < _LONGEST_S:
        yield "duration_s", round(facts.duration_s, 3)
    if facts.has_video and facts.width and facts.height:
        yield "width", facts.width
        yield "height", facts.height
    if facts.has_video and facts.fps is not None:
        yield "fps", round(facts.fps, 3)
    for name, text in (
        ("video_codec", facts.video_codec),
        ("audio_codec", facts.audio_codec),
        ("title", " ".join(facts.title.split())[:_LONGEST_TITLE]),
        ("camera", facts.camera),
    ):
        if text:
            yield name, text
    if re.match(r"\d{4}-\d{2}-\d{2}", facts.taken):
        yield "taken", facts.taken
    if re.match(r"\d{4}", facts.taken):
        yield "year", int(facts.taken[:4])
    if facts.place is not None:
        yield "latitude", facts.place[0]
        yield "longitude", facts.place[1]


def _captions(facts: Facts) -> Iterator[str]:
    texts = (" ".join(text.split()) for text in (facts.title, *facts.captions))
    for text in dict.fromkeys(texts):
        if not _BOILERPLATE.fullmatch(text):
            yield text
