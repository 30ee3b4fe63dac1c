"""Step 2, encode: the parts of a query become one vector for each space and query modality.

Gets: a query and the channels to search. Gives: unit vectors, and what was missing. Touches: the
encoders and the modality readers that the parts need, the stored vectors of documents. Never: an
encoder's other towers, a path.

Parts of one modality mix by rclip's arithmetic, ``v = sum of weight * vector``, and one search with
``v / |v|`` answers for all of them: a cosine is linear in the query, so
``|v| * cos(v, d) = sum of weight * cos(part, d)``. Texts and pictures lie in different cones of a
space, though (the modality gap), so a sum of both would belong to neither: each query modality has
a vector of its own, searches as a leg of its own and is standardised against its own background.
With the leg's weight ``|v|`` (`QueryVector.length`) and the mean shifted by the sum of the weights,
what fusion adds up is ``sum of weight * standardised score`` over all parts, across modalities too;
a modality that is only subtracted needs no case of its own.

What an encoder leaves unread of a long text is told: the words' leg looks for all of it, so the end
isn't lost, but the vectors don't know it.

A channel may have aliases: exports of its encoder that start sooner. A query's part goes through
the first one that is here and takes its modality, else through the channel's own encoder.

The first query that an encoder gets takes a built-in probe along in its batch, whose vector must be
the stored one: an encoder that went wrong is refused before it answers anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval import registry
from retrieval.errors import (
    BadInputError,
    EncoderMismatchError,
    MissingPartError,
    QueryError,
)
from retrieval.probes import encode_with_probe
from retrieval.protocols import Encoder, Limits
from retrieval.schema import Channel, Document, FloatArray, Modality, printable
from retrieval.vectors import fault

from .backends import Backends
from .parse import DocumentRef, Part, Query

_CANCELLED = 1e-4  # of the weights' sum; below it a mixed vector is rounding


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of the search that was left out, and why."""

    what: str
    error: MissingPartError


