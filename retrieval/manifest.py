"""What a collection is: channels, store URLs, field types; kept in ``manifest.json``.

Gets: the collection's folder, or the bytes of a manifest. Gives: a frozen `Manifest`. Touches: that
one file, written whole or not at all. Never: a secret (store URLs carry no credentials), a store.

Of a collection whose document store is shared between machines, the manifest that counts is a
record in that store; the file is a copy of it, which tells where the stores are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .durable import replace_file
from .errors import (
    CollectionNotFoundError,
    CorruptError,
    NewerFormatError,
    StoreUnreachableError,
)
from .schema import Alias, Background, Channel, FieldType, Modality

FORMAT = 1
NAME = "manifest.json"
_MARK = "ledger.sqlite"  # the first indexing run makes it: where it is, a collection is or was


@dataclass(frozen=True, slots=True)
class Manifest:
    """A collection's own description.

    Attributes:
        channels: in the order in which they were added.
        vectors, documents, assets: store URLs.
        transcriber: URL of what writes down speech; "" where nothing does.
        fields: the type of each metadata field, fixed when it was first seen.
        background: for each channel, by the query's modality, the scores of unrelated queries.
    """

    channels: tuple[Channel, ...]
    vectors: str
    documents: str
    assets: str
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    background: Mapping[str, Mapping[Modality, Background]] = field(default_factory=dict)
    transcriber: str = ""

    def channels_of(self, modality: Modality) -> tuple[Channel, ...]:
        """The channels that take documents of a modality, one a space."""
        return tuple(c for c in self.channels if c.modality == modality)


def read_manifest(directory: Path) -> Manifest:
    """Read a collection's manifest.

    Raises:
        CollectionNotFoundError: there is none.
        NewerFormatError: a newer Echolens wrote it.
        CorruptError: it can't be understood, or is missing from a collection.
    """
    path = directory / NAME
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        if (directory / _MARK).exists():
            raise _corrupt(path, "is missing, though what was indexed is there") from error
        raise CollectionNotFoundError(
            f"There is no collection at {directory}.",
            advice="Make one with `echolens index FOLDER`, or name another with --collection.",
        ) from error
    except OSError as error:
        raise StoreUnreachableError(
            f"{path} can't be read: {error.strerror}.", advice="Check its permissions."
        ) from error
    return load_manifest(data, where=str(path))


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace a collection's manifest.

    Raises:
        StoreUnreachableError: no space or no permission; what was there stays.
    """
    replace_file(directory / NAME, dump_manifest(manifest))


def dump_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON, in UTF-8."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, ensure_ascii=False, indent=2)
    return f"{text}\n".encode()


def load_manifest(content: bytes, *, where: str) -> Manifest:
    """What `dump_manifest` was given.

    Raises:
        NewerFormatError: a newer Echolens wrote it.
        CorruptError: it can't be understood; the message says `where` it was read.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"is not JSON ({error})") from error
    version = data.get("format") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise _corrupt(where, "names no format version")
    if version > FORMAT:
        raise NewerFormatError(
            f"{where} has format {version}; this Echolens reads up to {FORMAT}.",
            advice="Update it: pip install -U echolens.",
        )
    return _parse(data, where)


def _parse(data: Any, where: str) -> Manifest:
    try:
        return Manifest(
            channels=tuple(
                Channel(**{**channel, "aliases": tuple(map(_alias, channel["aliases"]))})
                for channel in data["channels"]
            ),
            vectors=data["vectors"],
            documents=data["documents"],
            assets=data["assets"],
            transcriber=data["transcriber"],
            fields=dict(data["fields"]),
            background={
                key: {modality: Background(**numbers) for modality, numbers in by_query.items()}
                for key, by_query in data["background"].items()
            },
        )
    except KeyError as error:
        raise _corrupt(where, f"lacks `{error.args[0]}`") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise _corrupt(where, f"has a part that can't be understood ({error})") from error


def _alias(data: Mapping[str, Any]) -> Alias:
    return Alias(data["encoder"], data["fingerprint"], tuple(data["modalities"]))


def _corrupt(where: object, what: str) -> CorruptError:
    return CorruptError(
        f"{where} {what}.",
        advice="Restore it from a backup, or move the folder away and index the same files again.",
    )
