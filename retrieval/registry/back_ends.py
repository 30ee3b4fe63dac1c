"""The back ends: a line each, by role and URL scheme.

Gets and gives: values. Touches: nothing. Never: imports a back end; a string names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..schema import Modality

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
