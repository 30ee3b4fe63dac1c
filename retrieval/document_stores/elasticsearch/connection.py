"""Speaking to an Elasticsearch server: one client, bounded patience, errors for a person.

Gets: an address. Gives: answers; errors of the library. Touches: that server; credentials, through
`retrieval.servers`. Never: what a row means.

Whatever is asked here may be asked twice: a request whose answer was lost is made again, and
changes nothing then. What took as long as it may isn't asked again.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from elastic_transport import (
    ConnectionError,  # noqa: A004 (it is called so)
    ConnectionTimeout,
    TlsError,
    TransportError,
)
from elasticsearch import ApiError, Elasticsearch, NotFoundError, UnsupportedProductError
from urllib3 import Timeout
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ...errors import (
    CorruptError,
    EcholensError,
    LockedError,
    StoreMissingError,
    StoreUnreachableError,
)
from ...servers.address import TLS, Address
from ...servers.credentials import credentials_for
from ...servers.retries import patiently

PRODUCT = "Elasticsearch"
CONNECT_S = 5.0
MERGE_S = 3_600.0  # that erasing may take, in the background
BULK_BYTES = 32 * 2**20  # of one request; a server takes 100 MB if it isn't told otherwise

RUNS = "Check that the server runs, and the host and port in the URL; then run the command again."
CREDENTIALS = (
    "Set ECHOLENS_ELASTICSEARCH_API_KEY, or ECHOLENS_ELASTICSEARCH_USER and _PASSWORD, or write "
    "them into the file of credentials; they must allow to manage, read and write the index."
)
_BLOCKED = "cluster_block_exception"
_FULL = "no space left"

T = TypeVar("T")
Action = tuple[bytes, bytes | None]  # one line of a bulk request, and the row that follows it


class Connection:
    """The client of one store, whose index is `name`."""

    def __init__(self, address: Address) -> None:
        """Make the client; nothing is asked yet.

        Raises:
            UsageError: the file of credentials can't be used.
            StoreUnreachableError: the file of certificates can't be read.
        """
        self.at = address
        self.name = address.name
        self._client = _client(address)
        self._hasty = self._within(address.timeout_s)
        self._patient = self._within(MERGE_S)

    def __str__(self) -> str:
        return f"Elasticsearch index {self.at}"

    def ask(self, call: Callable[[Elasticsearch], Any], *, patient: bool = False) -> Any:
        """The body of what a call of the client answers.

        Args:
            call: gets the client.
            patient: whether it may take very long.

        Raises:
            EcholensError: what a person can act upon.
        """
        try:
            return self._asked(call, self._patient if patient else self._hasty)
        except (ApiError, TransportError) as error:
            raise self.explained(error) from error

    def exists(self, call: Callable[[Elasticsearch], Any]) -> Any | None:
        """Like `ask`; None when the server says that there is no such row in the index."""
        try:
            return self._asked(call, self._hasty)
        except NotFoundError as error:
            if isinstance(error.body, dict) and "_id" in error.body:
                return None
            raise self.explained(error) from error
        except (ApiError, TransportError) as error:
            raise self.explained(error) from error

    def _asked(self, call: Callable[[Elasticsearch], Any], client: Elasticsearch) -> Any:
        return patiently(lambda: _whole(call(client)), _passes)

    def bulk(self, actions: Sequence[Action], *, alias: str) -> list[int]:
        """Write rows through an alias; searches see them all at once. Each one's HTTP status.

        Raises:
            LockedError: the alias is gone, since another machine writes now.
        """
        statuses: list[int] = []
        chunks = list(_chunks(actions))
        for number, chunk in enumerate(chunks, 1):
            statuses += self._bulk(chunk, alias, refresh=number == len(chunks))
        return statuses

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _bulk(self, chunk: list[Action], alias: str, *, refresh: bool) -> list[int]:
        """One request, made again for those rows alone that the server had no time for."""
        statuses = [0] * len(chunk)
        left = list(range(len(chunk)))

        def write(client: Elasticsearch) -> Any:
            lines = [line for place in left for line in chunk[place] if line is not None]
            answer = _whole(
                client.bulk(
                    operations=cast("Any", lines),
                    index=alias,
                    require_alias=True,
                    refresh=refresh,
                    filter_path="errors,items.*.status,items.*.error",
                )
            )
            items = [next(iter(item.values())) for item in answer["items"]]
            for place, item in zip(left, items, strict=True):
                statuses[place] = item["status"]
            failed = [item for item in items if "error" in item]
            if failed:
                left[:] = [
                    place for place, item in zip(left, items, strict=True) if _is_passing(item)
                ]
                raise _RejectedError(next((i for i in failed if not _is_passing(i)), failed[0]))
            return answer

        try:
            patiently(lambda: write(self._hasty), _passes)
        except _RejectedError as error:
            raise self._rejected(error) from error
        except (ApiError, TransportError) as error:
            raise self.explained(error) from error
        return statuses

    def _within(self, seconds: float) -> Elasticsearch:
        """The client with that limit for an answer, and a shorter one for a connection."""
        limit = Timeout(connect=min(CONNECT_S, self.at.timeout_s), read=seconds)
        return self._client.options(request_timeout=cast("float", limit))

    def _rejected(self, error: _RejectedError) -> EcholensError:
        if error.kind == "index_not_found_exception":
            return self.overtaken()
        if error.kind == _BLOCKED or _FULL in error.reason.lower():
            return self._blocked(error.reason)
        if error.status == 429:
            return self._busy(error.reason)
        return StoreUnreachableError(
            f"The {self} refused a row ({error.kind}: {_brief(error.reason)}).",
            advice="Check whether somebody changed the index; `echolens promote` moves a "
            "collection to a new one.",
        )

    def overtaken(self) -> LockedError:
        """What a writer is told whose place another one has taken."""
        return LockedError(
            f"Another machine has taken over writing to the {self}.",
            advice="Let it finish; then run the same command again.",
        )

    def missing(self) -> StoreMissingError:
        """What is told when there is no index."""
        return StoreMissingError(
            f"The {self} is missing.",
            advice="Check the URL; or bring the index back from a backup (a snapshot).",
        )

    def explained(self, error: ApiError | TransportError) -> EcholensError:
        """The error of the library that says what a client's error means."""
        if isinstance(error, ApiError):
            return self._of_status(error)
        advice = RUNS
        if isinstance(error, TlsError):
            advice = TLS
            why = f"its certificate or its TLS is at fault ({_brief(_root(error))})"
        elif isinstance(error, ConnectionTimeout):
            why = f"no answer within {self.at.timeout_s:g} seconds"
            if isinstance(_root(error), ConnectTimeoutError):
                why = f"no connection within {min(CONNECT_S, self.at.timeout_s):g} seconds"
        elif isinstance(error, ConnectionError):
            why = _why(error)
        else:
            return self.unknown(_brief(error))
        return StoreUnreachableError(f"The {self} can't be reached: {why}.", advice=advice)

    def unknown(self, said: str) -> StoreUnreachableError:
        """What is told of an answer that no Elasticsearch gives."""
        return StoreUnreachableError(
            f"The {self} gives an answer that isn't an Elasticsearch server's ({said}).",
            advice=RUNS,
        )

    def _of_status(self, error: ApiError) -> EcholensError:
        kind, status, said = _kind(error), error.status_code, _brief(_reason(error))
        if kind == "index_not_found_exception":
            return self.missing()
        if kind == "index_closed_exception":
            return CorruptError(f"The {self} is closed.", advice="Open it on the server.")
        if kind == _BLOCKED or _FULL in said.lower():
            return self._blocked(said)
        if status in (401, 403):
            return StoreUnreachableError(f"The {self} refuses access ({said}).", advice=CREDENTIALS)
        if status == 429:
            return self._busy(said)
        if status == 413:
            return StoreUnreachableError(
                f"The {self} takes no request that large.",
                advice="Raise its http.max_content_length.",
            )
        if kind == "media_type_header_exception":
            return StoreUnreachableError(
                f"The {self} is on a server that is older than Elasticsearch 9.",
                advice="Upgrade the server.",
            )
        if not kind:
            return self.unknown(f"status {status}")
        return StoreUnreachableError(
            f"The {self} answers with an error ({kind}: {said}).",
            advice="Check the server's log and its health; then run the command again.",
        )

    def _blocked(self, said: str) -> StoreUnreachableError:
        advice = "Take the block off the index on the server; then run the command again."
        if _FULL in said.lower():  # it may have lost its own state, too, and needs a new start
            advice = "Free disk space on the server and restart it; then run the command again."
        elif "flood" in said or "read-only-allow-delete" in said:
            advice = "Free disk space on the server; then run the command again."
        return StoreUnreachableError(f"The {self} takes no writes ({_brief(said)}).", advice=advice)

    def _busy(self, said: str) -> StoreUnreachableError:
        return StoreUnreachableError(
            f"The {self} is on a server that has too much to do ({_brief(said)}).",
            advice="Run the command again later, or give the server more memory.",
        )


