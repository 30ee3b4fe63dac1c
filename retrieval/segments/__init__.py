"""Vectors in flat files: what the embedded vector stores share.

Gets: a folder and a dimension. Gives: `SegmentStore`, a whole vector store but for how it finds
its candidates. Touches: the files of one channel's folder. Never: another channel, an encoder.

The folder ``vectors/<space>/<modality>/`` of a collection holds

    rows-<generation>.f32     (n, dim) float32, little-endian, in C order
    ids-<generation>.bin      16 bytes a row: the document's id
    catalogue.sqlite          id -> row and checksum; tombstones; how many rows are committed

- **Append, fsync, commit the count.** What lies past the committed count is the torn tail of a
  writer that died: nobody reads it, and the next append overwrites it.
- **A snapshot is the state of one read transaction** (`Snapshot`). Committed rows never move
  within a generation, so a snapshot stays whole while a writer appends. Only deleting touches
  committed bytes, see below.
- **Deleted is gone.** A replaced or deleted row gets its tombstone in a commit first; then its
  bytes and its id are zeroed and synced; then the catalogue notes that. A writer that dies in
  between leaves tombstones that aren't noted, and the next opening for writing zeroes those rows.
- **A reader in the middle of a zeroing** can't be fooled: tombstones are committed before the
  first byte changes, so a reader that finds, after its last look at the rows, no new tombstone
  since its snapshot, has seen whole rows only. Otherwise it looks again (`Segments.holds`).
- **Compaction** copies the live rows to the files of a new generation, switches to it in one
  transaction, and unlinks the old ones, which stay mapped where a reader still has them.
- Every row has a checksum of its own in the catalogue, so zeroing one leaves the others'.
"""

from .ranking import RowArray, candidates, rounding, sweep, threshold
from .segments import Segments, Snapshot
from .store import SegmentStore

__all__ = [
    "RowArray",
    "SegmentStore",
    "Segments",
    "Snapshot",
    "candidates",
    "rounding",
    "sweep",
    "threshold",
]
