"""What models keep in files beside their weights.

Gets: a path. Gives: what is in the file. Touches: that file. Never: weights, a network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import WeightsMissingError


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        WeightsMissingError: it is none, or can't be read.
    """
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise WeightsMissingError(
            f"{path} can't be read as JSON ({error}).", advice="Copy or download it again."
        ) from error
