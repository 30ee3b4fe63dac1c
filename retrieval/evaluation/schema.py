"""The nouns of an evaluation: what is asked, what is looked for, and how well it was found.

Gets and gives: frozen values. Touches: nothing; a picture's `Media` alone reads its file. Never: a
store, an encoder.

Query, qrels, run and measure mean what they mean at TREC. Everything that is measured follows from
the ranks at which the relevant documents of a query came (`Ranks`), so a run keeps no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ..schema import FieldValue, Modality

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]
Qrels = Mapping[str, Mapping[str, float]]  # query id -> id in the corpus -> gain; above 0: relevant

EXAMPLES = 5  # ids or names that a `Problem` gives
TEXT_TO_IMAGE, IMAGE_TO_TEXT = "text to image", "image to text"  # directions
# A part of the film that is named, and (VCMR) of whichever of all films it may be in.
TEXT_TO_MOMENT, TEXT_TO_ANY_MOMENT = "text to moment", "text to any moment"
WAYS = ("deployed", "exact", "run")  # the first that a direction has stands for it
TIMED: frozenset[Modality] = frozenset({"video", "audio"})  # what has a length in seconds
NOUNS: Mapping[Modality, str] = MappingProxyType(  # what problems and messages call them
    {"image": "images", "text": "texts", "video": "videos", "audio": "sounds"}
)


class Media(Protocol):
    """Where the bytes of a picture, a film or a sound are."""

    @property
    def name(self) -> str:
        """What messages call it: its path, or its name in an archive."""
        ...

    def size(self) -> int:
        """In bytes, without reading them. Raises OSError."""
        ...

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        ...

    def open(self) -> BinaryIO:
        """It, to be read bit by bit, as films are. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a data set: a caption, a passage, a picture, a film, a sound.

    Attributes:
        id: in the data set, or the asset's when copies of one picture were merged.
        text: of a text; "" for anything else.
        media: of a picture, a film or a sound; None for a text.
        asset: SHA-256 of its bytes, in hex, once they were read.
        fields: what slices go by: ``language``, ``split``, columns of a table.
    """

    id: str
    modality: Modality
    text: str = ""
    media: Media | None = None
    asset: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """What its vector depends on: the text, or the `asset`."""
        return self.text if self.media is None else self.asset


@dataclass(frozen=True, slots=True)
class Problem:
    """What a data set lacks or has too much of, counted.

    Attributes:
        what: "images missing", "captions without an image", "ids given twice" ...
        examples: the first few ids or names.
    """

    what: str
    count: int
    examples: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The examples, and whether there are more; "" where there are none."""
        more = ("...",) if 0 < len(self.examples) < self.count else ()
        return ", ".join((*self.examples, *more))

    def __str__(self) -> str:
        named = f" ({self.named})" if self.examples else ""
        return f"{self.count:,} {self.what}{named}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Queries, a corpus, and which of it answers which query.

    Attributes:
        name: for the report: the file or folder it was read from.
        split: "" where it has none.
        queries: each with at least one relevant item in the corpus (others are problems).
        corpus: in the order of the data set, which is the order of ties.
        qrels: by ids of `queries` and `corpus`.
        problems: what was left out or merged, none of it in silence.
        ids: "coco" where ids are those of MS COCO's annotations, else "".
    """

    name: str
    queries: tuple[Item, ...]
    corpus: tuple[Item, ...]
    qrels: Qrels
    split: str = ""
    problems: tuple[Problem, ...] = ()
    ids: str = ""

    @property
    def direction(self) -> str:
        """``text to image`` where texts ask for pictures."""
        return f"{self.queries[0].modality} to {self.corpus[0].modality}"


@dataclass(frozen=True, slots=True)
class Judged:
    """Qrels by places: query i has the relevant documents ``documents[starts[i]:starts[i + 1]]``.

    Attributes:
        starts: (n + 1,) int64 for n queries, rising from 0.
        documents: (p,) int64 places in the corpus, rising within a query, gains above 0 only.
        gains: (p,) float64.
    """

    starts: IntArray
    documents: IntArray
    gains: Float64Array

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where the relevant documents of n queries came; all measures follow from it.

    Attributes:
        starts: as in `Judged`.
        ranks: (p,) float64 from 1, in the order of `Judged.documents`; inf for one that did not
            come back.
        gains: (p,) float64.
        depth: how many documents were ranked for each query, so that ranks beyond are unknown;
            None when all of the corpus was, or what didn't come back counts as not found.
    """

    starts: IntArray
    ranks: Float64Array
    gains: Float64Array
    depth: int | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure over all queries, and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Slice:
    """The measures over those queries whose `field` has this value."""

    field: str
    value: str
    queries: int
    measures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Key:
    """Which row of the report.

    Attributes:
        direction: ``text to image`` ...
        way: ``exact`` (embeddings alone), ``deployed`` (through a collection) or ``run`` (another
            engine's).
        legs: ``fused``, or the name of the one leg that was searched.
        labels: whose judgements: "" the data set's own, ``ECCV Caption``, ``CxC``.
        changed: how pictures or words were changed: "" not at all, ``blur:2``, ``typo:0.1``.
    """

    direction: str
    way: str = "exact"
    legs: str = "fused"
    labels: str = ""
    changed: str = ""

    @property
    def plain(self) -> bool:
        """Whether all legs were fused, nothing was changed, and the data's own judgements count."""
        return (self.legs, self.labels, self.changed) == ("fused", "", "")

    def __str__(self) -> str:
        parts = (self.direction, self.way, self.legs, self.labels, self.changed)
        return ", ".join(part for part in parts if part and part != "fused")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the report, with what every query got.

    Attributes:
        queries: their ids.
        clusters: what was resampled together: the picture that query i belongs to.
        ranks: of their relevant documents.
        first: (n, t) int64 places in the corpus of the first documents returned, best first; -1
            past the end.
    """

    key: Key
    queries: tuple[str, ...]
    clusters: tuple[str, ...]
    ranks: Ranks
    measures: Mapping[str, Estimate]
    slices: tuple[Slice, ...] = ()
    first: IntArray = field(default_factory=lambda: np.empty((0, 0), np.int64))


@dataclass(frozen=True, slots=True)
class MomentMeasurement:
    """One row of the report about moments, with what every question got.

    Attributes:
        key: of the row; its direction is `TEXT_TO_MOMENT` or `TEXT_TO_ANY_MOMENT`.
        queries: their ids.
        clusters: what was resampled together: the film that question i is about.
        values: by measure, (n,) float64 from 0 to 1; nan where a question wasn't judged for it.
        measures: over the questions that were.
        depth: how many moments were looked at for each question.
    """

    key: Key
    queries: tuple[str, ...]
    clusters: tuple[str, ...]
    values: Mapping[str, Float64Array]
    measures: Mapping[str, Estimate]
    slices: tuple[Slice, ...] = ()
    depth: int | None = None


Row = Measurement | MomentMeasurement


def foremost(keys: Iterable[Key]) -> dict[str, Key]:
    """By direction the row that stands for the others: plain, and of the first of `WAYS`."""
    found: dict[str, Key] = {}
    for key in keys:
        other = found.get(key.direction)
        if key.plain and (other is None or WAYS.index(key.way) < WAYS.index(other.way)):
            found[key.direction] = key
    return found


def headline(measurements: Iterable[Measurement]) -> dict[str, Measurement]:
    """By direction the measurement that stands for the others; none of them is of no query."""
    rows = {one.key: one for one in measurements if one.queries}
    return {direction: rows[key] for direction, key in foremost(rows).items()}


@dataclass(frozen=True, slots=True)
class IndexRecall:
    """How much of the exact answer a vector store gives, which R@K can't tell.

    Attributes:
        channel: its key, and what it was asked by: ``starter-256/image by text``.
        queries: how many vectors were asked with.
        recall: by k, the mean share of the k exact nearest that are among the store's first k.
    """

    channel: str
    queries: int
    recall: Mapping[int, Estimate]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that a report says.

    Attributes:
        card: versions, encoder, data, hardware, command; what was searchable. Sections of plain
            values, in the order in which they are shown.
        rsum: sum of R@1, 5 and 10 of both directions, in percent, by the rest of the key
            (its direction is "both").
        degraded: whether a part was missing while a collection was asked, so that better answers
            may be; `notes` say which.
        data: by direction, what was measured: the corpus that `Measurement.first` points into.
        moments: rows about parts of films.
    """

    card: Mapping[str, Mapping[str, str | int | float | bool]]
    measurements: tuple[Measurement, ...]
    rsum: Mapping[Key, Estimate] = field(default_factory=dict)
    index_recall: tuple[IndexRecall, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: Sequence[str] = ()
    data: Mapping[str, Dataset] = field(default_factory=dict)
    degraded: bool = False
    moments: tuple[MomentMeasurement, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one step of an evaluation is.

    Attributes:
        what: is counted: ``images encoded``, ``searches`` ...
    """

    what: str
    done: int
    total: int
    failed: int = 0


Watcher = Callable[[Progress], None]
