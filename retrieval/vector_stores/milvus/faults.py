"""What the client of Milvus raises, in words that a user can act upon.

Gets: an exception of pymilvus or gRPC. Gives: whether it may pass; an `EcholensError`. Touches:
nothing. Never: a secret, a stack trace.
"""

from __future__ import annotations

from pymilvus.exceptions import ConnectionConfigException, MilvusException

# pymilvus comes first, so that it is what a user without both is told of
# isort: split
import grpc

from ...errors import CorruptError, EcholensError, StoreUnreachableError
from ...servers.address import TLS
from .address import Target

FAULTS = (MilvusException, grpc.RpcError, grpc.FutureTimeoutError)
MISSING = 100
LOADING = (101, 103)  # after a restart, or while another process loads it
_PASSING = (2, 4, 8, 401, 503, 901, 902, 904, 905)  # busy, too many requests, nodes that come back
_FULL = (3, 7, 9)  # memory, disk, a quota
_DENIED = (65, 1401, 1402, 1800)

_RUNS = "Check its address and that it runs; then run the same command again."
_CREDENTIALS = (
    "Set ECHOLENS_MILVUS_TOKEN, or ECHOLENS_MILVUS_USER and ECHOLENS_MILVUS_PASSWORD, or write "
    "them into the file of credentials; see the README."
)


def code_of(error: BaseException) -> int | None:
    """Milvus's number of an error that the server gave; None for a failure on the way."""
    code = getattr(error, "code", None)
    return int(code) if isinstance(code, int) and _rpc(error) is None else None


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    rpc = _rpc(error)
    if rpc is not None:
        return rpc.code() is grpc.StatusCode.UNAVAILABLE
    code = code_of(error)
    return code in (*_PASSING, *LOADING) or (code == 1 and "not ready" in str(error))


def missing(target: Target) -> CorruptError:
    """The channel's collection isn't there."""
    return CorruptError(
        f"The vectors in {target} are missing: there is no `{target.collection}`.",
        advice="Bring them back from a backup, or run `echolens verify --repair`.",
    )


def still_loading(target: Target) -> StoreUnreachableError:
    """The server is there, and the channel's collection not yet in its memory."""
    where = f"{str(target)[0].upper()}{str(target)[1:]}"
    return StoreUnreachableError(
        f"{where} is still loading its collections.", advice="Try again in a while."
    )


def explained(error: BaseException, target: Target) -> EcholensError:
    """What to tell a user."""
    rpc, code = _rpc(error), code_of(error)
    where = f"{str(target)[0].upper()}{str(target)[1:]}"
    if rpc is not None:
        return _of_rpc(rpc, target, where)
    if code == MISSING:
        return missing(target)
    said = _said(error)
    if code in _DENIED or "auth check failure" in said:
        return StoreUnreachableError(f"{where} refuses access ({said}).", advice=_CREDENTIALS)
    if code == 800 or "database not found" in said:
        return StoreUnreachableError(
            f"{where} has no such database ({said}).", advice="Make it there, or change `db=`."
        )
    if code in _FULL or "no space left" in said.lower():
        return StoreUnreachableError(
            f"{where} takes nothing more ({said}).", advice="Give it room; then run this again."
        )
    if code in LOADING:
        return still_loading(target)
    if isinstance(error, grpc.FutureTimeoutError | ConnectionConfigException):
        return StoreUnreachableError(f"{where} can't be reached.", advice=_reach(target))
    if target.file:  # nothing but the file can be at fault
        return CorruptError(
            f"{where} can't be read ({said}).",
            advice="Bring it back from a backup, or run `echolens verify --repair`.",
        )
    return StoreUnreachableError(f"{where} answers with an error ({said}).", advice=_RUNS)


def _reach(target: Target) -> str:
    """What may help; the client doesn't tell a server without TLS from one that is silent."""
    return f"{_RUNS} {TLS}" if target.server is not None and target.server.tls else _RUNS


def _of_rpc(rpc: grpc.RpcError, target: Target, where: str) -> EcholensError:
    """What failed on the way to the server."""
    kinds = grpc.StatusCode
    if rpc.code() in (kinds.UNAUTHENTICATED, kinds.PERMISSION_DENIED):
        return StoreUnreachableError(f"{where} refuses access.", advice=_CREDENTIALS)
    if rpc.code() is kinds.UNIMPLEMENTED:
        return StoreUnreachableError(f"{where} isn't a Milvus server's answer.", advice=_RUNS)
    return StoreUnreachableError(f"{where} can't be reached: {_why(rpc)}.", advice=_reach(target))


def _why(rpc: grpc.RpcError) -> str:
    details = str(rpc.details() or "").lower()
    if rpc.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    if "refused" in details:
        return "connection refused"
    if "dns" in details or "name resolution" in details or "resolve" in details:
        return "there is no host of that name"
    if "ssl" in details or "handshake" in details or "certificate" in details:
        return "its certificate or its TLS is at fault"
    if "timed out" in details or "timeout" in details:
        return "no answer in time"
    return "the connection broke off"


def _rpc(error: BaseException | None) -> grpc.RpcError | None:
    """The failure on the way that an error stands for, if it was one."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:  # the client makes some their own cause
        if isinstance(error, grpc.RpcError):
            return error
        seen.append(error)
        cause = error.__cause__
        error = error.__context__ if cause is None or cause in seen else cause
    return None


def _said(error: BaseException) -> str:
    """The server's own words, in one line."""
    text = str(getattr(error, "message", "") or error)
    text = text.rpartition("retry times, message=")[2]
    return " ".join(text.split())[:200].rstrip(".")
