"""Where the pictures, films or sounds of a data set lie.

Gets: the names that a data set gives them, and a folder or the place of its captions. Gives:
`PictureFile`s, the bytes of which are read later. Touches: about one stat a file. Never: opens or
decodes one; looks outside the folder.

Pictures of MS COCO are known by the number at the end of their name. The same photo is
``val2014/COCO_val2014_000000391895.jpg`` in 2014's folders and ``train2017/000000391895.jpg`` in
2017's, so a Karpathy split of 2014's names works on a copy of 2017's pictures. Films and sounds
come in whatever format somebody fetched them in: one that is named ``a.avi``, or just ``a``, may be
``a.mp4``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import BinaryIO

from ...errors import UsageError
from ...schema import Modality, printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # tried for a name that has none
# Those of films and sounds, which are also tried for a name that has another.
SUFFIXES_OF: Mapping[Modality, tuple[str, ...]] = MappingProxyType(
    {
        "video": (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".gif", ".mpg", ".wmv", ".3gp"),
        "audio": (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"),
    }
)
GUESS_BY = 100  # pictures that are looked for in each folder where they may be
_COCO = re.compile(r"(?:^|[/_])(\d{12})$")
# What the common downloads call the folder of their pictures.
_FOLDERS: Mapping[Modality, tuple[str, ...]] = MappingProxyType(
    {
        "image": ("images", "Images", "flickr30k-images", "flickr30k_images", "Flicker8k_Dataset"),
        "video": ("videos", "video", "clips", "TestVideo", "TrainValVideo", "YouTubeClips"),
        "audio": ("audio", "sounds", "wavs", "clotho_audio_files", "audios"),
    }
)
_CALLED: Mapping[Modality, str] = MappingProxyType(
    {"image": "pictures", "video": "videos", "audio": "sounds"}
)


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture, a film or a sound that is a file."""

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

    def open(self) -> BinaryIO:
        """To be read bit by bit. Raises OSError."""
        return self.path.open("rb")


def at_home(path: str | Path) -> Path:
    """A path in which ``~`` is the user's home: behind a ``:`` or a ``=`` no shell expands it."""
    return Path(os.path.expanduser(path))


class Folder:
    """A folder of pictures, films or sounds, by the names that a data set gives them."""

    def __init__(self, path: Path, modality: Modality = "image") -> None:
        self.path = path
        self._modality = modality
        self._place = 0  # which of a name's places was the last right one

    def find(self, *names: str) -> PictureFile | None:
        """The file of a name, or of the first of several that has one; or None."""
        tried = [place for name in names for place in places(name, self._modality)]
        first = self._place if self._place < len(tried) else 0
        for place in (first, *range(len(tried))):
            path = self.path / tried[place]
            if os.path.isfile(path):
                self._place = place
                return PictureFile(path)
        return None


def folder_of(
    names: Sequence[str | Sequence[str]],
    images: Path | None,
    beside: Path,
    modality: Modality = "image",
) -> Folder:
    """The folder that was given, or the first usual one beside the captions with such a file.

    Args:
        names: of pictures, films or sounds, each by one name or by several that it may have; the
            first `GUESS_BY` are looked for.
        images: the folder that the user named.
        beside: the captions' file.
        modality: which of these they are.

    Raises:
        UsageError: none of them is there; the message says where it was looked for.
    """
    if images is not None and not images.is_dir():
        raise UsageError(f"{images} is not a folder.", advice="Check --images.")
    each = [(name,) if isinstance(name, str) else tuple(name) for name in names]
    tried = [images] if images is not None else list(dict.fromkeys(_usual(beside, modality)))
    for path in tried:
        folder = Folder(path, modality)
        if any(folder.find(*some) for some in islice(each, GUESS_BY)):
            return folder
    if images is not None and any(Folder(images, modality).find(*some) for some in each[GUESS_BY:]):
        return Folder(images, modality)
    raise UsageError(
        f"The {_CALLED[modality]} of {beside} were not found: no {printable(each[0][0])} or any "
        f"other in {', '.join(map(str, tried))}.",
        advice="Say where they are with --images FOLDER.",
    )


def places(name: str, modality: Modality = "image") -> tuple[str, ...]:
    """The paths below a folder at which a file of this name may lie, the name itself first."""
    if modality != "image":
        suffixes = SUFFIXES_OF[modality]
        suffix = PurePosixPath(name).suffix
        stem = name.removesuffix(suffix) if suffix.lower() in suffixes else name
        return tuple(dict.fromkeys((name, *(stem + one for one in suffixes))))
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


def _usual(captions: Path, modality: Modality) -> Iterator[Path]:
    """``images/`` and its like, or COCO's ``annotations/captions_X.json`` beside ``X/``."""
    part = captions.stem.removeprefix("captions_")
    for base in (captions.parent, captions.absolute().parent.parent):
        for name in (*_FOLDERS[modality], part):
            yield base / name
    yield captions.parent
    yield captions.absolute().parent.parent
