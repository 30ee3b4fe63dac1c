"""Where an `s3://` store lies, as its URL says, and what a user must know to reach it.

Gets: a URL. Gives: an `Address`. Touches: nothing. Never: a secret in a message.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from ...errors import UsageError

AWS = "https://s3.amazonaws.com"
CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials. They must allow "
    "to list the bucket, its versions and uploads, and to read, write and delete objects in it."
)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"(https?)://((?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)/?", re.I)
_OPTIONS = ("endpoint", "region", "timeout")
_MOST_PREFIX_BYTES = 900  # a key has at most 1,024
_FORM = "Write it like `s3://BUCKET/PREFIX?endpoint=https://host:port&region=name&timeout=30`."
_LEAST_S, _MOST_S = 0.1, 3600.0


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says: ``prefix`` is "" or ends in a slash, ``endpoint`` has no path.

    Attributes:
        timeout_s: seconds that the server may be silent, at each attempt.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = AWS
    region: str | None = None
    timeout_s: float = 30.0

    def __str__(self) -> str:
        return f"bucket `{self.bucket}` at {self.endpoint}"


def parse(url: str) -> Address:
    """The address of an ``s3://`` URL.

    Raises:
        UsageError: it isn't of that form, or carries a secret, which the message doesn't repeat.
    """
    if "@" in unquote(url):
        raise UsageError("An `s3:` URL has no user and no password in it.", advice=CREDENTIALS)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError("The `s3:` URL can't be read.", advice=_FORM) from error
    if not _BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise UsageError(
            "An `s3:` URL names a bucket first: 3 to 63 of a-z, 0-9, dots and hyphens.",
            advice=_FORM,
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - set(_OPTIONS):
        near = difflib.get_close_matches(min(unknown), _OPTIONS, n=1)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        raise UsageError(f"An `s3:` URL has no option `{min(unknown)}`.", advice=f"{hint}{_FORM}")
    endpoint = _ENDPOINT.fullmatch(options.get("endpoint", AWS))
    if endpoint is None:
        raise UsageError("An `s3:` URL has an endpoint with http:// or https://.", advice=_FORM)
    return Address(
        bucket=parts.netloc,
        prefix=_prefix(unquote(parts.path)),
        endpoint=f"{endpoint[1].lower()}://{endpoint[2]}",
        region=options.get("region") or None,
        timeout_s=_seconds(options.get("timeout", "30")),
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not _LEAST_S <= seconds <= _MOST_S:
        raise UsageError(
            f"The timeout of an `s3:` URL is from {_LEAST_S:g} to {_MOST_S:g} seconds.",
            advice=_FORM,
        )
    return seconds


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    names = prefix.split("/")
    if not prefix.isprintable() or any(name in ("", ".", "..") for name in names):
        raise UsageError("The prefix of an `s3:` URL has an odd part.", advice=_FORM)
    if len(prefix.encode("utf-8", "replace")) > _MOST_PREFIX_BYTES:
        raise UsageError("The prefix of an `s3:` URL is too long.", advice="Take a shorter one.")
    return f"{prefix}/"
