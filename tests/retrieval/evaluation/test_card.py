"""The run card: what it says of data, protocol and options, and what a digest depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retrieval.evaluation.card import card_of, digest
from retrieval.evaluation.embeddings import Embedder, Embedding
from retrieval.evaluation.options import EvaluateOptions
from retrieval.evaluation.perturb import parse_changes
from retrieval.evaluation.schema import Dataset, Item
from tests.encoders import HashEncoder

TEXTS = (Item("a", "text", "one"), Item("b", "text", "two"))
PASSAGES = (Item("x", "text", "three"), Item("y", "text", "four"))
DATA = Dataset("d", TEXTS, PASSAGES, {"a": {"x": 1.0, "y": 0.0}, "b": {"y": 2.0}})
EMBEDDING = Embedding("hash:", Embedder(HashEncoder()))


def test_every_option_that_decides_a_figure_is_on_the_card() -> None:
    options = EvaluateOptions(
        measures=("r@1", "mrr"),
        changes=parse_changes("blur:2,typo:0.1"),
        folds=5,
        held_in=2,
        queries=1000,
    )
    card = card_of(DATA, EMBEDDING, options)
    assert card["protocol"]["corpus"] == "all, in 5 folds"
    assert card["protocol"]["captions held in"] == 2
    assert card["measured"]["queries"] == "1,000 at most"
    assert card["measured"]["changes"] == "blur:2, typo:0.1"
    assert card["measured"]["measures"] == "r@1, mrr"
    plain = card_of(DATA, EMBEDDING, EvaluateOptions())
    assert (plain["measured"]["queries"], plain["measured"]["changes"]) == ("all", "none")


@pytest.mark.parametrize(
    "options",
    [
        EvaluateOptions(queries=5),
        EvaluateOptions(changes=parse_changes("grey")),
        EvaluateOptions(measures=("r@3",), slices=("length",)),
    ],
)
def test_what_only_adds_rows_or_asks_less_is_no_other_protocol(options: EvaluateOptions) -> None:
    plain = card_of(DATA, EMBEDDING, EvaluateOptions())
    assert card_of(DATA, EMBEDDING, options)["protocol"] == plain["protocol"]


def test_pairs_that_were_judged_not_relevant_are_not_counted_as_relevant() -> None:
    assert card_of(DATA, EMBEDDING, EvaluateOptions())["data"]["relevant pairs"] == 2


def test_a_digest_is_of_contents_in_their_order_and_of_judgements_in_any() -> None:
    qrels, queries, corpus = DATA.qrels, DATA.queries, DATA.corpus
    same = digest(qrels, queries, corpus)
    turned = {"b": {"y": 2.0}, "a": {"y": 0.0, "x": 1.0}}
    assert digest(turned, queries, corpus) == same
    assert digest(qrels, queries, corpus[::-1]) != same, "folds and ties go by it"
    others = [
        digest({**qrels, "b": {"y": 1.0}}, queries, corpus),
        digest(qrels, (TEXTS[0], replace(TEXTS[1], text="too")), corpus),
        digest(qrels, (TEXTS[0], replace(TEXTS[1], id="c")), corpus),
        digest(qrels, queries, corpus[:1]),
        digest(qrels),
    ]
    assert len({same, *others}) == 1 + len(others)
