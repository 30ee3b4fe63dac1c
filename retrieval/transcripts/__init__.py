"""Subtitles and transcripts: read, aligned to what is heard, and cut into passages of speech.

Gets: their bytes; segments that a transcriber heard. Gives: segments with times, drafts of kind
"speech". Touches: nothing. Never: a path, a film, an encoder.
"""

from __future__ import annotations

from .alignment import Aligned, align
from .parsing import SUFFIXES, parse
from .passages import passages_of

# Part of every recipe that reads transcripts; raise it when other segments or passages come out.
TRANSCRIPTS_VERSION = 1

__all__ = ["SUFFIXES", "TRANSCRIPTS_VERSION", "Aligned", "align", "parse", "passages_of"]
