"""Where a row keeps its cursor value: a field's name, or a JSON path."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

__all__ = ["MISSING", "Cursor", "compile_cursor"]


class _Missing:
    """The row has nothing at the path. Not comparable, so that it cannot slip through a comparison."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()

# characters that mean something in a JSON path; a text without them is a field's name, spaces and dashes included
_SPECIAL = re.compile(r"[.\[\]$*'\"@?(){},|&`]|\s(?:where|wherenot)\s")
_QUOTED = re.compile(r"""'([^'\\]*)'|"([^"\\]*)\"""")
_STEP = re.compile(
    r"""\.?(?P<name>[^\W\d][\w-]*)|\.?(?:'(?P<single>[^'\\]*)'|"(?P<double>[^"\\]*)")"""
    r"""|\[(?P<index>\d+)\]|\[(?:'(?P<bsingle>[^'\\]*)'|"(?P<bdouble>[^"\\]*)")\]"""
)


class Cursor:
    """A compiled cursor path.

    Attributes:
        path: The text it was made from.
        field: The top-level field when the path is one, else None.
        steps: Keys and list positions from the row to the value, or None when only a JSON path library can walk it.
    """

    __slots__ = ("_getter", "field", "get", "path", "steps")

    def __init__(self, path: str, field: str | None, steps: tuple[str | int, ...] | None) -> None:
        self.path, self.field, self.steps = path, field, steps
        self.get: Callable[[Any], Any] = _walker(steps) if steps is not None else _searcher(path)
        self._getter = itemgetter(steps[0]) if steps is not None and len(steps) == 1 else None

    def values(self, rows: Sequence[Any]) -> list[Any]:
        """The cursor value of each row; `MISSING` where there is none."""
        if self._getter is not None:
            try:
                return list(map(self._getter, rows))
            except (KeyError, TypeError, IndexError, AttributeError):
                pass  # some row lacks the field or is an object with attributes: look at them one by one
        return list(map(self.get, rows))

    @property
    def top_level(self) -> str | None:
        """The field's name when the path leads to a direct field of the row, however it was written."""
        if self.steps is not None and len(self.steps) == 1 and isinstance(self.steps[0], str):
            return self.steps[0]
        return None


def compile_cursor(path: str) -> Cursor:
    """Compile a field's name or JSON path.

    Args:
        path: ``updated_at``, ``item.updated_at``, ``$.items[0].ts``, ``'odd.name'``, or any path of jsonpath-ng.

    Raises:
        ValueError: The text is not a JSON path.
    """
    if not _SPECIAL.search(path):
        return Cursor(path, path, (path,))
    quoted = _QUOTED.fullmatch(path)
    if quoted:
        name = quoted[1] if quoted[1] is not None else quoted[2]
        return Cursor(path, name, (name,))
    return Cursor(path, None, _parse_steps(path))


def _parse_steps(path: str) -> tuple[str | int, ...] | None:
    """Split a path of keys and list positions; None if it has anything else, such as a wildcard."""
    rest = path[1:] if path.startswith("$") else path
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        # two names need a dot between them
        if found is None or (at and rest[at] not in ".["):
            return None
        if found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            names = ("name", "single", "double", "bsingle", "bdouble")
            steps.append(next(found[n] for n in names if found[n] is not None))
        at = found.end()
    return tuple(steps) or None


def _walker(steps: tuple[str | int, ...]) -> Callable[[Any], Any]:
    if len(steps) == 1 and isinstance(steps[0], str):
        return _field(steps[0])

    def walk(row: Any) -> Any:
        value = row
        for step in steps:
            if isinstance(step, int) and not isinstance(value, (list, tuple)):
                return MISSING
            try:
                value = value[step]
            except (KeyError, TypeError, IndexError):
                return MISSING
        return value

    return walk


def _field(name: str) -> Callable[[Any], Any]:
    def field(row: Any) -> Any:
        try:
            return row[name]
        except (KeyError, TypeError, IndexError, AttributeError):
            return getattr(row, name, MISSING)

    def keyed(row: Any) -> Any:
        # a dict has methods too: `items` must not be found as an attribute
        return row.get(name, MISSING) if isinstance(row, dict) else field(row)

    return keyed


def _searcher(path: str) -> Callable[[Any], Any]:
    """Leave paths with wildcards, filters and the like to jsonpath-ng, the first match counts."""
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext.parser import parse

    try:
        found = parse(path)
    except (JSONPathError, AttributeError) as error:
        raise ValueError(f"`{path}` is no JSON path: {error}") from error

    def search(row: Any) -> Any:
        try:
            matches = found.find(row)
        except (KeyError, TypeError):  # jsonpath-ng of Python 3.10 looks for positions in what is no list
            return MISSING
        return matches[0].value if matches else MISSING

    return search
