"""From the shape of raw tables to a schema: which tables and columns there will be, and where each value goes.

A pure decision: it looks at the shape, the schema and its contract, changes the schema and gives the targets that
`columns.plan` compiles. One pass in a fixed order, so that the same data give the same schema, however many workers
load.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headrace.errors.schema import DataValidationError, RejectedTableNameTaken
from headrace.model import contract as contracts
from headrace.model import tables as tb
from headrace.model.decisions import DROPPED
from headrace.model.filters import PathFilters
from headrace.model.judging import ColumnJudge, found_at
from headrace.model.rawnames import RawNames
from headrace.model.rejected import REJECTED_OF, WITH_PARENT
from headrace.model.rowkeys import RowKeys, decide_row_keys, declare_root_key
from headrace.model.shape import ChainShape, ColumnShape, TableShape
from headrace.typing import TColumnSchema, TSchemaContractDict, TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema

OnFailure = Literal["variant", "discard_value", "discard_row", "freeze"]

KIND_TYPES = {"doc": "json", "list": "json"}


class ColumnTarget(msgspec.Struct):
    """Where the values of a raw path go.

    Attributes:
        name: The column; empty when the contract lets the values go.
        column: The column's schema.
        on_failure: What becomes of values that the column's type cannot take.
        discard: ``row`` or ``value`` when the column is new and the contract refuses it; ``filter`` when a filter of
            the table leaves it out; empty otherwise.
        rule: Under which values are counted that are let go; empty for that of the contract.
    """

    name: str
    column: TColumnSchema
    on_failure: OnFailure = "variant"
    discard: str = ""
    rule: str = ""


class TableTarget(msgspec.Struct):
    """Where the rows of a raw table go.

    Attributes:
        name: The table; its rows are dropped when ``discard`` is set.
        columns: Target of each raw path.
        keys: Which key columns the rows get.
        drop_empty: Rows of which filters leave nothing are let go.
        rule: Of the contract that lets the whole table go; empty where it is a filter, or nothing at all.
    """

    path: tuple[str, ...]
    above: tuple[str, ...] | None
    name: str
    parent: str | None
    keys: RowKeys
    columns: dict[tuple[str, ...], ColumnTarget] = {}
    discard: bool = False
    drop_empty: bool = False
    rule: str = ""


class ChainTarget(msgspec.Struct):
    """Targets of all raw tables of one chain."""

    root: str
    tables: dict[tuple[tuple[str, ...], tuple[str, ...] | None], TableTarget] = {}

    def of(self, path: Sequence[str], above: Sequence[str] | None) -> TableTarget:
        """The target of the raw table at a path."""
        return self.tables[tuple(path), None if above is None else tuple(above)]


def evolve(
    schema: Schema, root: str, shape: ChainShape, names: RawNames | None = None, judge: ColumnJudge | None = None
) -> ChainTarget:
    """Bring the schema up to what was seen, and say where everything goes.

    Args:
        schema: Is changed in place.
        root: The root table's name, normalized.
        shape: What extract saw.
        names: Names of the schema's convention; given when many chains share them.
        judge: Asks gates about new columns.

    Raises:
        DataValidationError: The contract, or a gate, freezes what the data would change.
    """
    names = names or RawNames(schema)
    chain = ChainTarget(root)
    declare_root_key(schema, root)
    for table in shape.tables:
        target = _table(schema, root, table, names, chain, judge)
        key = (tuple(table.path), None if table.above is None else tuple(table.above))
        chain.tables[key] = target
    return chain


def _table(
    schema: Schema, root: str, shape: TableShape, names: RawNames, chain: ChainTarget, judge: ColumnJudge | None
) -> TableTarget:
    name = names.table(root, shape.path)
    parent = None if shape.above is None else names.table(root, shape.above)
    path, above = tuple(shape.path), None if shape.above is None else tuple(shape.above)
    known: TTableSchema = schema.tables.get(name) or {}
    if path and REJECTED_OF in known:
        raise RejectedTableNameTaken(schema.name, root, name)
    is_new = not any(tb.is_complete_column(c) for c in known.get("columns", {}).values())
    declared = {"name": name, "parent": parent} if is_new and parent and not known else None
    contract = contracts.resolve_contract(schema, name, declared)
    keys = decide_row_keys(schema, name, parent, root)
    target = TableTarget(path, above, name, parent, keys)
    if _parent_dropped(chain, above):
        target.discard, target.rule = True, _rule_above(chain, above)
        return target
    with _seen_at(shape):
        if contracts.refuses_table(schema, name, contract):
            target.discard, target.rule = True, f"tables:{contract['tables']}"
            return target
    may_grow = is_new or bool(known.get("x-normalizer", {}).get("evolve-columns-once"))
    evolution = _Evolution(schema, names, contract, may_grow, known, target, shape, judge)
    ordered = sorted(_unfiltered(shape, target, PathFilters(schema, names, root, shape.path)), key=lambda c: c.first)
    if target.drop_empty and not ordered:
        target.discard = True
        return target
    if judge is not None:
        evolution.dropped.update(judge.declared(name, found_at(names, ordered)))
    evolution.columns(ordered, lacks_keys=is_new or not keys.complete(known))
    evolution.commit(tb.new_table(name, parent_table_name=parent if keys.nested else None))
    return target


def _parent_dropped(chain: ChainTarget, above: tuple[str, ...] | None) -> bool:
    return above is not None and all(t.discard for (path, _), t in chain.tables.items() if path == above)


def _rule_above(chain: ChainTarget, above: tuple[str, ...] | None) -> str:
    """Rows below a table that filters leave out are no loss."""
    return WITH_PARENT if any(t.rule for (path, _), t in chain.tables.items() if path == above) else ""


@contextmanager
def _seen_at(table: TableShape, column: ColumnShape | None = None) -> Iterator[None]:
    """Let an error of the contract say where extract saw the data, so that the value can be found again."""
    try:
        yield
    except DataValidationError as error:
        error.seen_at = (tuple(table.path), tuple(column.path) if column else (), column.first if column else 0)
        raise


def _unfiltered(shape: TableShape, target: TableTarget, filters: PathFilters) -> list[ColumnShape]:
    """The columns that the filters of tables leave; the target says of the others that they go nowhere."""
    if not filters:
        return shape.columns
    target.drop_empty = filters.drops_empty_rows
    left = []
    for column in shape.columns:
        if filters.excluded(column.path):
            target.columns[tuple(column.path)] = ColumnTarget("", {}, discard="filter")
        else:
            left.append(column)
    return left


class _Evolution:
    """The columns of one table: which are new, and where each raw path goes."""

    def __init__(
        self,
        schema: Schema,
        names: RawNames,
        contract: TSchemaContractDict,
        may_grow: bool,
        known: TTableSchema,
        target: TableTarget,
        shape: TableShape,
        judge: ColumnJudge | None = None,
    ) -> None:
        self.schema, self.names, self.contract, self.may_grow = schema, names, contract, may_grow
        self.known, self.target, self.shape = known, target, shape
        self.judge = judge
        self.update: dict[str, TColumnSchema] = {}
        self.dropped: dict[str, TColumnSchema] = {}
        self.is_new_table = not tb.has_seen_data(known)

    def columns(self, ordered: list[ColumnShape], lacks_keys: bool) -> None:
        """Find or make the columns of all raw paths, and the keys that the table lacks."""
        behind: list[ColumnShape] = []
        if lacks_keys:
            # new keys stand behind the columns of the first row; the version that scd2 adds is one of them
            version = self.known.get("columns", {}).get(tb.C_DLT_ID, {}).get("x-row-version")
            behind = [c for c in ordered if c.first > 0 or (version and self.names.column(c.path) == tb.C_DLT_ID)]
        for column in ordered:
            if column not in behind:
                self.column(column)
        if lacks_keys:
            self.keys()
        for column in behind:
            self.column(column)

    def column(self, shape: ColumnShape) -> None:
        """Find or make the column of a raw path."""
        name, path = self.names.column(shape.path), tuple(shape.path)
        found = self.known.get("columns", {}).get(name) or self.update.get(name)
        mode = self.contract["data_type"]
        on_failure: OnFailure = "variant" if mode == "evolve" else mode
        if name in self.dropped:
            self._drop(path, name, on_failure)
            return
        if found is not None and tb.is_complete_column(found):
            self.target.columns[path] = ColumnTarget(name, found, on_failure)
            return
        column = infer_column(self.schema, name, shape)
        if found is not None:
            column = {**column, **{k: v for k, v in found.items() if v is not None}}  # type: ignore[typeddict-item]
        elif not self.may_grow:
            with _seen_at(self.shape, shape):
                verdict = contracts.decide_column(self.schema, self.target.name, name, self.contract, column)
            if verdict != "evolve":
                self.target.columns[path] = ColumnTarget("", column, on_failure, verdict.removeprefix("discard_"))
                return
        if self.judge is not None:
            judged = self.judge.column(self.target.name, column, (path, shape.first), self.is_new_table)
            if judged is None:
                self.dropped[name] = column
                self._drop(path, name, on_failure)
                return
            column = judged
        self.update[name] = column
        self.target.columns[path] = ColumnTarget(name, column, on_failure)

    def _drop(self, path: tuple[str, ...], name: str, on_failure: OnFailure) -> None:
        """Let the values of a path go, as a gate wants it; what hints said of the column goes with it."""
        self.target.columns[path] = ColumnTarget("", self.dropped[name], on_failure, "value", DROPPED)
        self.known.get("columns", {}).pop(name, None)

    def keys(self) -> None:
        """Add the key columns that the table lacks."""
        known = self.known.get("columns", {})
        for name in self.target.keys.names():
            found = known.get(name)
            if found is not None and tb.is_complete_column(found):
                continue
            column = new_column(self.schema, name, "bigint" if name == tb.C_DLT_LIST_IDX else "text")
            self.update.setdefault(name, {**column, **(found or {})})

    def commit(self, partial: TTableSchema) -> None:
        """Write new columns into the schema and mark the table as one that has rows."""
        if self.update or not self.known:
            partial = tb.partial_of(self.known, self.update) if self.known else {**partial, "columns": self.update}
            self.schema.update_table(partial, normalize_identifiers=False)
        marks = self.schema.tables[partial["name"]].setdefault("x-normalizer", {})
        marks["seen-data"] = True
        marks.pop("evolve-columns-once", None)


def infer_column(schema: Schema, name: str, shape: ColumnShape) -> TColumnSchema:
    """The column that a first value makes: by the schema's detections, else by its kind; preferred types win."""
    kind = shape.kinds[0]
    data_type: str = KIND_TYPES.get(kind, kind)
    for detector in schema.settings.get("detections") or ():
        if detector in shape.detected:
            data_type = shape.detected[detector]
            break
    preferred = schema.preferred_type(name)
    return new_column(schema, name, preferred or data_type)


def new_column(schema: Schema, name: str, data_type: str, variant: bool = False) -> TColumnSchema:
    """A column with the schema's default hints for its name."""
    column: dict[str, Any] = {"name": name, "data_type": data_type, "nullable": True}
    column.update(schema.default_hints_for(name))
    if variant:
        column["variant"] = True
    return column  # type: ignore[return-value]
