"""What a person asks on the command line, as a `Query`: words, files, documents.

Gets: words, paths, ids. Gives: a query. Touches: query files, stdin. Never: decodes or encodes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from retrieval import Part, Query

FileKind = Literal["image", "audio"]
NOUNS: dict[str, str] = {"image": "picture", "audio": "recording"}


def query_of(asked: Mapping[str, Sequence[str]], limit_bytes: int) -> Query:
    """Make the query; files are read here, since the library opens no paths.

    Args:
        asked: ``words``, paths of ``images`` and ``recordings``, ids of ``documents``, and parts
            to ``add`` and to ``subtract``.
        limit_bytes: of a file.
    """
    from retrieval import DocumentRef, Part, parse_query

    files: list[tuple[str, FileKind]] = [
        *((path, "image") for path in asked["images"]),
        *((path, "audio") for path in asked["recordings"]),
    ]
    return parse_query(
        " ".join(asked["words"]) if asked["words"] else None,
        add=[
            *(_part(part, limit_bytes) for part in asked["add"]),
            *(Part(_bytes(path, kind, limit_bytes), kind, name=path) for path, kind in files),
            *map(DocumentRef, asked["documents"]),
        ],
        subtract=[_part(part, limit_bytes) for part in asked["subtract"]],
    )


def _part(text: str, limit_bytes: int) -> str | Part:
    """A part as the command line writes it: a file and a document have a prefix."""
    from retrieval import DocumentRef, Part
    from retrieval.query.parse import weighted

    weight, rest = weighted(text)
    kind, _, name = rest.partition(":")
    if kind == "image" and name:
        return Part(_bytes(name, "image", limit_bytes), "image", weight, name)
    if kind == "audio" and name:
        return Part(_bytes(name, "audio", limit_bytes), "audio", weight, name)
    if kind == "like" and name:
        return Part(DocumentRef(name), None, weight)
    return text


def _bytes(path: str, kind: FileKind, limit_bytes: int) -> bytes:
    """The bytes of a query file, which may be on stdin."""
    from retrieval.errors import QueryError
    from retrieval.schema import printable

    noun = NOUNS[kind]
    try:
        if path == "-":
            data = _read(sys.stdin.buffer, limit_bytes)
        else:
            with Path(os.path.expanduser(path)).open("rb") as file:
                data = _read(file, limit_bytes)
    except OSError as error:
        raise QueryError(
            f"The query {noun} {printable(path)} can't be read: {error.strerror}.",
            advice=f"Name a {noun} file, or `-` for one on stdin.",
        ) from error
    if not data:
        way_out = f"Name a {noun} file."
        if path == "-":
            way_out = f"Pipe a {noun} in; `-` can be given once, since stdin holds one."
        raise QueryError(f"The query {noun} {printable(path)} is empty.", advice=way_out)
    if len(data) > limit_bytes:
        raise QueryError(
            f"The query {noun} {printable(path)} is larger than {limit_bytes >> 20} MB.",
            advice="Give another, or raise the setting max_file_mb.",
        )
    return data


def _read(file: BinaryIO, limit_bytes: int) -> bytes:
    """All of a file, or a little more than the limit of a larger one.

    Piece by piece: a single read would take the whole limit's memory for a file of any size.
    """
    data = bytearray()
    while len(data) <= limit_bytes and (piece := file.read(1 << 20)):
        data += piece
    return bytes(data)