class _RejectedError(Exception):
    """One row of a bulk request was not written."""

    def __init__(self, item: dict[str, Any]) -> None:
        error = item["error"]
        self.status = int(item["status"])
        self.kind, self.reason = str(error.get("type")), str(error.get("reason"))
        cause = error.get("caused_by") or {}
        if cause.get("reason"):
            self.reason += f" ({cause['reason']})"
        super().__init__(self.kind)


def _client(at: Address) -> Elasticsearch:
    known = credentials_for(at)
    options: dict[str, Any] = {}
    if "api_key" in known:
        options["api_key"] = known["api_key"]
    elif "user" in known:
        options["basic_auth"] = (known["user"], known.get("password", ""))
    if at.tls:
        options["ssl_context"] = _trust(at)
    host = f"[{at.host}]" if ":" in at.host else at.host
    return Elasticsearch(
        f"{'https' if at.tls else 'http'}://{host}:{at.port}",
        max_retries=0,
        retry_on_timeout=False,
        retry_on_status=(),
        **options,
    )


def _trust(at: Address) -> ssl.SSLContext:
    """The system's certificates, and those of the URL's file."""
    trust = ssl.create_default_context()
    if at.ca:
        try:
            trust.load_verify_locations(at.ca)
        except (OSError, ssl.SSLError) as error:
            raise StoreUnreachableError(
                f"The file of certificates {at.ca} can't be read ({error}).",
                advice="Give the path of a PEM file with `ca=` in the URL.",
            ) from error
    return trust


