"""What ``echolens encoders`` shows: encoders, transcribers, what is on this disk, how fast it is.

Gets: the registry, the metadata of installed packages, the models on this disk. Gives: rows and
records on stdout. Touches: stdout. Never: loads an encoder, unless to measure it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import output

if TYPE_CHECKING:
    from retrieval.on_disk import ModelOnDisk
    from retrieval.registry import Entry

    _Entries = Sequence[tuple[str, Entry]]

_NAME = re.compile(r"[A-Za-z0-9._-]+")
MEGA = 1e6


def show_encoders(form: str) -> None:
    """List the encoders, what writes down speech, then the models that are on this disk."""
    from retrieval.on_disk import models_on_disk
    from retrieval.registry import schemes
    from retrieval.settings import load_settings

    encoders, transcribers = list(schemes("encoder")), list(schemes("transcriber"))
    models = models_on_disk(load_settings().exports)
    if form == "jsonl":
        for record in (*_records(encoders, transcribers), *map(_model, models)):
            output.record(record)
        return
    head = ("languages", "state", "what it is")
    rows = [(name, ", ".join(e.modalities) or "-", *_row(e)) for name, e in _named(encoders)]
    output.table(("encoder", "takes", *head), rows, wrap=True)
    if transcribers:
        output.line()
        listed = [(name, *_row(entry)) for name, entry in _named(transcribers)]
        output.table(("transcriber", *head), listed, wrap=True)
    if models:
        output.line()
        output.table(
            ("on this disk", "MB", "from"),
            [(model.name, f"{model.bytes / MEGA:,.1f}", model.origin) for model in models],
            right="MB",
        )


def _records(encoders: _Entries, transcribers: _Entries) -> Iterator[dict[str, object]]:
    for name, entry in _named(encoders):
        yield {"encoder": name, "modalities": list(entry.modalities), **_told(entry)}
    for name, entry in _named(transcribers):
        yield {"transcriber": name, **_told(entry)}


def _told(entry: Entry) -> dict[str, object]:
    return {
        "about": entry.about,
        "languages": entry.languages,
        "install": installer(entry.extra),
    }


def _model(model: ModelOnDisk) -> dict[str, object]:
    return {
        "model": model.name,
        "origin": model.origin,
        "bytes": model.bytes,
        "folder": str(model.folder),
    }


def _named(entries: _Entries) -> Iterator[tuple[str, Entry]]:
    return ((f"{scheme}:", entry) for scheme, entry in entries)


def _row(entry: Entry) -> tuple[str, str, str]:
    return entry.languages or "-", installer(entry.extra) or "installed", entry.about


def show_rates(urls: Sequence[str], form: str) -> None:
    """Measure encoders on this machine; a record each as it is known, or one table at the end."""
    if form == "jsonl":
        for record in _measured(urls):
            output.record(record)
        return
    output.table(
        ("encoder", "device", "precision", "threads", "takes", "batch", "inputs/s"),
        [
            (*map(str, list(record.values())[:-1]), f"{record['per_second']:,.1f}")
            for record in _measured(urls)
        ],
        right="threads batch inputs/s",
    )


def _measured(urls: Sequence[str]) -> Iterator[dict[str, Any]]:
    from retrieval.rates import rates
    from retrieval.registry import open_encoder
    from retrieval.settings import load_settings

    compute = load_settings().compute
    for url in urls:
        encoder = open_encoder(url, compute)
        for rate in rates(encoder):
            yield {
                "encoder": url,
                "device": encoder.compute.device,
                "precision": encoder.compute.precision,
                "threads": encoder.compute.threads or "auto",
                "modality": rate.modality,
                "batch": rate.batch,
                "per_second": round(rate.per_second, 2),
            }


def nameless() -> list[str]:
    """URLs of the installed encoders that need no more than their scheme, and no download."""
    from retrieval.errors import UsageError
    from retrieval.registry import open_encoder, schemes

    urls = []
    for scheme, entry in schemes("encoder"):
        if installer(entry.extra) is None and not entry.of_hub:
            try:
                open_encoder(f"{scheme}:")
            except UsageError:
                continue  # it wants a model's name
            urls.append(f"{scheme}:")
    return urls


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
