"""Receivers of events: the file of `lineage.path`, and what OpenLineage's client sends to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from headrace.errors.masking import without_secrets
from headrace.observers.lineage.delivery.spool import PATH, append_locked

ANSWER = 2_000
"""Characters of an answer that are kept."""

_LOOKED_AT = 2**20  # bytes that others may have written to the file since a process died

# answers that say that the event is wrong; others of 4xx (a key that is not valid, a wrong address) are of the set-up
_OF_THE_EVENT = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 431})


class Unwanted(Exception):
    """The receiver does not take this event, and will not."""

    def __init__(self, answer: str, status: int | None = None) -> None:
        super().__init__(answer)
        self.answer, self.status = answer, status


class Trouble(Exception):
    """The receiver takes nothing now.

    Args:
        text: What it says.
        status: HTTP status, when there was an answer.
        silent: It did not answer in time: to ask again takes long.
        answered: It was there, and did not take this event: maybe it takes others.
    """

    def __init__(self, text: str, status: int | None = None, silent: bool = False, answered: bool = False) -> None:
        super().__init__(text)
        self.text, self.status, self.silent, self.answered = text, status, silent, answered


class Outlet(Protocol):
    """A receiver.

    Attributes:
        name: Of its mark.
        where: For messages, without secrets.
        group: How many events it takes at once.
        apart: Of these, at most one of each run: it does not keep the order.
    """

    name: str
    where: str
    group: int
    apart: bool

    def send(self, lines: Sequence[bytes]) -> None:
        """Send events. Raises Unwanted (of one event) or Trouble; none of them counts as sent then."""

    def lacking(self, lines: Sequence[bytes]) -> list[bytes]:
        """Without the first ones that it has already; all where it cannot be asked."""

    def close(self, seconds: float) -> None:
        """No more events come."""


class FileOutlet:
    """Writes to a file, one event a line, behind what is in it.

    Args:
        path: The file; its folder is made.
        group: How many events are written at once.
    """

    apart = False

    def __init__(self, path: str, group: int = 50) -> None:
        self.path = Path(path)
        self.name, self.where, self.group = PATH, str(path), max(1, group)

    def send(self, lines: Sequence[bytes]) -> None:
        """See `Outlet`."""
        data = b"\n".join((*lines, b""))
        try:
            try:
                append_locked(self.path, data)
            except FileNotFoundError:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                append_locked(self.path, data)
        except OSError as error:
            raise Trouble(f"{type(error).__name__}: {error}") from error

    def lacking(self, lines: Sequence[bytes]) -> list[bytes]:
        """See `Outlet`: lines that are at the end of the file. A killed process wrote a group whole, or nothing."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LOOKED_AT - sum(len(line) + 1 for line in lines)))
                there = b"\n" + file.read()
        except OSError:
            return list(lines)
        known = 0
        while known < len(lines) and b"\n%s\n" % lines[known] in there:
            known += 1
        return list(lines[known:])

    def close(self, seconds: float) -> None:
        """See `Outlet`."""


def judged(error: BaseException) -> Unwanted | Trouble:
    """What an error of a transport means: whether it is about the event, or about the receiver."""
    for one in _chain(error):
        status, body = _answer(one)
        if status is not None:
            text = without_secrets(f"{status} {body}".strip())[:ANSWER]
            return Unwanted(text, status) if status in _OF_THE_EVENT else Trouble(text, status, answered=status >= 500)
        if _too_large(one):
            return Unwanted(without_secrets(str(one))[:ANSWER])
    text = without_secrets(f"{type(error).__name__}: {error}")[:ANSWER]
    kinds = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    silent = bool(kinds & {"Timeout", "TimeoutError", "TimeoutException"})
    away = silent or bool(kinds & {"ConnectionError", "TransportError", "OSError", "ImportError"})
    return Trouble(text, silent=silent, answered=not away)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def _answer(error: BaseException) -> tuple[int | None, str]:
    """Status and text of an HTTP answer that an error was made of: requests, httpx, botocore, Google."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        meta, said = response.get("ResponseMetadata", {}), response.get("Error", {})
        # with AWS 400 may also mean: too fast, or a token that is too old
        status = meta.get("HTTPStatusCode")
        known = said.get("Code") in ("ValidationException", "BadRequestException")
        return (status if status != 400 or known else 429), f"{said.get('Code')}: {said.get('Message')}"
    status = getattr(response, "status_code", None)
    if isinstance(status, int):
        return status, str(getattr(response, "text", "") or "")[: 2 * ANSWER]
    code = getattr(error, "code", None)
    if isinstance(code, int) and 400 <= code < 600:
        return int(code), str(error)
    return None, ""


def _too_large(error: BaseException) -> bool:
    """Whether a broker said that the message is too large, which it will say again."""
    for arg in error.args:
        name = getattr(arg, "name", None)
        if callable(name) and name() in ("MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE"):
            return True
    return False


def without_user(url: str) -> str:
    """An address for messages: without user, password and query."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
