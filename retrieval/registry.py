"""Which class serves a role under a URL scheme, and which extra installs what it needs.

Gets: a role and a URL. Gives: the class. Touches: ``importlib``. Never: loads a back end that
wasn't asked for. One line adds a back end; an outside package adds one through an entry point of
the group ``echolens.<role>`` (``echolens.vector_store``), named like its scheme.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from .abilities import SharedStore
from .errors import NotInstalledError, UnknownSchemeError, UsageError
from .protocols import (
    AssetStore,
    DocumentStore,
    Encoder,
    Limits,
    Locate,
    ModalityReader,
    Place,
    Tagger,
    Transcriber,
    VectorStore,
)
from .schema import Channel, Compute, Modality

BackEndRole = Literal[
    "encoder", "tagger", "transcriber", "vector_store", "document_store", "asset_store"
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One back end: ``module:Class``, one line about it, the extra that installs its packages.

    An encoder also says which modalities it takes, which languages it understands, and whether its
    bare scheme names a model of the hub.
    """

    target: str
    about: str
    extra: str | None = None
    modalities: tuple[Modality, ...] = ()
    languages: str = ""
    of_hub: bool = False


BACK_ENDS: Mapping[BackEndRole, Mapping[str, Entry]] = MappingProxyType(
    {
        "asset_store": {
            "folder": Entry("retrieval.asset_stores.folder:FolderStore", "copies, by their hash"),
            "inplace": Entry("retrieval.asset_stores.inplace:InPlaceStore", "the user's own files"),
            "s3": Entry(
                "retrieval.asset_stores.s3:S3Store",
                "copies in a bucket: s3://BUCKET/PREFIX?endpoint=https://host:port&region=name",
                extra="s3",
            ),
        },
        "document_store": {
            "elasticsearch": Entry(
                "retrieval.document_stores.elasticsearch:ElasticsearchStore",
                "an index on a server: elasticsearch://HOST:PORT/NAME",
                extra="elasticsearch",
            ),
            "sqlite": Entry("retrieval.document_stores.sqlite:SqliteStore", "one SQLite file"),
        },
        "encoder": {
            "clap": Entry(
                "retrieval.encoders.clap:ClapEncoder",
                "sounds and texts, learned from sounds with captions: nothing "
                "(laion/larger_clap_general), OWNER/NAME of the hub, or /path/to/folder",
                extra="clap",
                modalities=("audio", "text"),
                languages="the model's",
                of_hub=True,
            ),
            "conse": Entry(
                "retrieval.encoders.starter:ConseEncoder",
                "small, offline; no training on photos with captions",
                modalities=("image", "text"),
                languages="English",
            ),
            "onnx": Entry(
                "retrieval.encoders.onnx:OnnxEncoder",
                "CLIP or SigLIP exported to ONNX, without PyTorch: FOLDER or hf://OWNER/NAME",
                modalities=("image", "text"),
                languages="the model's",
            ),
            "open_clip": Entry(
                "retrieval.encoders.open_clip:OpenClipEncoder",
                "any model of open_clip: MODEL/PRETRAINED, MODEL//path/to/checkpoint, "
                "hf-hub:OWNER/NAME, local-dir:/path",
                extra="open-clip",
                modalities=("image", "text"),
                languages="the model's",
            ),
            "starter": Entry(
                "retrieval.encoders.starter:StarterEncoder",
                "small, offline, to try things out; `starter:chinese` reads Chinese too",
                modalities=("image", "text"),
                languages="English; with starter:chinese also Chinese",
            ),
            "tags": Entry(
                "retrieval.encoders.tags:TagsEncoder",
                "sounds in another encoder's space, by what a tagger calls them: TAGGER+ENCODER, "
                "as tags:/path/to/folder+starter:",
                extra="sound",
                modalities=("audio",),
            ),
        },
        "tagger": {
            "onnx": Entry(
                "retrieval.encoders.tags.folder:FolderTagger",
                "a folder with model.onnx, which takes samples, and classes.csv",
            ),
        },
        "transcriber": {
            "whisper": Entry(
                "retrieval.transcribers.whisper:WhisperTranscriber",
                "Whisper by faster-whisper: SIZE (base, small, large-v3-turbo), hf://OWNER/NAME, "
                "/path/to/folder, or carried (tiny, English, from a package); ?language=zh",
                extra="speech",
                languages="the model's",
            ),
        },
        "vector_store": {
            "exact": Entry("retrieval.vector_stores.exact:ExactStore", "NumPy over mapped rows"),
            "faiss": Entry(
                "retrieval.vector_stores.faiss:FaissStore",
                "FAISS, half precision over the same rows",
                extra="faiss",
            ),
            "milvus": Entry(
                "retrieval.vector_stores.milvus:MilvusStore",
                "milvus://HOST:PORT/NAME, or milvus:FILE.db for Milvus Lite",
                extra="milvus",
            ),
        },
    }
)


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


def open_tagger(url: str, compute: Compute | None = None) -> Tagger:
    """The tagger of a URL, its weights not yet loaded."""
    tagger: Tagger = _open("tagger", url, compute or Compute())
    return tagger


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
