"""``echolens encoders``: which encoders there are, and what installs the ones that aren't here.

Gets: the registry and the metadata of installed packages. Gives: a table or JSON lines. Touches:
stdout. Never: loads an encoder to find out.
"""

from __future__ import annotations

import re

import click

from .. import output
from ..errors import ExitCode
from ..options import common, formats

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@click.command("encoders")
@formats("table", "jsonl")
@common
def command(form: str) -> ExitCode:
    """List the encoders that a collection can be made with.

    An encoder decides how well searches answer, and in which languages. It belongs to its
    collection for good: name it with `--encoder` when you index for the first time.

    \b
    Examples:
      echolens encoders
      echolens index -c better --encoder open_clip:ViT-B-32/laion2b_s34b_b79k ~/Pictures
    """
    from retrieval.registry import schemes

    rows = [
        (f"{scheme}:", entry.about, installer(entry.extra)) for scheme, entry in schemes("encoder")
    ]
    if form == "jsonl":
        for url, about, install in rows:
            output.record({"encoder": url, "about": about, "install": install})
    else:
        output.table(
            ("encoder", "state", "what it is"),
            [(url, install or "installed", about) for url, about, install in rows],
            wrap=True,
        )
    return ExitCode.DONE


def installer(extra: str | None) -> str | None:
    """The command that installs an extra; None when all of its packages are here."""
    if extra is None or all(map(_installed, _packages(extra))):
        return None
    return f"pip install 'echolens[{extra}]'"


def _packages(extra: str) -> list[str]:
    """An extra's packages, by the metadata of Echolens itself (which a bare source tree lacks)."""
    from importlib.metadata import PackageNotFoundError, requires

    marker = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    try:
        lines = requires("echolens") or []
    except PackageNotFoundError:
        return ["echolens"]
    return [found.group() for x in lines if marker.search(x) and (found := _NAME.match(x))]


def _installed(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