def _chunks(actions: Sequence[Action]) -> list[list[Action]]:
    """The actions in their order, in requests of a bounded size."""
    chunks: list[list[Action]] = []
    size = 0
    for action in actions:
        size += len(action[0]) + len(action[1] or b"")
        if not chunks or size > BULK_BYTES:
            chunks.append([])
            size = len(action[0]) + len(action[1] or b"")
        chunks[-1].append(action)
    return chunks


def _passes(error: BaseException) -> bool:
    """Whether asking again may help."""
    if isinstance(error, _RejectedError):
        return _is_passing({"status": error.status, "error": {"type": error.kind}})
    if isinstance(error, UnsupportedProductError):
        return _is_cut(error)
    if isinstance(error, ApiError):
        return (error.status_code in (429, 502, 503, 504) and _kind(error) != _BLOCKED) or (
            error.status_code == 503
        )
    if isinstance(error, TlsError) or _is_nameless(error):
        return False
    return isinstance(error, ConnectionError)


def _whole(answer: Any) -> Any:
    """The body of an answer; one whose headers already broke off seems to have none."""
    if _is_cut(answer):
        raise ConnectionError("the answer broke off")
    return answer.body


def _is_cut(answer: Any) -> bool:
    return not {"content-length", "transfer-encoding"} & {
        name.lower() for name in answer.meta.headers
    }


def _is_passing(item: dict[str, Any]) -> bool:
    status, kind = item["status"], (item.get("error") or {}).get("type")
    return status == 503 or (status == 429 and kind != _BLOCKED)


def _kind(error: ApiError) -> str:
    """The type that Elasticsearch gives an error; "" when it's none of its own."""
    body = error.body
    told = body.get("error") if isinstance(body, dict) else None
    return str(told.get("type", "")) if isinstance(told, dict) else ""


def _reason(error: ApiError) -> str:
    body = error.body
    told = body.get("error") if isinstance(body, dict) else None
    if not isinstance(told, dict):
        return f"status {error.status_code}"
    causes = [cause.get("reason") for cause in told.get("root_cause") or () if cause]
    deepest = (told.get("caused_by") or {}).get("reason")
    return str(deepest or next(iter(causes), None) or told.get("reason"))


def _brief(said: object) -> str:
    line = " ".join(str(said).split()).rstrip(".")
    return line if len(line) <= 300 else f"{line[:300]}…"


def _root(error: TransportError) -> object:
    """What the network said."""
    return error.__cause__ or error


def _is_nameless(error: BaseException) -> bool:
    return isinstance(error, TransportError) and isinstance(_root(error), NameResolutionError)


def _why(error: ConnectionError) -> str:
    """The cause in a few words."""
    cause = _root(error)
    if isinstance(cause, NameResolutionError):
        return "there is no host of that name"
    if isinstance(cause, NewConnectionError):  # "...: [Errno 111] Connection refused"
        return str(cause).rpartition("] ")[2].lower()
    return "the connection broke off"
