"""Step 1, parse: what a person asks becomes a `Query` of weighted parts.

Gets: words, bytes, document ids. Gives: a frozen `Query`. Touches: nothing. Never: opens a path or
a URL (the command line does, so that a server can't be asked to read a file of its host).

The grammar of words is rclip's: parts are joined by a ``+`` or ``-`` that stands by itself, and a
number and a colon before a part weigh it.

    horse + stripes
    "2:golden retriever" + pool - fruit
    0.5:night - 2:"New York - Brooklyn"      a part in double quotes is taken as it stands

A number before a digit is no weight: ``12:30`` and ``16:9`` are words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from retrieval.errors import QueryError
from retrieval.schema import FloatArray, Kind, Modality

from .fusion import Weights

QUOTED_WORDS_WEIGHT = 4.0
MAX_PARTS = 64  # each is encoded, and nobody means so many
# A sign by itself, or a quoted part, inside which there are no signs.
_SIGN = re.compile(r'(?:(?<=\s)|^)([+-])(?=\s|$)|(?<![^\s:])"[^"]*"(?=\s|$)')
_WEIGHT = re.compile(r"([+-]?[\d.][^\s:\"]*|[+-]?(?:nan|inf|infinity)):(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A document of the collection, by its id: its stored vector is asked with."""

    id: str


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is asked for, or (with a negative weight) against.

    Attributes:
        content: words, the bytes of a picture file, or a document of the collection.
        modality: of the content; None for a document, which has its own.
        weight: finite, not 0; relative to the other parts'.
        name: what messages call it (the name of a picture's file).
        vectors: (dim,) of norm 1 by the key of a space, where it was encoded before; it isn't
            encoded again there.
    """

    content: str | bytes | DocumentRef
    modality: Modality | None = "text"
    weight: float = 1.0
    name: str = ""
    vectors: Mapping[str, FloatArray] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        if isinstance(self.content, str):
            what = self.content
        elif isinstance(self.content, DocumentRef):
            what = f"document {self.content.id}"
        else:
            what = self.name or f"({self.modality})"
        size = abs(self.weight)
        return what if size == 1 else f"{size:g}:{what}"


Asked = str | bytes | DocumentRef | Part


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: one or more parts, at least one of them wanted.

    Attributes:
        weights: how much each leg counts when they are fused.
        hidden: ids of documents that are not to be seen, as if they weren't there.
        between: (start, end) in seconds of films and recordings; then only documents count that
            overlap it, and what has no time is no answer. The end may be infinite.
        kinds: of documents that count, such as ``speech`` alone; empty: all.

    Raises:
        QueryError: it can't be asked; the message says why.
    """

    parts: tuple[Part, ...]
    weights: Weights = field(default_factory=Weights)
    hidden: frozenset[str] = frozenset()
    between: tuple[float, float] | None = None
    kinds: frozenset[Kind] = frozenset()

    def __post_init__(self) -> None:
        _check(self.parts)
        if self.between is not None and not 0 <= self.between[0] < self.between[1]:
            start, end = self.between
            raise QueryError(
                f"There is no time between {start:g} and {end:g} seconds.",
                advice="Give two times in seconds from the start, the earlier one first: 600, 750.",
            )

    def __str__(self) -> str:
        first, *rest = self.parts
        text = str(first) if first.weight > 0 else f"- {first}"
        return text + "".join(f" {'+' if p.weight > 0 else '-'} {p}" for p in rest)


def parse_query(
    words: str | None = None, *, add: Sequence[Asked] = (), subtract: Sequence[Asked] = ()
) -> Query:
    """Make a query of words in the grammar above and of further parts.

    Args:
        words: split at ``+`` and ``-``.
        add: further parts: text (``2:night``, not split), bytes of a picture, a `DocumentRef`, or
            a `Part` that carries a weight of its own.
        subtract: the same, asked against.

    Raises:
        QueryError: nothing is asked, only negative parts are, or a weight is no finite number.
    """
    return Query(
        (
            *(_split(words) if words is not None else ()),
            *(_part(asked) for asked in add),
            *(_negative(_part(asked)) for asked in subtract),
        )
    )


def spoken_query(text: str) -> Query:
    """Look for a text among what was said alone, as it stands, without signs and weights.

    Who quotes knows some of the words themselves, so these count for more than what they mean.
    """
    weights = Weights(words=QUOTED_WORDS_WEIGHT)
    return Query((Part(text, "text"),), weights, kinds=frozenset({"speech"}))


def _split(words: str) -> Iterator[Part]:
    sign, start = "", 0
    for match in _SIGN.finditer(words):
        if not match[1]:
            continue
        if words[start : match.start()].strip() or sign:
            yield _signed(sign, words[start : match.start()])
        sign, start = match[1], match.end()
    if words[start:].strip() or sign:
        yield _signed(sign, words[start:])


def _signed(sign: str, text: str) -> Part:
    if not text.strip():
        raise QueryError(
            f"Nothing follows the `{sign}` in the query.",
            advice='Write it like `horse + stripes - night`, or put a part in quotes: `"a + b"`.',
        )
    part = _part(text)
    return _negative(part) if sign == "-" else part


def _part(asked: Asked) -> Part:
    if isinstance(asked, Part):
        return asked
    if isinstance(asked, DocumentRef):
        return Part(asked, None)
    if isinstance(asked, bytes):
        return Part(asked, "image")
    weight, text = weighted(asked.strip())
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return Part(text[1:-1] if quoted else text, "text", weight)


def weighted(text: str) -> tuple[float, str]:
    """(weight, the rest) of ``2:night``; weight 1 where there is none.

    Raises:
        QueryError: what stands there looks like a number and isn't a positive, finite one.
    """
    match = _WEIGHT.match(text)
    if match is None:
        return 1.0, text
    try:
        weight = float(match[1])
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise QueryError(
            f"`{match[1]}` is no weight.",
            advice="Use a positive number, as in `2:night` or `0.5:night`; subtract with `-`.",
        )
    return weight, text[match.end() :].strip()


def _negative(part: Part) -> Part:
    return replace(part, weight=-part.weight)


def _check(parts: Sequence[Part]) -> None:
    if not parts:
        raise QueryError(
            "The query is empty.",
            advice="Ask with words, a picture, or a document that you have found.",
        )
    if len(parts) > MAX_PARTS:
        raise QueryError(
            f"The query has {len(parts):,} parts; {MAX_PARTS} is the most.",
            advice='Ask with fewer, or put it in quotes to make it one: `"a + b"`.',
        )
    for part in parts:
        if not math.isfinite(part.weight) or part.weight == 0:
            raise QueryError(
                f"The weight of `{part}` is {part.weight}.", advice="Give a number other than 0."
            )
        content = part.content.id if isinstance(part.content, DocumentRef) else part.content
        if not content.strip():
            raise QueryError("A part of the query is empty.", advice="Leave it out, or fill it.")
    if all(part.weight < 0 for part in parts):
        raise QueryError(
            "The query only says what not to find.",
            advice="Add what you look for: `animal - dog` instead of `- dog`.",
        )
