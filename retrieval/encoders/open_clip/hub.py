"""Files of the hub: looked up in its cache, downloaded once when they aren't there.

Gets: a repository and file names. Gives: paths in the hub's cache. Touches: that cache, and the
hub when something is missing in it. Never: a connection while everything is here, a file that is
not whole.

huggingface_hub downloads beside the cache's file and moves it there when it is whole, and lets a
second process wait for the first; a killed download leaves nothing that is taken for a file. What
is missing there and done here: an answer within seconds when there is no network (its client
goes on trying for most of a minute), room on the disk before the download, and files that belong
together (a tokenizer): the one that tells that they are whole comes last.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.errors import WeightsMissingError

_log = logging.getLogger("echolens")

_HUB_TIMEOUT_S = 5.0  # of one question to the hub
_NAME_TIMEOUT_S = 8.0  # of the same with looking up the hub's address, which has no limit itself

_VOCABULARIES = (
    "tokenizer.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
)
_BESIDE_VOCABULARY = ("merges.txt", "added_tokens.json", "special_tokens_map.json", "config.json")
_LAST = "tokenizer_config.json"

_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
)


def fetch(what: str, repository: str, names: Sequence[str]) -> Path:
    """The first of `names` that the repository has: from the cache, else from the hub.

    Args:
        what: what it is to the user; begins messages (``The weights `x` of `y` ``).
        repository: ``OWNER/NAME``.
        names: of files that would do, the best first.

    Raises:
        WeightsMissingError: it isn't here and can't be had.
    """
    for name in names:
        if (here := cached(repository, name)) is not None:
            return here
    _log.warning("%s are not on this disk; downloading %s, once.", what, repository)
    for name in names:
        if (here := _download(what, repository, name)) is not None:
            return here
    raise WeightsMissingError(
        f"{what} can't be had: {repository} holds no {' or '.join(names)}.",
        advice="Check the name on the hub; not every repository there is a model of open_clip.",
    )


def fetch_tokenizer(what: str, repository: str) -> Path:
    """The folder with a tokenizer's files, all of them."""
    if any(cached(repository, name) for name in _VOCABULARIES) and (
        last := cached(repository, _LAST)
    ):
        return last.parent
    _log.warning("%s is not on this disk; downloading %s, once.", what, repository)
    folder = None
    for name in _VOCABULARIES:
        if found := _download(what, repository, name):
            folder = found.parent
            if name == "tokenizer.json":  # holds all that the others would tell
                break
    for name in (*_BESIDE_VOCABULARY, _LAST):
        _download(what, repository, name)
    if folder is None:
        raise WeightsMissingError(
            f"{what} can't be had: {repository} holds no tokenizer.",
            advice="Check the name of the model on the hub.",
        )
    return folder


def cached(repository: str, name: str) -> Path | None:
    """A file in the hub's cache, if it is there."""
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None


def _download(what: str, repository: str, name: str) -> Path | None:
    """Download a file; None when the repository doesn't have it."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if (here := cached(repository, name)) is not None:
        return here
    try:
        size = _size(repository, name)
        _check_room(what, size)
        return Path(huggingface_hub.hf_hub_download(repository, name, etag_timeout=_HUB_TIMEOUT_S))
    except WeightsMissingError:
        raise
    except LocalEntryNotFoundError as error:  # a kind of EntryNotFoundError, and no answer
        raise _refused(what, repository, name, error) from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # the hub's client raises what its HTTP library raises
        raise _refused(what, repository, name, error) from error


def _size(repository: str, name: str) -> int | None:
    """Ask the hub for a file's size, and so whether it answers at all, within seconds.

    In a thread, since nothing else limits how long a name server may take. The thread is a daemon:
    one that never ends doesn't keep the program.
    """
    import huggingface_hub

    answer: list[Any] = []

    def ask() -> None:
        url = huggingface_hub.hf_hub_url(repository, name)
        try:
            answer.append(huggingface_hub.get_hf_file_metadata(url, timeout=_HUB_TIMEOUT_S))
        except Exception as error:  # noqa: BLE001 - raised again by the one who asked
            answer.append(error)

    thread = threading.Thread(target=ask, name="hub", daemon=True)
    thread.start()
    thread.join(_NAME_TIMEOUT_S)
    if not answer:
        raise TimeoutError(f"no answer within {_NAME_TIMEOUT_S:.0f} s")
    if isinstance(answer[0], Exception):
        raise answer[0]
    size: int | None = answer[0].size
    return size


def _check_room(what: str, size: int | None) -> None:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    folder = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise _no_room(what, f"{size / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")


def _refused(what: str, repository: str, name: str, error: Exception) -> WeightsMissingError:
    """What to raise for what the hub's client raised."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return WeightsMissingError(
            f"{what} can't be had: {repository} is given only to those who accepted its terms.",
            advice="Accept them on its page on the hub, then `hf auth login` (or set HF_TOKEN).",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return WeightsMissingError(
            f"{what} can't be had: {constants.ENDPOINT} has no {repository}, or not for everybody.",
            advice="Check the name; for a private one run `hf auth login` (or set HF_TOKEN).",
        )
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return _no_room(what, error.strerror or str(error))
    why = f"{type(error).__name__}: {error}".partition("\n")[0][:150]
    if isinstance(error, errors.OfflineModeIsEnabled):
        why = "HF_HUB_OFFLINE is set"
    return WeightsMissingError(
        f"{what} are not on this disk, and {repository} can't be had from {constants.ENDPOINT} "
        f"({why}).",
        advice=f"Run once with a connection (a mirror: HF_ENDPOINT); or bring the hub's cache of "
        f"another machine (HF_HOME); or bring {name} and name it as open_clip:MODEL//path/to/file, "
        "or all files in a folder as open_clip:local-dir:/path.",
    )


def _no_room(what: str, why: str) -> WeightsMissingError:
    from huggingface_hub import constants

    return WeightsMissingError(
        f"{what} can't be written to {constants.HF_HUB_CACHE}: {why}.",
        advice="Make room, or set HF_HOME to a folder on another disk.",
    )
