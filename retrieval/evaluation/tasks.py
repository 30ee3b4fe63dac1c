"""From a data set to what is asked: both directions, samples, words held in, perturbations.

Gets: a data set whose pictures were read. Gives: tasks. Touches: nothing. Never: an encoder, a
search.

A task keeps its whole direction beside the queries that are asked: what they are ranked among, what
may not be found by, and which picture a query belongs to doesn't depend on a sample, or on how
words were changed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..schema import FieldValue
from .perturb import Change
from .qrels import owners, turned
from .schema import TIMED, Dataset, Item, Key, Qrels
from .significance import MOST_SLICES

LENGTH = "length"
LANGUAGE = "language"
_LENGTHS = ((5, "1 to 5 words"), (10, "6 to 10 words"), (20, "11 to 20 words"))
_LONGER = "21 words or more"
_DENSE = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Task:
    """Queries of one direction of a data set, as they are asked.

    Attributes:
        direction: whole and unchanged, whatever is asked of it.
        queries: those that are asked; of changed texts the words are others.
        held_in: ids of queries that are not asked, and may be found by.
        change: what is done to the questions, or to the pictures wherever they are.
    """

    direction: Dataset
    queries: tuple[Item, ...]
    held_in: frozenset[str] = frozenset()
    change: Change | None = None

    @property
    def data(self) -> Dataset:
        """What is asked, among the whole corpus, by the data's own judgements."""
        return self.judged_by(self.direction.qrels)

    def judged_by(self, qrels: Qrels) -> Dataset:
        """Those of the queries that are asked which others judged, by their judgements."""
        asked = tuple(item for item in self.queries if item.id in qrels)
        judgements = {item.id: qrels[item.id] for item in asked}
        return replace(self.direction, queries=asked, qrels=judgements)

    @property
    def change_of_queries(self) -> Change | None:
        """What is done to pictures that ask, when they are decoded."""
        return self.change if self.queries[0].media is not None else None

    @property
    def change_of_corpus(self) -> Change | None:
        """What is done to pictures that are looked for, when they are decoded."""
        held = self.direction.corpus[0].modality
        spoils = self.change is not None and self.change.modality == held == "image"
        return self.change if spoils and self.queries[0].media is None else None

    def key(self, way: str, legs: str = "fused", labels: str = "") -> Key:
        """Of a row of this task."""
        name = self.change.name if self.change else ""
        return Key(self.direction.direction, way, legs, labels, name)


def is_timed(dataset: Dataset) -> bool:
    """Whether films or sounds ask, or are asked for."""
    return not TIMED.isdisjoint({dataset.queries[0].modality, dataset.corpus[0].modality})


def directions(dataset: Dataset) -> list[Dataset]:
    """The data set as it is and, where pictures and texts ask for each other, turned round."""
    if dataset.queries[0].modality == dataset.corpus[0].modality:
        return [dataset]
    return [dataset, turned(dataset)]


def tasks_of(
    direction: Dataset,
    *,
    held_in: int = 0,
    queries: int | None = None,
    changes: Sequence[Change] = (),
) -> list[Task]:
    """The clean task of a direction, then one for each change that concerns it.

    Args:
        direction: see `directions`.
        held_in: so many texts of each picture, the first ones of each language, are not asked with.
        queries: at most so many are asked, always the same ones: those whose ids' hashes are least.
        changes: of words, where texts ask; of pictures, wherever they are.

    Raises:
        UsageError: nothing is left to ask with.
    """
    held = frozenset(_first_texts(direction, held_in)) if held_in else frozenset()
    asked = [item for item in direction.queries if item.id not in held]
    if not asked:
        raise UsageError(
            f"All captions of {direction.name} are held in, so none is left to ask with.",
            advice="Hold in fewer.",
        )
    if queries is not None:
        kept = sampled((item.id for item in asked), queries)
        asked = [item for item in asked if item.id in kept]
    clean = Task(direction, tuple(asked), held)
    concerned = {direction.queries[0].modality, *({direction.corpus[0].modality} & {"image"})}
    return [
        clean,
        *(_changed(clean, change) for change in changes if change.modality in concerned),
    ]


def _first_texts(direction: Dataset, count: int) -> Iterator[str]:
    """The ids of the first texts of each picture in each language."""
    if direction.queries[0].media is not None or direction.corpus[0].media is None:
        raise UsageError(
            f"No captions can be held in where {direction.direction} is measured.",
            advice="Hold them in where texts ask for pictures.",
        )
    languages = {item.id: item.fields.get(LANGUAGE) for item in direction.queries}
    for texts in owners(direction).values():
        seen: Counter[FieldValue | None] = Counter()
        for text in texts:
            seen[languages[text]] += 1
            if seen[languages[text]] <= count:
                yield text


def clusters_of(direction: Dataset) -> Mapping[str, str]:
    """What is resampled together: by query the picture that it is, or that it is about.

    Where neither side is pictures a query stands for itself.
    """
    if direction.queries[0].media is not None or direction.corpus[0].media is None:
        return {item.id: item.id for item in direction.queries}
    return {
        query: next(name for name, gain in relevant.items() if gain > 0)
        for query, relevant in direction.qrels.items()
    }


def check_slices(dataset: Dataset, fields: Iterable[str]) -> None:
    """Refuse fields that tell nothing apart.

    Raises:
        UsageError: no query and no picture has the field, or it has too many values for a table.
    """
    values: dict[str, set[str]] = {LENGTH: set()}
    for item in (*dataset.queries, *dataset.corpus):
        for field, value in item.fields.items():
            values.setdefault(field, set()).add(str(value))
    for field in fields:
        if field not in values:
            raise UsageError(
                f"{dataset.name} has no field `{field}` that it could be sliced by.",
                advice=f"Known: {', '.join(sorted(values))}.",
            )
        if (count := len(values[field])) > MOST_SLICES:
            raise UsageError(
                f"Field `{field}` has {count:,} values; slices go up to {MOST_SLICES}.",
                advice="Slice by a field that many queries share a value of, such as `language`.",
            )


def values_to_slice_by(
    data: Dataset, fields: Iterable[str], about: Mapping[str, str]
) -> dict[str, list[str]]:
    """By field, the value of each query, or of the picture that it is about (see `clusters_of`).

    Fields that no query has are left out; ``length`` is that of a text: in words, or in scripts
    that put no spaces between words in pairs of characters, which is about as long as a word is.
    """
    pictures = {item.id: item.fields for item in data.corpus if item.media is not None}
    of_queries = [
        {**pictures.get(about[item.id], {}), **item.fields} if pictures else item.fields
        for item in data.queries
    ]
    found: dict[str, list[str]] = {}
    for field in fields:
        if field == LENGTH and data.queries[0].media is None:
            found[field] = [_length(item.text) for item in data.queries]
        elif any(field in known for known in of_queries):
            found[field] = [str(known.get(field, "-")) for known in of_queries]
    return found


def _length(text: str) -> str:
    dense = len(_DENSE.findall(text))
    count = dense / 2 + len(_DENSE.sub(" ", text).split())
    return next((name for most, name in _LENGTHS if count <= most), _LONGER)


def _changed(task: Task, change: Change) -> Task:
    """Texts are changed here; pictures stay what they are until they are decoded."""
    if change.modality == "image":
        return replace(task, change=change)
    words = tuple(replace(item, text=change.of(item.text, item.text)) for item in task.queries)
    return replace(task, queries=words, change=change)


def sampled(ids: Iterable[str], count: int) -> frozenset[str]:
    """`count` at most of some ids, the same ones each time: those whose hashes are least."""
    return frozenset(sorted(ids, key=_hash)[:count])


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
