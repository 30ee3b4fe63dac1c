"""Exports of an encoder, and exports as aliases of a collection's encoder.

Gets: an encoder's URL or a collection. Gives: an `Exported`. Touches: a new folder; a collection's
manifest, as its one writer. Never: leaves a folder that isn't whole or doesn't agree.

An export is written to a folder beside its place, compared with its source on the built-in inputs,
and renamed. One that becomes an alias is compared with the collection's stored probes, so that it
needn't be made by this very process: exports lie in the user's data folder, named by the space and
the precision, and several collections share one.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from retrieval import registry
from retrieval.abilities import Exportable
from retrieval.collection import Collection
from retrieval.durable import sync_folder
from retrieval.errors import EncoderMismatchError, StoreUnreachableError, UsageError
from retrieval.probes import check_nearest, check_vectors, encode_probes, probe_inputs
from retrieval.protocols import Encoder
from retrieval.schema import Alias, Channel, Compute, FloatArray, Modality, Precision, Role
from retrieval.settings import Settings, load_settings

from .opening import Session, writing
from .sharing import keep_manifest

TOWERS: tuple[Modality, ...] = ("text", "image")
Expected = Mapping[Modality, Callable[[], FloatArray]]
_STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that agrees with what it was exported from.

    Attributes:
        url: what opens it.
        folder: where it is.
        cosines: of each tower, the least cosine of a built-in input with itself.
        bytes: of all its files.
        is_new: whether it was made now, and not found.
    """

    url: str
    folder: Path
    cosines: Mapping[Modality, float]
    bytes: int
    is_new: bool = True


def export(
    encoder: str,
    folder: Path,
    *,
    towers: Sequence[Modality] = TOWERS,
    precision: Precision = "fp32",
    settings: Settings | None = None,
) -> Exported:
    """Export towers of an encoder into a new folder.

    Raises:
        UsageError: the encoder can't be exported, or the folder holds something.
        EncoderMismatchError: the export gives other vectors; it isn't kept.
        MissingPartError: a package, weights, room or permission is missing.
    """
    threads = (settings or load_settings()).threads or None
    source = registry.open_encoder(encoder, Compute("cpu", "fp32", threads))
    folder = folder.expanduser().absolute()
    expected: Expected = {m: partial(encode_probes, source, m) for m in towers}
    return _export(source, folder, precision, expected)


def export_alias(collection: Collection, *, precision: Precision = "fp32") -> Exported:
    """Export the text tower of a collection's encoder, so that searches start without PyTorch.

    An export of the same space that is there already is taken, when it agrees.

    Raises:
        LockedError: another process is writing to the collection.
        UsageError, EncoderMismatchError, MissingPartError: as `export` says.
    """
    collection.close()
    with writing(collection) as session:
        channel = session.backends.manifest.channels[0]
        folder = _default_folder(session.settings, channel, precision)
        probes = session.backends.probes()
        stored = probes.rows(channel.space, "text", len(probe_inputs("text")))
        expected: Expected = {"text": lambda: stored}
        if folder.exists():
            exported = replace(_compared(folder, precision, expected), is_new=False)
        else:
            source = _source(session, channel)
            exported = _export(source, folder, precision, expected)
        _record(session, channel.space, exported)
    return exported


def starts_slowly(collection: Collection) -> bool:
    """Whether the collection's encoder could be exported for its searches, and hasn't been."""
    channel = collection.manifest.channels[0]
    if any("text" in alias.modalities for alias in channel.aliases):
        return False
    return isinstance(collection.backends.encoder(channel), Exportable)


def _export(source: Encoder, folder: Path, precision: Precision, expected: Expected) -> Exported:
    if not isinstance(source, Exportable):
        raise UsageError(
            f"An encoder of the space `{source.space.key}` can't be exported.",
            advice="Name an `open_clip:` encoder.",
        )
    for modality in expected:
        if modality not in source.space.modalities:
            raise UsageError(
                f"The encoder takes no {modality}.", advice="Choose others with --towers."
            )
    with _new_folder(folder) as partial_folder:
        source.export(partial_folder, tuple(expected), precision)
        compared = _compared(partial_folder, precision, expected)
    return replace(compared, url=f"onnx:{folder}", folder=folder)


def _compared(folder: Path, precision: Precision, expected: Expected) -> Exported:
    """What an export is worth; `expected` gives the probes' vectors, as `encode_probes` does."""
    url = f"onnx:{folder}"
    encoder = registry.open_encoder(url, Compute("cpu", precision))
    cosines: dict[Modality, float] = {}
    for modality, vectors in expected.items():
        stored = vectors()
        try:
            actual = _probed(encoder, modality)
            check_vectors(stored, actual, where=url, tolerance=encoder.tolerance(modality))
            half = len(stored) // 2
            check_nearest(stored[:half], actual[:half], where=url)
        except EncoderMismatchError as error:
            raise EncoderMismatchError(
                f"The {modality} tower in {folder} doesn't agree with what it stands for: {error}",
                advice="Delete that folder if it is there, and export again; in fp32 if this was "
                "int8.",
            ) from error
        cosines[modality] = float((stored.astype(np.float64) * actual).sum(axis=1).min())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Exported(url, folder, cosines, size)


def _probed(encoder: Encoder, modality: Modality) -> FloatArray:
    """(2n, dim): the probes one by one, as documents and as queries, like the stored ones.

    How alike they are among each other is the source's affair, which was checked already.
    """
    roles: tuple[Role, Role] = ("document", "query")
    inputs = probe_inputs(modality)
    return np.concatenate([encoder.encode(modality, [x], role=r) for r in roles for x in inputs])


def _record(session: Session, space: str, exported: Exported) -> None:
    """Make the export the first alias of every channel of its space."""
    backends = session.backends
    fingerprint = registry.open_encoder(exported.url, Compute("cpu")).fingerprint
    alias = Alias(exported.url, fingerprint, tuple(exported.cosines))
    channels = tuple(
        replace(c, aliases=(alias, *(a for a in c.aliases if a.encoder != alias.encoder)))
        if c.space == space
        else c
        for c in backends.manifest.channels
    )
    keep_manifest(backends, replace(backends.manifest, channels=channels))


def _source(session: Session, channel: Channel) -> Encoder:
    """The channel's encoder in fp32: the one that was opened, if it is."""
    opened = session.backends.encoder(channel)
    if (opened.compute.device, opened.compute.precision) == ("cpu", "fp32"):
        return opened
    threads = session.settings.threads or None
    return registry.open_encoder(channel.encoder, Compute("cpu", "fp32", threads))


def _default_folder(settings: Settings, channel: Channel, precision: Precision) -> Path:
    return (settings.exports / f"{channel.space}-{precision}").absolute()


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that gets its name when all went well, and else is gone."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something already.", advice="Name a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        begun = Path(tempfile.mkdtemp(".partial", f".{folder.name}.", folder.parent))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield begun
        begun.chmod(0o755)  # mkdtemp's own is for its maker alone
        begun.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(begun, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Delete what a killed run began here."""
    for begun in folder.parent.glob(f".{folder.name}.*.partial"):
        if time.time() - begun.stat().st_mtime > _STALE_S:
            shutil.rmtree(begun, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> StoreUnreachableError:
    return StoreUnreachableError(
        f"{folder} can't be written: {error.strerror or error}.",
        advice="Make room or allow writing there; nothing was left behind.",
    )
