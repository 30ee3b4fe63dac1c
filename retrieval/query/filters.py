"""What a search may see, and how each leg is to apply the filter: one planner for all stores.

Gets: a filter, a document store. Gives: a `Gate`. Touches: read methods of the stores. Never:
parses a ``where`` (see `where`).

A filter is about sightings, so the document store alone compiles it, and words are searched under
it. A vector store is searched without, and what comes back is checked against the document store.
Where fewer than 1 in `SPARSE` pass, it asks which documents are admitted at all. Exactly these are
scored, whatever index the store has, as soon as they are at most `FEW` and at most `REACH` times as
many as the search is deep; else it goes deeper, until k are found or the end is reached. A search
is 1,024 deep at first and then 4,096. So where fewer than 1 in 4 pass, a filter that admits up to
4,096 documents is answered exactly at once, and one that admits up to `FEW` after one more search,
wherever they lie. What comes back is always checked: a vector without a document is invisible.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from retrieval.protocols import DocumentStore, VectorStore
from retrieval.schema import (
    CHANNEL_OF_KIND,
    Document,
    Filter,
    FloatArray,
    Kind,
    Modality,
    Ranking,
    Span,
    TooMany,
)

from .moments import overlaps

FEW = 8_192  # scoring so many documents exactly costs less than searching past all others
SPARSE = 4  # where fewer than 1 in 4 pass, it is worth asking how many there are at all
REACH = 4  # scoring one costs a server more than searching past one: it has to send the vector


class Gate:
    """What one search may see: documents that are there, pass the filter and can be hits.

    Remembers what it has looked up, so that searching deeper asks only for what is new.
    """

    def __init__(
        self,
        documents: DocumentStore,
        where: Filter | None,
        *,
        group_by: Literal["asset", "document"],
        modality: Modality | None = None,
        left_out: Collection[str] = (),
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        """Look through `where` at documents of one modality, or of any.

        Args:
            documents: the document store.
            where: None admits every document that has a sighting.
            group_by: what a hit is.
            modality: of the documents that may be seen.
            left_out: group keys that are no answers.
            hidden: ids of documents that are not to be seen.
        """
        self.where = where
        self.during: Span | None = None  # see `in_time`
        self.kinds: frozenset[Kind] = frozenset()  # of documents that may be seen; empty: all
        self._store = documents
        self.group_by = group_by
        self._admitted: Sequence[str] | TooMany | None = None  # None: not asked yet
        self.modality = modality
        self._left_out = frozenset(left_out)
        self._hidden = hidden
        self._seen: dict[str, Document | None] = {}
        self._members: dict[str, list[Document]] = {}

    def in_time(self, during: Span) -> Gate:
        """A gate that shows, of what this one may show, the documents that overlap a time."""
        gate = Gate(
            self._store,
            self.where,
            group_by=self.group_by,
            modality=self.modality,
            left_out=self._left_out,
            hidden=self._hidden,
        )
        gate.during = during
        gate.kinds = self.kinds
        gate._members = self._members  # whole, whatever is shown of them
        return gate

    def search(self, store: VectorStore, vector: FloatArray, depth: int) -> Ranking:
        """The `depth` best documents for a (dim,) vector, under the filter where it lets few pass.

        Some of them may be invisible still: `groups` tells.
        """
        few = self._few(depth)
        if few is None:
            ranking = store.search(vector[None], depth)[0]
            if self._lets_through(ranking.ids):
                return ranking
            # Asked late and once: that a filter admits most is seen without counting them.
            if self._admitted is None:
                self._admitted = self._store.select(self.where, FEW, during=self.during)
            few = self._few(depth)
            if few is None:
                return ranking
        return store.search(vector[None], depth, within=few)[0]

    def _few(self, depth: int) -> Sequence[str] | None:
        """What is admitted, if it is known and so few that scoring it beats going deeper."""
        admitted = self._admitted
        if admitted is None or isinstance(admitted, TooMany) or len(admitted) > REACH * depth:
            return None
        return admitted

    def _lets_through(self, ids: Sequence[str]) -> bool:
        everything = self.where is None and self.during is None and not self.kinds
        return everything or len(self.groups(ids)) * SPARSE >= len(ids)

    def groups(self, ids: Sequence[str]) -> dict[str, str]:
        """The group key of those of the documents that may be seen."""
        self._look_up([id_ for id_ in ids if id_ not in self._seen])
        visible = ((id_, self._seen[id_]) for id_ in ids)
        return {id_: self._group(document) for id_, document in visible if document is not None}

    def members(self, groups: Collection[str]) -> list[Document]:
        """The documents of those groups, which this gate has shown before."""
        if self.group_by == "document":
            return [self.document(group) for group in groups]
        members = self.of_assets(groups)
        found = [one for group in groups for one in members[group] if self._shows(one)]
        # A filter admits an asset with all its documents, so these need no check of their own.
        self._seen.update((document.id, document) for document in found)
        return found

    def of_assets(self, assets: Collection[str]) -> Mapping[str, Sequence[Document]]:
        """All documents of assets, whether or not they may be seen, by the asset."""
        new = [asset for asset in assets if asset not in self._members]
        if new:
            self._members.update({asset: [] for asset in new} | self._store.of_assets(new))
        return self._members

    def document(self, id_: str) -> Document:
        """A document that this gate has shown, perhaps without its text."""
        document = self._seen[id_]
        assert document is not None
        return document

    def _look_up(self, ids: Sequence[str]) -> None:
        self._seen.update(dict.fromkeys(ids))
        passing = self._store.passing(ids, self.where, during=self.during)
        for id_, document in passing.items():
            right_modality = self.modality in (None, CHANNEL_OF_KIND[document.kind])
            if (
                id_ not in self._hidden
                and right_modality
                and self._counts(document)
                and self._group(document) not in self._left_out
            ):
                self._seen[id_] = document

    def _shows(self, document: Document) -> bool:
        """Whether it may be seen where its asset may."""
        in_time = self.during is None or overlaps(document, self.during)
        return in_time and document.id not in self._hidden and self._counts(document)

    def _counts(self, document: Document) -> bool:
        return not self.kinds or document.kind in self.kinds

    def _group(self, document: Document) -> str:
        return document.asset if self.group_by == "asset" else document.id
