"""`Relation.incremental`: the range of a cursor as a condition of a query."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from headrace.errors.base import ValueErrorWithKnownValues
from headrace.errors.dataset import RelationUnknownColumnException
from headrace.errors.incremental import IncrementalCursorPathHasValueNone

if TYPE_CHECKING:
    from headrace.dataset.relation import Relation
    from headrace.extract.incremental.step import Incremental


def incremental(relation: Relation, cursor: Incremental[Any], advance: bool) -> Relation:
    """Keep the rows in the cursor's range; see `Relation.incremental`."""
    if cursor.last_value_func not in (max, min):
        name = getattr(cursor.last_value_func, "__name__", "a function")
        raise ValueErrorWithKnownValues("last_value_func", name, ["max", "min"])
    made = _Range(relation, cursor)
    bound = cursor.resource_name is not None
    start, end = cursor.get_current_range()
    if not bound or not advance:
        made.leave_out_missing()
        return made.filtered(start, end)
    if end is None:
        end = made.last(start)
    if end is not None and cursor.end_value is None:
        cursor.advance(end)
    return made.filtered(start, end)


class _Range:
    """A relation with its cursor's column, in the relation's table or in another one."""

    def __init__(self, relation: Relation, cursor: Incremental[Any]) -> None:
        from headrace.dataset import build

        self.relation, self.cursor = relation, cursor
        path = cursor.compiled().path
        known = relation._all_columns()
        catalog = relation._dataset.catalog
        self.table: str | None = None
        name = catalog.find_column(path, list(known))
        if name is None and "." in path:
            table, _, field = path.partition(".")
            self.table = catalog.table(table)
            known = dict(catalog.columns(self.table))
            name = catalog.column(field, list(known))
        if name is None:
            raise RelationUnknownColumnException(path, list(known))
        self.facts = known[name]
        self.name = name
        self.query: Any = relation._query
        if self.table is not None and self.table != relation._origin_table:
            origin = relation._whole_table("an incremental over another table")
            side = "LEFT" if cursor.on_cursor_value_missing == "include" else "INNER"
            self.query = build.reach(relation._query, catalog, origin, relation.columns, self.table, side)
        else:
            self.table = None

    @property
    def column(self) -> Any:
        from headrace.dataset import build

        return build.column(self.name, self.table)

    def leave_out_missing(self) -> None:
        """Say that rows without a value cannot be refused by a query, if there can be some."""
        if self.cursor.on_cursor_value_missing == "raise" and self.facts.get("nullable", True):
            warnings.warn(
                f"Rows with NULL in the cursor `{self.cursor.cursor_path}` are left out: a query cannot refuse them. "
                "Say so with on_cursor_value_missing='exclude', or take them with 'include'.",
                stacklevel=5,
            )

    def last(self, start: Any) -> Any:
        """The last value in the relation from the start on.

        Raises:
            IncrementalCursorPathHasValueNone: Rows have no value, and the cursor forbids that.
        """
        from headrace.dataset import build

        cursor = self.cursor
        if cursor.on_cursor_value_missing == "raise" and self.facts.get("nullable", True):
            without = self.relation._next(self._where(build.is_null(self.column)))
            if without.fetchone() is not None:
                raise IncrementalCursorPathHasValueNone(cursor.resource_name or "", str(cursor.cursor_path))
        function: Literal["max", "min"] = "max" if cursor.last_value_func is max else "min"
        inside = self._where(self._bounds(start, None))
        return self.relation._next(build.extreme(inside, self.column, function)).fetchscalar()

    def _where(self, condition: Any) -> Any:
        from headrace.dataset import build

        # columns of a joined table can only be named where it is joined
        return build.where(self.query, condition) if self.table is None else self.query.where(condition)

    def _bounds(self, start: Any, end: Any) -> Any:
        from headrace.dataset import build

        up = self.cursor.last_value_func is max
        tests = []
        if start is not None:
            word = ("gte" if up else "lte") if self.cursor.range_start == "closed" else ("gt" if up else "lt")
            tests.append(build.compare(self.column, word, start, self.facts))
        if end is not None:
            word = ("lte" if up else "gte") if self.cursor.range_end == "closed" else ("lt" if up else "gt")
            tests.append(build.compare(self.column, word, end, self.facts))
        tests.append(build.is_null(self.column, negated=True))
        return build.all_of(tests)

    def filtered(self, start: Any, end: Any) -> Relation:
        """The relation with its rows between the bounds."""
        from headrace.dataset import build

        condition = self._bounds(start, end)
        if self.cursor.on_cursor_value_missing == "include":
            condition = build.any_of([condition, build.is_null(self.column)])
        made = self.relation._next(self._where(condition))
        made._incremental = True
        return made
