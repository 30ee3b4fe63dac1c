"""``exact:``: vectors in the collection's folder, every one looked at for every query.

Gets: ids, vectors, queries. Gives: rankings. Touches: the channel's folder, through `segments`.
Never: another library than NumPy; an approximation.
"""

from __future__ import annotations

from ..segments import SegmentStore


class ExactStore(SegmentStore):
    """A product of the queries with all rows, block by block, then true scores of the best.

    Its time grows with the rows: `benchmarks/vector_search.py` measures it.
    """
