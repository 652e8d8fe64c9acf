"""Arrow tables into the spool: columns under the schema's names and types, rows never as Python objects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.base.ids import file_stem, new_file_id
from headrace.columns.arrow_schema import ArrowPlan, column_of, compile_arrow_plan, normalize_names, rearrange
from headrace.columns.keys import item_hash
from headrace.errors.columns import InvalidDataItem
from headrace.errors.schema import DataValidationError
from headrace.extract.arrow_losses import ArrowLoss, let_go, tell_value
from headrace.extract.rejects import Rejections
from headrace.formats.arrowfile import ArrowWriter
from headrace.model import contract as contracts
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.decisions import DROPPED
from headrace.model.jobs import SpoolFile
from headrace.model.judging import ColumnJudge
from headrace.model.retype import widened_by
from headrace.model.rowkeys import is_version_in_row_id
from headrace.model.schema import Schema
from headrace.model.shape import AT_KEY, ChainShape, ColumnShape, TableShape
from headrace.typing import TColumnSchema, TTableSchema

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
        rejections: Told of what the contract lets go.

    Attributes:
        judge: Asks gates about new columns.
        opened: Called before a file is opened.
        is_new: The table had no rows before this extract.
    """

    def __init__(
        self,
        root: Path,
        table: str,
        resource: str,
        schema: Schema,
        capabilities: Capabilities,
        declared: Collection[str],
        rejections: Rejections,
    ) -> None:
        self.root, self.table, self.resource = root, table, resource
        self.schema, self.capabilities, self.declared = schema, capabilities, declared
        self.rejections, self._rows_before = rejections, 0
        self.files: list[SpoolFile] = []
        self.is_new = not tb.has_seen_data(schema.tables.get(table) or {})
        self.judge: ColumnJudge | None = None
        self.opened: Callable[[], None] | None = None
        self._dropped: Collection[str] = ()
        self._taken = False
        self._writer: ArrowWriter | None = None
        self._plans: dict[pa.Schema, tuple[ArrowPlan, list[ArrowLoss]]] = {}
        self._shape: dict[str, ColumnShape] = {}
        self._noted = 0  # columns of the shape that an earlier file has noted
        self._versioned = table in schema.tables and is_version_in_row_id(schema, table)

    def write(self, data: pa.Table) -> int:
        """Spool a table; gives how many rows were kept."""
        if self._versioned and tb.C_DLT_ID not in data.column_names:
            data = with_versions(data)
        given = data.schema.remove_metadata()
        found = self._plans.get(given)
        if found is None:
            found = self._plans[given] = self._prepare(given, data)
        plan, losses = found
        self._taken |= bool(plan.sources)
        kept = 0
        for batch in data.to_batches(max_chunksize=BATCH_ROWS):
            first, self._rows_before = self._rows_before, self._rows_before + batch.num_rows
            if losses:
                batch = let_go(batch, losses, self.rejections, self.table, self.resource, first)
            if batch.num_rows and plan.sources:
                self._write(plan, batch)
                kept += batch.num_rows
        return kept

    def _write(self, plan: ArrowPlan, batch: pa.RecordBatch) -> None:
        try:
            made = rearrange(batch, plan)
        except pa.ArrowInvalid as error:
            raise InvalidDataItem(self.resource, self.table, "", None, str(error)) from error
        if self._writer is not None and (self._writer.schema != made.schema or self._writer.size >= FILE_BYTES):
            self.close_file()
        if self._writer is None:
            if self.opened is not None:
                self.opened()
            path = self.root / "spool" / f"{file_stem(self.table)}.{new_file_id()}.arrow"
            self._writer = ArrowWriter(path, made.schema, compress=True)
        self._writer.write(made)

    def _prepare(self, given: pa.Schema, data: pa.Table) -> tuple[ArrowPlan, list[ArrowLoss]]:
        """Bring the schema up to an Arrow schema, by the contract, and plan the way into it."""
        try:
            names = normalize_names(given, self.schema.naming)
        except ValueError as error:
            raise InvalidDataItem(self.resource, self.table, "", None, str(error)) from error
        known = self.schema.tables.get(self.table) or tb.new_table(self.table)
        contract = contracts.resolve_contract(self.schema, self.table)
        if contracts.refuses_table(self.schema, self.table, contract):
            return ArrowPlan([], pa.schema([])), [
                ArrowLoss(field.name, names[field.name], f"tables:{contract['tables']}") for field in given
            ]
        if self.judge is not None:
            self._dropped = self.judge.declared(self.table, {names[f.name]: ((f.name,), 0) for f in given})
        update: dict[str, TColumnSchema] = {}
        losses: list[ArrowLoss] = []
        for field in given:
            loss = self._column(field, names[field.name], known, update, data)
            if loss is not None:
                losses.append(loss)
        self.schema.update_table(tb.partial_of(known, update), normalize_identifiers=False)
        table = self.schema.tables[self.table]
        table.setdefault("x-normalizer", {})["seen-data"] = True
        lost = {loss.field for loss in losses}
        taken = {raw: name for raw, name in names.items() if raw not in lost}
        for field in given:
            if field.name in taken and field.name not in self._shape and (made := column_of(field, self.table)):
                self._shape[field.name] = ColumnShape(
                    [field.name], [made["data_type"]], 0, made=AT_KEY, type=str(field.type)
                )
        return compile_arrow_plan(given, taken, table["columns"], self.capabilities), losses

    def _column(
        self, field: pa.Field, name: str, table: TTableSchema, update: dict[str, TColumnSchema], data: pa.Table
    ) -> ArrowLoss | None:
        """Add a field's column to the update; gives the loss when the contract refuses it."""
        made = column_of(field, self.table)
        if made is None:
            return None
        if name in self._dropped:
            return ArrowLoss(field.name, name, DROPPED)
        known = table.get("columns", {}).get(name)
        is_new = not any(tb.is_complete_column(c) for c in table.get("columns", {}).values())
        contract = contracts.resolve_contract(self.schema, self.table)
        if known is not None and tb.is_complete_column(known):
            if is_new or name in self.declared:
                return None
            if contract["data_type"] != "evolve":
                return self._other_type(field, name, known, made, data)
            wider = widened_by(known, made, self.capabilities)
            update.update({} if wider is None else {name: wider})
            return None
        column: Any = {"name": name, **self.schema.default_hints_for(name), **made, **(known or {})}
        if not is_new and known is None:
            verdict = self._decide(field, name, column, data, f"the column `{name}`")
            if verdict != "evolve":
                return ArrowLoss(field.name, name, f"columns:{verdict}")
        if self.judge is not None:
            column = self.judge.column(self.table, column, ((field.name,), self._rows_before), self.is_new)
        if column is None:
            return ArrowLoss(field.name, name, DROPPED)
        update[name] = column
        return None

    def _other_type(
        self, field: pa.Field, name: str, known: TColumnSchema, made: dict[str, Any], data: pa.Table
    ) -> ArrowLoss | None:
        """A contract on types speaks of another type, or one that the column would have to be widened for.

        Whole numbers of other sizes are welcome: most writers of frames know 64 bits only.
        """
        wider = widened_by(known, made, self.capabilities)
        if known["data_type"] == made["data_type"] and (wider is None or made["data_type"] == "bigint"):
            return None
        column: Any = {"name": name, **made, "nullable": known.get("nullable", True)}
        verdict = self._decide(field, name, column, data, f"a value of `{name}`, where it can be cast")
        return None if verdict == "evolve" else ArrowLoss(field.name, name, f"data_type:{verdict}")

    def _decide(self, field: pa.Field, name: str, column: Any, data: pa.Table, becomes: str) -> contracts.Verdict:
        contract = contracts.resolve_contract(self.schema, self.table)
        known = self.schema.tables.get(self.table, {}).get("columns", {}).get(name)
        try:
            return contracts.decide_column(self.schema, self.table, name, contract, column)
        except DataValidationError as error:
            tell_value(error, data, field.name, self.resource, self._rows_before, known, becomes)
            raise

    def close_file(self) -> None:
        """Close the open file, if there is one; frames that come later begin another."""
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
                shape=self._new_shape(),
            )
        )
        self._writer = None

    def _new_shape(self) -> dict[str, Any]:
        """What the columns were called, where no earlier file has noted it."""
        new = list(self._shape.values())[self._noted :]
        self._noted = len(self._shape)
        return ChainShape([TableShape([], None, new)]).to_dict() if new else {}

    def finish(self) -> list[SpoolFile]:
        """Close the files and give them; where no row came, the note that the table is to be made or emptied."""
        self.close_file()
        wanted = self.is_new or self.schema.write_disposition(self.table) == "replace"
        if self._taken and wanted and not self.files:
            self.files.append(SpoolFile(path="", table=self.table, resource=self.resource, kind="empty"))
        return self.files

    def close(self) -> None:
        """Close the open file after an error."""
        if self._writer is not None:
            self._writer.close()


def with_versions(data: pa.Table) -> pa.Table:
    """Add the row id that a history (``scd2``) knows the versions of rows by: a hash of each row."""
    ids = [item_hash(row) for batch in data.to_batches(max_chunksize=BATCH_ROWS) for row in batch.to_pylist()]
    return data.append_column(pa.field(tb.C_DLT_ID, pa.string(), nullable=False), pa.array(ids, pa.string()))
