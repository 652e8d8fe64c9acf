"""What a package adds to its schema, told table by table and column by column once it is sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from headrace.model import tables as tb
from headrace.model.events import AnyEvent, CastFailed, ColumnAdded, TableAdded, VariantAdded
from headrace.model.evolve import KIND_TYPES
from headrace.model.jobs import SpoolFile, shared_tables
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


class _Writers:
    """Which resources brought a table or column, in the order of their files."""

    def __init__(self, schema: Schema, files: Sequence[SpoolFile]) -> None:
        self._roots: dict[str, list[str]] = {}
        self._found: dict[tuple[str, str], list[str]] = {}
        names, shared = RawNames(schema), shared_tables(files)
        for file in files:
            for resource in (file.resource, *file.others):
                _add(self._roots.setdefault(file.table, []), resource)
            if file.table in shared and file.shape and not file.others:
                self._look(names, file)

    def _look(self, names: RawNames, file: SpoolFile) -> None:
        for table in ChainShape.from_dict(file.shape).tables:
            name = names.table(file.table, table.path)
            _add(self._found.setdefault((name, ""), []), file.resource)
            for column in table.columns:
                at = names.column(column.path)
                for key in (at, *(names.variant(at, KIND_TYPES.get(kind, kind)) for kind in column.kinds)):
                    _add(self._found.setdefault((name, key), []), file.resource)

    def of(self, root: str, table: str, *columns: str) -> list[str]:
        """The resources whose rows have the first of the columns that any has; else those of the table."""
        for column in (*columns, ""):
            if found := self._found.get((table, column)):
                return found
        return self._roots.get(root, [])


def _add(found: list[str], resource: str) -> None:
    if resource not in found:
        found.append(resource)


def tell_growth(
    load_id: str,
    schema: Schema,
    before: Mapping[str, Iterable[str]],
    files: Sequence[SpoolFile],
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
    seen: _Seen | None = None
    writers: _Writers | None = None
    for table in schema.data_tables(seen_data_only=True):
        old = set(before.get(table["name"], ()))
        columns = {n: c for n, c in table["columns"].items() if n not in old and tb.is_complete_column(c)}
        if columns:
            seen = seen or _Seen(schema, shapes)
            writers = writers or _Writers(schema, files)
            for event in _events(load_id, schema, table, columns, not old, writers, seen):
                publish(event)


def _events(
    load_id: str,
    schema: Schema,
    table: Any,
    columns: Mapping[str, Any],
    is_new: bool,
    writers: _Writers,
    seen: _Seen,
) -> Iterator[AnyEvent]:
    name = table["name"]
    root = str(schema.get_root_table(name).get("name") or name)
    where: dict[str, Any] = {"load_id": load_id, "schema_name": schema.name, "table": name}
    if is_new:
        yield TableAdded(
            **where,
            **_who(writers.of(root, name)),
            parent=table.get("parent") or "",
            path=seen.paths.get(name, []),
            columns={n: c["data_type"] for n, c in columns.items()},
        )
    for column, found in columns.items():
        if found.get("variant"):
            of = _variant_of(table, column)
            type_of = table["columns"].get(of, {}).get("data_type", "")
            who = _who(writers.of(root, name, column, of))
            yield VariantAdded(**where, **who, column=column, of=of, data_type=found["data_type"])
            told = {**where, **who, "column": of, "data_type": type_of, "outcome": "variant"}
            yield CastFailed(**{k: v for k, v in told.items() if k != "schema_name"})
            continue
        path, first = seen.columns.get(name, {}).get(column, ((), None))
        told = {**where, **_who(writers.of(root, name, column)), "column": column, "path": list(path), "first": first}
        told["data_type"] = found["data_type"]
        yield ColumnAdded(**told, nullable=found.get("nullable", True), is_new_table=is_new)


def _who(resources: list[str]) -> dict[str, Any]:
    return {"resource": resources[0] if resources else "", "resources": list(resources)}


def _variant_of(table: Any, variant: str) -> str:
    """The column whose values did not fit: the longest that the variant's name begins with."""
    others = (n for n, c in table["columns"].items() if not c.get("variant") and variant.startswith(n))
    return max(others, key=len, default="")
