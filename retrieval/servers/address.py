"""Where a server is and how it is to be spoken to, as a store's URL says.

Gets: a URL. Gives: an `Address`. Touches: nothing. Never: a secret, in a URL or in a message.

Such a URL is ``scheme://HOST:PORT/NAME?option=value&...``. NAME tells the collections of one server
apart. A server elsewhere is spoken to over TLS; one on this machine isn't; ``tls=`` says otherwise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..errors import UsageError

TLS = (
    "If the server speaks without TLS, put `tls=false` into the URL; if its certificate is one of "
    "your own, name the file with `ca=`."
)

Value = str | int | float | bool

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:]+", re.I)
_HERE = ("localhost", "127.0.0.1", "::1")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a URL.

    Attributes:
        default: when it isn't given; its type is the option's.
        choices: the only values that it may have; empty for any.
        least, most: the bounds of a number.
    """

    default: Value
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = float("inf")


COMMON: Mapping[str, Option] = MappingProxyType(
    {
        "tls": Option(default=True),
        "ca": Option(""),  # a file of certificates to trust, beside the system's
        "timeout": Option(30.0, least=0.1, most=3600),  # seconds that one request may take
    }
)


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says; every option has its value, given or by default."""

    scheme: str
    host: str
    port: int
    name: str
    options: Mapping[str, Value]

    @property
    def server(self) -> str:
        """``scheme://host:port``: whose credentials it takes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def tls(self) -> bool:
        """Whether it is spoken to over TLS."""
        return bool(self.options["tls"])

    @property
    def ca(self) -> str:
        """The file of certificates to trust; "" for the system's alone."""
        return str(self.options["ca"])

    @property
    def timeout_s(self) -> float:
        """Seconds that one request may take."""
        return float(self.options["timeout"])

    def __str__(self) -> str:
        return f"`{self.name}` at {self.server}"


def parse(url: str, *, port: int, options: Mapping[str, Option]) -> Address:
    """The address of a server's URL.

    Args:
        url: ``scheme://HOST[:PORT]/NAME[?option=value&...]``.
        port: when the URL names none.
        options: those of the scheme, beside `COMMON`.

    Raises:
        UsageError: it isn't of that form, or carries a secret, which the message doesn't repeat.
    """
    scheme = url.partition(":")[0]
    form = f"Write it like `{scheme}://HOST:{port}/NAME`."
    if "@" in unquote(url):
        raise UsageError(
            f"{_an(scheme)} URL has no user and no password in it.",
            advice="Put them into the environment or the file of credentials; see the README.",
        )
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise UsageError(f"The `{scheme}:` URL can't be read.", advice=form) from error
    if not _HOST.fullmatch(host) or parts.fragment:
        raise UsageError(f"{_an(scheme)} URL names a host first.", advice=form)
    given_port = _port(scheme, parts) or port
    name = unquote(parts.path).strip("/")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{_an(scheme)} URL ends in a name: a letter, then a-z, 0-9, - and _, up to 100.",
            advice=form,
        )
    known = {**COMMON, **options}
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    values: dict[str, Value] = {key: option.default for key, option in known.items()}
    values["tls"] = host.lower() not in _HERE
    values.update({key: _value(scheme, key, text, known) for key, text in given.items()})
    return Address(scheme, host, given_port, name, MappingProxyType(values))


def _an(scheme: str) -> str:
    return f"A{'n' if scheme[:1] in 'aeiou' else ''} `{scheme}:`"


def _port(scheme: str, parts: SplitResult) -> int | None:
    try:
        if parts.port != 0:
            return parts.port
        cause = None
    except ValueError as error:
        cause = error
    raise UsageError(
        f"The port in the `{scheme}:` URL can't be `{parts.netloc.rpartition(':')[2][:40]}`.",
        advice="Give a number from 1 to 65535.",
    ) from cause


def _value(scheme: str, key: str, text: str, known: Mapping[str, Option]) -> Value:
    option = known.get(key)
    if option is None:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        raise UsageError(
            f"{_an(scheme)} URL has no option `{key}`.",
            advice=f"{hint}Known: {', '.join(sorted(known))}.",
        )
    if isinstance(option.default, bool):
        if text.lower() not in _TRUTH:
            raise _unfit(scheme, key, text, "true or false")
        return _TRUTH[text.lower()]
    if isinstance(option.default, str):
        if option.choices and text not in option.choices:
            raise _unfit(scheme, key, text, " or ".join(option.choices))
        return text
    return _number(scheme, key, text, option)


def _number(scheme: str, key: str, text: str, option: Option) -> Value:
    kind = type(option.default)
    try:
        number: Value = kind(text)
    except ValueError as error:
        raise _unfit(scheme, key, text, "a number") from error
    if not option.least <= float(number) <= option.most:
        bounds = f"from {option.least:g}" + (f" to {option.most:g}" if option.most < 1e300 else "")
        raise _unfit(scheme, key, text, f"a number {bounds}")
    return number


def _unfit(scheme: str, key: str, text: str, wanted: str) -> UsageError:
    return UsageError(
        f"The option `{key}` of a `{scheme}:` URL can't be `{text[:40]}`.",
        advice=f"Give {wanted}.",
    )
