"""What of a data set a collection holds, and what of it a task may not find by.

Gets: a direction or a task whose pictures were read, a document store. Gives: keys of hits, ids of
documents to hide. Touches: the document store, read-only. Never: a search.

Data sets and collections meet in the bytes: a picture is the asset of its hash, a caption the
document of its text in that asset, white space in single spaces.

Where captions are held in (searchable, and never asked with), everything else that is written of
the data's pictures is hidden, and so is every document anywhere with a text that asks: whether a
sample asks it or not, and however it is spelt (case, accents' forms, punctuation and the script of
Chinese aside).

What is said in a film or a recording is a part of it, and may be found by. Their captions are
hidden in the same way, held in or not.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ..protocols import DocumentStore
from ..words import one_script
from .qrels import owners
from .schema import Dataset
from .tasks import Task, is_timed


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a task may not find by.

    Attributes:
        documents: their ids.
        lacking: how many captions that are held in the store doesn't hold.
    """

    documents: frozenset[str] = frozenset()
    lacking: int = 0


def keys_of(direction: Dataset, documents: DocumentStore) -> list[str | None]:
    """What each item of the corpus is among hits: an asset, or for a text a document's id.

    None for what the store doesn't hold.
    """
    if direction.corpus[0].media is not None:
        assets = [item.asset for item in direction.corpus]
        known = documents.of_assets(sorted(set(assets)))
        return [asset if asset in known else None for asset in assets]
    pictures = {item.id: item.asset for item in direction.queries}
    captions = {
        (asset, _words(document.text)): document.id
        for asset, of_asset in documents.of_assets(sorted(set(pictures.values()) - {""})).items()
        for document in of_asset
        if document.is_caption and document.text is not None
    }
    pictures_of = owners(direction)
    found = (
        (captions.get((pictures[name], _words(item.text))) for name in pictures_of.get(item.id, ()))
        for item in direction.corpus
    )
    return [next((key for key in keys if key is not None), None) for keys in found]


def hidden_from(task: Task, documents: DocumentStore) -> Hidden:
    """The documents to hide while a task asks; of pictures none where no captions are held in."""
    direction = task.direction
    timed = is_timed(direction)
    if not task.held_in and not timed:
        return Hidden()
    pictures = {item.id: item.asset for item in direction.corpus}
    kept, asked = set(), set()
    for item in direction.queries:
        if item.id in task.held_in:
            relevant = (name for name, gain in direction.qrels[item.id].items() if gain > 0)
            kept |= {(pictures[name], _words(item.text)) for name in relevant}
        else:
            asked.add(_letters(item.text))
    of_data, found, hidden = set(pictures.values()), set(), []
    for document in documents.scan():
        if document.text is None or (timed and not document.is_caption):
            continue
        words = _words(document.text)
        is_held_in = (document.asset, words) in kept
        if is_held_in:
            found.add((document.asset, words))
        if _letters(words) in asked or (document.asset in of_data and not is_held_in):
            hidden.append(document.id)
    return Hidden(frozenset(hidden), len(kept - found))


def _words(text: str) -> str:
    """A text as captions are kept: white space in single spaces."""
    return " ".join(text.split())


def _letters(text: str) -> str:
    """What two spellings of one text share: its letters and digits; all of it where it has none."""
    plain = one_script(unicodedata.normalize("NFKC", text).casefold())
    return "".join(filter(str.isalnum, plain)) or plain
