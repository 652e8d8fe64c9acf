"""Which errors of web requests may pass and which will not, by the classes of requests, httpx, urllib3, aiohttp.

None of these libraries is imported: an error brings its class along, and the class has a name and a module.
Statuses are those of RFC 9110, section 15; 425 is of RFC 8470 and 429 of RFC 6585.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Literal

Outcome = Literal["terminal", "transient"]

PASSING_STATUSES = frozenset({408, 425, 429})
"""Statuses from 400 to 499 that are about the moment, not about the request."""

_LIBRARIES = {"requests", "httpx", "httpcore", "urllib3", "urllib", "aiohttp", "http", "ssl", "socket"}
# names of classes, over all that an error derives from; the first table that knows one decides
_TERMINAL = {
    "SSLCertVerificationError",
    "CertificateError",
    "ClientConnectorCertificateError",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidSchema",
    "MissingSchema",
    "InvalidHeader",
    "InvalidProxyURL",
    "URLRequired",
    "UnsupportedProtocol",
    "LocalProtocolError",
    "LocationValueError",
    "LocationParseError",
    "URLSchemeUnknown",
    "TooManyRedirects",
    "UnrewindableBodyError",
    "StreamConsumed",
}
_TRANSIENT = {
    "Timeout",
    "TimeoutException",
    "TimeoutError",
    "HTTPTimeoutError",
    "ServerTimeoutError",
    "ConnectionError",
    "ClientConnectionError",
    "ChunkedEncodingError",
    "ProtocolError",
    "RemoteProtocolError",
    "IncompleteRead",
    "ClientPayloadError",
    "NetworkError",
    "ProxyError",
    "RetryError",
    "MaxRetryError",
    "ResponseError",
    "PoolError",
    "NewConnectionError",
    "NameResolutionError",
    "RemoteDisconnected",
    "BadStatusLine",
    "SSLError",
    "URLError",
}
# the name is unknown, or has no address: see getaddrinfo(3); EAI_AGAIN is left, the name server did not answer
_NO_SUCH_NAME = {
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_FAIL", "EAI_SERVICE") if hasattr(socket, name)
}


def status_outcome(status: int) -> Outcome | None:
    """What an HTTP status says of another try; None for those that are no failure."""
    if status < 400 or status > 599:
        return None
    return "terminal" if status < 500 and status not in PASSING_STATUSES else "transient"


def http_outcome(error: BaseException) -> Outcome | None:
    """Whether a failed web request may succeed when it is made again.

    Args:
        error: What was raised; the errors it holds or came from are looked at, as far as they are of such libraries.

    Returns:
        ``terminal``: a status from 400 to 499 but 408, 425 and 429; a url, header or certificate that is wrong; a name
        that no name server knows. ``transient``: other statuses from 408 on, time-outs, lost and refused connections.
        None: it is no error of a web request.
    """
    if not _concerns(error):
        return None
    told = status_of(error)
    if told is not None and (outcome := status_outcome(told)) is not None:
        return outcome
    found: Outcome | None = None
    for one in _inner(error):
        names = {cls.__name__ for cls in type(one).__mro__}
        if isinstance(one, socket.gaierror):
            if one.errno in _NO_SUCH_NAME:
                return "terminal"
            found = "transient"
        elif names & _TERMINAL:
            return "terminal"
        elif _concerns(one) and names & _TRANSIENT:
            found = "transient"
    return found


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error carries, in itself or in its response; None when it has none."""
    holder: Any = getattr(error, "response", None)
    for place in (holder, error):
        for name in ("status_code", "status", "code"):
            value = getattr(place, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
                return int(value)
    return None


def _concerns(error: BaseException) -> bool:
    """Whether an error is of a library for web requests, or one of Python's for connections."""
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)):
        return True
    return any(cls.__module__.partition(".")[0] in _LIBRARIES for cls in type(error).__mro__)


def _inner(error: BaseException) -> Iterator[BaseException]:
    """The error, those it holds (``reason``, arguments) and those it came from, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, "reason", None), *one.args, one.__cause__]
        if not one.__suppress_context__:
            waiting.append(one.__context__)
