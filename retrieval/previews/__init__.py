"""Contact sheets: the hits of a query on one page that a person likes to look at.

Gets: tiles and bands (ways to open files, words, times) and a heading. Gives: a Pillow image, to
be saved. Touches: what the openers open. Never: a store, a ranking.
"""

from .sheet import Tile, contact_sheet
from .strips import Band, Still, Strip, Wave

__all__ = ["Band", "Still", "Strip", "Tile", "Wave", "contact_sheet"]
