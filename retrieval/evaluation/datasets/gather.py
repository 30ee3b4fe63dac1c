"""What the readers share: pictures, films or sounds with captions become a `Dataset`.

Gets: a reader's `Content` and the user's options. Gives: a `Dataset`, in which everything that was
left out is a counted `Problem`. Touches: about one stat a file. Never: opens one.

Texts ask here, for pictures, films or sounds; `retrieval.evaluation.qrels.turned` gives the other
direction. Where a data set has classes instead of captions, a class is one question, and everything
in it answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UsageError
from ...schema import FieldValue, Modality, printable
from ..moments import Saliency, Window
from ..schema import EXAMPLES, NOUNS, Dataset, Item, Media, Problem
from .files import mended
from .pictures import at_home, folder_of

_LANGUAGE = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True, slots=True)
class CaptionsFile:
    """A file of captions for the pictures of a data set.

    Attributes:
        source: ``FORMAT:PATH``, or a path whose format shows.
        language: of all its captions; "" leaves it to the file, if that tells.
    """

    source: str | Path
    language: str = ""

    @classmethod
    def parse(cls, text: str) -> CaptionsFile:
        """From ``[LANGUAGE=]SOURCE``; a path that exists is one, whatever it is called."""
        language, equals, source = text.partition("=")
        if equals and not Path(text).exists() and _LANGUAGE.fullmatch(language):
            return cls(source, language)
        return cls(text)


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """How a data set is read. In its paths ``~`` is the user's home.

    Attributes:
        images: the folder of its pictures, films or sounds; None looks in the usual places beside
            the captions.
        split: None takes the only one there is, else ``test``.
        split_file: Karpathy's JSON, beside captions in COCO's format; the list of the test videos
            of MSR-VTT, such as 1k-A.
        captions: files of captions for the same pictures, in other languages; all of them take
            the place of the data set's own.
        per_image: only the first so many captions of each picture, and of each language. 5 is the
            papers' habit; a few pictures of COCO have more.
    """

    images: Path | None = None
    split: str | None = None
    split_file: Path | None = None
    captions: tuple[CaptionsFile, ...] = ()
    per_image: int | None = None

    def __post_init__(self) -> None:
        for name in ("images", "split_file"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, at_home(path))


class Problems:
    """Counts what is wrong, with the first few examples of each kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, what: str, example: str) -> None:
        """One more."""
        self._counts[what] += 1
        examples = self._examples.setdefault(what, [])
        if len(examples) < EXAMPLES:
            examples.append(printable(mended(example)))

    def extend(self, others: Problems) -> None:
        """Those of another reader beside these."""
        self._counts.update(others._counts)
        for what, examples in others._examples.items():
            known = self._examples.setdefault(what, [])
            known += examples[: EXAMPLES - len(known)]

    def all(self) -> tuple[Problem, ...]:
        """As they came up."""
        return tuple(
            Problem(what, count, tuple(self._examples[what]))
            for what, count in self._counts.items()
        )


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption as it was read; an empty or repeated one is sorted out later.

    Attributes:
        fields: ``language`` where it is known, ``index`` among its picture's captions, columns.
        windows: the parts of the film that it describes; () for one of the whole.
        saliency: how telling its clips are, where people judged that.
    """

    id: str
    text: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    saliency: Saliency | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, a film or a sound as the data set lists it.

    Attributes:
        name: relative to the folder of pictures.
        media: of a picture that is no file of that folder.
        also: other names that its file may have.
    """

    id: str
    name: str
    captions: Sequence[Caption]
    split: str = ""
    media: Media | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader read, of all splits.

    Attributes:
        path: what was read.
        ids: as in `Dataset.ids`.
        of_split: problems that only count when that split is taken.
        modality: of what it calls pictures.
        classes: whether its captions are names of classes: equal ones are one question then.
    """

    path: Path
    pictures: Sequence[Picture]
    problems: Problems
    ids: str = ""
    of_split: Mapping[str, Problems] = field(default_factory=dict)
    modality: Modality = "image"
    classes: bool = False


def gather(content: Content, options: DatasetOptions) -> Dataset:
    """Make the data set of one split.

    Raises:
        UsageError: there is no such split, or none can be chosen; no picture is found, or none has
            a caption.
    """
    counts = Counter(picture.split for picture in content.pictures)
    noun = NOUNS[content.modality]
    split = choose(content.path, list(counts), options.split, lambda name: counts[name], noun)
    problems = Problems()
    unique = _unique([one for one in content.pictures if one.split == split], problems)
    found = _found(content, unique, options.images, problems)
    captions = _captions(content, unique, found, options.per_image, problems)
    corpus = tuple(
        Item(one.id, content.modality, media=found[one.id], fields={"name": one.name})
        for one in unique
        if one.id in found
    )
    if not captions:
        what = {"images": "picture"}.get(noun, noun.removesuffix("s"))
        raise UsageError(
            f"No {what} of {content.path}{_in(split)} has a caption: {len(corpus):,} were found.",
            advice="Check --captions and --split.",
        )
    every = Problems()
    for some in (content.problems, content.of_split.get(split, Problems()), problems):
        every.extend(some)
    qrels: dict[str, dict[str, float]] = {}
    for caption, picture in captions:
        qrels.setdefault(caption.id, {})[picture] = 1.0
    return Dataset(
        name=str(content.path),
        queries=tuple(_query(one, split) for one in {c.id: c for c, _ in captions}.values()),
        corpus=corpus,
        qrels=qrels,
        split=split,
        problems=every.all(),
        ids=content.ids,
    )


def choose(
    path: Path,
    splits: Sequence[str],
    wanted: str | None,
    count: Callable[[str], int],
    of: str = "images",
) -> str:
    """The split that is meant: the wanted one, the only one, or ``test``.

    Args:
        path: the data set, for the message.
        splits: those there are; "" stands for what is in none.
        wanted: None leaves it open.
        count: how much a split holds; asked only for the message.
        of: what is counted.

    Raises:
        UsageError: there is no such split, or none can be chosen.
    """
    if wanted in splits and wanted is not None:
        return wanted
    if wanted is None and len(splits) == 1:
        return splits[0]
    if wanted is None and "test" in splits:
        return "test"
    there = ", ".join(f"{one or '(none)'} ({count(one):,} {of})" for one in splits)
    if not splits:
        raise UsageError(f"{path} lists no {of}.", advice="Check the file and its format.")
    if set(splits) == {""}:
        raise UsageError(f"{path} has no splits, and no `{wanted}`.", advice="Leave --split out.")
    if wanted is None:
        raise UsageError(f"{path} has several splits: {there}.", advice="Choose one with --split.")
    raise UsageError(f"{path} has no split `{wanted}`.", advice=f"There are: {there}.")


def _unique(pictures: Iterable[Picture], problems: Problems) -> list[Picture]:
    """The first picture of each id."""
    first: dict[str, Picture] = {}
    for picture in pictures:
        if first.setdefault(picture.id, picture) is not picture:
            problems.add("ids given twice", picture.id)
    return list(first.values())


def _found(
    content: Content, pictures: Sequence[Picture], images: Path | None, problems: Problems
) -> dict[str, Media]:
    """Where the bytes of each picture are, by id; those that are nowhere are problems."""
    found: dict[str, Media] = {one.id: one.media for one in pictures if one.media is not None}
    files = [picture for picture in pictures if picture.media is None]
    if not files:
        return found
    names = [(picture.name, *picture.also) for picture in files]
    folder = folder_of(names, images, content.path, content.modality)
    for picture in files:
        media = folder.find(picture.name, *picture.also)
        if media is None:
            problems.add(f"{NOUNS[content.modality]} missing", picture.name)
        else:
            found[picture.id] = media
    return found


def _captions(
    content: Content,
    pictures: Iterable[Picture],
    found: Mapping[str, Media],
    per_image: int | None,
    problems: Problems,
) -> list[tuple[Caption, str]]:
    """The captions that ask, each with the id of its picture; a class may come several times."""
    known: set[str] = set()
    kept = []
    noun = NOUNS[content.modality]
    a_noun = "an image" if content.modality == "image" else f"a {noun.removesuffix('s')}"
    for picture in pictures:
        of_language: Counter[FieldValue] = Counter()
        for caption in picture.captions:
            language = caption.fields.get("language", "")
            if picture.id not in found:
                problems.add(f"captions without {a_noun}", caption.id)
            elif not mended(caption.text):
                problems.add("empty captions", caption.id)
            elif caption.id in known and not content.classes:
                problems.add("ids given twice", caption.id)
            elif per_image is None or of_language[language] < per_image:
                of_language[language] += 1
                known.add(caption.id)
                kept.append((caption, picture.id))
        if picture.id in found and not of_language:
            problems.add(f"{noun} without a caption", picture.name)
    return kept


def _query(caption: Caption, split: str) -> Item:
    fields = {**caption.fields, "split": split} if split else caption.fields
    return Item(caption.id, "text", mended(caption.text), fields=fields)


def _in(split: str) -> str:
    return f", split {split}," if split else ""
