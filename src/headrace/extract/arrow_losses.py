"""What a contract lets go of Arrow data: columns, or the rows that have a value in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.errors.schema import REDACTED, DataValidationError
from headrace.model.decisions import DROPPED
from headrace.model.rejected import RejectedItem, is_sensitive

if TYPE_CHECKING:
    from headrace.extract.rejects import Rejections


class ArrowLoss(NamedTuple):
    """A column that the contract refuses.

    Attributes:
        field: The user's name of it.
        column: The normalized name.
        rule: As in `model.rejected`.
    """

    field: str
    column: str
    rule: str

    @property
    def takes_rows(self) -> bool:
        """Whether rows with a value go, not the value alone."""
        return self.rule.endswith("discard_row")


def let_go(
    batch: pa.RecordBatch, losses: list[ArrowLoss], rejections: Rejections, root: str, resource: str, first: int
) -> pa.RecordBatch:
    """Count what is let go of a batch, keep it if that is wanted, and give the rows that stay.

    Args:
        batch: As the user gave it.
        losses: Columns that the contract refuses.
        rejections: Counts and keeps.
        root: The table.
        resource: Where the batch came from.
        first: Number of the batch's first row.
    """
    gone = np.zeros(batch.num_rows, dtype=bool)
    found: list[tuple[ArrowLoss, Any]] = []
    for loss in sorted(losses, key=lambda one: not one.takes_rows):
        hits = batch.column(loss.field).is_valid().to_numpy(zero_copy_only=False) & ~gone
        if loss.takes_rows:
            gone |= hits
        found.append((loss, hits))
    keeps = rejections.keeps(root)
    # what a gate dropped is kept nowhere: it may be what nobody is to see
    secret = [loss.field for loss in losses if loss.rule == DROPPED]
    for loss, hits in found:
        rejections.count(resource, root, loss.column, loss.rule, int(np.count_nonzero(hits)))
        if keeps and hits.any() and loss.rule != DROPPED:
            rows = np.flatnonzero(hits)
            items = batch.take(pa.array(rows)).drop_columns(secret).to_pylist()
            place = (f"$.{loss.field}", root, loss.column, loss.rule, resource)
            rejections.put(
                root,
                resource,
                [
                    RejectedItem(item, *place, first + row, not loss.takes_rows)
                    for item, row in zip(items, rows.tolist(), strict=True)
                ],
            )
    return batch.filter(pa.array(~gone)) if gone.any() else batch


def tell_value(
    error: DataValidationError, data: pa.Table, field: str, resource: str, first: int, known: Any, becomes: str
) -> None:
    """Let an error name the first value of the column that broke the contract."""
    values = data.column(field)
    valid = values.is_valid().to_numpy()
    row = int(np.argmax(valid)) if valid.any() else None
    value = None if row is None else REDACTED if is_sensitive(known) else values[row].as_py()
    error.data_item = {field: value}
    error.tell(
        resource=resource,
        position=None if row is None else first + row,
        path=f"$.{field}",
        value=value,
        expected=str((known or {}).get("data_type") or ""),
        becomes=becomes,
    )
