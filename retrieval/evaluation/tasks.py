"""From a data set to what is measured: both directions, changed queries and pictures, judgements.

Gets: a data set whose pictures were read. Gives: tasks. Touches: nothing. Never: an encoder, a
search.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from .perturb import Change
from .qrels import inverted, turned
from .schema import Dataset, Item

LENGTH = "length"
_LENGTHS = ((5, "1 to 5 words"), (10, "6 to 10 words"), (20, "11 to 20 words"))
_LONGER = "21 words or more"
_DENSE = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")


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


def values_to_slice_by(task: Dataset, fields: Iterable[str]) -> dict[str, list[str]]:
    """By field, the value of each query; fields that no query has are left out.

    ``length`` is that of a text: in words, or in scripts that put no spaces between words in pairs
    of characters, which is about as long as a word is.
    """
    found: dict[str, list[str]] = {}
    for field in fields:
        if field == LENGTH and task.queries[0].media is None:
            found[field] = [_length(item.text) for item in task.queries]
        elif any(field in item.fields for item in task.queries):
            found[field] = [str(item.fields.get(field, "-")) for item in task.queries]
    return found


def _length(text: str) -> str:
    dense = len(_DENSE.findall(text))
    count = dense / 2 + len(_DENSE.sub(" ", text).split())
    return next((name for most, name in _LENGTHS if count <= most), _LONGER)


def _asking(dataset: Dataset, queries: Sequence[Item]) -> Dataset:
    return replace(
        dataset,
        queries=tuple(queries),
        qrels={item.id: dataset.qrels[item.id] for item in queries},
    )


def _hash(item: Item) -> str:
    return hashlib.sha256(item.id.encode(errors="surrogatepass")).hexdigest()