@dataclass(frozen=True, slots=True)
class QueryVector:
    """What is asked in one space with the parts of one modality.

    Attributes:
        vector: (dim,) float32, norm 1: the weighted sum of the parts' vectors, normalised.
        length: norm of that sum before.
        total: sum of the weights, negative ones included.
        subtracts_only: whether no weight is positive.
    """

    space: str
    modality: Modality
    vector: FloatArray
    length: float
    total: float
    subtracts_only: bool


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of which an encoder doesn't read the end.

    Attributes:
        space: the encoder's.
        read: what it reads of the part.
        rest: what it doesn't.
    """

    space: str
    read: str
    rest: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """A query's vectors, the documents it named, and what could not be encoded or read."""

    vectors: tuple[QueryVector, ...]
    examples: tuple[Document, ...]
    missing: tuple[Missing, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """The encoder that parts of one modality go through, by its URL and expected fingerprint."""

    url: str
    fingerprint: str
    encoder: Encoder


_Weighted = tuple[float, FloatArray]
_Example = tuple[Part, Document, Channel]
_Terms = dict[tuple[str, Modality], list[_Weighted]]


def encode(backends: Backends, query: Query, channels: Sequence[Channel]) -> Encoded:
    """Encode a query for the spaces of `channels`.

    Raises:
        QueryError: a picture isn't one, a document isn't there, no channel takes a part, or the
            parts cancel out.
        EncoderMismatchError: an encoder is not, or no longer, the collection's.
    """
    terms: _Terms = {}
    missing: list[Missing] = []
    unread: list[Unread] = []
    spaces: dict[str, list[Channel]] = {}
    for channel in channels:
        spaces.setdefault(channel.space, []).append(channel)
    by_modality = _by_modality(query.parts)
    for space, members in sorted(spaces.items()):
        for modality, parts in by_modality.items():
            channel = _taking(backends, members, modality)
            weighted = terms.setdefault((space, modality), [])
            weighted += _given(channel, parts)
            fresh = [part for part in parts if space not in part.vectors]
            if not fresh:
                continue
            try:
                with backends.encoding:
                    asked = _asked(backends, channel, modality)
                    vectors = _encode_parts(backends, channel, asked, modality, fresh)
            except MissingPartError as error:
                missing.append(Missing(f"{space} by {modality}", error))
                continue
            weighted += zip((part.weight for part in fresh), vectors, strict=False)
            if len(vectors):
                unread.extend(_unread(asked.encoder, fresh))
    examples = _examples(backends, query.parts)
    for part, document, channel in examples:
        try:
            vector = _stored(backends, document)
        except MissingPartError as error:
            missing.append(Missing(f"document {document.id}", error))
            continue
        terms.setdefault((channel.space, channel.modality), []).append((part.weight, vector))
    if channels and not missing:
        _check_taken(query.parts, examples, terms, spaces)
    mixed = (_mix(*key, weighted) for key, weighted in sorted(terms.items()) if weighted)
    named = tuple(document for _, document, _ in examples)
    return Encoded(tuple(mixed), named, tuple(missing), tuple(unread))


def _check_taken(
    parts: Sequence[Part],
    examples: Sequence[_Example],
    terms: _Terms,
    spaces: Collection[str],
) -> None:
    """Refuse a query of which a part would be ignored. Words are always looked for as words."""
    taken = {modality for (_, modality), weighted in terms.items() if weighted}
    for part in parts:
        if not isinstance(part.content, str) and part.modality not in (None, *taken):
            raise QueryError(
                f"Nothing in this collection can be searched with {part.modality}.",
                advice=_how_to_get(part.modality),
            )
    for _, document, channel in examples:
        if channel.space not in spaces:
            raise QueryError(
                f"Document `{document.id}` can't be compared with what is asked for: no channel "
                f"of it is in the space `{channel.space}`.",
                advice="Leave out --modality, or ask with words or a file.",
            )


def _how_to_get(modality: Modality | None) -> str:
    if modality == "audio":
        return (
            "Give the collection an encoder of sounds: `echolens index FOLDER --audio-encoder "
            "ENCODER`; `echolens encoders` lists them."
        )
    return "See `echolens encoders` for encoders that take it."


def _taking(backends: Backends, channels: Sequence[Channel], modality: Modality) -> Channel:
    """The channel of a space whose encoder takes a modality: the first one if none does.

    A space may have several encoders: one of pictures and texts, and one that puts sounds there.
    """
    of_encoder: dict[str, Channel] = {}
    for channel in channels:
        of_encoder.setdefault(channel.encoder, channel)
    for channel in of_encoder.values():
        if len(of_encoder) == 1 or any(modality in alias.modalities for alias in channel.aliases):
            return channel  # its own encoder, which may take long to load, needn't be asked
        with suppress(MissingPartError):
            if modality in backends.encoder(channel).space.modalities:
                return channel
    return channels[0]


def _by_modality(parts: Sequence[Part]) -> Mapping[Modality, list[Part]]:
    found: dict[Modality, list[Part]] = {}
    for part in parts:
        if part.modality is not None and not isinstance(part.content, DocumentRef):
            found.setdefault(part.modality, []).append(part)
    return found


def _given(channel: Channel, parts: Sequence[Part]) -> Iterator[_Weighted]:
    """Those parts that came with a vector of the channel's space."""
    for part in parts:
        vector = part.vectors.get(channel.space)
        if vector is None:
            continue
        if wrong := fault(vector[None], (1, channel.dim)):
            raise QueryError(
                f"The query's {part.modality} came with vectors {wrong}.",
                advice=f"Give one of `{channel.space}`, or none.",
            )
        yield part.weight, vector


def _encode_parts(
    backends: Backends, channel: Channel, asked: _Asked, modality: Modality, parts: Sequence[Part]
) -> FloatArray:
    """(n, dim) vectors of n parts in the channel's space; (0, dim) if it doesn't take them."""
    if modality not in asked.encoder.space.modalities:
        return np.empty((0, channel.dim), np.float32)
    inputs = [_input(part, asked.encoder, backends.limits) for part in parts]
    if (asked.url, modality) in backends.proven:
        vectors = asked.encoder.encode(modality, inputs, role="query")
    else:
        vectors = _encode_with_probe(backends, channel, asked, modality, inputs)
        backends.proven.add((asked.url, modality))
    wrong = fault(vectors, (len(parts), channel.dim))
    if wrong:
        raise EncoderMismatchError(
            f"`{asked.url}` gave the query vectors {wrong}.",
            advice="Try ECHOLENS_DEVICE=cpu; if it goes on, the weights are damaged.",
        )
    return vectors


def _asked(backends: Backends, channel: Channel, modality: Modality) -> _Asked:
    for alias in channel.aliases:
        if modality in alias.modalities and (encoder := backends.alias(alias)) is not None:
            return _Asked(alias.encoder, alias.fingerprint, encoder)
    return _Asked(channel.encoder, channel.fingerprint, backends.encoder(channel))


def _encode_with_probe(
    backends: Backends,
    channel: Channel,
    asked: _Asked,
    modality: Modality,
    inputs: Sequence[Any],
) -> FloatArray:
    where, encoder = f"`{asked.url}`", asked.encoder
    if encoder.fingerprint != asked.fingerprint:
        raise EncoderMismatchError(
            f"{where} is not the encoder that `{channel.key}` was made with: its weights or its "
            "preprocessing are others.",
            advice="Use the one it was made with, or index again into a new collection.",
        )
    return encode_with_probe(encoder, modality, inputs, backends.probes(), where=where)


def _input(part: Part, encoder: Encoder, limits: Limits) -> Any:
    if isinstance(part.content, str):
        return part.content
    assert isinstance(part.content, bytes)
    assert part.modality is not None
    reader = registry.open_modality(part.modality, limits)
    try:
        return reader.query_input(part.content, encoder.wants)
    except BadInputError as error:
        what = f"{part.modality} {printable(part.name)}".rstrip()
        raise QueryError(
            f"The query's {what} isn't one that can be read: {error}.",
            advice="Give another file, or open it in a program that can save it anew.",
        ) from error


def _unread(encoder: Encoder, parts: Sequence[Part]) -> Iterator[Unread]:
    for part in parts:
        if isinstance(part.content, str) and (rest := encoder.unread(part.content)):
            yield Unread(encoder.space.key, part.content.removesuffix(rest), rest)


def _examples(backends: Backends, parts: Sequence[Part]) -> list[_Example]:
    named = [(p, p.content.id) for p in parts if isinstance(p.content, DocumentRef)]
    documents = backends.documents.get(sorted({id_ for _, id_ in named})) if named else {}
    channels = {channel.key: channel for channel in backends.manifest.channels}
    for _, id_ in named:
        if id_ not in documents:
            raise _no_document(id_)
        if documents[id_].channel not in channels:
            raise QueryError(
                f"Document `{id_}` has no vector to be asked with: nothing here encodes texts.",
                advice="Ask with its words.",
            )
    return [(part, documents[id_], channels[documents[id_].channel]) for part, id_ in named]


def _stored(backends: Backends, document: Document) -> FloatArray:
    vector = backends.vectors[document.channel].get([document.id]).get(document.id)
    if vector is None:
        raise _no_document(document.id)
    return vector


def _no_document(id_: str) -> QueryError:
    return QueryError(
        f"The collection has no document `{id_}`.",
        advice="Take an id from the hits of a search (`--format jsonl` shows them).",
    )


def _mix(space: str, modality: Modality, weighted: Sequence[_Weighted]) -> QueryVector:
    total = sum(weight for weight, _ in weighted)
    mixed = sum(weight * vector.astype(np.float64) for weight, vector in weighted)
    length = float(np.linalg.norm(mixed))
    if length < _CANCELLED * sum(abs(weight) for weight, _ in weighted):
        raise QueryError(
            "The parts of the query cancel each other out.",
            advice="Subtract something other than what you ask for.",
        )
    return QueryVector(
        space,
        modality,
        np.asarray(mixed / length, np.float32),
        length,
        total,
        all(weight < 0 for weight, _ in weighted),
    )
