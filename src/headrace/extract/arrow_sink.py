"""Arrow tables into the spool: columns under the schema's names and types, rows never as Python objects."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.base.ids import new_file_id
from headrace.columns.arrow_schema import ArrowPlan, column_of, compile_arrow_plan, normalize_names, rearrange
from headrace.errors.columns import InvalidDataItem
from headrace.formats.arrowfile import ArrowWriter
from headrace.model import contract as contracts
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import SpoolFile
from headrace.model.retype import widened_by
from headrace.model.schema import Schema
from headrace.typing import TColumnSchema

FILE_BYTES = 16 * 1024 * 1024  # compressed: what one job takes
BATCH_ROWS = 128 * 1024


class ArrowTable:
    """The frames of one root table.

    Args:
        root: The package folder.
        table: The table's name, normalized.
        resource: For errors and file facts.
        schema: Gets the columns that the frames bring.
        capabilities: Decide travel types.
        declared: Columns whose type the hints fix: frames do not widen these.
    """

    def __init__(
        self,
        root: Path,
        table: str,
        resource: str,
        schema: Schema,
        capabilities: Capabilities,
        declared: Collection[str] = (),
    ) -> None:
        self.root, self.table, self.resource = root, table, resource
        self.schema, self.capabilities, self.declared = schema, capabilities, declared
        self.files: list[SpoolFile] = []
        self._writer: ArrowWriter | None = None
        self._plans: dict[pa.Schema, tuple[ArrowPlan, list[str]]] = {}

    def write(self, data: pa.Table) -> int:
        """Spool a table; gives how many rows were kept."""
        given = data.schema.remove_metadata()
        found = self._plans.get(given)
        if found is None:
            found = self._plans[given] = self._prepare(given)
        plan, discard_rows = found
        if not plan.sources:
            return 0
        kept = 0
        for batch in data.to_batches(max_chunksize=BATCH_ROWS):
            if discard_rows:
                batch = _without(batch, discard_rows)
            if batch.num_rows:
                self._write(plan, batch)
                kept += batch.num_rows
        return kept

    def _write(self, plan: ArrowPlan, batch: pa.RecordBatch) -> None:
        try:
            made = rearrange(batch, plan)
        except pa.ArrowInvalid as error:
            raise InvalidDataItem(self.resource, self.table, "", None, str(error)) from error
        if self._writer is not None and (self._writer.schema != made.schema or self._writer.size >= FILE_BYTES):
            self._close_file()
        if self._writer is None:
            path = self.root / "spool" / f"{self.table}.{new_file_id()}.arrow"
            self._writer = ArrowWriter(path, made.schema, compress=True)
        self._writer.write(made)

    def _prepare(self, given: pa.Schema) -> tuple[ArrowPlan, list[str]]:
        """Bring the schema up to an Arrow schema, by the contract, and plan the way into it."""
        try:
            names = normalize_names(given, self.schema.naming)
        except ValueError as error:
            raise InvalidDataItem(self.resource, self.table, "", None, str(error)) from error
        known = self.schema.tables.get(self.table) or tb.new_table(self.table)
        columns = known.get("columns", {})
        is_new = not any(tb.is_complete_column(c) for c in columns.values())
        contract = contracts.resolve_contract(self.schema, self.table)
        if contracts.refuses_table(self.schema, self.table, contract):
            return ArrowPlan([], pa.schema([])), []
        update, discard_rows = self._new_columns(given, names, columns, is_new, contract)
        partial = tb.partial_of(known, update)
        self.schema.update_table(partial, normalize_identifiers=False)
        table = self.schema.tables[self.table]
        table.setdefault("x-normalizer", {})["seen-data"] = True
        return compile_arrow_plan(given, names, table["columns"], self.capabilities), discard_rows

    def _new_columns(
        self, given: pa.Schema, names: dict[str, str], columns: dict[str, TColumnSchema], is_new: bool, contract: Any
    ) -> tuple[dict[str, TColumnSchema], list[str]]:
        update: dict[str, TColumnSchema] = {}
        discard_rows: list[str] = []
        for field in given:
            name = names[field.name]
            known = columns.get(name)
            made = column_of(field, self.table)
            if made is None:
                continue
            if known is not None and tb.is_complete_column(known):
                if not is_new and contract["data_type"] == "evolve" and name not in self.declared:
                    wider = widened_by(known, made, self.capabilities)
                    update.update({} if wider is None else {name: wider})
                continue
            column: Any = {"name": name, **self.schema.default_hints_for(name), **made, **(known or {})}
            if not is_new and known is None:
                verdict = contracts.decide_column(self.schema, self.table, name, contract, column)
                if verdict == "discard_row":
                    discard_rows.append(field.name)
                if verdict != "evolve":
                    continue
            update[name] = column
        return update, discard_rows

    def _close_file(self) -> None:
        writer = self._writer
        if writer is None:
            return
        size = writer.close()
        self.files.append(
            SpoolFile(
                path=str(writer.path.relative_to(self.root)),
                table=self.table,
                resource=self.resource,
                kind="arrow",
                rows=writer.rows,
                size=size,
            )
        )
        self._writer = None

    def finish(self) -> list[SpoolFile]:
        """Close the files and give them."""
        self._close_file()
        return self.files

    def close(self) -> None:
        """Close the open file after an error."""
        if self._writer is not None:
            self._writer.close()


def _without(batch: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
    """Leave out rows that have a value in one of the columns."""
    keep = None
    for name in columns:
        empty = pc.is_null(batch.column(name))
        keep = empty if keep is None else pc.and_(keep, empty)
    return batch.filter(keep)
