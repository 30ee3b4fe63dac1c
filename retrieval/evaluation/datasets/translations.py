"""Captions of another file for the pictures of a data set: COCO-CN, Flickr8k-CN, XM3600.

Gets: the data set's content and that of the captions. Gives: the data set's with those captions.
Touches: nothing. Never: keeps one of the data set's own captions.

Files call one picture by different names: ``val2014/COCO_val2014_000000043734.jpg``,
``COCO_val2014_000000043734``, ``000000043734.jpg``. A name is the same when it is equal, or equal
without folder or suffix, or ends in the same COCO number. A form that two pictures of the data set
share tells nothing and is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from .gather import Caption, Content, Picture, Problems
from .pictures import coco_number, without_suffix


def translated(content: Content, captions: Content) -> Content:
    """`content` with the captions of another file, whatever split that gives them.

    A picture without one stays, and is counted later; a caption for no picture of any split is
    counted here.
    """
    problems = Problems()
    name_of = _names(content.pictures)
    found: dict[str, list[Caption]] = defaultdict(list)
    for picture in captions.pictures:
        name = next((name_of[form] for form in _forms(picture.name) if form in name_of), None)
        if name is not None:
            found[name] += picture.captions
            continue
        for caption in picture.captions:
            problems.add("captions without an image", caption.id)
    pictures = [replace(one, captions=found.get(one.name, ())) for one in content.pictures]
    problems.extend(content.problems)
    problems.extend(captions.problems)
    return replace(content, pictures=pictures, problems=problems, ids="")


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
