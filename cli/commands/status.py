"""``echolens status``: what the collection is and how much is in it.

Gets: `Status` and the manifest. Gives: a few lines, or one JSON object. Touches: stdout. Never: a
model (nothing is encoded).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common, formats
from ..times import whole

if TYPE_CHECKING:
    from indexer import Status, StoreStatus
    from retrieval import Collection

PIECES = {"video": "shots", "audio": "windows of sound"}  # what the documents of a channel are


@click.command("status")
@formats("table", "jsonl")
@common
@click.pass_obj
def command(call: Call, form: str) -> ExitCode:
    """Show what the collection is and how much it holds.

    \b
    Examples:
      echolens status
      echolens status --format jsonl -c ~/photos.echolens
    """
    from indexer import status

    with call.open() as collection:
        figures = status(collection)
        if form == "jsonl":
            output.record(_record(collection, figures))
        else:
            output.table(("what", "how much"), list(_rows(collection, figures)), wrap=True)
    failed = [store for store in figures.stores if store.error]
    for store in failed:
        output.note(f"{store.role} can't be asked: {store.error}")
    return ExitCode.PARTLY if failed else ExitCode.DONE


def _record(collection: Collection, figures: Status) -> dict[str, object]:
    manifest = collection.manifest
    return {
        "collection": str(collection.directory),
        "channels": {channel.key: channel.encoder for channel in manifest.channels},
        "transcriber": manifest.transcriber,
        **asdict(figures),
    }


def _rows(collection: Collection, figures: Status) -> Iterator[tuple[str, str]]:
    from retrieval.schema import printable

    manifest = collection.manifest
    yield "collection", printable(str(collection.directory))
    yield "size", size(figures.bytes)
    if manifest.transcriber:
        yield "transcriber", manifest.transcriber
    for store in figures.stores:
        yield store.role, _store(store)
    for outcome, count in figures.files.items():
        yield f"files {outcome}", f"{count:,}"
    for reason, count in figures.failures.items():
        yield f"failed: {reason}", f"{count:,}"
    for modality, count in figures.assets.items():
        yield f"assets: {modality}", f"{count:,}"
    if figures.media_s:
        yield "time of films and recordings", whole(figures.media_s)
    silent = {store.role for store in figures.stores if store.error}
    for channel in manifest.channels:
        key = channel.key
        told = (
            _counted(
                PIECES.get(channel.modality, "documents"),
                None if "documents" in silent else figures.documents.get(key, 0),
            ),
            _counted(
                "vectors", None if f"vectors {key}" in silent else figures.vectors.get(key, 0)
            ),
            channel.encoder,
        )
        yield f"channel {key}", ", ".join(told)
    for name, kind in sorted(figures.fields.items()):
        yield f"field {printable(name)}", kind


def _counted(what: str, count: int | None) -> str:
    """``20 vectors``; None of what a store can't be asked for, which is not the same as none."""
    return f"{what} unknown" if count is None else f"{count:,} {what}"


def _store(store: StoreStatus) -> str:
    """``milvus://... (Milvus 2.3.5, 20 rows, 3 not in the index yet)``."""
    if store.error:
        return f"{store.url} (can't be asked)"
    service = store.service
    if service is None:
        return store.url
    told = [f"{service.product} {service.version}".strip()]
    told += [f"{count:,} {what}" for what, count in service.counts.items()]
    if service.lag is not None:
        told.append(f"{service.lag:,} writes behind" if service.lag else "up to date")
    return f"{store.url} ({', '.join(told)})"


def size(count: int) -> str:
    """Bytes in words: ``512 bytes``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} bytes"
    amount, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = "bytes"
    while amount >= 1000:
        amount, unit = amount / 1000, next(units, "TB")
        if unit == "TB":
            break
    return f"{amount:.1f} {unit}"
