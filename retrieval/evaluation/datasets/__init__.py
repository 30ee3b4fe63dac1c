"""Data sets: queries, a corpus and their judgements, from the layouts that the field uses.

Gets: ``FORMAT:PATH``, or a path whose format shows. Gives: a `Dataset`, a `MomentSet` or the
`Content` of one. Touches: what the reader of the format does; only that one is loaded when the
format is named. Never: opens a picture; drops anything in silence (`Dataset.problems`).

A new format is one module with ``recognises(path)`` and ``read(path, options)``, and one line here.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import UsageError
from ..moments import MomentSet
from ..schema import Dataset
from .gather import CaptionsFile, Content, DatasetOptions, gather
from .pictures import at_home, refuse_escapes
from .translations import translated
from .unknown import unrecognised

__all__ = [
    "FORMATS",
    "CaptionsFile",
    "Content",
    "DatasetOptions",
    "has_moments",
    "open_dataset",
    "open_moments",
    "read_content",
]

_OF_PICTURES = ("images", "split", "captions", "per_image")


@dataclass(frozen=True, slots=True)
class Format:
    """One format: ``module:function`` of its reader, one line about it, the options it takes.

    Attributes:
        moments: ``module:function`` of what reads the windows of its films, if it has any.
    """

    target: str
    about: str
    options: tuple[str, ...] = _OF_PICTURES
    moments: str = ""


# In the order in which they are tried on a path.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "wds": Format(
            "retrieval.evaluation.datasets.wds:read",
            "CLIP_benchmark's WebDataset folders for retrieval",
            ("split", "per_image"),
        ),
        "beir": Format(
            "retrieval.evaluation.datasets.beir:read",
            "a folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv",
            ("images", "split"),
        ),
        "msrvtt": Format(
            "retrieval.evaluation.datasets.msrvtt:read",
            "MSR-VTT: MSRVTT_JSFUSION_test.csv (1k-A), MSRVTT_data.json",
            (*_OF_PICTURES, "split_file"),
        ),
        "didemo": Format(
            "retrieval.evaluation.datasets.didemo:read",
            "DiDeMo: train_data.json, val_data.json, test_data.json",
            moments="retrieval.evaluation.datasets.didemo:read_moments",
        ),
        "qvhighlights": Format(
            "retrieval.evaluation.datasets.qvhighlights:read",
            "QVHighlights, or one's own: JSONL with query, vid and relevant_windows",
            moments="retrieval.evaluation.datasets.qvhighlights:read",
        ),
        "charades": Format(
            "retrieval.evaluation.datasets.charades:read",
            "Charades-STA: VIDEO START END##A sentence.",
            moments="retrieval.evaluation.datasets.charades:read",
        ),
        "msvd": Format(
            "retrieval.evaluation.datasets.msvd:read",
            "MSVD: AllVideoDescriptions.txt, with its lists of splits beside it",
        ),
        "audiocaps": Format(
            "retrieval.evaluation.datasets.audiocaps:read",
            "AudioCaps: audiocap_id,youtube_id,start_time,caption",
        ),
        "karpathy": Format(
            "retrieval.evaluation.datasets.karpathy:read",
            "dataset_coco.json, dataset_flickr30k.json, dataset_flickr8k.json",
        ),
        "coco": Format(
            "retrieval.evaluation.datasets.coco:read",
            "COCO captions, 2014 and 2017",
            (*_OF_PICTURES, "split_file"),
        ),
        "xm3600": Format(
            "retrieval.evaluation.datasets.xm3600:read",
            "captions.jsonl of Crossmodal-3600, 36 languages",
        ),
        "tokens": Format(
            "retrieval.evaluation.datasets.tokens:read",
            "NAME.jpg#0<TAB>caption: Flickr30k, Flickr8k, Flickr8k-CN, COCO-CN",
        ),
        "table": Format(
            "retrieval.evaluation.datasets.table:read",
            "CSV, TSV or JSONL with a column of files and one of captions; Clotho",
        ),
    }
)


def open_dataset(source: str | Path, options: DatasetOptions | None = None) -> Dataset:
    """Read a data set: texts that ask for pictures (in BEIR's layout, for what its corpus holds).

    Args:
        source: ``FORMAT:PATH``, or a path whose format shows; a path that exists is one, whatever
            it is called. ``~`` is the user's home in both.
        options: how it is read.

    Raises:
        UsageError: the format or the split is unknown, an option doesn't fit, a file breaks its
            format, or nothing is left to measure.
    """
    options = options or DatasetOptions()
    if options.per_image is not None and options.per_image < 1:
        raise UsageError("A picture needs at least one caption.", advice="Raise --per-image.")
    name, path = _format_of(source)
    content = _read(name, path, options)
    if isinstance(content, Dataset):
        return content
    if options.captions:
        content = translated(content, [(one, read_content(one.source)) for one in options.captions])
    return gather(content, options)


def open_moments(source: str | Path, options: DatasetOptions | None = None) -> MomentSet:
    """Read the questions of a data set with the windows of films that answer them.

    Args:
        source: as for `open_dataset`.
        options: how it is read.

    Raises:
        UsageError: as `open_dataset` does; or the format knows no windows.
    """
    options = options or DatasetOptions()
    name, path = _format_of(source)
    if not FORMATS[name].moments:
        having = ", ".join(sorted(one for one in FORMATS if FORMATS[one].moments))
        raise UsageError(
            f"{path}, in the format `{name}`, has no moments.", advice=f"Formats with: {having}."
        )
    _refuse_unfit(name, options)
    content = _reader(FORMATS[name].moments)(path, options)
    assert isinstance(content, Content)
    refuse_escapes(path, (picture.name for picture in content.pictures))
    captions = [caption for picture in content.pictures for caption in picture.captions]
    answers = {one.id: (one.windows, one.saliency) for one in captions if one.windows}
    whole = open_dataset(source, options) if FORMATS[name].moments != FORMATS[name].target else None
    return MomentSet(gather(content, options), answers, whole)


def has_moments(source: str | Path) -> bool:
    """Whether a data set has windows of films: whether `open_moments` is for it.

    Raises:
        UsageError: the format is unknown.
    """
    return bool(FORMATS[_format_of(source)[0]].moments)


def read_content(source: str | Path, options: DatasetOptions | None = None) -> Content:
    """Read which picture files a data set lists, of all splits, with their captions.

    Args:
        source: as for `open_dataset`.
        options: how it is read; what chooses among pictures or captions is left to the caller.

    Raises:
        UsageError: as `open_dataset` does; or the format holds no list of picture files with their
            captions.
    """
    options = options or DatasetOptions()
    name, path = _format_of(source)
    content = _read(name, path, options) if _lists_files(name) else None
    if not isinstance(content, Content):
        listing = ", ".join(sorted(filter(_lists_files, FORMATS)))
        raise UsageError(
            f"{path}, in the format `{name}`, is no list of picture files with their captions.",
            advice=f"Formats that are one: {listing}.",
        )
    return content


def _lists_files(name: str) -> bool:
    """Whether a format lists files with captions: ``wds`` has tars, ``beir`` has judgements."""
    return {"images", "captions"} <= set(FORMATS[name].options)


def _read(name: str, path: Path, options: DatasetOptions) -> Content | Dataset:
    _refuse_unfit(name, options)
    content = _reader(FORMATS[name].target)(path, options)
    if isinstance(content, Content):
        refuse_escapes(path, (picture.name for picture in content.pictures))
    return content


def _format_of(source: str | Path) -> tuple[str, Path]:
    """The format and the path that are meant."""
    path = at_home(source)
    prefix, colon, rest = str(source).partition(":")
    if not path.exists() and colon and prefix in FORMATS:
        path = at_home(rest)
        if not path.exists():
            raise UsageError(f"There is no {path}.", advice="Check the path.")
        return prefix, path
    if not path.exists():
        near = difflib.get_close_matches(prefix, FORMATS, n=1) if colon else []
        hint = f"Did you mean `{near[0]}:`? " if near else ""
        raise UsageError(f"There is no {source}.", advice=f"{hint}{_known()}")
    for name in FORMATS:
        if _module(name).recognises(path):
            return name, path
    raise unrecognised(path, _known())


def _refuse_unfit(name: str, options: DatasetOptions) -> None:
    for option in fields(options):
        given = getattr(options, option.name) != option.default
        if given and option.name not in FORMATS[name].options:
            raise UsageError(
                f"--{option.name.replace('_', '-')} means nothing for a data set in the format "
                f"`{name}`.",
                advice="Leave it out, or name the format: FORMAT:PATH.",
            )


def _known() -> str:
    return f"Write FORMAT:PATH; formats: {', '.join(sorted(FORMATS))}."


def _reader(target: str) -> Callable[[Path, DatasetOptions], Content | Dataset]:
    module, _, function = target.partition(":")
    reader: Callable[[Path, DatasetOptions], Content | Dataset] = getattr(
        importlib.import_module(module), function
    )
    return reader


def _module(name: str) -> Any:
    return importlib.import_module(FORMATS[name].target.partition(":")[0])
