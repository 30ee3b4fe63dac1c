"""The README's table of back ends, made from the registry: `python -m tools.back_ends --write`.

Gets: the registry. Gives: rows of Markdown. Touches: the README. Never: opens one.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from retrieval.registry import BACK_ENDS, BackEndRole

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(
    r"(?<=<!-- back ends: made by tools/back_ends.py -->\n).*?(?=<!-- end -->)", re.S
)
NO_SERVER = "comes with Echolens"


def rows() -> Iterator[str]:
    """A line of Markdown for each back end of the registry, under the table's head."""
    yield "| role | URL | what it is | needs |"
    yield "|---|---|---|---|"
    for role in sorted(get_args(BackEndRole), key=lambda role: not role.endswith("_store")):
        for scheme, entry in sorted(BACK_ENDS[role].items()):
            needs = f"extra `{entry.extra}`" if entry.extra else NO_SERVER
            yield f"| {role.replace('_', ' ')} | `{scheme}:` | {entry.about} | {needs} |"


def block() -> str:
    """All of it, as it stands between the marks."""
    return "".join(f"{row}\n" for row in rows())


def main() -> int:
    """Say whether the README is up to date, or bring it up to date."""
    parser = argparse.ArgumentParser(description="The README's table of back ends.")
    parser.add_argument("--write", action="store_true", help="bring it up to date")
    write = parser.parse_args().write
    text = README.read_text(encoding="utf-8")
    fresh = BLOCK.sub(lambda _: block(), text)
    if fresh != text and write:
        README.write_text(fresh, encoding="utf-8")
    return int(fresh != text and not write)


if __name__ == "__main__":
    sys.exit(main())
