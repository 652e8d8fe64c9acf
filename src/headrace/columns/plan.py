"""Plans: what to do with each column of a raw batch, compiled once for each shape of batch.

Schemas are dictionaries which users read and change; nothing that runs for each batch looks at them. A plan holds what
was decided, and maps each output column to the paths it comes from, which is also its lineage.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from headrace.columns.coerce import arrow_type
from headrace.columns.frame import Path, TableHead
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.evolve import ChainTarget, ColumnTarget, TableTarget
from headrace.model.schema import Schema


class ColumnOp(NamedTuple):
    """One raw column's way into an output column: ``place`` is the column's number in the batch."""

    place: int
    path: Path
    kind: str
    target: ColumnTarget
    data_type: str
    arrow: pa.DataType


class TablePlan(NamedTuple):
    """What to do with a raw batch.

    Attributes:
        target: Where its rows go.
        above: Index of the parent's batch in the frame.
        outputs: Ops of each output column; several when paths share a name or a path has several kinds.
        discards: Ops of columns that the contract refuses.
        required: Output columns that must hold a value in every row.
        missing: Required columns that the batch does not have at all.
    """

    target: TableTarget
    above: int
    outputs: dict[str, list[ColumnOp]]
    discards: list[ColumnOp]
    required: frozenset[str]
    missing: tuple[str, ...]


def compile_plan(
    head: TableHead, above: TablePlan | None, chain: ChainTarget, schema: Schema, capabilities: Capabilities
) -> TablePlan:
    """Compile the plan for batches with a head.

    Args:
        head: What the batch says of its columns.
        above: The plan of the parent's batch, None for the root.
        chain: The targets `evolve` decided on.
        schema: Frozen by now.
        capabilities: Of the destination: decide decimal and timestamp widths.
    """
    target = chain.of(head.path, None if above is None else above.target.path)
    lead = 0 if above is None else 2
    outputs: dict[str, list[ColumnOp]] = {}
    discards: list[ColumnOp] = []
    if not target.discard:
        for i, (path, kind) in enumerate(head.columns):
            if target.columns[tuple(path)].discard == "filter":
                continue
            op = _op(lead + i, tuple(path), kind, target, capabilities)
            if op.target.discard:
                discards.append(op)
            else:
                outputs.setdefault(op.target.name, []).append(op)
    required, missing = _required(schema, target, outputs)
    return TablePlan(target, head.above, outputs, discards, required, missing)


def _op(index: int, path: Path, kind: str, target: TableTarget, capabilities: Capabilities) -> ColumnOp:
    column = target.columns[path]
    return ColumnOp(index, path, kind, column, column.column["data_type"], arrow_type(column.column, capabilities))


def _required(
    schema: Schema, target: TableTarget, outputs: dict[str, list[ColumnOp]]
) -> tuple[frozenset[str], tuple[str, ...]]:
    keys = target.keys.names()
    table = schema.tables.get(target.name, {})
    required = [
        name
        for name, column in table.get("columns", {}).items()
        if column.get("nullable") is False
        and name not in keys
        and tb.is_complete_column(column)
        and not name.startswith(tb.DLT_NAME_PREFIX)
    ]
    return frozenset(required), tuple(name for name in required if name not in outputs)
