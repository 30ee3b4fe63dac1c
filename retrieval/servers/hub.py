"""Files of the hub: looked up in its cache, downloaded once when they aren't there.

Gets: a repository and file names, what they are to the user. Gives: paths in the hub's cache.
Touches: that cache, and the hub when something is missing in it. Never: a connection while
everything is here, a file that is not whole.

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
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be had from a repository, in words for a user.

    Attributes:
        what: begins messages (``The weights `x` of `y` ``).
        repository: ``OWNER/NAME``.
        kind: what every such repository holds (``a model of open_clip``).
        or_else: how to name files that were brought by hand (``bring {name} and name it as ...``).
    """

    what: str
    repository: str
    kind: str
    or_else: str


def fetch(wanted: Wanted, names: Sequence[str]) -> Path:
    """The first of `names` that the repository has: from the cache, else from the hub.

    Args:
        wanted: what it is.
        names: of files that would do, the best first.

    Raises:
        WeightsMissingError: it isn't here and can't be had.
    """
    for name in names:
        if (here := cached(wanted.repository, name)) is not None:
            return here
    _announce(wanted)
    if found := _first(wanted, names):
        return found
    raise _none(wanted, names)


def fetch_together(wanted: Wanted, names: Sequence[str], more: Sequence[Sequence[str]]) -> Path:
    """The folder with files that belong together; see `fetch`.

    Args:
        wanted: what they are.
        names: that would do for the file which is fetched last, so that it tells of all the others.
        more: names that would do for each of the others, fetched in this order; one that ends with
            "" may be missing.
    """
    for name in names:
        if (here := cached(wanted.repository, name)) is not None:
            return here.parent
    _announce(wanted)
    for others in more:
        if _first(wanted, [other for other in others if other]) is None and "" not in others:
            raise _none(wanted, others)
    if found := _first(wanted, names):
        return found.parent
    raise _none(wanted, names)


def fetch_tokenizer(wanted: Wanted) -> Path:
    """The folder with a tokenizer's files, all of them."""
    repository = wanted.repository
    if any(cached(repository, name) for name in _VOCABULARIES) and (
        last := cached(repository, _LAST)
    ):
        return last.parent
    _log.warning("%s is not on this disk; downloading %s, once.", wanted.what, repository)
    folder = None
    for name in _VOCABULARIES:
        if found := _download(wanted, name):
            folder = found.parent
            if name == "tokenizer.json":  # holds all that the others would tell
                break
    for name in (*_BESIDE_VOCABULARY, _LAST):
        _download(wanted, name)
    if folder is None:
        raise WeightsMissingError(
            f"{wanted.what} can't be had: {repository} holds no tokenizer.",
            advice="Check the name of the model on the hub.",
        )
    return folder


def cached(repository: str, name: str) -> Path | None:
    """A file in the hub's cache, if it is there."""
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None


def _announce(wanted: Wanted) -> None:
    _log.warning("%s are not on this disk; downloading %s, once.", wanted.what, wanted.repository)


def _first(wanted: Wanted, names: Sequence[str]) -> Path | None:
    """Download the first file that the repository has."""
    return next((found for name in names if (found := _download(wanted, name))), None)


def _none(wanted: Wanted, names: Sequence[str]) -> WeightsMissingError:
    return WeightsMissingError(
        f"{wanted.what} can't be had: {wanted.repository} holds no {' or '.join(names)}.",
        advice=f"Check the name on the hub; not every repository there is {wanted.kind}.",
    )


def _download(wanted: Wanted, name: str) -> Path | None:
    """Download a file; None when the repository doesn't have it."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository = wanted.repository
    if (here := cached(repository, name)) is not None:
        return here
    try:
        size = _size(repository, name)
        _check_room(wanted.what, size)
        return Path(huggingface_hub.hf_hub_download(repository, name, etag_timeout=_HUB_TIMEOUT_S))
    except WeightsMissingError:
        raise
    except LocalEntryNotFoundError as error:  # a kind of EntryNotFoundError, and no answer
        raise _refused(wanted, name, error) from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # the hub's client raises what its HTTP library raises
        raise _refused(wanted, name, error) from error


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


def _refused(wanted: Wanted, name: str, error: Exception) -> WeightsMissingError:
    """What to raise for what the hub's client raised."""
    from huggingface_hub import constants, errors

    what, repository = wanted.what, wanted.repository
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
        advice="Run once with a connection (a mirror: HF_ENDPOINT); or bring the hub's cache of "
        f"another machine (HF_HOME); or {wanted.or_else.format(name=name)}",
    )


def _no_room(what: str, why: str) -> WeightsMissingError:
    from huggingface_hub import constants

    return WeightsMissingError(
        f"{what} can't be written to {constants.HF_HUB_CACHE}: {why}.",
        advice="Make room, or set HF_HOME to a folder on another disk.",
    )
