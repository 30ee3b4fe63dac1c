"""Perturbed queries and pictures: how much of the recall is left when they aren't clean.

Gets: changes as a person lists them; a decoded picture or a text. Gives: the same, changed.
Touches: nothing: pure. Never: the clock, or chance that can't be repeated: what is random follows
from the content that is changed and the change's name, so copies are spoilt alike.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image, ImageFilter

from ..errors import UsageError
from ..media import Picture

Content = TypeVar("Content", Picture, str)

# Scripts that put no spaces between words: kana, bopomofo, Han.
_DENSE = "\u3040-\u312f\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TYPED = re.compile(f"[{_DENSE}]{{2,}}|[^\\W\\d_{_DENSE}]{{3,}}")  # what can get a typo
_IS_DENSE = re.compile(f"[{_DENSE}]")
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class Change:
    """One way to spoil a picture or a text.

    Attributes:
        name: as a person writes it, in one spelling: ``blur:2``, ``grey``.
        modality: what it changes.
        amount: of what its kind measures; 0 where there is nothing to measure.
    """

    name: str
    modality: Literal["image", "text"]
    amount: float = 0.0

    def of(self, value: Content, seed_text: str) -> Content:
        """The changed picture or text.

        Args:
            value: (h, w, 3) uint8 RGB, as it is decoded for the encoder; or a text.
            seed_text: tells the content: the text, or the hash of a picture's bytes. The same is
                changed in the same way each time.
        """
        digest = hashlib.sha256(f"{self.name}\0{seed_text}".encode(errors="surrogatepass")).digest()
        chance = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        changed: Content = _KINDS[self.name.partition(":")[0]].apply(value, self.amount, chance)
        return changed


@dataclass(frozen=True, slots=True)
class _Kind:
    """Attributes: apply(value, amount, chance); what the amount is, and its ends; whole numbers."""

    modality: Literal["image", "text"]
    apply: Callable[[Any, float, np.random.Generator], Any]
    amount: str = ""
    low: float = 0.0
    high: float = 0.0
    whole: bool = False


def parse_changes(text: str) -> tuple[Change, ...]:
    """Parse ``blur:2,noise:0.1,grey``; a change that is named twice counts once.

    Raises:
        UsageError: an unknown change, an amount that is missing, not wanted or out of range.
    """
    changes = [_parse(part.strip().lower()) for part in text.split(",")]
    return tuple({change.name: change for change in changes}.values())


def _parse(text: str) -> Change:
    name, colon, given = text.partition(":")
    name = {"gray": "grey"}.get(name, name)
    kind = _KINDS.get(name)
    if kind is None:
        raise _refused(f"`{text}` is no change that is known." if text else "A change is empty.")
    if not kind.amount:
        if colon:
            raise _refused(f"`{name}` takes no amount (`{text}`).")
        return Change(name, kind.modality)
    try:
        amount = float(given)
    except ValueError:
        raise _refused(f"`{text}` has no amount: {kind.amount}.") from None
    if not kind.low <= amount <= kind.high or (kind.whole and amount != int(amount)):
        ends = f"{'a whole number ' if kind.whole else ''}from {kind.low:g} to {kind.high:g}"
        raise _refused(f"`{text}` is out of range: {kind.amount}, {ends}.")
    return Change(f"{name}:{amount:.6g}", kind.modality, amount)


def _refused(message: str) -> UsageError:
    forms: dict[str, list[str]] = {"image": [], "text": []}
    for name, kind in _KINDS.items():
        forms[kind.modality].append(f"{name}:N" if kind.amount else name)
    return UsageError(
        message,
        advice=f"Of pictures: {', '.join(forms['image'])}; of words: {', '.join(forms['text'])}. "
        "For example: blur:2,jpeg:20,typo:0.1",
    )


def _blur(picture: Picture, sigma_px: float, _chance: np.random.Generator) -> Picture:
    """A Gaussian of this standard deviation."""
    return np.array(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma_px)))


def _noise(picture: Picture, share: float, chance: np.random.Generator) -> Picture:
    """Gaussian noise on each value of each colour, cut off at black and white."""
    noise = chance.standard_normal(picture.shape, np.float32) * np.float32(share * 255)
    noisy: Picture = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    return noisy


def _jpeg(picture: Picture, quality: float, _chance: np.random.Generator) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=int(quality))
    with Image.open(file, formats=["JPEG"]) as image:
        return np.array(image)


def _rotate(picture: Picture, degrees: float, _chance: np.random.Generator) -> Picture:
    """Counter-clockwise, nothing cut off; the new corners have the picture's mean colour."""
    mean = tuple(int(value) for value in np.rint(picture.mean(axis=(0, 1))))
    return np.array(
        Image.fromarray(picture).rotate(
            degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=mean
        )
    )


