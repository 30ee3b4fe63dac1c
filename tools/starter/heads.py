"""Trains the heads: frozen towers' features in, a head for pictures and one for texts out.

Gets: features of photos and of their captions. Gives: members of a head, as NumPy arrays. Touches:
nothing; needs torch. Never: a tower, the dev split.

Six thousand photos are few, so nearly all of the recipe is against learning them by heart: the
photo or its mirror image, a random mix of two of its captions, two photos mixed with both sides at
one weight, features dropped and noise added. The loss is InfoNCE both ways; its targets may be
softened by how alike the captions are by the untrained sentence model, since two photos of a dog in
snow should not push each other away. That alone gives no more, but a member of each kind do.

Multiplications are in bfloat16, which is several times as fast on processors that have it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Array = np.ndarray[Any, np.dtype[np.float32]]
CLIP = 8.0


@dataclass(frozen=True)
class Recipe:
    """How a member is trained.

    Attributes:
        hidden, width: units of the hidden layer, dimensions that come out.
        epochs, batch: length of the training, photos in a step.
        rate, decay: learning rate at its peak (one cycle), weight decay of matrices.
        dropout, input_dropout, noise: of hidden units; of features; Gaussian, in their spread.
        temperature: of the loss at the start; it is learned.
        softness, softness_temperature: share of the softened targets, and how soft they are.
        seed: of everything random.
    """

    hidden: int = 384
    width: int = 256
    epochs: int = 60
    batch: int = 1000
    rate: float = 3e-3
    decay: float = 1.0
    dropout: float = 0.5
    input_dropout: float = 0.4
    noise: float = 0.6
    temperature: float = 0.05
    softness: float = 0.0
    softness_temperature: float = 0.06
    seed: int = 0


@dataclass(frozen=True)
class Scale:
    """What standardises features: ``(x - mean) * scale``, clipped."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, features: Array) -> Scale:
        spread = features.std(axis=0)
        scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0)
        return cls(features.mean(axis=0), scale.astype(np.float32))

    def __call__(self, features: Array) -> Array:
        return np.clip((features - self.mean) * self.scale, -CLIP, CLIP).astype(np.float32)


class Head(torch.nn.Module):
    """``unit(W1 x + b1 + W3 drop(gelu(W2 x + b2)))``."""

    def __init__(self, features: int, recipe: Recipe) -> None:
        super().__init__()
        self.dropout = recipe.dropout
        self.w1 = torch.nn.Linear(features, recipe.width)
        self.w2 = torch.nn.Linear(features, recipe.hidden)
        self.w3 = torch.nn.Linear(recipe.hidden, recipe.width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = functional.gelu(product(x, self.w2.weight) + self.w2.bias)
        hidden = functional.dropout(hidden, self.dropout, self.training)
        y = product(x, self.w1.weight) + self.w1.bias + product(hidden, self.w3.weight)
        return functional.normalize(y, dim=1)

    def arrays(self) -> dict[str, Array]:
        found = {"w1": self.w1.weight, "w2": self.w2.weight, "w3": self.w3.weight}
        found |= {"b1": self.w1.bias, "b2": self.w2.bias}
        return {name: tensor.detach().numpy() for name, tensor in found.items()}


def train_pair(views: Array, captions: Array, meaning: Array, recipe: Recipe) -> tuple[Head, Head]:
    """Train a picture's and a text's head together.

    Args:
        views: (v, n, f) standardised features of n photos, v ways to look at each.
        captions: (n, c, g) standardised features of the c captions of each.
        meaning: (n, c, d) sentence vectors of the captions, centred, norm 1.
        recipe: the recipe.
    """
    torch.manual_seed(recipe.seed)
    pictures, texts = Head(views.shape[2], recipe), Head(captions.shape[2], recipe)
    held = [torch.from_numpy(part).bfloat16() for part in (captions, meaning)]
    seen = torch.from_numpy(views).bfloat16()

    def loss(chosen: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        x = seen[torch.randint(len(seen), (len(chosen),)), chosen].float()
        y, said = (part.float() for part in mixed_captions(held, chosen))
        mix = torch.distributions.Beta(1.0, 1.0).sample((len(chosen), 1))
        other = torch.randperm(len(chosen))
        x, y, said = (mix * part + (1 - mix) * part[other] for part in (x, y, said))
        scores = product(pictures(disturbed(x, recipe)), texts(disturbed(y, recipe)))
        return info_nce(scores * inverse, targets(said, recipe))

    fit([pictures, texts], loss, views.shape[1], recipe)
    return pictures, texts


def fit(
    heads: list[Head],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    photos: int,
    recipe: Recipe,
) -> None:
    """Minimise ``loss(chosen photos, 1 / temperature)`` over all epochs, in one cycle."""
    inverse = torch.nn.Parameter(torch.tensor(-np.log(recipe.temperature), dtype=torch.float32))
    named = [item for head in heads for item in head.named_parameters()]
    groups = [
        {
            "params": [p for n, p in named if n.endswith("weight")],
            "weight_decay": recipe.decay,
        },
        {
            "params": [*(p for n, p in named if n.endswith("bias")), inverse],
            "weight_decay": 0.0,
        },
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, fused=True)
    steps = photos // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.epochs * steps
    )
    begun = time.monotonic()
    for _ in range(recipe.epochs):
        order = torch.randperm(photos)
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            value = loss(chosen, inverse.exp().clamp(max=100))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
    for head in heads:
        head.eval()
    temperature = 1 / inverse.exp().item()
    print(
        f"  trained in {time.monotonic() - begun:.0f} s, loss {value.item():.3f}, "
        f"temperature {temperature:.3f}",
        flush=True,
    )


def info_nce(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy both ways of (n, n) scores against rows of targets."""
    forth = (targets * functional.log_softmax(scores, 1)).sum(1).mean()
    back = (targets * functional.log_softmax(scores.t(), 1)).sum(1).mean()
    return -(forth + back) / 2


def mixed_captions(parts: Sequence[torch.Tensor], chosen: torch.Tensor) -> list[torch.Tensor]:
    """Of each part (n, c, d), a random mix of two captions of each chosen photo, alike in all."""
    n, count = len(chosen), parts[0].shape[1]
    one, two = torch.randint(count, (2, n))
    share = torch.rand(n, 1).to(parts[0].dtype)
    return [share * part[chosen, one] + (1 - share) * part[chosen, two] for part in parts]


def disturbed(x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Features with some dropped and noise added."""
    x = functional.dropout(x, recipe.input_dropout)
    return x + recipe.noise * torch.randn_like(x)


def targets(said: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """(n, n), rows add up to 1: which captions fit which photo, how well."""
    exact = torch.eye(len(said))
    if not recipe.softness:
        return exact
    said = functional.normalize(said, dim=1)
    alike = (said @ said.t()).fill_diagonal_(1.0) / recipe.softness_temperature
    return recipe.softness * functional.softmax(alike, 1) + (1 - recipe.softness) * exact


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a @ b.T`` in bfloat16."""
    return (a.bfloat16() @ b.bfloat16().t()).float()
