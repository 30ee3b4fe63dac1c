"""Captions of another file for the pictures of a data set: COCO-CN, Flickr8k-CN, XM3600.

Gets: the data set's content and that of one or more files of captions. Gives: the data set's with
all those captions. Touches: nothing. Never: keeps one of the data set's own captions.

Files call one picture by different names: ``val2014/COCO_val2014_000000043734.jpg``,
``COCO_val2014_000000043734``, ``000000043734.jpg``. A name is the same when it is equal, or equal
without folder or suffix, or ends in the same COCO number. A form that two pictures of the data set
share tells nothing and is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...errors import UsageError
from .files import mended
from .gather import Caption, CaptionsFile, Content, Picture, Problems
from .pictures import coco_number, without_suffix


def translated(content: Content, files: Sequence[tuple[CaptionsFile, Content]]) -> Content:
    """`content` with the captions of other files, whatever splits those give them.

    A picture without one stays, and is counted later; a caption for no picture of any split is
    counted here. Several files may give their captions the same ids, which begin with the language
    then, or with the file's name.

    Raises:
        UsageError: a language was given for captions of several.
    """
    problems = Problems()
    problems.extend(content.problems)
    of_split: dict[str, Problems] = defaultdict(Problems)
    for split, some in content.of_split.items():
        of_split[split].extend(some)
    name_of = _names(content.pictures)
    found: dict[str, list[Caption]] = defaultdict(list)
    for prefix, (file, captions) in zip(_prefixes(files), files, strict=True):
        _refuse_several(file, captions)
        problems.extend(captions.problems)
        for split, some in captions.of_split.items():
            (of_split[split] if split else problems).extend(some)
        for picture in captions.pictures:
            name = next((name_of[form] for form in _forms(picture.name) if form in name_of), None)
            texts = [_labelled(caption, prefix, file.language) for caption in picture.captions]
            if name is not None:
                found[name] += texts
                continue
            for caption in texts:
                problems.add("captions without an image", caption.id)
    pictures = [replace(one, captions=found.get(one.name, ())) for one in content.pictures]
    return replace(content, pictures=pictures, problems=problems, of_split=of_split, ids="")


def _prefixes(files: Sequence[tuple[CaptionsFile, Content]]) -> list[str]:
    """What the ids of each file begin with: nothing where there is only one."""
    if len(files) == 1:
        return [""]
    names = [file.language or captions.path.stem for file, captions in files]
    return [
        f"{name}:" if names.count(name) == 1 else f"{name}-{place}:"
        for place, name in enumerate(names, start=1)
    ]


def _labelled(caption: Caption, prefix: str, language: str) -> Caption:
    fields = {**caption.fields, "language": language} if language else caption.fields
    return Caption(mended(prefix + caption.id), caption.text, fields)


def _refuse_several(file: CaptionsFile, captions: Content) -> None:
    told = {
        str(caption.fields["language"])
        for picture in captions.pictures
        for caption in picture.captions
        if "language" in caption.fields
    }
    if file.language and len(told) > 1:
        some = ", ".join(sorted(told)[:5]) + ", ..." * (len(told) > 5)
        raise UsageError(
            f"{captions.path} says itself of which language each caption is: {some}.",
            advice=f"Leave out `{file.language}=`.",
        )


def _names(pictures: Iterable[Picture]) -> dict[str, str]:
    """The picture's name by each form of it that is no other picture's."""
    names = dict.fromkeys(picture.name for picture in pictures)
    forms = [(form, name) for name in names for form in _forms(name)]
    count = Counter(form for form, _ in forms)
    unique = {form: name for form, name in forms if count[form] == 1}
    return unique | {name: name for name in names}


def _forms(name: str) -> dict[str, None]:
    """A name's forms, the closest first."""
    base = name.rpartition("/")[2]
    forms = (name, without_suffix(name), base, without_suffix(base), coco_number(name))
    return dict.fromkeys(form for form in forms if form)
