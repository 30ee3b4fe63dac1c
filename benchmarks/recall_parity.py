"""Echolens' measures against those of others, on the same vectors: equal to 1e-6, or exit code 1.

    pip install -e '.[open-clip,eccv]' clip-benchmark==1.6.2 ranx ir-measures
    python benchmarks/recall_parity.py            # 2,500 captions x 500 pictures
    python benchmarks/recall_parity.py --full     # 25,000 x 5,000 x 512

In one process, over random vectors (see recall_cost.py, which compares time and memory):

- R@K in both directions with CLIP_benchmark's own `evaluate`, without mixed precision.
- Measures of a run of 100 documents with graded judgements with ranx and ir_measures.
- COCO's 5K and 1K, CxC's and ECCV Caption's with eccv_caption, under the ids of COCO's test split.

The others are given rankings by a plain sort of all scores, not those that Echolens made. Ties
stay in the order of the corpus: trec_eval, under ir_measures, would break them by names.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
from machine import machine, table
from recall_cost import (
    CAPTIONS,
    CUTS,
    TOLERANCE,
    Figures,
    by_clip_benchmark,
    by_echolens,
    captions_of_pictures,
    made,
    pictures_of_captions,
)

from retrieval.evaluation.exact import rank_exactly
from retrieval.evaluation.folds import rank_in_folds
from retrieval.evaluation.judgements import further_qrels, unfindable
from retrieval.evaluation.measures import hit_at, parse_measure, with_unfindable
from retrieval.evaluation.qrels import judged, turned
from retrieval.evaluation.schema import Dataset, IntArray, Item, Judged, Qrels, Ranks
from retrieval.evaluation.tasks import tasks_of
from retrieval.schema import FloatArray

DEPTH = 100  # of the runs that ranx and ir_measures get
LISTED = 500  # of the rankings that eccv_caption gets: more than any of its measures looks at
FOLDS = 5
GRID = 2.0**12

RANX = {
    "map": "map", "map@10": "map@10", "mrr": "mrr", "mrr@10": "mrr@10", "ndcg": "ndcg",
    "ndcg@10": "ndcg@10", "recall@10": "recall@10", "rprec": "r-precision", "r@10": "hit_rate@10",
    "p@10": "precision@10",
}  # fmt: skip
IR_MEASURES = {
    "map": "AP", "map@10": "AP@10", "mrr": "RR", "mrr@10": "RR@10", "ndcg": "nDCG",
    "ndcg@10": "nDCG@10", "recall@10": "R@10", "rprec": "Rprec", "r@10": "Success@10",
    "p@10": "P@10",
}  # fmt: skip

Row = tuple[str, str, float, float]  # (whose, what, ours, theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--full", action="store_true", help="5,000 pictures, 512 dimensions")
    options = parser.parse_args()
    pictures, dim = (5_000, 512) if options.full else (options.pictures, options.dim)
    os.environ["TQDM_DISABLE"] = "1"
    warnings.simplefilter("ignore")  # the others' own

    print(machine())
    print(f"{CAPTIONS * pictures:,} captions x {pictures:,} pictures x {dim}\n")
    vectors = made(pictures, dim)
    rows = [*clip_benchmark(*vectors), *graded(*map(on_grid, vectors)), *coco(dim)]
    table(
        ("", "measure", "ours", "theirs", "difference"),
        ((whose, what, f"{a:.8f}", f"{b:.8f}", f"{abs(a - b):.1e}") for whose, what, a, b in rows),
    )
    unequal = [row for row in rows if not abs(row[2] - row[3]) <= TOLERANCE]
    print(f"\n{len(rows)} figures, {len(unequal)} of them not equal to {TOLERANCE:g}")
    if unequal:
        raise SystemExit(1)


def on_grid(vectors: FloatArray) -> FloatArray:
    """The vectors rounded to multiples of 2^-12.

    A sum of products of such numbers that stays below 1 is exact in float32, in whatever order they
    are added up. So no rounding can change a rank, and what differs differs by definition.
    """
    return np.round(vectors * np.float32(0.999 * GRID)) / np.float32(GRID)


def clip_benchmark(images: FloatArray, captions: FloatArray) -> Iterator[Row]:
    """R@K, both directions."""
    ours = by_echolens(images, captions, [f"r@{k}" for k in CUTS], False)
    for name, theirs in by_clip_benchmark(images, captions).items():
        yield "CLIP_benchmark", name, ours[name], theirs


# --- graded judgements, runs of a stated depth ------------------------------------------------


def graded(images: FloatArray, captions: FloatArray) -> Iterator[Row]:
    """Against ranx and ir_measures, both directions, with further relevant documents of gain 1."""
    for name, queries, corpus, own in (
        ("text to image", captions, images, pictures_of_captions(len(images))),
        ("image to text", images, captions, captions_of_pictures(len(images))),
    ):
        judgements = with_others(own, len(corpus))
        full = rank_exactly(queries, corpus, judgements)[0]
        cut = np.where(full.ranks <= DEPTH, full.ranks, np.inf)
        ranks = Ranks(full.starts, cut, full.gains, DEPTH)
        qrels = {
            str(query): {
                str(judgements.documents[pair]): int(judgements.gains[pair])
                for pair in range(judgements.starts[query], judgements.starts[query + 1])
            }
            for query in range(len(judgements))
        }
        run = plain_run(queries, corpus)
        for whose, theirs in (("ranx", by_ranx(qrels, run)), ("ir_measures", by_irm(qrels, run))):
            for measure, value in theirs.items():
                ours = parse_measure(measure)
                yield whose, f"{name} {measure}", ours.over(ours.of(ranks)), value


def with_others(own: Judged, corpus: int) -> Judged:
    """A query's own documents with gains of 2 and 3, and up to three random ones of gain 1."""
    random = np.random.default_rng(1)
    rows = []
    for query in range(len(own)):
        mine = own.documents[own.starts[query] : own.starts[query + 1]]
        row = dict.fromkeys(random.integers(corpus, size=random.integers(4)).tolist(), 1.0)
        row |= {place: 2.0 + place % 2 for place in mine.tolist()}
        rows.append(sorted(row.items()))
    pairs = [pair for row in rows for pair in row]
    return Judged(
        np.cumsum([0, *map(len, rows)]),
        np.array([place for place, _ in pairs]),
        np.array([gain for _, gain in pairs]),
    )


