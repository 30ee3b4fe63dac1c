"""``hf://OWNER/NAME``: a repository of the hub as a folder on this disk.

Gets: a repository's name. Gives: the folder of its files in the hub's cache. Touches: that cache;
the hub, when the cache hasn't the export whole. Never: a connection while everything is here, a
file of another precision.

``config.json`` is fetched last, so a download that was cut short is seen to be none.
"""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path
from typing import Any

from retrieval.errors import (
    NotInstalledError,
    StoreUnreachableError,
    UsageError,
    WeightsMissingError,
)
from retrieval.schema import Precision

from .folder import CONFIG, files_to_fetch

SCHEME = "hf://"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_TIMEOUT_S = 5.0
_log = logging.getLogger("echolens")


def repository_of(location: str) -> str:
    """``OWNER/NAME`` of ``hf://OWNER/NAME``.

    Raises:
        UsageError: it isn't written like that.
    """
    name = location.removeprefix(SCHEME).strip("/")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`onnx:{location}` names no repository of the hub.", advice="Write hf://OWNER/NAME."
        )
    return name


def fetch(repository: str, precision: Precision) -> Path:
    """The folder of a repository's export; downloads it once, and says so.

    Raises:
        NotInstalledError: the hub's client isn't here.
        WeightsMissingError: it isn't in the cache and can't be had, or is no export.
        StoreUnreachableError: no space or no permission for it; what came is gone on with.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise NotInstalledError(
            f"`onnx:hf://` needs the hub's client ({error}).", advice="pip install 'echolens[hub]'"
        ) from error
    cached = huggingface_hub.try_to_load_from_cache(repository, CONFIG)
    if isinstance(cached, str) and _is_whole(Path(cached).parent, precision):
        return Path(cached).parent
    _log.warning("%s is not on this disk; downloading it from the hub, once.", repository)
    try:
        # Asked for first, since a download would try an absent hub again for half a minute.
        about = huggingface_hub.HfApi().model_info(repository, timeout=_TIMEOUT_S)
        names = [each.rfilename for each in about.siblings or []]
        wanted = files_to_fetch(names, precision)
        # Not by its commit, or the cache wouldn't know that this is the newest.
        files = [Path(huggingface_hub.hf_hub_download(repository, name)) for name in wanted]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise StoreUnreachableError(
                f"{repository} can't be kept in the hub's cache: {error.strerror}.",
                advice="Make room, or name another place for the cache (HF_HOME); then run again.",
            ) from error
        raise _unreachable(repository, error) from error
    except Exception as error:  # the hub's client raises what its HTTP library raises
        raise _unreachable(repository, error) from error
    if not files:
        raise WeightsMissingError(
            f"{repository} has no text_model.onnx or vision_model.onnx in {precision}.",
            advice="Choose a repository with an ONNX export of a CLIP or SigLIP model.",
        )
    return files[-1].parent


def _is_whole(folder: Path, precision: Precision) -> bool:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return bool(files_to_fetch(names, precision))


def _unreachable(repository: str, error: Any) -> WeightsMissingError:
    from huggingface_hub import constants

    reason = str(error).strip().partition("\n")[0][:120]
    return WeightsMissingError(
        f"{repository} is not on this disk and can't be had from {constants.ENDPOINT} ({reason}).",
        advice="Run once with a connection (a mirror: HF_ENDPOINT); or bring the hub's cache of "
        "another machine (HF_HOME); or bring the folder and name it as onnx:FOLDER.",
    )
