"""``echolens encoders export``: an encoder's towers as ONNX files, for searches without PyTorch.

Gets: an encoder and a folder, or a collection. Gives: what was written and how well it agrees.
Touches: stdout. Never: decides whether it agrees (the indexer does).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common, formats

if TYPE_CHECKING:
    from indexer import Exported

TOWERS = ("text", "image")


def _towers(
    context: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[str, ...] | None:
    if value is None:
        return None
    named = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    if unknown := [name for name in named if name not in TOWERS]:
        raise click.BadParameter(f"there is no tower `{unknown[0]}`, only {' and '.join(TOWERS)}.")
    return named


@click.command("export")
@click.argument("encoder", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(("fp32", "int8")),
    default="fp32",
    show_default=True,
    help="Of the weights; int8 takes a quarter of the room and is a little less exact.",
)
@click.option("--towers", metavar="NAMES", callback=_towers, help="Both by default: text,image.")
@formats("table", "jsonl")
@common
@click.pass_obj
def command(
    call: Call,
    encoder: str | None,
    folder: Path | None,
    precision: str,
    towers: tuple[str, ...] | None,
    form: str,
) -> ExitCode:
    """Write an encoder as ONNX files, which need no PyTorch.

    With ENCODER and FOLDER: the folder is an encoder of its own, `onnx:FOLDER`, of the same space.

    Without them: the text tower of the collection's encoder goes to your data folder, and searches
    in that collection use it from then on. They answer the same and start much sooner.

    \b
    Examples:
      echolens encoders export -c photos
      echolens encoders export open_clip:ViT-B-32/laion2b_s34b_b79k clip --precision int8
    """
    if (encoder is None) != (folder is None):
        raise click.UsageError("Name an encoder and a new folder, or neither to take a collection.")
    if encoder is not None and call.collection is not None:
        raise click.UsageError("Name either a collection or an encoder, not both.")
    if encoder is None and towers not in (None, ("text",)):
        raise click.UsageError("Only the text tower of a collection's encoder is exported.")
    call.note("exporting, which takes a minute or two")
    options: dict[str, Any] = {"precision": precision}
    if encoder is not None and folder is not None:
        from indexer import export

        exported = export(encoder, folder, towers=cast(Any, towers or TOWERS), **options)
    else:
        from indexer import export_alias

        with call.open() as collection:
            exported = export_alias(collection, **options)
    _show(exported, precision, form)
    return ExitCode.DONE


def _show(exported: Exported, precision: str, form: str) -> None:
    if form == "jsonl":
        output.record(
            {
                "encoder": exported.url,
                "precision": precision,
                "bytes": exported.bytes,
                "cosines": dict(exported.cosines),
                "is_new": exported.is_new,
            }
        )
        return
    for tower, cosine in exported.cosines.items():
        output.line(f"{tower}: cosine {cosine:.6f} on the built-in samples")
    what = "exported to" if exported.is_new else "was there already:"
    output.line(f"{what} {exported.folder} ({exported.bytes / 1e6:.0f} MB, {precision})")
    output.line(f"encoder: {exported.url}")
