"""The run card: what somebody needs to know to get the same figures, or to doubt them.

Gets: the data set, the encoder, the options. Gives: sections of plain values. Touches: the
machine's description. Never: a secret, an environment variable.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .embeddings import Embedding
from .options import EvaluateOptions
from .schema import Dataset, Item, Qrels
from .searcher import Card
from .significance import RESAMPLES

_PACKAGES = ("echolens", "numpy", "onnxruntime", "torch", "open_clip_torch", "faiss-cpu", "pillow")


def card_of(dataset: Dataset, embedding: Embedding, options: EvaluateOptions) -> dict[str, Card]:
    """What was measured, with what, how, and on which machine.

    ``protocol`` is what decides ranks beside data and encoder: evaluations are compared by the same
    one only. What else was asked for stands under ``measured``.
    """
    changes = ", ".join(change.name for change in options.changes)
    return {
        "data": _data(dataset),
        "encoder": embedding.card(),
        "protocol": {
            "corpus": f"all, in {options.folds} folds" if options.folds > 1 else "all",
            "captions held in": options.held_in,
            "ties": "in the order of the data; through a collection by id",
            "copies of a picture": "one item",
        },
        "measured": {
            "queries": "all" if options.queries is None else f"{options.queries:,} at most",
            "changes": changes or "none",
            **how_measured(options.measures),
        },
        **where_measured(),
    }


def how_measured(measures: Sequence[str]) -> Card:
    """The measures, and how their intervals come about."""
    return {
        "measures": ", ".join(measures),
        "intervals": f"95 %, {RESAMPLES:,} bootstrap samples of pictures with their captions",
    }


def where_measured() -> dict[str, Card]:
    """The machine, and the versions of what computed there."""
    return {"machine": machine(), "versions": _versions()}


def _data(dataset: Dataset) -> Card:
    return {
        "name": dataset.name,
        "split": dataset.split or "(none)",
        "queries": len(dataset.queries),
        "corpus": len(dataset.corpus),
        "relevant pairs": sum(
            gain > 0 for found in dataset.qrels.values() for gain in found.values()
        ),
        "digest": digest(dataset.qrels, dataset.queries, dataset.corpus),
    }


def digest(qrels: Qrels, *sides: Iterable[Item]) -> str:
    """SHA-256, in hex, of what is relevant, and of what is asked and looked for.

    In their order: ties and folds go by it.
    """
    whole = hashlib.sha256()
    for items in sides:
        for item in items:
            whole.update(_line(item.id, item.content))
    for query in sorted(qrels):
        whole.update(_line(query, dict(sorted(qrels[query].items()))))
    return whole.hexdigest()


def _line(*parts: object) -> bytes:
    return json.dumps(parts).encode("ascii")


def joined_cards(cards: Sequence[Mapping[str, Card]]) -> dict[str, Card]:
    """One card of several: all their sections, and of the data the names and one digest."""
    if len(cards) == 1:
        return dict(cards[0])
    united = {name: section for card in reversed(cards) for name, section in card.items()}
    data = [card["data"] for card in cards]
    digests = "".join(str(one["digest"]) for one in data)
    return united | {
        "data": {
            "name": " and ".join(str(one["name"]) for one in data),
            "queries": sum(int(one["queries"]) for one in data),
            "digest": hashlib.sha256(digests.encode()).hexdigest(),
        }
    }


def machine() -> Card:
    """Processor, cores, memory, system, and the time."""
    facts: dict[str, str | int | float | bool] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        facts["memory GB"] = round(memory / 1e9)
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _versions() -> Card:
    found: dict[str, str | int | float | bool] = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
