"""The files that the starter's encoders are made of, and what they were when they were built.

Gets: a file's name. Gives: its path or its numbers. Touches: ``retrieval/encoders/starter_files/``.
Never: another folder, a package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import WeightsMissingError
from ...schema import FloatArray

FILES = Path(__file__).parent.parent / "starter_files"


def file(name: str) -> Path:
    """The path of a file that must be here."""
    path = FILES / name
    if not path.is_file():
        raise WeightsMissingError(
            f"The starter's file {path} is missing.", advice="Install echolens again."
        )
    return path


def array(name: str) -> FloatArray:
    """The numbers of a ``.npy`` file, as float32."""
    return np.asarray(np.load(file(name), allow_pickle=False), np.float32)


def digests() -> dict[str, Any]:
    """SHA-256 of each file and text model, and the models' sizes, noted when they were built."""
    noted: dict[str, Any] = json.loads(file("digests.json").read_text(encoding="utf-8"))
    return noted


def fingerprint(recipe: Sequence[str], parts: Sequence[str]) -> str:
    """32 hex digits of the recipe and the digests of these parts."""
    noted = digests()
    text = json.dumps([*recipe, {part: noted[part] for part in parts}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def unit(vectors: FloatArray) -> FloatArray:
    """(n, dim) rows of any length as float32 rows of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
