"""What contracts let go while data is read: counted, and kept as rows of its own table where the user wants that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.base import json
from headrace.columns.arrow import to_tables
from headrace.columns.kinds import UnknownValueType
from headrace.columns.rebuild import spelled
from headrace.columns.shred import UNLIMITED, as_documents, shred
from headrace.model.rawnames import RawNames
from headrace.model.rejected import (
    WITH_PARENT,
    Reasons,
    RejectedCount,
    RejectedItem,
    as_counts,
    keeps_rejected,
    put_rejected_table,
    records,
)
from headrace.model.schema import Schema

if TYPE_CHECKING:
    from headrace.extract.sink import Sink


class Rejections:
    """What one sink was told of rows and values that are let go.

    Args:
        schema: Gets the tables of rejected rows.
        sink: Takes their rows.
        keep: Keep items of tables that do not say themselves (``normalize.keep_rejected``).
    """

    def __init__(self, schema: Schema, sink: Sink, keep: bool) -> None:
        self.schema, self.keep, self._sink = schema, keep, sink
        self._reasons: dict[str, Reasons] = {}
        self._positions: Counter[str] = Counter()

    def keeps(self, root: str) -> bool:
        """Whether items of a root table are kept."""
        return keeps_rejected(self.schema, root, self.keep)

    def counts(self) -> list[RejectedCount]:
        """What was let go."""
        return [one for resource, reasons in self._reasons.items() for one in as_counts(reasons, resource)]

    def count(self, resource: str, table: str, column: str, rule: str, rows: int) -> None:
        """Add rows or values of a table."""
        if rows:
            self._reasons.setdefault(resource, Counter())[table, column, rule] += rows

    def put(self, root: str, resource: str, items: Iterable[RejectedItem]) -> None:
        """Keep items of a root table."""
        rows = records(self.schema, [one._replace(item=as_text(one.item)) for one in items])
        if rows:
            table = put_rejected_table(self.schema, root, resource)
            self._sink.write_rows(table, rows, resource=resource, max_nesting=0)

    # ---- whole tables ----

    def rows(self, root: str, rows: Sequence[Any], rule: str, resource: str, max_nesting: int | None) -> None:
        """Rows of a table that is not welcome; rows of lists in them are counted under their tables."""
        self.count(resource, root, "", rule, len(rows))
        try:
            frame = shred(as_documents(list(rows)), UNLIMITED if max_nesting is None else max_nesting)
        except UnknownValueType:
            frame = []  # nothing of it would have become a row
        names = RawNames(self.schema)
        for table in frame[1:]:
            self.count(resource, names.table(root, table.path), "", WITH_PARENT, table.rows)
        self._whole(root, rows, rule, resource, len(rows))

    def frame(self, root: str, frame: Any, rule: str, resource: str) -> None:
        """A frame for a table that is not welcome."""
        for part in to_tables(frame):
            self.count(resource, root, "", rule, part.num_rows)
            self._whole(root, part.to_pylist() if self.keeps(root) else (), rule, resource, part.num_rows)

    def _whole(self, root: str, rows: Sequence[Any], rule: str, resource: str, count: int) -> None:
        first = self._positions[root]
        self._positions[root] += count
        if self.keeps(root):
            place = ("$", root, "", rule, resource)
            self.put(root, resource, [RejectedItem(row, *place, first + i, False) for i, row in enumerate(rows)])


def as_text(item: Any) -> str:
    """An item as JSON text; values that JSON cannot hold as their Python form."""
    plain = spelled(item if isinstance(item, dict) else as_documents([item])[0])
    try:
        return json.dumps(plain)
    except TypeError:
        return json.dumps(_plain(plain, repr))


def _plain(value: Any, other: Callable[[Any], str]) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v, other) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v, other) for v in value]
    try:
        json.dumps(value)
    except TypeError:
        return other(value)
    return value
