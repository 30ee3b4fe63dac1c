"""How good answers are: data sets, measures with their intervals, and the report of both.

    from retrieval.evaluation import Embedder, Embedding, evaluate, open_dataset
    from retrieval.registry import open_encoder

    data = open_dataset("coco:annotations/captions_val2017.json")
    found = evaluate(data, Embedding("starter:", Embedder(open_encoder("starter:"))))
    for row in found.measurements:
        print(row.key, row.measures["r@1"])

`echolens evaluate` is made of these.
"""

from __future__ import annotations

from .datasets import CaptionsFile, DatasetOptions, open_dataset, open_moments
from .embeddings import Embedder, Embedding
from .evaluate import evaluate
from .evaluate_moments import evaluate_moments, score_moments
from .measures import parse_measure
from .moment_measures import parse_moment_measure
from .moments import Guess, MomentQuery, MomentSet
from .options import EvaluateOptions
from .rival import measures_of
from .schema import Dataset, Estimate, Evaluation, Item, Measurement, MomentMeasurement
from .searcher import Searcher

__all__ = [
    "CaptionsFile",
    "Dataset",
    "DatasetOptions",
    "Embedder",
    "Embedding",
    "Estimate",
    "EvaluateOptions",
    "Evaluation",
    "Guess",
    "Item",
    "Measurement",
    "MomentMeasurement",
    "MomentQuery",
    "MomentSet",
    "Searcher",
    "evaluate",
    "evaluate_moments",
    "measures_of",
    "open_dataset",
    "open_moments",
    "parse_measure",
    "parse_moment_measure",
    "score_moments",
]
