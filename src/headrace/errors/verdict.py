"""Whether another try makes sense, judged by an error and by those it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from headrace.errors.base import TerminalException, TransientException
from headrace.errors.http import http_outcome

Verdict = Literal["terminal", "transient", "unknown"]


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first, by ``__cause__`` and where there is none by ``__context__``."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def judged(error: BaseException) -> Verdict:
    """What an error itself says, without its causes: by the mix-ins, or as an error of a web request."""
    if isinstance(error, TerminalException):
        return "terminal"
    if isinstance(error, TransientException):
        return "transient"
    return http_outcome(error) or "unknown"


def verdict(error: BaseException) -> Verdict:
    """Whether what failed may succeed when it is tried again without a change.

    Args:
        error: What was raised.

    Returns:
        What the outermost error says that says anything: who raised it knew those below it. ``unknown`` when none does.
    """
    return next((said for one in causes(error) if (said := judged(one)) != "unknown"), "unknown")
