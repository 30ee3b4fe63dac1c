"""Which class serves a role under a URL scheme, and which extra installs what it needs.

Gets: a role and a URL. Gives: the class. Touches: ``importlib``. Never: loads a back end that
wasn't asked for. One line adds a back end; an outside package adds one through an entry point of
the group ``echolens.<role>`` (``echolens.vector_store``), named like its scheme.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from typing import Any

from ..abilities import SharedStore
from ..errors import NotInstalledError, UnknownSchemeError, UsageError
from ..listeners import Transcriber
from ..protocols import (
    AssetStore,
    DocumentStore,
    Encoder,
    Limits,
    Locate,
    ModalityReader,
    Place,
    VectorStore,
)
from ..schema import Channel, Compute, Modality
from .back_ends import BACK_ENDS as BACK_ENDS
from .back_ends import BackEndRole as BackEndRole
from .back_ends import Entry as Entry
from .modalities import MODALITIES as MODALITIES
from .modalities import ModalityEntry as ModalityEntry
from .modalities import media_type_of as media_type_of


def schemes(role: BackEndRole) -> Iterator[tuple[str, Entry]]:
    """Every known scheme of a role, sorted, those of outside packages included."""
    from importlib.metadata import entry_points  # 20 ms, and most starts don't need it

    known = dict(BACK_ENDS[role])
    for point in entry_points(group=f"echolens.{role}"):
        known.setdefault(point.name, Entry(point.value, "from an outside package"))
    yield from sorted(known.items())


def split(url: str) -> tuple[str, str]:
    """(scheme, the rest) of a URL: ``open_clip:ViT-B-32/laion2b`` or ``milvus://host/db``."""
    scheme, colon, location = url.partition(":")
    if not colon:
        raise UsageError(
            f"`{url}` has no scheme.",
            advice=f"Write it like `{url}:` or `scheme:{url}`.",
        )
    return scheme.lower().replace("-", "_"), location


def check(role: BackEndRole, url: str) -> None:
    """Refuse a URL before anything is made or connected to.

    Raises:
        UsageError: its scheme is unknown, or the back end has a ``check_url`` that refuses it; the
            same of what it is made of.
        NotInstalledError: the back end's packages aren't here.
    """
    back_end = _class(role, url)
    check_url = getattr(back_end, "check_url", None)
    if check_url is not None:
        check_url(url)
    for part_role, part in _parts(back_end, url):
        check(part_role, part)


def is_shared(url: str) -> bool:
    """Whether several machines can reach the document store of a URL."""
    return issubclass(_class("document_store", url), SharedStore)


def keeps_copies(url: str) -> bool:
    """Whether the asset store of a URL has copies of its own."""
    return bool(_class("asset_store", url).copies)


def open_encoder(url: str, compute: Compute | None = None) -> Encoder:
    """The encoder of a URL, its weights not yet loaded."""
    encoder: Encoder = _open("encoder", url, compute or Compute())
    return encoder


def around(url: str, encoder: str) -> str:
    """The whole URL of an encoder that may be built around another one.

    Where it is (it has a static ``around(location, encoder)``) and names none, it gets `encoder`.
    """
    complete = getattr(_class("encoder", url), "around", None)
    if complete is None:
        return url
    scheme, location = split(url)
    return f"{scheme}:{complete(location, encoder)}"


def open_transcriber(url: str, compute: Compute | None = None) -> Transcriber:
    """The transcriber of a URL, its weights not yet loaded."""
    transcriber: Transcriber = _class("transcriber", url)(split(url)[1], compute or Compute())
    return transcriber


def open_vector_store(place: Place, channel: Channel) -> VectorStore:
    """The vector store of a place, for one channel."""
    store: VectorStore = _class("vector_store", place.url)(place, channel)
    return store


def open_document_store(place: Place) -> DocumentStore:
    """The document store of a place."""
    store: DocumentStore = _class("document_store", place.url)(place)
    return store


def open_asset_store(place: Place, locate: Locate) -> AssetStore:
    """The asset store of a place; ``locate`` tells where the user's own files are."""
    store: AssetStore = _class("asset_store", place.url)(place, locate)
    return store


def open_modality(modality: Modality, limits: Limits) -> ModalityReader:
    """The reader of a modality."""
    reader: ModalityReader = _load(MODALITIES[modality].target, modality, None)(limits)
    return reader


def _open(role: BackEndRole, url: str, compute: Compute) -> Any:
    """What computes something, with what it is made of."""
    back_end = _class(role, url)
    parts = [_open(part_role, part, compute) for part_role, part in _parts(back_end, url)]
    return back_end(split(url)[1], compute, *parts)


def _parts(back_end: Any, url: str) -> Iterator[tuple[BackEndRole, str]]:
    """Role and URL of each back end that one needs."""
    made_of = getattr(back_end, "made_of", None)
    if made_of is not None:
        yield from made_of(split(url)[1])


def _class(role: BackEndRole, url: str) -> Any:
    scheme, _ = split(url)
    entry = BACK_ENDS[role].get(scheme) or dict(schemes(role)).get(scheme)
    if entry is None:
        known = [name for name, _ in schemes(role)]
        near = difflib.get_close_matches(scheme, known, n=1)
        hint = f"Did you mean `{near[0]}:`? " if near else ""
        if role == "tagger":
            hint += f"A folder is named by its path, as tags:./{scheme}. "
        raise UnknownSchemeError(
            f"No {role.replace('_', ' ')} is called `{scheme}:`.",
            advice=f"{hint}Known: {', '.join(f'{name}:' for name in known)}.",
        )
    return _load(entry.target, scheme, entry.extra)


def _load(target: str, name: str, extra: str | None) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise  # an entry that names no module is our fault, and not a missing package
        package = f"echolens[{extra}]" if extra else "echolens"
        missing = str(error.name).partition(".")[0]
        raise NotInstalledError(
            f"`{name}` needs the package `{missing}`, which is not installed.",
            advice=f"pip install '{package}'",
        ) from error
