"""Echolens' writing side: make a collection and index files into it.

from indexer import create, index

photos = create("photos", encoder="starter:")
print(index(["~/Pictures"], photos).accounting())
"""

from .aliases import Exported, export, export_alias
from .creating import attach, create
from .manage import failures, remove, status
from .pipeline import IndexOptions, index
from .promote import Moved, PromoteReport, Stores, promote
from .report import (
    Failure,
    IndexReport,
    Progress,
    Stage,
    Status,
    StoreStatus,
    VerifyReport,
)
from .verify import verify

__all__ = [
    "Exported",
    "Failure",
    "IndexOptions",
    "IndexReport",
    "Moved",
    "Progress",
    "PromoteReport",
    "Stage",
    "Status",
    "StoreStatus",
    "Stores",
    "VerifyReport",
    "attach",
    "create",
    "export",
    "export_alias",
    "failures",
    "index",
    "promote",
    "remove",
    "status",
    "verify",
]
