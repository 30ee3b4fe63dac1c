"""Connections to an S3 server: their waits and retries have an end, their faults have words.

Gets: an `Address`; what a connection raised. Gives: a pool of connections; the cause for a person.
Touches: the certificates of this machine. Never: a secret in a message.
"""

from __future__ import annotations

import ssl

import certifi
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from .address import Address

CONNECT_SECONDS = 5


def connections(at: Address) -> PoolManager:
    """Connections whose waits and retries have an end."""
    tls = None
    if at.endpoint.startswith("https:"):  # the system's certificates, and those of the client
        tls = ssl.create_default_context()
        tls.load_verify_locations(certifi.where())
    retries = Retry(
        total=4,
        connect=3,
        read=2,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=None,  # all: doing any of them again changes nothing
        backoff_factor=0.3,
        backoff_jitter=0.3,
        backoff_max=5,
        raise_on_status=False,  # so that the server's own words are told
        respect_retry_after_header=False,  # which may be an hour
    )
    return PoolManager(
        maxsize=10,
        timeout=Timeout(connect=min(CONNECT_SECONDS, at.timeout_s), read=at.timeout_s),
        retries=retries,
        ssl_context=tls,
    )


def cause(error: HTTPError, at: Address) -> str:
    """The cause in a few words."""
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(reason, NameResolutionError):
        return "there is no host of that name"
    if isinstance(reason, ReadTimeoutError):
        return f"no answer within {at.timeout_s:g} seconds"
    if isinstance(reason, SSLError):
        return f"its certificate or its TLS is at fault ({reason})"
    if isinstance(reason, NewConnectionError):  # "...: [Errno 111] Connection refused"
        return str(reason).rpartition("] ")[2].lower()
    if isinstance(reason, ConnectTimeoutError):
        return f"no connection within {CONNECT_SECONDS} seconds"
    return "the connection broke off"
