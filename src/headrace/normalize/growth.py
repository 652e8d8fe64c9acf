"""What a package adds to its schema, told table by table and column by column once it is sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from headrace.model import tables as tb
from headrace.model.events import AnyEvent, CastFailed, ColumnAdded, TableAdded, VariantAdded
from headrace.model.jobs import SpoolFile
from headrace.model.judging import Found, found_at
from headrace.model.rawnames import RawNames
from headrace.model.schema import Schema
from headrace.model.shape import ChainShape

Shapes = Mapping[str, ChainShape]
"""What extract saw, by root table."""


class _Seen:
    """Where the data have values of the columns of a table: path of the table, of the columns, first rows."""

    def __init__(self, schema: Schema, shapes: Shapes) -> None:
        self.paths: dict[str, list[str]] = {}
        self.columns: dict[str, dict[str, Found]] = {}
        names = RawNames(schema)
        for root, shape in shapes.items():
            for table in shape.tables:
                name = names.table(root, table.path)
                self.paths.setdefault(name, list(table.path))
                found = found_at(names, sorted(table.columns, key=lambda column: column.first))
                self.columns[name] = {**found, **self.columns.get(name, {})}


def tell_growth(
    load_id: str,
    schema: Schema,
    before: Mapping[str, Iterable[str]],
    files: Iterable[SpoolFile],
    shapes: Shapes,
    publish: Callable[[AnyEvent], None],
) -> None:
    """Publish an event for each new table and column.

    Args:
        load_id: The package.
        schema: As it is sealed.
        before: The complete columns of tables that had rows before the package.
        files: What extract wrote: say which resources the tables belong to.
        shapes: What extract saw.
        publish: Told of the events: in the order of the schema, whatever order the workers had.
    """
    resources = {file.table: file.resource for file in files}
    seen: _Seen | None = None
    for table in schema.data_tables(seen_data_only=True):
        old = set(before.get(table["name"], ()))
        columns = {n: c for n, c in table["columns"].items() if n not in old and tb.is_complete_column(c)}
        if columns:
            seen = seen or _Seen(schema, shapes)
            for event in _events(load_id, schema, table, columns, not old, resources, seen):
                publish(event)


def _events(
    load_id: str,
    schema: Schema,
    table: Any,
    columns: Mapping[str, Any],
    is_new: bool,
    resources: Mapping[str, str],
    seen: _Seen,
) -> Iterator[AnyEvent]:
    name = table["name"]
    root = str(schema.get_root_table(name).get("name") or name)
    where: dict[str, Any] = {
        "load_id": load_id,
        "schema_name": schema.name,
        "table": name,
        "resource": resources.get(root, ""),
    }
    if is_new:
        yield TableAdded(
            **where,
            parent=table.get("parent") or "",
            path=seen.paths.get(name, []),
            columns={n: c["data_type"] for n, c in columns.items()},
        )
    for column, found in columns.items():
        if found.get("variant"):
            of = _variant_of(table, column)
            type_of = table["columns"].get(of, {}).get("data_type", "")
            yield VariantAdded(**where, column=column, of=of, data_type=found["data_type"])
            told = {**where, "column": of, "data_type": type_of, "outcome": "variant"}
            yield CastFailed(**{k: v for k, v in told.items() if k != "schema_name"})
            continue
        path, first = seen.columns.get(name, {}).get(column, ((), None))
        told = {**where, "column": column, "data_type": found["data_type"], "path": list(path), "first": first}
        yield ColumnAdded(**told, nullable=found.get("nullable", True), is_new_table=is_new)


def _variant_of(table: Any, variant: str) -> str:
    """The column whose values did not fit: the longest that the variant's name begins with."""
    others = (n for n, c in table["columns"].items() if not c.get("variant") and variant.startswith(n))
    return max(others, key=len, default="")