def _grey(picture: Picture, _amount: float, _chance: np.random.Generator) -> Picture:
    """Luminance by ITU-R 601, in all three colours."""
    return np.array(Image.fromarray(picture).convert("L").convert("RGB"))


def _crop(picture: Picture, share: float, _chance: np.random.Generator) -> Picture:
    """The middle, `share` of each side."""
    sides = picture.shape[:2]
    kept = [max(1, round(side * share)) for side in sides]
    top, left = ((side - keep) // 2 for side, keep in zip(sides, kept, strict=True))
    return picture[top : top + kept[0], left : left + kept[1]].copy()


def _typo(text: str, share: float, chance: np.random.Generator) -> str:
    """Each word of 3 letters or more gets one typo with probability `share`.

    In scripts without spaces each character changes places with the next with that probability.
    Everything else, white space too, stays as it is.
    """

    def spoilt(found: re.Match[str]) -> str:
        word = found[0]
        if _IS_DENSE.match(word):
            return _shuffled(word, share, chance)
        return _mistyped(word, chance) if chance.random() < share else word

    return _TYPED.sub(spoilt, text)


def _shuffled(word: str, share: float, chance: np.random.Generator) -> str:
    letters, place = list(word), 0
    while place + 1 < len(letters):
        both = letters[place] + letters[place + 1]  # among them are marks, and what isn't assigned
        if chance.random() < share and both.isalpha():
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
            place += 1
        place += 1
    return "".join(letters)


def _mistyped(word: str, chance: np.random.Generator) -> str:
    """One of: two letters swapped, a letter lost, doubled, or taken for its neighbour's key."""
    place = int(chance.integers(len(word)))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    results = [before + after, before + letter + letter + after]
    if after and after[0] != letter:
        results.append(before + after[0] + letter + after[1:])
    near = _neighbours(letter)
    if near:
        results.append(before + near[int(chance.integers(len(near)))] + after)
    return results[int(chance.integers(len(results)))]


def _neighbours(letter: str) -> str:
    """The keys left and right of a letter's, in its case; none for a letter without such a key."""
    for row in _KEYBOARD:
        place = row.find(letter.lower())
        if place >= 0:
            near = row[max(0, place - 1) : place] + row[place + 1 : place + 2]
            return near.upper() if letter.isupper() else near
    return ""


_KINDS: Mapping[str, _Kind] = {
    "blur": _Kind("image", _blur, "sigma in pixels", 0.1, 100),
    "noise": _Kind("image", _noise, "standard deviation as a share of white", 0.001, 1),
    "jpeg": _Kind("image", _jpeg, "quality", 1, 95, whole=True),
    "rotate": _Kind("image", _rotate, "degrees counter-clockwise", -360, 360),
    "grey": _Kind("image", _grey),
    "crop": _Kind("image", _crop, "share of each side that is kept", 0.05, 1),
    "typo": _Kind("text", _typo, "share of words", 0, 1),
    "lower": _Kind("text", lambda text, _amount, _chance: text.lower()),
    "upper": _Kind("text", lambda text, _amount, _chance: text.upper()),
}
