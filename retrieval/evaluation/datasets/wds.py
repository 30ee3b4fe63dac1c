"""CLIP_benchmark's WebDataset layout for retrieval: ``test/0.tar``, ``test/1.tar`` and so on.

Gets: a folder with ``dataset_type.txt`` (``retrieval``) and for each split ``nshards.txt`` and the
shards, in which ``KEY.jpg`` stands beside ``KEY.txt`` with a caption a line. Gives: the pictures of
one split, read from the shards where they lie. Touches: those files. Never: extracts one.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...errors import UsageError
from ...schema import printable
from .files import mended, not_utf8, unreadable
from .gather import Caption, Content, DatasetOptions, Picture, Problems, choose

_PICTURES = ("jpg", "png", "webp", "jpeg")
_SIZE = "nshards.txt"


@dataclass(frozen=True, slots=True)
class TarPicture:
    """A picture inside a tar: `length` bytes from `offset`."""

    shard: Path
    member: str
    offset: int
    length: int

    @property
    def name(self) -> str:
        return f"{self.shard}/{self.member}"

    def size(self) -> int:
        """In bytes."""
        return self.length

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.length)
        if len(data) != self.length:
            raise OSError(f"{self.name} is cut short")
        return data

    def open(self) -> BinaryIO:
        """The same. Raises OSError."""
        return io.BytesIO(self.read())


def recognises(path: Path) -> bool:
    """Whether it is a folder of this layout."""
    return (path / "dataset_type.txt").is_file() or any(path.glob(f"*/{_SIZE}"))


def read(path: Path, options: DatasetOptions) -> Content:
    """Read the pictures and captions of one split.

    Raises:
        UsageError: it isn't for retrieval, has no such split, or a shard can't be read.
    """
    kind = path / "dataset_type.txt"
    if kind.is_file() and kind.read_text("utf-8", "replace").strip() != "retrieval":
        raise UsageError(
            f"{kind} says that this is no data set for retrieval.",
            advice="Only pictures with captions can be evaluated.",
        )
    splits = sorted(size.parent.name for size in path.glob(f"*/{_SIZE}"))
    if not splits:
        raise UsageError(f"{path} has no split: no folder in it holds {_SIZE}.", advice=_LAYOUT)

    def count(split: str) -> int:
        return len(_pictures(path / split, Problems()))

    split = choose(path, splits, options.split, count)
    problems = Problems()
    return Content(path, _pictures(path / split, problems), problems)


def _pictures(folder: Path, problems: Problems) -> list[Picture]:
    return [
        picture for shard in _shards(folder, problems) for picture in _of_shard(shard, problems)
    ]


def _shards(folder: Path, problems: Problems) -> Iterator[Path]:
    shards = [folder / f"{number}.tar" for number in range(_size(folder / _SIZE))]
    for shard in sorted(set(folder.glob("*.tar")) - set(shards)):
        problems.add(f"shards that {_SIZE} doesn't count", shard.name)
    for shard in shards:
        if shard.is_file():
            yield shard
        else:
            problems.add("shards missing", f"{folder.name}/{shard.name}")


def _size(path: Path) -> int:
    """How many shards a split says it has."""
    try:
        text = path.read_text("utf-8-sig", "replace").strip()
    except OSError as error:
        raise unreadable(path, error) from error
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        said = f"it says `{printable(text[:40])}`" if text else "it is empty"
        raise UsageError(f"{path} holds no number of shards: {said}.", advice=_LAYOUT)
    return int(text)


def _of_shard(shard: Path, problems: Problems) -> Iterator[Picture]:
    split = shard.parent.name
    texts: dict[str, list[Caption]] = {}
    pictures: dict[str, TarPicture] = {}
    for key, suffix, media, text in _members(shard):
        known = pictures if suffix in _PICTURES else texts
        if key in known:
            problems.add("ids given twice", key)
        elif suffix in _PICTURES:
            pictures[key] = media
        else:
            texts[key] = [
                Caption(f"{key}#{number}", line, {"index": number})
                for number, line in enumerate(text.removesuffix("\n").split("\n"))
            ]
    for key, captions in texts.items():
        if key not in pictures:
            for caption in captions:
                problems.add("captions without an image", caption.id)
    for key, media in pictures.items():
        yield Picture(key, media.member, texts.get(key, []), split, media)


def _members(shard: Path) -> Iterator[tuple[str, str, TarPicture, str]]:
    """(key, suffix, place, text of a text) of each picture and text of a shard."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                folder, slash, base = member.name.rpartition("/")
                key, _, suffix = base.partition(".")
                suffix = suffix.lower()
                if not member.isfile() or suffix not in (*_PICTURES, "txt"):
                    continue
                file = tar.extractfile(member) if suffix == "txt" else None
                text = _text(shard, member.name, file.read()) if file else ""
                place = TarPicture(shard, member.name, member.offset_data, member.size)
                yield mended(folder + slash + key), suffix, place, text
    except OSError as error:
        raise unreadable(shard, error) from error
    except tarfile.TarError as error:
        raise UsageError(f"{shard} can't be read: {error}.", advice="Fetch it again.") from error


def _text(shard: Path, name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(Path(shard, name), data, error) from error


_LAYOUT = f"The layout is SPLIT/{_SIZE} beside SPLIT/0.tar, SPLIT/1.tar ..."