def plain_run(queries: FloatArray, corpus: FloatArray) -> Mapping[str, Mapping[str, float]]:
    """Each query's first documents, with scores that fall by 1 from rank to rank."""
    return {
        str(query): {str(place): float(DEPTH - rank) for rank, place in enumerate(places.tolist())}
        for query, places in enumerate(plain_sort(queries, corpus, DEPTH))
    }


def plain_sort(queries: FloatArray, corpus: FloatArray, depth: int) -> Iterator[IntArray]:
    """The places of each query's first documents."""
    for start in range(0, len(queries), 500):
        scores = queries[start : start + 500] @ corpus.T
        yield from np.argsort(-scores, axis=1, kind="stable")[:, :depth]


def by_ranx(qrels: Mapping[str, Mapping[str, int]], run: Mapping[str, object]) -> Figures:
    import ranx

    found = ranx.evaluate(
        ranx.Qrels(qrels), ranx.Run(run), list(RANX.values()), make_comparable=True
    )
    return {ours: float(found[theirs]) for ours, theirs in RANX.items()}


def by_irm(qrels: Mapping[str, Mapping[str, int]], run: Mapping[str, object]) -> Figures:
    import ir_measures

    measures = {ours: ir_measures.parse_measure(name) for ours, name in IR_MEASURES.items()}
    found = ir_measures.calc_aggregate(measures.values(), qrels, run)
    return {ours: float(found[measure]) for ours, measure in measures.items()}


# --- COCO's test split, and those who judged it further ---------------------------------------


