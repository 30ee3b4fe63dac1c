"""Where the pictures of a data set lie.

Gets: the names that a data set gives its pictures, and a folder or the place of its captions.
Gives: `PictureFile`s, the bytes of which are read later. Touches: about one stat a picture.
Never: opens or decodes a picture; looks outside the folder.

Pictures of MS COCO are known by the number at the end of their name. The same photo is
``val2014/COCO_val2014_000000391895.jpg`` in 2014's folders and ``train2017/000000391895.jpg`` in
2017's, so a Karpathy split of 2014's names works on a copy of 2017's pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from ...errors import UsageError
from ...schema import printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # tried for a name that has none
GUESS_BY = 100  # pictures that are looked for in each folder where they may be
_COCO = re.compile(r"(?:^|[/_])(\d{12})$")
# What the common downloads call the folder of their pictures.
_FOLDERS = ("images", "Images", "flickr30k-images", "flickr30k_images", "Flicker8k_Dataset")


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture that is a file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self) -> int:
        """In bytes. Raises OSError."""
        return self.path.stat().st_size

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        return self.path.read_bytes()


def at_home(path: str | Path) -> Path:
    """A path in which ``~`` is the user's home: behind a ``:`` or a ``=`` no shell expands it."""
    return Path(os.path.expanduser(path))


class Folder:
    """A folder of pictures, by the names that a data set gives them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = 0  # which of a name's places was the last right one

    def find(self, name: str) -> PictureFile | None:
        """The file of a name, or None."""
        tried = places(name)
        first = self._place if self._place < len(tried) else 0
        for place in (first, *range(len(tried))):
            path = self.path / tried[place]
            if os.path.isfile(path):
                self._place = place
                return PictureFile(path)
        return None


def folder_of(names: Sequence[str], images: Path | None, beside: Path) -> Folder:
    """The folder that was given, or the first usual one beside the captions with such a picture.

    Args:
        names: of pictures; the first `GUESS_BY` are looked for.
        images: the folder that the user named.
        beside: the captions' file.

    Raises:
        UsageError: no picture is there; the message says where it was looked for.
    """
    if images is not None and not images.is_dir():
        raise UsageError(f"{images} is not a folder.", advice="Check --images.")
    tried = [images] if images is not None else list(dict.fromkeys(_usual(beside)))
    for path in tried:
        folder = Folder(path)
        if any(folder.find(name) for name in islice(names, GUESS_BY)):
            return folder
    if images is not None and any(Folder(images).find(name) for name in names[GUESS_BY:]):
        return Folder(images)
    raise UsageError(
        f"The pictures of {beside} were not found: no {printable(names[0])} or any other in "
        f"{', '.join(map(str, tried))}.",
        advice="Say where they are with --images FOLDER.",
    )


def places(name: str) -> tuple[str, ...]:
    """The paths below a folder at which a picture of this name may lie, the name itself first."""
    stem = without_suffix(name)
    written = (name,) if stem != name else (name, *(name + suffix for suffix in SUFFIXES))
    number = coco_number(name)
    return tuple(dict.fromkeys((*written, *_coco_places(number)))) if number else written


def coco_number(name: str) -> str:
    """The twelve digits at the end of a COCO picture's name; "" for another name."""
    found = _COCO.search(without_suffix(name))
    return found[1] if found else ""


def without_suffix(name: str) -> str:
    """A name without the suffix of a picture, if it has one."""
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name


def refuse_escapes(path: Path, names: Iterable[str]) -> None:
    """Refuse a data set that names a file outside the folder of its pictures.

    Raises:
        UsageError: a name is empty, absolute, holds ``..`` or a NUL.
    """
    for name in names:
        if not name or "\0" in name:
            raise UsageError(
                f"{path} names a picture as no file can be called: {name!a}.",
                advice="Mend its name.",
            )
        if os.path.isabs(name) or ".." in name.split("/"):
            raise UsageError(
                f"{path} names a picture outside its folder: {name!a}.",
                advice="Mend its name; it must lie below --images.",
            )


def _coco_places(number: str) -> Iterator[str]:
    yield f"{number}.jpg"
    for part in ("train2017", "val2017"):
        yield f"{part}/{number}.jpg"
    for part in ("train2014", "val2014"):
        yield f"COCO_{part}_{number}.jpg"
        yield f"{part}/COCO_{part}_{number}.jpg"


def _usual(captions: Path) -> Iterator[Path]:
    """``images/`` and its like, or COCO's ``annotations/captions_X.json`` beside ``X/``."""
    part = captions.stem.removeprefix("captions_")
    for base in (captions.parent, captions.absolute().parent.parent):
        for name in (*_FOLDERS, part):
            yield base / name
    yield captions.parent
    yield captions.absolute().parent.parent
