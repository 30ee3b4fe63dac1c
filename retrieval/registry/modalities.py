"""The modalities: a reader each, and the kinds of files that it reads.

Gets and gives: values. Touches: nothing. Never: imports a reader; a string names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..schema import Modality


@dataclass(frozen=True, slots=True)
class ModalityEntry:
    """One modality that is indexed.

    Attributes:
        target: ``module:Class`` of its reader.
        media_types: of each file suffix.
        hit: what one hit is when hits of this modality are asked for: the file or a piece of it.
        timed: whether a file has a length in time, so that its reader is `abilities.Timed`.
    """

    target: str
    media_types: Mapping[str, str]
    hit: Literal["asset", "document"] = "asset"
    timed: bool = False


# In the order in which a new collection gets its channels.
MODALITIES: Mapping[Modality, ModalityEntry] = MappingProxyType(
    {
        "image": ModalityEntry(
            "retrieval.modalities.image:ImageReader",
            {
                ".avif": "image/avif",
                ".bmp": "image/bmp",
                ".gif": "image/gif",
                ".heic": "image/heic",
                ".heif": "image/heif",
                ".jfif": "image/jpeg",
                ".jpe": "image/jpeg",
                ".jpeg": "image/jpeg",
                ".jpg": "image/jpeg",
                ".png": "image/png",
                ".tif": "image/tiff",
                ".tiff": "image/tiff",
                ".webp": "image/webp",
            },
        ),
        "text": ModalityEntry(
            "retrieval.modalities.text:TextReader",
            {
                ".htm": "text/html",
                ".html": "text/html",
                ".markdown": "text/markdown",
                ".md": "text/markdown",
                ".pdf": "application/pdf",
                ".txt": "text/plain",
            },
            hit="document",  # a caption, a passage
        ),
        "video": ModalityEntry(
            "retrieval.modalities.video:VideoReader",
            {
                ".3g2": "video/3gpp2",
                ".3gp": "video/3gpp",
                ".asf": "video/x-ms-asf",
                ".avi": "video/x-msvideo",
                ".divx": "video/x-msvideo",
                ".f4v": "video/mp4",
                ".flv": "video/x-flv",
                ".m2ts": "video/mp2t",
                ".m4v": "video/mp4",
                ".mkv": "video/x-matroska",
                ".mov": "video/quicktime",
                ".mp4": "video/mp4",
                ".mpe": "video/mpeg",
                ".mpeg": "video/mpeg",
                ".mpg": "video/mpeg",
                ".mts": "video/mp2t",
                ".mxf": "application/mxf",
                ".ogv": "video/ogg",
                ".qt": "video/quicktime",
                ".ts": "video/mp2t",
                ".vob": "video/mpeg",
                ".webm": "video/webm",
                ".wmv": "video/x-ms-wmv",
            },
            timed=True,
        ),
        "audio": ModalityEntry(
            "retrieval.modalities.audio:AudioReader",
            {
                ".aac": "audio/aac",
                ".aif": "audio/aiff",
                ".aifc": "audio/aiff",
                ".aiff": "audio/aiff",
                ".amr": "audio/amr",
                ".au": "audio/basic",
                ".caf": "audio/x-caf",
                ".flac": "audio/flac",
                ".m4a": "audio/mp4",
                ".m4b": "audio/mp4",
                ".mka": "audio/x-matroska",
                ".mp3": "audio/mpeg",
                ".oga": "audio/ogg",
                ".ogg": "audio/ogg",
                ".opus": "audio/ogg",
                ".wav": "audio/wav",
                ".wma": "audio/x-ms-wma",
            },
            timed=True,
        ),
    }
)


def media_type_of(suffix: str) -> tuple[Modality, str] | None:
    """(modality, media type) of a file suffix such as ``.JPG``; None when it isn't indexed."""
    for modality, entry in MODALITIES.items():
        media_type = entry.media_types.get(suffix.lower())
        if media_type is not None:
            return modality, media_type
    return None