def coco(dim: int) -> Iterator[Row]:
    """Against eccv_caption: its rankings are lists of COCO's ids."""
    from eccv_caption import Metrics

    metrics = Metrics()
    there = coco_data(metrics)
    images, captions = map(on_grid, made(len(there.corpus), dim))
    found = metrics.compute_all_metrics(
        i2t_retrieved_items=listed(turned(there), images, captions),
        t2i_retrieved_items=listed(there, captions, images),
        target_metrics=("coco_1k_recalls", "coco_5k_recalls", "cxc_recalls", "eccv_r1",
                        "eccv_map_at_r", "eccv_rprecision"),
        Ks=CUTS,
    )  # fmt: skip
    for data, short, queries, corpus in (
        (there, "t2i", captions, images),
        (turned(there), "i2t", images, captions),
    ):
        ours = by_labels(data, queries, corpus) | {
            f"coco_1k_r{k}": value for k, value in of_folds(data, queries, corpus).items()
        }
        for name, value in ours.items():
            yield "eccv_caption", f"{data.direction} {name}", value, float(found[name][short])


def coco_data(metrics: object) -> Dataset:
    """The captions of COCO's test split in the package's order, and their pictures in theirs."""
    qrels = {str(c): {str(metrics.coco_gts["t2i"][c][0]): 1.0} for c in metrics.coco_ids.tolist()}
    pictures = dict.fromkeys(picture for row in qrels.values() for picture in row)
    return Dataset(
        "COCO",
        tuple(Item(caption, "text", "a caption") for caption in qrels),
        tuple(Item(picture, "image") for picture in pictures),
        qrels,
        ids="coco",
    )


def listed(data: Dataset, queries: FloatArray, corpus: FloatArray) -> Mapping[int, IntArray]:
    """The ids of each query's first documents, by a plain sort."""
    ids = np.array([int(item.id) for item in data.corpus])
    rankings = plain_sort(queries, corpus, LISTED)
    return {int(item.id): ids[row] for item, row in zip(data.queries, rankings, strict=True)}


def by_labels(data: Dataset, queries: FloatArray, corpus: FloatArray) -> Figures:
    """COCO's own R@K over 5K, and the further judgements'."""
    further = further_qrels(data).qrels
    figures = {
        f"{label}_r{k}": value
        for label, qrels in (("coco_5k", data.qrels), ("cxc", further["CxC"]))
        for k, value in zip(CUTS, mean(data, qrels, queries, corpus, CUT_NAMES), strict=True)
    }
    eccv = mean(data, further["ECCV Caption"], queries, corpus, ("r@1", "map@r", "rprec"))
    names = ("eccv_r1", "eccv_map_at_r", "eccv_rprecision")
    return figures | dict(zip(names, eccv, strict=True))


CUT_NAMES = tuple(f"r@{k}" for k in CUTS)


def mean(
    data: Dataset, qrels: Qrels, queries: FloatArray, corpus: FloatArray, names: tuple[str, ...]
) -> list[float]:
    """Measures over the queries that were judged."""
    asked = [place for place, item in enumerate(data.queries) if item.id in qrels]
    some = Dataset(data.name, tuple(data.queries[place] for place in asked), data.corpus, qrels)
    ranks = rank_exactly(queries[asked], corpus, judged(some))[0]
    ids, there = ([item.id for item in items] for items in (some.queries, some.corpus))
    whole = with_unfindable(ranks, unfindable(qrels, ids, there))
    return [measure.over(measure.of(whole)) for measure in map(parse_measure, names)]


def of_folds(data: Dataset, queries: FloatArray, corpus: FloatArray) -> dict[int, float]:
    """R@K by K of five folds of a thousand pictures, with as many queries each."""
    [task] = tasks_of(data)
    ranks, _ = rank_in_folds(task, queries, corpus, FOLDS, first=0)
    return {k: float(hit_at(ranks, k).mean()) for k in CUTS}


if __name__ == "__main__":
    main()
