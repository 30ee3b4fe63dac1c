"""The starter's encoders: small, offline, from weights that packages carry.

- `StarterEncoder` (``starter:``, ``starter:chinese``): heads trained on photos with captions, and
  the training-free block beside them.
- `ConseEncoder` (``conse:``): the training-free block alone.

Towers (`pictures`, `sentences`, `e5`) give features; `conse` and `heads` make vectors of them;
`encoder` puts the two together. Never: stores, the user's paths, the network; a text never loads
the picture's model, nor a picture a text's, nor one language the other's.
"""

from __future__ import annotations

from .conse import ConseEncoder
from .encoder import StarterEncoder

__all__ = ["ConseEncoder", "StarterEncoder"]
