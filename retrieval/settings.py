"""The user's settings: one frozen record from the environment and one TOML file.

Gets: environment variables ``ECHOLENS_*``, then ``config.toml`` in the user's configuration
folder. Gives: `Settings`. Touches: the environment, and nothing else does. Never: a store.
"""

from __future__ import annotations

import os
import socket
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import platformdirs

from .errors import UsageError
from .schema import Compute, Precision


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user sets once. The environment's name of a setting is ``ECHOLENS_`` + its name.

    Attributes:
        home: folder of the collections that are given by name.
        host: what this machine is called in collections that it shares with others.
        collection: name or path of the collection used when none is given.
        encoder: encoder of a new collection.
        audio_encoder: encoder of its sounds; "" for none.
        transcriber: what writes down its speech; "" for nothing.
        vectors, documents, assets: store URLs of a new collection.
        device: where encoders run: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of their numbers: ``auto``, ``fp32``, ``bf16``, ``int8``.
        threads: of an encoder; 0 leaves it to the machine.
        workers: decoding processes; 0 makes it one a core.
        max_file_mb: a larger file is skipped (``too_large``).
        max_megapixels: a picture with more is skipped (``too_large``).
        decode_seconds: decoding that takes longer is stopped (``too_slow``).
        decode_memory_mb: memory of one decoding process.
    """

    home: Path
    collection: str = "default"
    host: str = ""
    encoder: str = "starter:"
    audio_encoder: str = ""
    transcriber: str = ""
    vectors: str = "exact:"
    documents: str = "sqlite:"
    assets: str = "inplace:"
    device: str = "auto"
    precision: Precision = "auto"
    threads: int = 0
    workers: int = 0
    max_file_mb: int = 2048
    max_megapixels: int = 250
    decode_seconds: float = 60.0
    decode_memory_mb: int = 4096

    @property
    def exports(self) -> Path:
        """The folder of the exports that collections share; no collection's name begins so."""
        return self.home / ".exports"

    @property
    def embeddings(self) -> Path:
        """The folder of vectors that evaluations have encoded; it may be deleted."""
        return self.home / ".embeddings"

    @property
    def compute(self) -> Compute:
        """What encoders are to compute with."""
        return Compute(self.device, self.precision, self.threads or None)


_MAY_BE_0 = ("threads", "workers")  # which leaves them to the machine
_MOST = 2**31
_KINDS: dict[type, str] = {int: "a whole number", float: "a number", str: "text in quotes"}


def config_path() -> Path:
    """The user's settings file, whether or not it exists."""
    return Path(platformdirs.user_config_dir("echolens", appauthor=False)) / "config.toml"


def load_settings() -> Settings:
    """Read the settings: the environment wins over the file, the file over the defaults.

    Raises:
        UsageError: the file is no TOML, or a setting is unknown or of the wrong type.
    """
    path = config_path()
    values: dict[str, Any] = {
        "home": platformdirs.user_data_dir("echolens", appauthor=False),
        "host": socket.gethostname(),
        **_read(path),
    }
    for item in fields(Settings):
        variable = f"ECHOLENS_{item.name.upper()}"
        if variable in os.environ:
            values[item.name] = _typed(item.name, os.environ[variable], variable)
    values["home"] = Path(os.path.expanduser(values["home"]))
    return Settings(**values)


def environment(prefix: str) -> dict[str, str]:
    """The environment's variables of a prefix, by what follows it in lower case."""
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", advice="Mend the file.") from error
    return {name: _typed(name, value, f"{name} in {path}") for name, value in table.items()}


def _typed(name: str, value: Any, where: str) -> Any:
    types = {item.name: item.type for item in fields(Settings)}
    if name not in types:
        raise UsageError(
            f"There is no setting called {where}.", advice=f"Known: {', '.join(sorted(types))}."
        )
    wanted = {"int": int, "float": float}.get(str(types[name]), str)
    of_toml = {int: int, float: int | float, str: str}[wanted]
    if isinstance(value, bool) or not isinstance(value, of_toml | str):
        raise UsageError(f"{where} can't be {value!r}.", advice=f"Give {_KINDS[wanted]}.")
    if name == "precision" and value not in get_args(Precision):
        raise UsageError(
            f"{where} can't be {value!r}.", advice=f"Known: {', '.join(get_args(Precision))}."
        )
    try:
        typed = wanted(value)
    except ValueError as error:
        raise UsageError(
            f"{where} must be a number, not {value!r}.", advice=f"Give {_KINDS[wanted]}."
        ) from error
    if wanted is not str and not (0 < typed < _MOST or (typed == 0 and name in _MAY_BE_0)):
        least = "0 or more" if name in _MAY_BE_0 else "more than 0"
        raise UsageError(f"{where} can't be {value!r}.", advice=f"Give {_KINDS[wanted]}, {least}.")
    return typed
