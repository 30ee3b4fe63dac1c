"""From a data set to what is measured: both directions, changed queries and pictures, judgements.

Gets: a data set whose pictures were read. Gives: tasks. Touches: nothing. Never: an encoder, a
search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from .perturb import Change
from .qrels import inverted, turned
from .schema import Dataset, Item

SLICED_LENGTHS = ((5, "up to 5 words"), (10, "6 to 10 words"), (20, "11 to 20 words"))
LONGER = "over 20 words"


def directions(dataset: Dataset) -> list[Dataset]:
    """The data set as it is and, where pictures and texts ask for each other, turned round."""
    if dataset.queries[0].modality == dataset.corpus[0].modality:
        return [dataset]
    return [dataset, turned(dataset)]


def hold_in(dataset: Dataset, count: int) -> Dataset:
    """The first `count` texts of each picture are asked with no more: they may be found by."""
    if not count:
        return dataset
    held = {text for texts in inverted(dataset.qrels).values() for text in list(texts)[:count]}
    return _asking(dataset, [item for item in dataset.queries if item.id not in held])


def sampled(dataset: Dataset, count: int | None) -> Dataset:
    """At most `count` of its queries, always the same ones: those with the least hashes of ids."""
    if count is None or len(dataset.queries) <= count:
        return dataset
    kept = {item.id for item in sorted(dataset.queries, key=_hash)[:count]}
    return _asking(dataset, [item for item in dataset.queries if item.id in kept])


def changed(items: Sequence[Item], change: Change | None) -> tuple[Item, ...]:
    """Texts, changed; pictures stay what they are until they are decoded."""
    if change is None or change.modality != "text" or items[0].media is not None:
        return tuple(items)
    return tuple(replace(item, text=change.of(item.text, item.text)) for item in items)


def clusters(task: Dataset) -> tuple[str, ...]:
    """What is resampled together: for each query the picture that it is, or that it is about."""
    if task.queries[0].media is not None or task.corpus[0].media is None:
        return tuple(item.id for item in task.queries)
    return tuple(next(iter(task.qrels[item.id])) for item in task.queries)


def slice_of(item: Item, field: str) -> str:
    """The value of a query in a field; ``length`` is that of its text, in words or characters."""
    if field != "length":
        return str(item.fields.get(field, "(none)"))
    words = item.text.split()
    count = len(words) if len(words) > 1 or item.text.isascii() else len(item.text) // 2
    return next((name for most, name in SLICED_LENGTHS if count <= most), LONGER)


def _asking(dataset: Dataset, queries: Sequence[Item]) -> Dataset:
    return replace(
        dataset,
        queries=tuple(queries),
        qrels={item.id: dataset.qrels[item.id] for item in queries},
    )


def _hash(item: Item) -> str:
    return hashlib.sha256(item.id.encode(errors="surrogatepass")).hexdigest()
