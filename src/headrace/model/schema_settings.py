"""Settings of a schema that speak of columns by pattern, compiled and remembered by column name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from headrace.model.naming import NamingConvention
from headrace.model.tables import (
    C_DLT_ID,
    C_DLT_LIST_IDX,
    C_DLT_LOAD_ID,
    C_DLT_PARENT_ID,
    C_DLT_ROOT_ID,
)
from headrace.typing import TDataType

REGEX_PREFIX = "re:"
# a name between both anchors or none: anything else is a pattern that a convention cannot spell
_WORD = re.compile(r"(\^)(\w+)(\$)|(\w+)")

STANDARD_DETECTIONS = ("iso_timestamp",)
STANDARD_HINTS: dict[str, tuple[str, ...]] = {
    "not_null": (C_DLT_ID, C_DLT_ROOT_ID, C_DLT_PARENT_ID, C_DLT_LIST_IDX, C_DLT_LOAD_ID),
    "parent_key": (C_DLT_PARENT_ID,),
    "root_key": (C_DLT_ROOT_ID,),
    "unique": (C_DLT_ID,),
    "row_key": (C_DLT_ID,),
}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern: what follows ``re:``, else exactly the name."""
    if pattern.startswith(REGEX_PREFIX):
        return re.compile(pattern[len(REGEX_PREFIX) :])
    return re.compile(f"^{re.escape(pattern)}$")


def normalize_pattern(naming: NamingConvention, pattern: str) -> str:
    """A pattern as the naming convention would spell the column; patterns that are more than a name stay."""
    prefix, body = (REGEX_PREFIX, pattern[3:]) if pattern.startswith(REGEX_PREFIX) else ("", pattern)
    word = _WORD.fullmatch(body)
    if word is None:
        return pattern
    if word[4]:
        return prefix + naming.normalize_path(word[4])
    return f"{prefix}^{naming.normalize_path(word[2])}$"


def prop_of_hint(hint: str) -> tuple[str, Any]:
    """The column property that a default hint sets, with its value."""
    if hint == "not_null":
        return "nullable", False
    return (hint, "asc") if hint == "dedup_sort" else (hint, True)


def merge_hints(settings: dict[str, Any], new: Mapping[str, Iterable[str]], replace: bool) -> None:
    """Add patterns to ``settings["default_hints"]``, or replace those of the hints that are given."""
    hints = settings.setdefault("default_hints", {})
    for hint, patterns in new.items():
        if replace or hint not in hints:
            hints[hint] = list(dict.fromkeys(patterns))
        else:
            hints[hint] = list(dict.fromkeys([*hints[hint], *patterns]))


class Patterns:
    """Patterns with a value each: exact names are looked up, regexes are tried in their order."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self.exact: dict[str, list[Any]] = {}
        self.regexes: list[tuple[re.Pattern[str], Any]] = []
        for pattern, value in pairs:
            if pattern.startswith(REGEX_PREFIX):
                self.regexes.append((compile_pattern(pattern), value))
            else:
                self.exact.setdefault(pattern, []).append(value)

    def find(self, name: str) -> list[Any]:
        """All values for a name, those of exact names first."""
        found = list(self.exact.get(name, ()))
        found.extend(value for regex, value in self.regexes if regex.search(name))
        return found


class ColumnSettings:
    """Preferred types and default hints of one schema, by column name.

    Args:
        settings: The schema's settings; read once. Make a new one when they change.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._types = Patterns((settings.get("preferred_types") or {}).items())
        hints = settings.get("default_hints") or {}
        self._hints = Patterns((p, hint) for hint, patterns in hints.items() for p in patterns)
        self._known_types: dict[str, TDataType | None] = {}
        self._known_hints: dict[str, dict[str, Any]] = {}

    def preferred_type(self, column_name: str) -> TDataType | None:
        """The type that the settings prefer for a column of this name."""
        try:
            return self._known_types[column_name]
        except KeyError:
            found = self._types.find(column_name)
            self._known_types[column_name] = preferred = cast("TDataType", found[0]) if found else None
            return preferred

    def default_hints_for(self, column_name: str) -> dict[str, Any]:
        """The properties that default hints add to a new column of this name; a dictionary of the caller's own."""
        known = self._known_hints.get(column_name)
        if known is None:
            known = self._known_hints[column_name] = dict(map(prop_of_hint, self._hints.find(column_name)))
        return dict(known)
