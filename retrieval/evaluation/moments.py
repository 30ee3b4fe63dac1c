"""The nouns of moments: a question, the windows of its film that answer it, and what was guessed.

Gets and gives: frozen values. Touches: nothing. Never: a store, an encoder, a film's bytes.

All times are in seconds from the film's beginning, windows half-open as `schema.Span` is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..schema import FieldValue
from .schema import Dataset, Item

Window = tuple[float, float]
CLIP_S = 2.0  # seconds of a clip that people judged how telling it is (QVHighlights)


@dataclass(frozen=True, slots=True)
class Saliency:
    """How telling the clips of a film are for a question, as people judged it.

    Attributes:
        clips: numbers, from 0, of the clips of `CLIP_S` seconds that were judged.
        scores: of each of these clips, one by each person, from 0 to 4. Other clips have 0.
        count: how many whole clips the film has.
    """

    clips: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    count: int


@dataclass(frozen=True, slots=True)
class MomentQuery:
    """A question that parts of one film answer.

    Attributes:
        film: id of the film.
        windows: of it, each an answer; at least one.
        saliency: None where nobody judged it.
        fields: what slices go by.
    """

    id: str
    text: str
    film: str
    windows: tuple[Window, ...]
    saliency: Saliency | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    @property
    def item(self) -> Item:
        """It, as a text that asks."""
        return Item(self.id, "text", self.text, fields=self.fields)


@dataclass(frozen=True, slots=True)
class MomentSet:
    """Questions and the films that they are about, each with its windows.

    Attributes:
        data: the questions, the films, and which film each question is about.
        answers: by question, the windows of its film, and how telling the clips are. A question
            without windows is one of `data` alone.
        whole: what films are asked for with as a whole, where that isn't `data`: the paragraphs of
            DiDeMo. Its films have the same ids.
    """

    data: Dataset
    answers: Mapping[str, tuple[tuple[Window, ...], Saliency | None]]
    whole: Dataset | None = None

    @property
    def name(self) -> str:
        """What it was read from."""
        return self.data.name

    @property
    def films(self) -> tuple[Item, ...]:
        """In the order of the data set."""
        return self.data.corpus

    @property
    def queries(self) -> tuple[MomentQuery, ...]:
        """Those that have windows."""
        found = []
        for item in self.data.queries:
            windows, saliency = self.answers.get(item.id, ((), None))
            if windows:
                film = next(name for name, gain in self.data.qrels[item.id].items() if gain > 0)
                asked = MomentQuery(item.id, item.text, film, windows, saliency, item.fields)
                found.append(asked)
        return tuple(found)

    def of(self, data: Dataset) -> MomentSet:
        """The same windows, of what is left of the data set."""
        return replace(self, data=data)


@dataclass(frozen=True, slots=True)
class Guess:
    """A moment that a search gave; it gave better ones before it.

    Attributes:
        film: id of the film, "" for one that isn't of the data set.
        score: higher is better; told only from others of the same question.
    """

    film: str
    start: float
    end: float
    score: float = 0.0


Guesses = Mapping[str, Sequence[Guess]]
"""By question, what was found, best first; one that isn't there found nothing."""
