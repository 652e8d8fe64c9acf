"""An error with its causes, as data: for traces and alerts."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from headrace.errors import HeadraceException
from headrace.errors.masking import without_secrets
from headrace.errors.verdict import judged

# facts of an error that have a field of their own
_NAMED = ("load_id", "pipeline_name", "source_name", "resource_name", "schema_name")
_LONGEST_VALUE = 2000
_LONGEST_TEXT = 50_000


def exception_traces(error: BaseException) -> list[dict[str, Any]]:
    """Describe an error and the errors it came from, outermost first.

    Returns:
        For each error ``message``, ``exception_type``, ``stack_trace`` (lines, without values of variables),
        ``is_terminal``; for our own errors also ``docstring``, the names they carry (``load_id``, ``pipeline_name``,
        ``resource_name``, …) and ``exception_attrs`` as text.
    """
    return [_describe(one) for one in _chain(error)]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _describe(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    said: dict[str, Any] = {
        "message": clipped(without_secrets(str(error))),
        "exception_type": f"{module}{kind.__qualname__}",
        "stack_trace": [without_secrets(line) for line in traceback.format_tb(error.__traceback__)],
        "is_terminal": judged(error) == "terminal",
    }
    if isinstance(error, HeadraceException):
        said.update(_facts(error))
    return said


def _facts(error: HeadraceException) -> dict[str, Any]:
    attributes = {
        name: _short(value) for name, value in error.attrs().items() if name not in ("what", "why", "fix", "step_info")
    }
    facts: dict[str, Any] = {name: attributes[name] for name in _NAMED if name in attributes}
    if type(error).__doc__:
        facts["docstring"] = type(error).__doc__
    if attributes:
        facts["exception_attrs"] = without_secrets(str(attributes))
    return facts


def clipped(text: str) -> str:
    """The text of an error, cut where no person reads on: a trace repeats it for every error of the chain."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text):,} characters)"


def _short(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    # first hidden, then cut: half a secret is not known as one
    text = without_secrets(value if isinstance(value, str) else str(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
