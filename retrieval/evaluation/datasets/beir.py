"""BEIR's layout: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/<split>.tsv``.

Gets: that folder; entries have ``_id`` and ``title`` and ``text``, or ``image``, the path of a
picture. Gives: the data set of one split. Touches: those files, and about one stat a picture.
Never: opens a picture.

``queries.jsonl`` holds the queries of every split, so those that only another split judges are no
problem of this one. The files of all splits have to be there for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..schema import Dataset, Item, Qrels
from .files import filled_lines, json_lines, malformed, mended
from .gather import DatasetOptions, Problems, choose
from .pictures import folder_of, refuse_escapes

Judgement = tuple[str, str, float]  # query, document, gain


def recognises(path: Path) -> bool:
    """Whether it is a folder of this layout."""
    return (path / "corpus.jsonl").is_file() and (path / "queries.jsonl").is_file()


def read(path: Path, options: DatasetOptions) -> Dataset:
    """Read one split.

    Raises:
        UsageError: a file can't be read, there is no such split, or nothing is left.
    """
    files = {file.stem: file for file in sorted((path / "qrels").glob("*.tsv"))}
    judgements = {name: _judgements(file) for name, file in files.items()}
    split = choose(
        path, list(files), options.split, lambda name: len(judgements[name]), "judgements"
    )
    problems = Problems()
    corpus = _items(path / "corpus.jsonl", options.images, problems)
    queries = _items(path / "queries.jsonl", options.images, problems)
    elsewhere = {query for name in files if name != split for query, _, _ in judgements[name]}
    qrels = _qrels(judgements[split], queries, corpus, problems)
    asked = {query for query, _, _ in judgements[split]}
    for query in queries:
        if query not in qrels and (query in asked or query not in elsewhere):
            problems.add("queries without a relevant document", query)
    if not qrels:
        raise UsageError(
            f"No query of {path}, split {split}, has a relevant document in corpus.jsonl.",
            advice="Check that the files belong together.",
        )
    return Dataset(
        str(path),
        tuple(item for query, item in queries.items() if query in qrels),
        tuple(corpus.values()),
        {query: qrels[query] for query in queries if query in qrels},
        split,
        problems.all(),
    )


def _qrels(
    judgements: Iterable[Judgement],
    queries: Mapping[str, Item],
    corpus: Mapping[str, Item],
    problems: Problems,
) -> Qrels:
    """The judgements of known ids, of those queries that have a relevant document."""
    qrels: dict[str, dict[str, float]] = {}
    for query, document, gain in judgements:
        if query not in queries or document not in corpus:
            problems.add("judgements of unknown ids", f"{query} {document}")
        elif document in qrels.setdefault(query, {}):
            problems.add("judgements given twice", f"{query} {document}")
        else:
            qrels[query][document] = gain
    return {query: found for query, found in qrels.items() if max(found.values(), default=0) > 0}


def _judgements(path: Path) -> list[Judgement]:
    """(query, document, gain) of each line but the header."""
    found = []
    for place, (number, line) in enumerate(filled_lines(path)):
        cells = line.split("\t")
        try:
            query, document, score = cells
            gain = float(score)
        except ValueError as error:
            if place == 0 and len(cells) == 3:  # the header
                continue
            raise malformed(path, number, "it isn't `query<TAB>document<TAB>score`") from error
        if not math.isfinite(gain):
            raise malformed(path, number, f"its score is {score.strip()}")
        found.append((mended(query), mended(document), gain))
    return found


def _items(path: Path, images: Path | None, problems: Problems) -> dict[str, Item]:
    """The items of a file by id, all of them texts or all pictures."""
    entries: dict[str, Mapping[str, Any]] = {}
    for number, value in json_lines(path):
        item_id = value.get("_id") if isinstance(value, dict) else None
        if not isinstance(item_id, str | int):
            problems.add("lines that can't be read", f"{path.name}, line {number}")
        elif mended(str(item_id)) in entries:
            problems.add("ids given twice", str(item_id))
        else:
            entries[mended(str(item_id))] = value
    pictures = [item_id for item_id, entry in entries.items() if entry.get("image")]
    if not pictures:
        return {item_id: Item(item_id, "text", _text(one)) for item_id, one in entries.items()}
    if len(pictures) < len(entries):
        raise UsageError(
            f"{path} mixes {len(pictures):,} pictures with "
            f"{len(entries) - len(pictures):,} texts, which can't be ranked in one list.",
            advice="Evaluate them one after the other.",
        )
    return dict(_pictures(path, entries, images, problems))


def _pictures(
    path: Path, entries: Mapping[str, Mapping[str, Any]], images: Path | None, problems: Problems
) -> Iterator[tuple[str, Item]]:
    names: Sequence[str] = [mended(str(entry["image"])) for entry in entries.values()]
    refuse_escapes(path, names)
    folder = folder_of(names, images, path)
    for item_id, name in zip(entries, names, strict=True):
        media = folder.find(name)
        if media is None:
            problems.add("images missing", name)
        else:
            yield item_id, Item(item_id, "image", media=media, fields={"name": name})


def _text(entry: Mapping[str, Any]) -> str:
    """Title and text, as BEIR joins them."""
    return mended(f"{entry.get('title') or ''} {entry.get('text') or ''}")
