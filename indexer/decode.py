"""Decoding in processes of their own, so that a bad file costs itself only.

Gets: items. Gives: readings, or `BadInputError`.
Touches: the items' files and their sidecars, read-only. Never: a store.

Readings travel by pickle: a photo of 12 megapixels, reduced for the encoder to 1.1 MB, costs 0.8 ms
so, beside 115 ms of decoding on the same busy machine; shared memory would gain nothing.

A decoder that hangs is stopped, one that dies or takes too much memory is replaced; either way
the one file is skipped by reason and the run goes on.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from io import BufferedReader
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, Self

from pebble import ProcessExpired, ProcessPool

from retrieval import registry
from retrieval.abilities import Timed
from retrieval.encodings import decode_text
from retrieval.errors import BadInputError, EcholensError
from retrieval.protocols import Limits, ModalityReader
from retrieval.schema import FieldValue, Modality, SkipReason, Wants, printable
from retrieval.timed import Stretch

from .files import is_transcript
from .lookahead import LookAhead, Pending
from .schema import Item, Reading, Stat, valid_text

SIDECAR_BYTES = 1 << 20
TRANSCRIPT_BYTES = 8 << 20
STOP_WITHIN_S = 2.0
UNDER_WAY = 4  # readings begun for each process, so that none waits to be told of the next
CODE_SUFFIXES = (".ts", ".mts")  # of TypeScript as well as of films
CAPTION_KEYS = ("caption", "captions", "description", "title")


def hash_file(item: Item, limits: Limits) -> str:
    """The asset id of an item: SHA-256 of its bytes, in hex.

    Raises:
        BadInputError: it can't be read, is too large, or isn't as it was listed.
    """
    if item.stat.size > limits.bytes:
        raise BadInputError(
            SkipReason.TOO_LARGE,
            f"has {item.stat.size:,} bytes; the limit is {limits.bytes:,} (max_file_mb)",
        )
    with _open(item.stat) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Decoder:
    """A pool of decoding processes; use it as a context manager."""

    def __init__(self, workers: int, limits: Limits) -> None:
        self.workers = workers
        self._limits = limits
        self._ahead = LookAhead(self._start, under_way=UNDER_WAY * workers)
        self._pool = ProcessPool(
            max_workers=workers, initializer=_start_worker, initargs=(limits,), context=_context()
        )

    def submit(
        self, item: Item, wants: Wants | None, *, start: float = 0.0, at_once: bool = False
    ) -> Pending:
        """Have an item read; with `wants` None only what it says of itself.

        Of a film one stretch is read, from `start` seconds on. Those before it come first, unless
        it is asked for out of turn, `at_once`.
        """
        return self._ahead.submit(item, wants, start=start, at_once=at_once)

    def _start(self, item: Item, wants: Wants | None, start: float) -> Pending:
        pending: Pending = self._pool.schedule(
            _read, args=(item, wants, start), timeout=self._seconds(item)
        )
        return pending

    def _seconds(self, item: Item) -> float:
        timed = registry.MODALITIES[item.modality].timed
        return self._limits.stretch_seconds if timed else self._limits.seconds

    def result(self, pending: Pending, item: Item) -> Reading:
        """Wait for a reading of an item.

        Raises:
            BadInputError: the file can't be used; the reason says why.
        """
        try:
            reading = pending.result()
            self._ahead.release(reading)
            return reading
        except EcholensError:
            raise
        except TimeoutError as error:
            raise BadInputError(
                SkipReason.TOO_SLOW,
                f"took longer than {self._seconds(item):g} s to decode (decode_seconds)",
            ) from error
        except ProcessExpired as error:
            raise BadInputError(
                SkipReason.DECODER_FAILED, f"its decoder died (exit code {error.exitcode})"
            ) from error
        except MemoryError as error:
            raise BadInputError(
                SkipReason.DECODER_FAILED,
                f"took more than {self._limits.memory >> 20} MiB to decode (decode_memory_mb)",
            ) from error
        except Exception as error:  # a decoder may raise anything, and that costs one file
            raise BadInputError(
                SkipReason.DECODER_FAILED, f"its decoder failed: {type(error).__name__}: {error}"
            ) from error

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for a reading any more."""
        self._ahead.abandon(pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._pool.close()
            self._pool.join()
            return
        # Ctrl-C may have hit the pool in the midst of its bookkeeping, and its threads then wait
        # for ever. Its processes end first, and its threads don't keep this one from ending.
        self._pool.stop()
        end = Thread(target=self._pool.join, name="end of decoding", daemon=True)
        end.start()
        end.join(STOP_WITHIN_S)


# multiprocessing imports the main module into each new process, so that a script which calls
# `index` without ``if __name__ == "__main__"`` would start itself over. Decoding needs nothing of
# it: a new process is told of an empty one.
_CONTEXT = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
_Process: Any = _CONTEXT.Process  # type: ignore[attr-defined]  # each context has its class


class _DecodingProcess(_Process):  # type: ignore[misc]  # as above
    @staticmethod
    def _Popen(process: BaseProcess) -> Any:  # noqa: N802 - multiprocessing's name
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return _Process._Popen(process)
        finally:
            sys.modules["__main__"] = main


def _context() -> BaseContext:
    context = type(_CONTEXT)()
    if sys.platform != "win32":
        context.set_forkserver_preload([f"{__package__}.silence", __name__])
    context.Process = _DecodingProcess  # type: ignore[attr-defined]
    return context


# Inside a decoding process


_limits = Limits()


def _start_worker(limits: Limits) -> None:
    global _limits  # noqa: PLW0603 - a process has one set of limits, given once at its start
    _limits = limits
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


@cache
def _reader(modality: Modality) -> ModalityReader:
    return registry.open_modality(modality, _limits)


def _read(item: Item, wants: Wants | None, start: float) -> Reading:
    began = time.monotonic()
    reader = _reader(item.modality)
    transcripts, others, warnings = _sidecars_of(item)
    stretch = None
    with _open(item.stat) as file:
        _leave_out_code(file, item)
        description = reader.describe(file)
        if wants is not None:
            file.seek(0)
            stretch = _stretch(reader, file, wants, start, transcripts)
        _check_unchanged(file, item.stat)
    captions, fields, odd = _read_sidecars(others)
    reading = Reading(
        fields={**description.fields, **fields},
        captions=tuple(dict.fromkeys((*captions, *description.captions))),
        drafts=None,
        warnings=(*warnings, *odd),
        seconds=time.monotonic() - began,
    )
    if stretch is None:
        return reading
    return replace(
        reading,
        drafts=stretch.drafts,
        warnings=(*reading.warnings, *stretch.warnings),
        speech=stretch.speech,
        script=stretch.script,
        following=stretch.following,
        media_s=stretch.media_s,
    )


def _leave_out_code(file: BinaryIO, item: Item) -> None:
    """Source code that is called like a film is no damaged film, but of a kind not indexed."""
    if not item.stat.path.lower().endswith(CODE_SUFFIXES):
        return
    from retrieval.media import kind_of  # it brings Pillow, which few need here

    if kind_of(file.read(4096)) == "text":
        raise BadInputError(SkipReason.UNSUPPORTED, "is text, not a film")


def _stretch(
    reader: ModalityReader,
    file: BinaryIO,
    wants: Wants,
    start: float,
    transcripts: Mapping[str, bytes],
) -> Stretch:
    """All of a file, or a stretch of one that has a length in time."""
    if isinstance(reader, Timed):
        return reader.stretch(file, wants, start, transcripts)
    return Stretch(tuple(reader.documents(file, wants)))


def _open(stat: Stat) -> BufferedReader:
    try:
        file = Path(stat.path).open("rb")  # noqa: SIM115 - the caller closes it
        _check_unchanged(file, stat)
    except FileNotFoundError as error:
        raise BadInputError(SkipReason.DISAPPEARED, "was listed and is gone") from error
    except OSError as error:
        raise BadInputError(SkipReason.UNREADABLE, error.strerror or str(error)) from error
    return file


def _check_unchanged(file: BufferedReader, stat: Stat) -> None:
    status = os.fstat(file.fileno())
    if (status.st_size, status.st_mtime_ns) != (stat.size, stat.mtime_ns):
        file.close()
        raise BadInputError(SkipReason.CHANGING, "changed while it was read")


# Sidecars


def _sidecars_of(item: Item) -> tuple[dict[str, bytes], list[Stat], list[str]]:
    """Transcripts of a film by name, its other sidecars, and what is odd about these."""
    transcripts: dict[str, bytes] = {}
    others: list[Stat] = []
    warnings: list[str] = []
    for sidecar in item.sidecars:
        name = os.path.basename(sidecar.path)
        if not is_transcript(name, item.modality):
            others.append(sidecar)
            continue
        try:
            transcripts[name] = _sidecar_bytes(sidecar, TRANSCRIPT_BYTES)
        except BadInputError as error:
            warnings.append(f"sidecar {printable(name)}: {error}")
    return transcripts, others, warnings


def _read_sidecars(
    sidecars: Sequence[Stat],
) -> tuple[list[str], dict[str, FieldValue], list[str]]:
    captions: list[str] = []
    fields: dict[str, FieldValue] = {}
    warnings: list[str] = []
    for sidecar in sidecars:
        try:
            text = _sidecar_text(sidecar)
            if sidecar.path.endswith(".json"):
                more_captions, more_fields = _parse_json(text)
            else:
                more_captions, more_fields = text.splitlines(), {}
        except BadInputError as error:
            warnings.append(f"sidecar {printable(os.path.basename(sidecar.path))}: {error}")
            continue
        captions += (" ".join(caption.split()) for caption in more_captions)
        fields.update(more_fields)
    return [caption for caption in captions if caption], fields, warnings


def _sidecar_text(sidecar: Stat) -> str:
    return decode_text(_sidecar_bytes(sidecar, SIDECAR_BYTES))


def _sidecar_bytes(sidecar: Stat, most: int) -> bytes:
    if sidecar.size > most:
        raise BadInputError(SkipReason.TOO_LARGE, f"has more than {most:,} bytes")
    with _open(sidecar) as file:
        return file.read()


def _parse_json(text: str) -> tuple[list[str], dict[str, FieldValue]]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(SkipReason.CORRUPT, f"is not JSON ({error})") from error
    if not isinstance(table, dict):
        raise BadInputError(SkipReason.CORRUPT, "holds no JSON object")
    captions = [str(c) for key in CAPTION_KEYS for c in _listed(table.pop(key, ()))]
    return [valid_text(caption) for caption in captions], dict(_flat(table, ""))


def _listed(value: object) -> list[Any]:
    values = value if isinstance(value, list | tuple) else [value]
    return [v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool)]


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, FieldValue]]:
    """Scalars under dotted names; a list of scalars as text with commas; the rest is no field."""
    for key, value in table.items():
        name = valid_text(prefix + key)
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list):
            if scalars := _listed(value):
                yield name, ", ".join(valid_text(str(v)) for v in scalars)
        elif isinstance(value, str):
            yield name, valid_text(value)
        elif isinstance(value, bool | int | float):
            yield name, value
