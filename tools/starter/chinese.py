"""Trains the Chinese text head against the finished vectors of pictures, which stay as they are.

Gets: features of photos and of Chinese captions, the picture's trained head. Gives: a head.
Touches: nothing; needs torch. Never: the English text tower.

The pictures' head has seen these photos, so their vectors fit their captions better than those of
new photos will. It is therefore run as in its own training, with features dropped and noise added,
a few times for each photo, and the Chinese head learns against what it gives then.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from . import heads
from .heads import Array, Head, Recipe

LOOKS = 4


def disturbed_looks(
    views: Array, classes: Array, members: Sequence[Head], projection: Array, recipe: Recipe
) -> torch.Tensor:
    """Finished vectors of n photos, (LOOKS * v, n, dim), each from features disturbed anew.

    Args:
        views: (v, n, f) standardised features, v ways to look at each photo.
        classes: (v, n, 384) their training-free block, weighted as in the space.
        members: of the trained head of pictures.
        projection: (members * width + 384, dim) float32.
        recipe: how much to disturb.
    """
    torch.manual_seed(0)
    matrix, finished = torch.from_numpy(projection), []
    with torch.no_grad():
        for _ in range(LOOKS):
            for view, named in zip(views, classes, strict=True):
                x = heads.disturbed(torch.from_numpy(view), recipe)
                trained = torch.cat([member(x) for member in members], 1) / len(members) ** 0.5
                both = torch.cat([trained, torch.from_numpy(named)], 1)
                finished.append(functional.normalize(both @ matrix, dim=1))
    return torch.stack(finished)


def train(looks: torch.Tensor, captions: Array, meaning: Array, recipe: Recipe) -> Head:
    """Train a text head for the finished space.

    Args:
        looks: (v, n, dim) finished vectors of n photos.
        captions: (n, c, g) standardised features of Chinese captions.
        meaning: (n, c, d) sentence vectors of the captions, centred, norm 1.
        recipe: its width is the space's dim.
    """
    torch.manual_seed(0)
    texts = Head(captions.shape[2], recipe)
    held = [torch.from_numpy(part).bfloat16() for part in (captions, meaning)]

    def loss(chosen: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        target = looks[torch.randint(len(looks), (len(chosen),)), chosen]
        y, said = (part.float() for part in heads.mixed_captions(held, chosen))
        mix = torch.distributions.Beta(1.0, 1.0).sample((len(chosen), 1))
        other = torch.randperm(len(chosen))
        target, y, said = (mix * p + (1 - mix) * p[other] for p in (target, y, said))
        read = texts(heads.disturbed(y, recipe))
        scores = heads.product(functional.normalize(target, dim=1), read)
        return heads.info_nce(scores * inverse, heads.targets(said, recipe))

    heads.fit([texts], loss, len(captions), recipe)
    return texts
