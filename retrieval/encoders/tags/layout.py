"""What lies beside the model in a tagger's folder: its classes and its options.

Gets: a folder. Gives: names, means, `Options`; an error that says what is wrong with which file.
Touches: the folder's small files. Never: the model.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from retrieval.errors import UsageError, WeightsMissingError
from retrieval.schema import FloatArray

MODEL = "model.onnx"
CLASSES = ("classes.csv", "yamnet_class_map.csv", "class_labels_indices.csv")
OPTIONS = "tagger.json"
LAYOUT = (
    f"A tagger's folder holds {MODEL}, which takes samples, and {CLASSES[0]}, a class a line; "
    f"{OPTIONS} tells the rate."
)
_NAMES = ("display_name", "name", "class")
_MEAN = "mean"

Activation = Literal["none", "sigmoid", "softmax"]


@dataclass(frozen=True, slots=True)
class Options:
    """What ``tagger.json`` may say.

    Attributes:
        rate: of the samples that the model takes, in Hz.
        window_s: seconds of sound that go through it at once.
        activation: what makes probabilities of the numbers that the model gives.
    """

    rate: int = 16_000
    window_s: float = 10.0
    activation: Activation = "none"


def read_options(folder: Path) -> Options:
    """The options in a folder; those that aren't said are the defaults.

    Raises:
        WeightsMissingError: there is no such folder.
        UsageError: an unknown option, or a value that can't be meant.
    """
    _check_folder(folder)
    path = folder / OPTIONS
    if not path.is_file():
        return Options()
    try:
        told = dict(json.loads(path.read_bytes()))
        options = Options(**told)
        fits = options.rate > 0 and options.window_s > 0
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _wrong(path, f"can't be read as options ({error})") from error
    whole = isinstance(options.rate, int) and not isinstance(options.rate, bool)
    if not fits or not whole or options.activation not in get_args(Activation):
        raise _wrong(path, f"says {told}, which can't be meant")
    return options


def read_classes(folder: Path) -> tuple[tuple[str, ...], FloatArray | None]:
    """The names of the classes in the model's order, and their means where they are told.

    Raises:
        WeightsMissingError: there is no such folder, or no list of classes in it.
        UsageError: the list can't be read.
    """
    _check_folder(folder)
    path = next((folder / name for name in CLASSES if (folder / name).is_file()), None)
    if path is None:
        raise WeightsMissingError(f"The folder {folder} holds no {CLASSES[0]}.", advice=LAYOUT)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text)) if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise _wrong(path, f"can't be read ({error})") from error
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((head.index(name) for name in _NAMES if name in head), None)
    if column is None:
        if any(len(row) > 1 for row in rows):
            raise _wrong(path, f"has none of the columns {', '.join(_NAMES)} in its first line")
        head, column = [], 0
    lines = rows[1:] if head else rows
    if not lines or any(len(row) <= column or not row[column].strip() for row in lines):
        raise _wrong(path, "has a line without a class, or none at all")
    return tuple(row[column].strip() for row in lines), _means(path, head, lines)


def _means(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> FloatArray | None:
    if _MEAN not in head:
        return None
    column = head.index(_MEAN)
    try:
        means = np.array([float(row[column]) for row in rows], np.float32)
    except (IndexError, ValueError) as error:
        raise _wrong(path, f"has a mean that is no number ({error})") from error
    if not ((means >= 0) & (means <= 1)).all():
        raise _wrong(path, "has a mean that is no probability")
    return means


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise WeightsMissingError(f"There is no folder {folder} with a tagger.", advice=LAYOUT)


def _wrong(path: Path, what: str) -> UsageError:
    known = ", ".join(field.name for field in fields(Options))
    extra = f" Its options are {known}." if path.name == OPTIONS else ""
    return UsageError(f"{path} {what}.", advice=f"{LAYOUT}{extra}")
