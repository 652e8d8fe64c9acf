"""Run plans on frames: names, types, variants, keys, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.columns import keys as ids
from headrace.columns.coerce import arrow_type, cast
from headrace.columns.frame import TableHead, head_bytes, read_head
from headrace.columns.losses import Drop, Losses, record_columns
from headrace.columns.plan import ColumnOp, TablePlan, compile_plan
from headrace.columns.rebuild import FrameDocuments
from headrace.columns.values import coerce_value
from headrace.errors.schema import (
    REDACTED,
    CannotCoerceColumnException,
    CannotCoerceNullException,
    DataValidationError,
)
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.contract import resolve_contract
from headrace.model.decisions import DROPPED
from headrace.model.evolve import KIND_TYPES, ChainTarget, new_column
from headrace.model.rawnames import RawNames
from headrace.model.rejected import WITH_PARENT, is_sensitive
from headrace.model.schema import Schema
from headrace.typing import TColumnSchema

Columns = dict[str, pa.Array]


class TableBatch(NamedTuple):
    """Rows of one table, ready to be written."""

    table: str
    rows: int
    columns: Columns


class _Rows(NamedTuple):
    """What children need of their parent's rows: ids, root ids, and which rows were let go."""

    ids: pa.Array
    root_ids: pa.Array
    drop: Drop


class Origin(NamedTuple):
    """Where the rows of a spool file come from.

    Attributes:
        resource: The resource.
        start: Rows of the table in earlier files.
        rejected: The table that keeps items which the contract lets go; empty to keep none.
    """

    resource: str = ""
    start: int = 0
    rejected: str = ""


