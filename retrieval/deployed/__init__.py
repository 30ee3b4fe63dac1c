"""The deployed way of an evaluation: a collection, asked as its users ask it."""

from __future__ import annotations

from .asked import ASKED, DeployedCollection, embedding_of

__all__ = ["ASKED", "DeployedCollection", "embedding_of"]
