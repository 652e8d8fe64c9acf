"""Stored schemas of older layouts, brought to the present one step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from headrace.errors.schema import SchemaEngineNoUpgradePathException
from headrace.model.schema_document import ENGINE_VERSION, RELATIONAL
from headrace.model.schema_settings import REGEX_PREFIX
from headrace.model.tables import (
    C_DLT_ID,
    C_DLT_PARENT_ID,
    LOADS_TABLE_NAME,
    VERSION_TABLE_NAME,
    X_NORMALIZER,
    loads_table,
    new_table,
    version_table,
)

Document = dict[str, Any]
_PATH = "__"


def upgrade(document: Document, to_engine: int = ENGINE_VERSION) -> Document:
    """Bring a stored schema to a newer layout, changing it.

    Args:
        document: A stored schema of any layout from 1 on.
        to_engine: The layout to reach.

    Returns:
        The same document.

    Raises:
        SchemaEngineNoUpgradePathException: The layout is newer than this program, or none at all.
    """
    started = document.get("engine_version")
    if started is None:
        started = document["engine_version"] = to_engine
    while document["engine_version"] < to_engine:
        step = _STEPS.get(document["engine_version"])
        if step is None:
            break
        step(document)
        document["engine_version"] += 1
    if document["engine_version"] != to_engine:
        raise SchemaEngineNoUpgradePathException(
            str(document.get("name")), started, document["engine_version"], to_engine
        )
    _remove_null_marks(document)
    return document


def _to_2(document: Document) -> None:
    document["includes"], document["excludes"] = [], []


def _to_3(document: Document) -> None:
    """Settings get a place of their own, patterns their prefix, tables their parents."""
    document["normalizers"] = {
        "names": "snake_case",
        "json": {"module": RELATIONAL, "config": {"propagation": {"root": {C_DLT_ID: "_dlt_root_id"}}}},
    }
    hints, preferred = document.pop("hints", {}), document.pop("preferred_types", {})
    document["settings"] = {
        "default_hints": {hint: [REGEX_PREFIX + p for p in patterns] for hint, patterns in hints.items()},
        "preferred_types": {REGEX_PREFIX + p: data_type for p, data_type in preferred.items()},
    }
    old = document.pop("tables")
    tables = document["tables"] = {
        name: {**new_table(name, _parent_of(name, old)), "columns": columns} for name, columns in old.items()
    }
    for kind in ("excludes", "includes"):
        for pattern in document.pop(kind, ()):
            _move_filter(tables, kind, pattern)


def _parent_of(name: str, tables: Document) -> str | None:
    while _PATH in name:
        name = name.rpartition(_PATH)[0]
        if name in tables:
            return name
    return None


def _move_filter(tables: Document, kind: str, pattern: str) -> None:
    """``^table__path`` becomes the filter ``re:^path`` of the table."""
    anchor = "^" if pattern.startswith("^") else ""
    root, _, path = pattern.removeprefix("^").partition(_PATH)
    table = tables.setdefault(root, cast(Any, new_table(root)))
    table.setdefault("filters", {}).setdefault(kind, []).append(REGEX_PREFIX + anchor + path)


def _to_4(document: Document) -> None:
    document.setdefault("version_hash", None)


def _to_5(document: Document) -> None:
    document["tables"][VERSION_TABLE_NAME] = version_table()
    document["tables"][LOADS_TABLE_NAME] = loads_table()


def _to_6(document: Document) -> None:
    document["tables"][LOADS_TABLE_NAME] = loads_table()


def _to_7(document: Document) -> None:
    # sealing came before contracts and never had an effect
    document["settings"].pop("schema_sealed", None)
    for table in document["tables"].values():
        table.pop("table_sealed", None)


def _to_8(document: Document) -> None:
    document["previous_hashes"] = []


def _to_9(document: Document) -> None:
    for table in document["tables"].values():
        # only normalize adds row keys, so these tables had rows
        if (table.get("columns", {}).get(C_DLT_ID) or {}).get("data_type"):
            table.setdefault(X_NORMALIZER, {})["seen-data"] = True


def _to_10(document: Document) -> None:
    settings = document["settings"]
    hints = settings.setdefault("default_hints", {})
    hints.pop("foreign_key", None)
    hints["row_key"], hints["parent_key"] = [C_DLT_ID], [C_DLT_PARENT_ID]
    preferred = settings.get("preferred_types") or {}
    preferred.update({pattern: "json" for pattern, data_type in preferred.items() if data_type == "complex"})
    for table in document["tables"].values():
        for name, column in table.get("columns", {}).items():
            foreign = bool(column.pop("foreign_key", False))
            if column.get("data_type") == "complex":
                column["data_type"] = "json"
            if name == C_DLT_ID:
                column["row_key"] = bool(column.get("unique"))
            elif name == C_DLT_PARENT_ID:
                column["parent_key"] = foreign


def _to_11(document: Document) -> None:
    document["normalizers"]["use_break_path_on_normalize"] = False


_STEPS: dict[int, Callable[[Document], None]] = {
    1: _to_2,
    2: _to_3,
    3: _to_4,
    4: _to_5,
    5: _to_6,
    6: _to_7,
    7: _to_8,
    8: _to_9,
    9: _to_10,
    10: _to_11,
}


def _remove_null_marks(document: Document) -> None:
    """Drop columns that were remembered only because nulls came before values."""
    for table in document["tables"].values():
        columns = table.get("columns") or {}
        marked = [n for n, c in columns.items() if (c.get(X_NORMALIZER) or {}).get("seen-null-first")]
        for name in marked:
            del columns[name]
