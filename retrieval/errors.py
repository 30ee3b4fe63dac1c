"""Every error that the library raises on purpose.

Gets: nothing. Gives: exception classes. Touches: nothing. Never: prints or exits (``cli`` does).

    EcholensError
    ├── UsageError            the call is wrong: an option, a query, a filter
    │   ├── UnknownSchemeError    a URL whose scheme no back end has
    │   ├── QueryError        a query that can't be asked
    │   └── FilterError       a ``where`` that doesn't parse or names an unknown field
    ├── MissingPartError      something outside the collection is missing
    │   ├── NotInstalledError     a package (the extra is named)
    │   ├── WeightsMissingError   a model's weights
    │   ├── StoreUnreachableError a store that doesn't answer, a disk that is full
    │   ├── CollectionNotFoundError
    │   └── LockedError           another writer holds the collection
    ├── CollectionError       the collection doesn't fit
    │   ├── NewerFormatError      written by a newer Echolens
    │   ├── OlderFormatError      written by an older one, and only read here
    │   ├── CorruptError          a part is damaged or inconsistent
    │   │   └── StoreMissingError     a store that was made isn't there any more
    │   └── EncoderMismatchError  another encoder, or one that went wrong in silence
    └── BadInputError         one input file; carries a reason of the closed list

A message says what and where; ``advice`` says what next. Both are whole sentences for a person.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "BadInputError",
    "CollectionError",
    "CollectionNotFoundError",
    "CorruptError",
    "EcholensError",
    "EncoderMismatchError",
    "FilterError",
    "LockedError",
    "MissingPartError",
    "NewerFormatError",
    "NotInstalledError",
    "OlderFormatError",
    "QueryError",
    "SkipReason",
    "StoreMissingError",
    "StoreUnreachableError",
    "UnknownSchemeError",
    "UsageError",
    "WeightsMissingError",
]


class SkipReason(StrEnum):
    """Why a file was not indexed. Closed: a report adds up over exactly these."""

    UNSUPPORTED = "unsupported"  # a kind of file that isn't indexed
    REMOVED = "removed"  # taken out by `remove`; stays out until restored
    NO_CONTENT = "no_content"  # reads well, holds nothing to search (a blank text)
    EMPTY = "empty"  # zero bytes
    UNREADABLE = "unreadable"  # no permission, I/O error
    DISAPPEARED = "disappeared"  # was listed, was gone when it was read
    CHANGING = "changing"  # changed while it was read
    CORRUPT = "corrupt"  # damaged, truncated, or not what its name says
    TOO_LARGE = "too_large"  # more bytes or pixels than the limit
    TOO_SLOW = "too_slow"  # decoding took longer than the limit
    DECODER_FAILED = "decoder_failed"  # the decoder died or ran out of memory
    NOT_INSTALLED = "not_installed"  # the decoder's package isn't here

    @property
    def is_failure(self) -> bool:
        """Whether a run that met this is done only in part (exit code 3)."""
        return self not in (SkipReason.UNSUPPORTED, SkipReason.REMOVED, SkipReason.NO_CONTENT)


class EcholensError(Exception):
    """The root. ``str(error)`` is what went wrong and where; ``advice`` is what to do next."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class UsageError(EcholensError):
    """The caller asked for something that can't be meant."""


class UnknownSchemeError(UsageError):
    """No back end is called like the scheme of a URL."""


class QueryError(UsageError):
    """A query is empty, mixes what can't be mixed, or its picture isn't one."""


class FilterError(UsageError):
    """A ``where`` expression doesn't parse, or compares a field with a value of another type."""


class MissingPartError(EcholensError):
    """Something that the collection needs is not here."""


class NotInstalledError(MissingPartError):
    """A package is not installed; the advice names the extra that brings it."""


class WeightsMissingError(MissingPartError):
    """A model's weights are not on this disk and can't be had."""


class StoreUnreachableError(MissingPartError):
    """A store can't be reached or written: no answer, no space, no permission."""


class CollectionNotFoundError(MissingPartError):
    """There is no collection of that name."""


class LockedError(MissingPartError):
    """Another process is writing to the collection."""


class CollectionError(EcholensError):
    """The collection and the program don't fit each other."""


class NewerFormatError(CollectionError):
    """A file of the collection was written in a newer format than this version reads."""


class OlderFormatError(CollectionError):
    """A store has an earlier format, which its next writer brings up to date; a reader can't."""


class CorruptError(CollectionError):
    """A file of the collection is damaged, or two of them contradict each other."""


class StoreMissingError(CorruptError):
    """A store that was made isn't there any more."""


class EncoderMismatchError(CollectionError):
    """The encoder is not the one the collection was made with, or gives wrong vectors."""


class BadInputError(EcholensError):
    """One input can't be used. ``reason`` is from the closed list; the message says the detail."""

    def __init__(self, reason: SkipReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadInputError], tuple[SkipReason, str]]:
        """Pickle with both arguments, so that a decoding process can raise it across."""
        return type(self), (self.reason, str(self))
