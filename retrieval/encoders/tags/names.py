"""What a location of `tags:` names: a tagger and an encoder.

Gets: what follows ``tags:``. Gives: the URLs of both. Touches: nothing. Never: opens either.

The first ``+`` behind which a scheme stands parts the two, since both may hold slashes and colons.
A tagger is the path of a folder, the name of one that a package brings, or ``NAME:LOCATION`` where
it can be told more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from retrieval.errors import UsageError

FOLDER_SCHEME = "onnx"

_FORMS = (
    "Write tags:TAGGER+ENCODER, as tags:/path/to/folder+starter: with a folder that holds "
    "model.onnx and classes.csv."
)
_APART = re.compile(r"\+(?=[A-Za-z][\w-]+:)")
_NAME = re.compile(r"[A-Za-z][\w-]+(:.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Named:
    """What was named.

    Attributes:
        tagger, encoder: URLs, as the registry opens them.
    """

    tagger: str
    encoder: str

    def __str__(self) -> str:
        scheme, _, location = self.tagger.partition(":")
        if scheme == FOLDER_SCHEME:
            return f"{location}+{self.encoder}"
        return f"{self.tagger if location else scheme}+{self.encoder}"

    @classmethod
    def of(cls, named: Named, tagger: str, encoder: str) -> Named:
        """The same two with the locations that they have once they are opened."""
        schemes = (url.partition(":")[0] for url in (named.tagger, named.encoder))
        urls = zip(schemes, (tagger, encoder), strict=True)
        return cls(*(f"{scheme}:{location}" for scheme, location in urls))


def parse(location: str) -> Named:
    """What a location names.

    Raises:
        UsageError: it names no tagger or no encoder.
    """
    tagger, *rest = _APART.split(location, maxsplit=1)
    if not tagger or not rest:
        missing = "encoder" if tagger else "tagger"
        raise UsageError(f"`tags:{location}` names no {missing}.", advice=_FORMS)
    if _NAME.fullmatch(tagger):
        return Named(tagger if ":" in tagger else f"{tagger}:", rest[0])
    return Named(f"{FOLDER_SCHEME}:{tagger}", rest[0])


def with_encoder(location: str, encoder: str) -> str:
    """The location itself where it names an encoder; else with the one whose URL is given."""
    return location if _APART.search(location) or not location else f"{location}+{encoder}"
