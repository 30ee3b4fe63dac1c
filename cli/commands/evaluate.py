"""``echolens evaluate``: how well texts and pictures find each other, measured.

Gets: a data set, or none: then what a collection holds. Gives: tables, JSON or Markdown on stdout
or in files, plots. Touches: those files. Never: computes a figure.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any

import click

from ..errors import ExitCode
from ..options import Call, Decorated, common, computing
from ..progress import ProgressLine


def _file(name: str, what: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", type=click.Path(dir_okay=False), metavar="FILE", help=what)


@click.command("evaluate")
@click.argument("data", required=False)
@click.option("--images", type=click.Path(file_okay=False), help="Folder of the data's pictures.")
@click.option("--split", metavar="NAME", help="Of the data; `test` where it has several.")
@_file("split-file", "Karpathy's JSON: which COCO pictures are of which split.")
@click.option("--captions", multiple=True, metavar="[LANGUAGE=]FILE",
              help="Captions to ask with instead, in other languages; repeatable.")  # fmt: skip
@click.option("--per-image", type=click.IntRange(1), help="Only its first so many captions.")
@click.option("--folds", type=click.IntRange(1), default=1, help="COCO's 1K protocol has 5.")
@click.option("--encoder", metavar="URL", help="Measure an encoder without any collection.")
@click.option("--exact", is_flag=True, help="Embeddings alone, not through the collection.")
@click.option("--where", metavar="EXPR", help="Search only files that satisfy an SQL WHERE.")
@click.option(
    "--held-in", type=click.IntRange(0), default=0, metavar="N",
    help="So many captions of each picture can be found by, and aren't asked.",
)  # fmt: skip
@click.option("--queries", type=click.IntRange(1), help="Ask at most so many, a fixed sample.")
@click.option("--depth", type=click.IntRange(10), default=100, show_default=True,
              help="Hits of each search; ranks beyond are unknown.")  # fmt: skip
@click.option("--perturb", metavar="LIST", default="",
              help="Spoil pictures or words: blur:2,noise:0.1,jpeg:20,rotate:90,grey,"
              "typo:0.1,lower,upper.")  # fmt: skip
@click.option("--slice", "slices", multiple=True, metavar="FIELD",
              help="Tell apart by `language`, `length` or any field.")  # fmt: skip
@click.option("--measure", "measures", multiple=True, metavar="NAME",
              help="r@K, recall@K, medr, meanr, mrr, map, map@r, rprec, ndcg@K.")  # fmt: skip
@_file("run", "Score a run of another engine instead, in TREC's format.")
@click.option("--require", multiple=True, metavar="GATE",
              help="Such as r@10>=0.60 or t2i:r@1>25%; unmet, it ends with 1.")  # fmt: skip
@_file("baseline", "An earlier --json; says what changed, by a paired test.")
@_file("json", "Write everything there, query by query; `-` for stdout.")
@_file("markdown", "Write the report there; `-` for stdout.")
@click.option("--plots", type=click.Path(file_okay=False), help="Draw PNGs into that folder.")
@computing
@common
@click.pass_obj
def command(call: Call, /, **options: Any) -> ExitCode:
    """Measure recall: on a data set, or on a collection.

    DATA is FORMAT:PATH, or a path whose format shows: COCO captions (coco), Karpathy's JSON
    (karpathy), tokens of Flickr30k and Flickr8k (tokens), CSV, TSV or JSONL (table), the
    WebDatasets of CLIP_benchmark (wds), beir, xm3600, and trec:QRELS for --run. It is measured by
    the encoder alone (exact) and through a collection that holds its pictures (deployed).

    Without DATA pictures of the collection must find themselves, also when they are spoilt, and
    captions their pictures.

    \b
    Examples:
      echolens evaluate
      echolens evaluate captions_val2017.json --images val2017 --encoder starter:
      echolens evaluate captions_val2014.json --split-file dataset_coco.json -c coco
      echolens evaluate flickr8k.tsv --split dev --slice length --plots plots
      echolens evaluate flickr8k.tsv --captions en=flickr8k.tsv --captions zh=chinese.tsv
      echolens evaluate pairs.csv --baseline before.json --require "t2i:r@10>=60%"
      echolens evaluate trec:qrels.txt --run run.txt
    """
    from ..evaluation import measured
    from ..report import show, wanted

    report = wanted(options)
    card = {"run": {"command": shlex.join(["echolens", *sys.argv[1:]])}}
    with ProgressLine(quiet=call.quiet, at_first="reading ...") as progress:
        evaluation = measured(call, options, card, progress)
    verdicts = show(call, evaluation, report)
    if not all(verdict.holds for verdict in verdicts):
        return ExitCode.NO
    return ExitCode.PARTLY if evaluation.problems or evaluation.degraded else ExitCode.DONE
