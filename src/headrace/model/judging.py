"""Gates on columns: which new columns of a package are asked about, and what becomes of the schema.

Normalize asks in the one pass that finds the columns, in a fixed order, so the questions are the same however many
workers load. What was decided goes into the journal before a file is written for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from headrace.errors.bus import GateFailed
from headrace.errors.schema import DataValidationError
from headrace.model import tables as tb
from headrace.model.contract import is_system_name, resolve_contract
from headrace.model.decisions import ColumnDecision, Drop, Freeze, NewColumn, Retype, SchemaDecision
from headrace.model.rejected import REJECTED_OF
from headrace.typing import TColumnSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema
    from headrace.model.shape import ColumnShape

Ask = Callable[[NewColumn], tuple[str, SchemaDecision] | None]
"""Asks all gates; gives the name of the one that has something against the column, and what."""

DROPPED_HINT = "x-dropped-columns"
"""Hint of a table: declared columns that a gate let go. While somebody declares them they are asked about again."""

_KEYS = ("primary_key", "merge_key", "row_key", "parent_key", "root_key", "hard_delete", "dedup_sort")
Found = tuple[tuple[str, ...], int]
"""Path of a column's values and number of the first row that has one."""


class ColumnJudge:
    """Asks about the new columns of one package, each once, and remembers the answers.

    Args:
        load_id: The package.
        schema: Declared columns are dropped and retyped in it.
        ask: Asks the gates; None when the answers are all known.
        known: Answers that the journal has.
        declared: Gives the columns of a table that the package's extract has declared anew.
    """

    def __init__(
        self,
        load_id: str,
        schema: Schema,
        ask: Ask | None,
        known: Collection[ColumnDecision] = (),
        declared: Callable[[str], Collection[str]] = lambda table: (),
    ) -> None:
        self.schema = schema
        self.asked = 0
        self.decisions: list[ColumnDecision] = []
        self._load_id, self._ask, self._declared = load_id, ask, declared
        self._known = {(one.table, one.column): one for one in known}
        self._answers: dict[tuple[str, str], ColumnDecision | None] = {}
        self._done: dict[str, dict[str, TColumnSchema]] = {}

    def column(
        self, table: str, column: TColumnSchema, found: Found | None, is_new_table: bool, is_declared: bool = False
    ) -> TColumnSchema | None:
        """What becomes of a new column: the column, perhaps with another type; None when it is dropped.

        Raises:
            DataValidationError: A gate freezes it.
            GateFailed: A gate cannot decide, or its answer cannot be carried out.
        """
        name = column["name"]
        if is_system_name(self.schema, name) or is_system_name(self.schema, table):
            return column
        if (table, name) not in self._answers:
            decision = self._decide(table, column, found, is_new_table, is_declared)
            self._answers[table, name] = decision
            if decision is not None:
                self.decisions.append(decision)
        decision = self._answers[table, name]
        if decision is None:
            return column
        if decision.action == "retype":
            plain = {k: v for k, v in column.items() if k not in ("precision", "scale", "timezone")}
            return cast(TColumnSchema, {**plain, **decision.hints})
        keys = [hint for hint in _KEYS if column.get(hint)]
        if keys or column.get("nullable") is False:
            why = f"it is declared as {keys[0] if keys else 'not nullable'}, so rows cannot do without it"
            raise GateFailed(decision.gate, f"column `{name}` of table `{table}`", ValueError(why))
        return None

    def _decide(
        self, table: str, column: TColumnSchema, found: Found | None, is_new_table: bool, is_declared: bool
    ) -> ColumnDecision | None:
        name = column["name"]
        if self._ask is None:
            return self._known.get((table, name))
        self.asked += 1
        path, first = found or ((), None)
        answer = self._ask(
            NewColumn(
                load_id=self._load_id,
                schema_name=self.schema.name,
                table=table,
                column=name,
                data_type=column["data_type"],
                path=path,
                first=first,
                is_new_table=is_new_table,
                is_declared=is_declared,
                hints=dict(column),
            )
        )
        if answer is None:
            return None
        gate, decision = answer
        if isinstance(decision, Freeze):
            raise self._frozen(gate, decision, table, name)
        if isinstance(decision, Retype):
            return ColumnDecision(table, name, gate, "retype", decision.hints(), decision.reason)
        return ColumnDecision(table, name, gate, "drop", reason=cast(Drop, decision).reason)

    def _frozen(self, gate: str, decision: Freeze, table: str, column: str) -> DataValidationError:
        why = f"gate `{gate}` refuses the column" + (f": {decision.reason}" if decision.reason else "")
        contract = resolve_contract(self.schema, table)
        return DataValidationError(
            self.schema.name,
            table,
            column,
            "columns",
            "freeze",
            self.schema.tables.get(table),
            cast(Any, contract),
            None,
            why,
        )

    def declared(self, table: str, found: Mapping[str, Found] | None = None) -> dict[str, TColumnSchema]:
        """Ask about columns of a table that were declared rather than found.

        Args:
            table: The table; it is asked about once.
            found: Where the data have values for them.

        Returns:
            Those that are dropped; they are out of the schema.
        """
        stored = cast("dict[str, Any] | None", self.schema.tables.get(table))
        if stored is None or REJECTED_OF in stored or is_system_name(self.schema, table):
            return {}
        if table in self._done:
            return self._done[table]
        dropped = self._done[table] = {}
        seen, again = tb.has_seen_data(cast(Any, stored)), list(stored.get(DROPPED_HINT, ()))
        new = {*self._declared(table), *again} if seen else set(stored["columns"])
        for name in [n for n, c in stored["columns"].items() if n in new and tb.is_complete_column(c)]:
            column = stored["columns"][name]
            judged = self.column(table, column, (found or {}).get(name), not seen, is_declared=True)
            if judged is None:
                dropped[name] = stored["columns"].pop(name)
            elif judged is not column:
                stored["columns"][name] = judged
        if dropped or again:
            left = sorted({*dropped, *(n for n in again if n not in stored["columns"])})
            stored[DROPPED_HINT] = left
            if not left:
                del stored[DROPPED_HINT]
        return dropped


def columns_of(schema: Schema | None) -> dict[str, set[str]]:
    """The columns that a schema has by now, by table: to know later which ones were declared since."""
    tables = schema.tables if schema is not None else {}
    return {name: {n for n, c in t["columns"].items() if "data_type" in c} for name, t in tables.items()}


def declared_since(before: Mapping[str, Collection[str]], schema: Schema) -> dict[str, list[str]]:
    """Columns that tables got since `columns_of`; tables that are new to normalize too are left out."""
    found: dict[str, list[str]] = {}
    for name, columns in columns_of(schema).items():
        old = before.get(name) or ()
        if (old or tb.has_seen_data(schema.tables[name])) and (new := columns.difference(old)):
            found[name] = [column for column in schema.tables[name]["columns"] if column in new]
    return found


def found_at(names: Any, shapes: list[ColumnShape]) -> dict[str, Found]:
    """Where the data have values of each column."""
    found: dict[str, Found] = {}
    for shape in shapes:
        found.setdefault(names.column(shape.path), (tuple(shape.path), shape.first))
    return found
