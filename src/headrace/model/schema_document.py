"""The stored form of a schema: its defaults, its hash and version, and what may be in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from headrace.base import json
from headrace.base.strings import digest256
from headrace.errors.schema import InvalidSchemaName, SchemaCorruptedException
from headrace.model.naming.snake_case import NamingConvention as SnakeCase
from headrace.model.tables import COLUMN_PROPS, remove_column_defaults
from headrace.typing import TDataType, TTableSchema

ENGINE_VERSION = 11
MAX_NAME_LENGTH = 64
MAX_PREVIOUS_HASHES = 10
RELATIONAL = "dlt.common.normalizers.json.relational"

_UNHASHED = ("version", "version_hash", "imported_version_hash", "previous_hashes")
_DOCUMENT_KEYS = frozenset(
    {"version", "version_hash", "previous_hashes", "imported_version_hash", "engine_version", "name", "description"}
    | {"settings", "tables", "normalizers"}
)
_SETTINGS_KEYS = frozenset({"detections", "default_hints", "preferred_types", "schema_contract"})
_TABLE_KEYS = frozenset(
    {"name", "columns", "write_disposition", "resource", "parent", "description", "schema_contract", "filters"}
    | {"table_format", "file_format", "references"}
)
_DATA_TYPES = frozenset(get_args(TDataType))

T = TypeVar("T")


def copy_document(value: T) -> T:
    """A copy of nested dictionaries and lists; what they hold is shared."""
    if isinstance(value, dict):
        return {k: copy_document(v) if isinstance(v, (dict, list)) else v for k, v in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [copy_document(v) if isinstance(v, (dict, list)) else v for v in value]  # type: ignore[return-value]
    return value


def version_hash(document: Mapping[str, Any]) -> str:
    """The hash of a stored schema's content. The order of columns counts, that of all other keys does not."""
    content = {k: v for k, v in document.items() if k not in _UNHASHED}
    parts = [json.dumpb(content, sort_keys=True)]
    # the sorted text above says nothing about the order of columns, which is part of the content
    for name in sorted(document["tables"]):
        parts.append(name.encode("utf-8"))
        parts.extend(c.encode("utf-8") for c in document["tables"][name].get("columns") or ())
    return digest256(b"".join(parts))


def bump_version(document: dict[str, Any]) -> tuple[int, str]:
    """Bring version, hash and previous hashes of a stored schema up to its content, changing it.

    Returns:
        The version and the hash. A document without a hash keeps its version.
    """
    new, old = version_hash(document), document.get("version_hash")
    if old != new:
        if old:
            document["version"] += 1
            document["previous_hashes"] = push_hash(document.get("previous_hashes") or [], old)
        document["version_hash"] = new
    return document["version"], new


def push_hash(previous: list[str], old: str) -> list[str]:
    """Previous hashes with one more in front, without repetition, the oldest dropped when there are too many."""
    return [old, *(h for h in previous if h != old)][:MAX_PREVIOUS_HASHES]


def apply_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Give tables and columns the names, and root tables the resource and disposition, that a short form leaves out."""
    for name, table in document["tables"].items():
        table["name"] = name
        if not table.get("parent"):
            table.setdefault("write_disposition", "append")
            table.setdefault("resource", name)
        for column_name, column in table.setdefault("columns", {}).items():
            column["name"] = column_name
    return document


def remove_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """The short form of a stored schema, as people read it: undone by `apply_defaults`."""
    tables = {}
    for name, table in document["tables"].items():
        short = {k: v for k, v in table.items() if k != "name"}
        short["columns"] = {
            c: {k: v for k, v in column.items() if k != "name"} for c, column in (table.get("columns") or {}).items()
        }
        tables[name] = short
    return {**{k: v for k, v in document.items() if k != "imported_version_hash"}, "tables": tables}


def remove_table_defaults(table: TTableSchema) -> dict[str, Any]:
    """A table whose columns have only the properties that say something."""
    return {**table, "columns": {n: remove_column_defaults(c) for n, c in table.get("columns", {}).items()}}


def is_valid_name(name: Any) -> bool:
    """Whether a schema or source may have this name."""
    return isinstance(name, str) and name.isidentifier() and len(name) <= MAX_NAME_LENGTH


def check_name(name: Any) -> str:
    """The name.

    Raises:
        InvalidSchemaName: It cannot be that of a schema.
    """
    if not is_valid_name(name):
        raise InvalidSchemaName(name)
    return str(name)


def normalize_schema_name(name: str) -> str:
    """A valid schema name made of any text (of a function's or pipeline's name)."""
    return SnakeCase(MAX_NAME_LENGTH).normalize_identifier(name)


def validate(document: Mapping[str, Any]) -> None:
    """Check that a stored schema has what it must have and nothing that would be ignored.

    Raises:
        SchemaCorruptedException: Says what is wrong and where.
    """
    name = document.get("name")
    for key in ("version", "engine_version", "name", "tables", "settings", "normalizers"):
        if key not in document:
            raise SchemaCorruptedException(name, f"its document has no `{key}`.")
    _known(name, "the document", document, _DOCUMENT_KEYS)
    _known(name, "`settings`", document["settings"], _SETTINGS_KEYS)
    for column_pattern, data_type in (document["settings"].get("preferred_types") or {}).items():
        _data_type(name, f"`settings.preferred_types.{column_pattern}`", data_type)
    for table_name, table in document["tables"].items():
        _known(name, f"table `{table_name}`", table, _TABLE_KEYS)
        for column_name, column in (table.get("columns") or {}).items():
            place = f"column `{table_name}.{column_name}`"
            _known(name, place, column, COLUMN_PROPS)
            if column.get("data_type") is not None:
                _data_type(name, place, column["data_type"])


def _known(schema_name: Any, place: str, found: Any, known: frozenset[str]) -> None:
    if not isinstance(found, Mapping):
        raise SchemaCorruptedException(schema_name, f"{place} is not a dictionary.")
    unknown = [k for k in found if k not in known and not str(k).startswith("x-")]
    if unknown:
        raise SchemaCorruptedException(
            schema_name,
            f"{place} has unknown properties: {', '.join(map(repr, unknown))}.",
            fix="correct the spelling; hints of your own start with `x-`",
        )


def _data_type(schema_name: Any, place: str, data_type: Any) -> None:
    if data_type not in _DATA_TYPES:
        raise SchemaCorruptedException(
            schema_name,
            f"{place} has the unknown data type {data_type!r}.",
            fix=f"use one of: {', '.join(sorted(_DATA_TYPES))}",
        )