class FrameNormalizer:
    """Turns the frames of spool files, one file after the other, into batches of tables.

    Args:
        chain: Targets from `model.evolve`.
        schema: Frozen; variants that turn up are gathered in ``variants`` instead.
        capabilities: Of the destination.
        load_id: Of the package.
        seed: Numbers that make this file's random ids its own.
        origin: Where the rows come from, and where rejected ones go.

    Attributes:
        variants: Table to new variant columns, in the order of discovery.
        losses: What the contract let go, of the file that is under way.
    """

    def __init__(
        self,
        chain: ChainTarget,
        schema: Schema,
        capabilities: Capabilities,
        load_id: str,
        seed: tuple[int, ...],
        origin: Origin = Origin(),
    ) -> None:
        self.chain, self.schema, self.capabilities = chain, schema, capabilities
        self.load_id = load_id
        self.names = RawNames(schema)
        self.variants: dict[str, dict[str, TColumnSchema]] = {}
        self._hidden = {
            (target.path, path)
            for target in chain.tables.values()
            for path, column in target.columns.items()
            if column.rule == DROPPED
        }
        self._batches: list[pa.RecordBatch] = []
        self._heads: dict[bytes, TableHead] = {}
        self._plans: dict[tuple[bytes, int], TablePlan] = {}
        self.begin(seed, origin)

    def begin(self, seed: tuple[int, ...], origin: Origin) -> None:
        """Go on with another file of the chain: what is known of its frames' columns serves again."""
        self.seed, self.origin = seed, origin
        self._random = ids.RandomIds(seed)
        self.losses = Losses(bool(origin.rejected), self._hidden)
        self._rows_before = origin.start
        self._frame = 0

    def apply(self, frame: list[pa.RecordBatch]) -> list[TableBatch]:
        """Normalize one frame; tables of one name may come in several batches."""
        self._frame += 1
        self._batches = frame
        plans: list[TablePlan] = []
        rows: list[_Rows | None] = []
        out: list[TableBatch] = []
        for index, batch in enumerate(frame):
            plan = self._plan(batch, plans)
            plans.append(plan)
            above = rows[plan.above] if plan.above >= 0 else None
            if plan.target.discard or (plan.above >= 0 and above is None):
                rows.append(None)
                if plan.target.rule:
                    self.losses.note_table(index, plan.target.name, plan.target.rule, batch, above and above.drop)
                continue
            made, own = self._table(plan, batch, above, index)
            rows.append(own)
            if made.rows:
                out.append(made)
        if self.losses.keep:
            out += self._rejected(frame)
        self._rows_before += frame[0].num_rows
        return out

    def _rejected(self, frame: list[pa.RecordBatch]) -> list[TableBatch]:
        items = self.losses.items(frame, self.origin.resource, self._rows_before)
        if not items:
            return []
        columns = record_columns(self.schema, items, self.load_id, (*self.seed, self._frame, len(frame)))
        return [TableBatch(self.origin.rejected, len(items), columns)]

    def _plan(self, batch: pa.RecordBatch, plans: list[TablePlan]) -> TablePlan:
        raw = head_bytes(batch)
        head = self._heads.get(raw)
        if head is None:
            head = self._heads[raw] = read_head(raw)
        above = plans[head.above] if head.above >= 0 else None
        key = (raw, -1 if above is None else id(above))
        plan = self._plans.get(key)
        if plan is None:
            plan = compile_plan(head, above, self.chain, self.schema, self.capabilities)
            self._plans[key] = plan
        return plan

    def _table(
        self, plan: TablePlan, batch: pa.RecordBatch, above: _Rows | None, index: int
    ) -> tuple[TableBatch, _Rows]:
        count = batch.num_rows
        drop = Drop(above and above.drop, batch)
        if drop.refused is not None:
            self.losses.note(index, plan.target.name, "", (), WITH_PARENT, drop.refused, item_loaded=False)
        columns: Columns = {}
        for name, ops in plan.outputs.items():
            self._column(plan, index, name, ops, columns, drop)
        for op in plan.discards:
            hits = batch.column(op.place).is_valid()
            rule = op.target.rule or f"columns:discard_{op.target.discard}"
            self._discard(plan, index, op, hits, rule, drop)
        for hits, name, path, rule in drop.values():
            self.losses.note(index, plan.target.name, name, path, rule, hits, item_loaded=True)
        if plan.target.drop_empty:
            drop.leave_out(_empty_rows(columns, count))
        own = self._keys(plan, batch, above, columns)
        self._check_required(plan, columns, count, drop)
        if drop.mask is not None:
            kept = pa.array(~drop.mask)
            columns = {n: a.filter(kept) for n, a in columns.items()}
            count = int(np.count_nonzero(~drop.mask))
        return TableBatch(plan.target.name, count, columns), _Rows(own[0], own[1], drop)

    def _column(
        self, plan: TablePlan, index: int, name: str, ops: list[ColumnOp], columns: Columns, drop: Drop
    ) -> None:
        merged: pa.Array | None = None
        for op in ops:
            values = self._batches[index].column(op.place)
            fitting, failed = cast(op.kind, values, op.data_type, op.arrow)
            # where two keys have one name, the later one wins; kinds of one path never share a row
            merged = fitting if merged is None else pc.coalesce(fitting, merged)
            if failed is not None:
                self._failed(plan, index, op, failed, columns, drop)
        if merged is not None:
            columns[name] = merged if name not in columns else pc.coalesce(merged, columns[name])

    def _failed(
        self, plan: TablePlan, index: int, op: ColumnOp, failed: pa.Array, columns: Columns, drop: Drop
    ) -> None:
        """Values that the column cannot take: by the contract, into a variant, away, or an error."""
        values = pc.if_else(failed, self._batches[index].column(op.place), None)
        if op.target.on_failure == "variant":
            self._variant(plan, op, values, columns)
            return
        # a contract speaks of new columns: a variant that is there takes its values
        left = self._into_known_variant(plan, op, values, columns)
        if left is None:
            return
        if op.target.on_failure == "freeze":
            self._frozen(plan, index, op, left)
        self._discard(plan, index, op, left, f"data_type:{op.target.on_failure}", drop)

    def _into_known_variant(self, plan: TablePlan, op: ColumnOp, values: pa.Array, columns: Columns) -> pa.Array | None:
        """Put values into the variant that the table has for them; gives which are left, None when none are."""
        name = self.names.variant(op.target.name, KIND_TYPES.get(op.kind, op.kind))
        column = self.schema.tables[plan.target.name]["columns"].get(name)
        if column is None or not tb.is_complete_column(column):
            return values.is_valid()
        fitting, failed = cast(op.kind, values, column["data_type"], arrow_type(column, self.capabilities))
        columns[name] = pc.coalesce(columns[name], fitting) if name in columns else fitting
        return failed

    def _frozen(self, plan: TablePlan, index: int, op: ColumnOp, failed: pa.Array) -> None:
        row = int(np.argmax(failed.to_numpy(zero_copy_only=False)))
        documents, table, column = FrameDocuments(self._batches), plan.target.name, op.target.name
        hidden = is_sensitive(op.target.column)
        value = documents.value(index, row, op.path)
        error = DataValidationError(
            self.schema.name,
            table,
            column,
            "data_type",
            "freeze",
            self.schema.tables[table],
            resolve_contract(self.schema, table),
            {column: REDACTED if hidden else value},
        )
        raise error.tell(
            resource=self.origin.resource,
            position=self._rows_before + documents.root_row(index, row),
            path=documents.path(index, row, op.path),
            value=REDACTED if hidden else value,
            expected=op.data_type,
            becomes=f"the column `{self.names.variant(column, KIND_TYPES.get(op.kind, op.kind))}`",
        )

    def _discard(self, plan: TablePlan, index: int, op: ColumnOp, mask: pa.Array, rule: str, drop: Drop) -> None:
        hits = mask.to_numpy(zero_copy_only=False)
        name = str(op.target.name or op.target.column["name"])
        if rule.endswith("row"):
            fresh = drop.refuse(hits)
            self.losses.note(index, plan.target.name, name, op.path, rule, fresh, item_loaded=index > 0)
        else:
            drop.refuse_values(hits, name, op.path, rule)

    def _variant(self, plan: TablePlan, op: ColumnOp, values: pa.Array, columns: Columns) -> None:
        table, kind_type = plan.target.name, KIND_TYPES.get(op.kind, op.kind)
        name = self.names.variant(op.target.name, kind_type)
        known = self.schema.tables[table]["columns"].get(name) or self.variants.get(table, {}).get(name)
        column = known or new_column(self.schema, name, kind_type, variant=True)
        fitting, failed = cast(op.kind, values, column["data_type"], arrow_type(column, self.capabilities))
        if failed is not None and kind_type != "text":
            # a decimal or integer too long for any number column: as text nothing is lost
            self._variant(plan, op._replace(kind="text"), _as_text(pc.if_else(failed, values, None)), columns)
        elif failed is not None:
            row = int(np.argmax(failed.to_numpy(zero_copy_only=False)))
            raise CannotCoerceColumnException(
                self.schema.name, table, name, kind_type, column["data_type"], values[row].as_py()
            )
        if fitting.null_count == len(fitting):
            return  # nothing fits: no reason to make the column
        if known is None:
            self.variants.setdefault(table, {})[name] = column
        columns[name] = pc.coalesce(columns[name], fitting) if name in columns else fitting

    def _keys(
        self, plan: TablePlan, batch: pa.RecordBatch, above: _Rows | None, columns: Columns
    ) -> tuple[pa.Array, pa.Array]:
        """Add the system columns; gives the rows' ids and their root rows' ids."""
        target, count = plan.target, batch.num_rows
        keys, given = target.keys, columns.pop(tb.C_DLT_ID, None)
        parent_ids = root_ids = None
        if above is not None:
            parent = batch.column(0)
            parent_ids = above.ids.take(parent)
            root_ids = parent_ids if above.root_ids is above.ids else above.root_ids.take(parent)
        if given is not None and given.null_count == 0:
            own = given
        else:
            own = self._new_ids(plan, batch, parent_ids, columns)
            own = own if given is None else pc.coalesce(given, own)
        root_ids = own if root_ids is None or not keys.nested else root_ids
        if keys.nested:
            if keys.root_id:
                columns[tb.C_DLT_ROOT_ID] = root_ids
            columns[tb.C_DLT_PARENT_ID] = parent_ids
            columns[tb.C_DLT_LIST_IDX] = batch.column(1).cast(pa.int64())
        else:
            columns[tb.C_DLT_LOAD_ID] = pa.repeat(pa.scalar(self.load_id, pa.string()), count)
        columns[tb.C_DLT_ID] = own
        return own, root_ids

    def _new_ids(
        self, plan: TablePlan, batch: pa.RecordBatch, parent_ids: pa.Array | None, columns: Columns
    ) -> pa.Array:
        keys = plan.target.keys
        if keys.row_id == "key_hash" and keys.key_columns and all(k in columns for k in keys.key_columns):
            return ids.key_ids(
                {k: _raw_values(plan.outputs.get(k, ()), batch) for k in keys.key_columns}, batch.num_rows
            )
        if keys.nested and keys.deterministic and parent_ids is not None:
            return ids.nested_ids(parent_ids, plan.target.name, batch.column(1).to_numpy())
        return self._random.take(batch.num_rows)

    def _check_required(self, plan: TablePlan, columns: Columns, count: int, drop: Drop) -> None:
        for name in plan.missing:
            if name not in columns and drop.kept(count):
                raise CannotCoerceNullException(self.schema.name, plan.target.name, name)
        for name in plan.required:
            array = columns.get(name)
            if array is not None and array.null_count:
                nulls = array.is_null().to_numpy(zero_copy_only=False)
                if drop.mask is None or bool(np.any(nulls & ~drop.mask)):
                    raise CannotCoerceNullException(self.schema.name, plan.target.name, name)


def _as_text(values: pa.Array) -> pa.Array:
    return pa.array(
        [None if v is None else coerce_value("text", "decimal", v) for v in values.to_pylist()], pa.string()
    )


def _raw_values(ops: Sequence[ColumnOp], batch: pa.RecordBatch) -> list[Any]:
    """The values that one column is made of, as the items had them."""
    values: list[Any] = [None] * batch.num_rows
    for op in ops:
        raw = batch.column(op.place).to_pylist()
        values = [old if new is None else new for old, new in zip(values, raw, strict=True)]
    return values


def _empty_rows(columns: Columns, count: int) -> Any:
    empty = np.ones(count, dtype=bool)
    for values in columns.values():
        empty &= values.is_null().to_numpy(zero_copy_only=False)
    return empty
