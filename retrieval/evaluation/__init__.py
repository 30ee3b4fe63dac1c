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

from .datasets import CaptionsFile, DatasetOptions, open_dataset
from .embeddings import Embedder, Embedding
from .evaluate import evaluate
from .measures import parse_measure
from .options import EvaluateOptions
from .schema import Dataset, Estimate, Evaluation, Item, Measurement
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
    "Item",
    "Measurement",
    "Searcher",
    "evaluate",
    "open_dataset",
    "parse_measure",
]
