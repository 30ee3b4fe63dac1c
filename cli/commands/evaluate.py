"""``echolens evaluate``: how well texts find pictures, films, sounds and moments, measured.

Gets: a data set, or none: then what a collection holds. Gives: tables, JSON or Markdown on stdout
or in files, plots. Touches: those files. Never: computes a figure.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import click

from ..errors import ExitCode
from ..options import Call, Decorated, Sectioned, common, computing
from ..progress import ProgressLine


class _Evaluate(Sectioned):
    sections: ClassVar = {
        "The data": ("images", "split", "split_file", "captions", "per_image"),
        "What is measured": (
            "encoder", "exact", "folds", "held_in", "where", "depth", "queries", "perturb",
            "slices", "measures", "run",
        ),
        "The report": ("json", "markdown", "plots", "baseline", "require"),
    }  # fmt: skip


def _file(name: str, what: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", type=click.Path(dir_okay=False), metavar="FILE", help=what)


def _folder(name: str, what: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", type=click.Path(file_okay=False), metavar="FOLDER", help=what)


def _number(name: str, least: int, what: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{name}", type=click.IntRange(least), metavar="N", help=what)


# No option has a default here: the library has them, and so it shows what was asked for.
@click.command("evaluate", cls=_Evaluate)
@click.argument("data", required=False)
@_folder("images", "Where its pictures, films or sounds are, if not beside it.")
@click.option("--split", metavar="NAME", help="Which; `test` where there are several.")
@_file("split-file", "Karpathy's JSON: which COCO pictures are of which split; of MSR-VTT a list "
                     "of the test videos.")  # fmt: skip
@click.option("--captions", multiple=True, metavar="[LANGUAGE=]FILE",
              help="Ask with these instead, such as zh=FILE; repeatable.")  # fmt: skip
@_number("per-image", 1, "Ask with the first N captions of each picture only.")
@click.option("--encoder", metavar="URL", help="DATA by this encoder, without a collection.")
@click.option("--exact", is_flag=True, help="DATA by the collection's encoder, without its index.")
@_number("folds", 1, "Rank within N parts of the data; COCO's 1K protocol has 5. With --exact "
                     "or --encoder.")  # fmt: skip
@_number("held-in", 0, "Pictures can be found by N captions of theirs, which aren't asked with.")
@click.option("--where", metavar="EXPR", help="Search only files that satisfy an SQL WHERE.")
@_number("depth", 10, "Look at N hits of each search, not at 100; deeper ranks are unknown.")
@_number("queries", 1, "Ask N at most of each direction, the same sample each time.")
@click.option("--perturb", metavar="LIST",
              help="Also with spoilt pictures or words: of blur:2,noise:0.1,jpeg:20,"
              "rotate:90,crop:0.8,grey and typo:0.1,lower,upper.")  # fmt: skip
@click.option("--slice", "slices", multiple=True, metavar="FIELD",
              help="Tell apart by `language`, `length` or any field; repeatable.")  # fmt: skip
@click.option("--measure", "measures", multiple=True, metavar="NAME",
              help="r@K, recall@K, p@K, medr, meanr, mrr, map, map@r, rprec, ndcg@K; of moments "
              "r1@0.5, map@0.75, map@avg, miou, hit@1, hlmap; repeatable.")  # fmt: skip
@_file("run", "Score another engine's run on DATA instead, in TREC's format.")
@_file("json", "Write everything there, query by query; `-` for stdout.")
@_file("markdown", "Write the report there; `-` for stdout.")
@_folder("plots", "Draw PNGs into it.")
@_file("baseline", "An earlier --json: what changed since, by a paired test.")
@click.option("--require", multiple=True, metavar="GATE",
              help="Such as r@10>=0.60, t2i:r@1>25% or r1@0.5>=0.3; unmet, it ends with 1; "
              "repeatable.")  # fmt: skip
@computing
@common
@click.pass_obj
def command(call: Call, /, **options: Any) -> ExitCode:
    """Measure recall: on a data set, or on a collection.

    Without DATA the collection is measured by itself: its pictures must find themselves, also when
    they are spoilt, and captions their pictures.

    DATA, pictures with captions, is measured by the encoder alone (exact) and through a collection
    that holds its pictures (deployed). It is a path whose format shows, or FORMAT:PATH. Films and
    sounds are measured through a collection that holds them, and so are moments of films.

    \b
    Formats:
      coco      captions of COCO 2014 and 2017
      karpathy  Karpathy's JSON of COCO, Flickr30k or Flickr8k
      tokens    captions of Flickr30k and Flickr8k, also Chinese ones
      table     CSV, TSV or JSONL with a column of files and one of captions; Clotho
      wds       WebDatasets of CLIP_benchmark
      beir      corpus.jsonl, queries.jsonl and qrels
      xm3600    Crossmodal-3600
      msrvtt, msvd, audiocaps, didemo   films or sounds with captions
      qvhighlights, charades, didemo    questions about moments of films
      trec      judgements for --run

    \b
    Examples:
      echolens evaluate
      echolens evaluate captions_val2017.json --images val2017 --encoder starter:
      echolens evaluate captions_val2014.json --split-file dataset_coco.json -c coco
      echolens evaluate flickr8k.tsv --split dev --slice length --plots plots
      echolens evaluate flickr8k.tsv --captions en=flickr8k.tsv --captions zh=chinese.tsv
      echolens evaluate pairs.csv --baseline before.json --require "t2i:r@10>=60%"
      echolens evaluate highlight_val_release.jsonl --images videos -c films
      echolens evaluate trec:qrels.txt --run run.txt
    """
    from ..evaluation import measured, opened, way_of
    from ..report import show, wanted

    way = way_of(call, options)
    report = wanted(options)
    card = {"command": {"line": shlex.join(["echolens", *sys.argv[1:]])}}
    with opened(way, call) as collection:
        with ProgressLine(quiet=call.quiet, at_first="reading ...") as progress:
            evaluation = measured(way, collection, call, options, card, progress)
        verdicts = show(call, evaluation, report)
    if not all(verdict.holds for verdict in verdicts):
        return ExitCode.NO
    return ExitCode.PARTLY if evaluation.problems or evaluation.degraded else ExitCode.DONE
