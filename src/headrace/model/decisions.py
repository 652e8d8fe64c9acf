"""What gates are asked and what they may answer: values that the steps carry out.

A gate is somebody's code; it decides, and changes nothing itself. What it decided is written into the package's journal
before it has an effect, so that a crash, another process or a repeated step come to the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from headrace.typing import TDataType


class NewColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that the data of a package would add to a table.

    Attributes:
        load_id: The package.
        schema_name: The schema.
        table: The table, normalized.
        column: The column, normalized.
        data_type: The type that it would get.
        path: Where its values stand in a row of the table; empty where only a declaration makes the column.
        first: Number of the first row that has a value, among the package's rows of the table; None if nobody looked.
        is_new_table: The table is new as well.
        is_declared: The column stands in hints, or in the schema of an Arrow table.
        hints: The whole column: ``nullable``, ``primary_key``, ``x-…``; a copy.
    """

    load_id: str
    schema_name: str
    table: str
    column: str
    data_type: str
    path: tuple[str, ...] = ()
    first: int | None = None
    is_new_table: bool = False
    is_declared: bool = False
    hints: Mapping[str, Any] = {}


class Accept(msgspec.Struct, frozen=True):
    """Let the column be; the same as None."""


class Drop(msgspec.Struct, frozen=True):
    """Do not make the column: its values are let go and counted as rejected.

    Attributes:
        reason: For people.
    """

    reason: str = ""


class Retype(msgspec.Struct, frozen=True):
    """Make the column with another type; values that it cannot take go where the table's contract sends them.

    Attributes:
        data_type: One of the schema's types.
        precision: Of it, None for the default.
        scale: Of it, None for the default.
        timezone: Of a timestamp, None for the default.
        reason: For people.
    """

    data_type: TDataType
    precision: int | None = None
    scale: int | None = None
    timezone: bool | None = None
    reason: str = ""

    def hints(self) -> dict[str, Any]:
        """The type as hints of a column."""
        given = {"precision": self.precision, "scale": self.scale, "timezone": self.timezone}
        return {"data_type": self.data_type, **{name: value for name, value in given.items() if value is not None}}


class Freeze(msgspec.Struct, frozen=True):
    """Refuse the data, as a contract with ``freeze`` does: the step fails and the package is set aside.

    Attributes:
        reason: For people; part of the error.
    """

    reason: str = ""


class Stop(msgspec.Struct, frozen=True):
    """Do not load the package now: the run fails, the package waits, and the gate is asked again by the next run.

    Attributes:
        reason: For people; the text of the error.
        fix: What to do.
    """

    reason: str
    fix: str | None = None


class Park(msgspec.Struct, frozen=True):
    """Set the package aside: it is not loaded, blocks no later one, and its files stay.

    Attributes:
        reason: For people.
    """

    reason: str


class Skip(msgspec.Struct, frozen=True):
    """Load the package without some of its rows, which are counted as rejected.

    Attributes:
        tables: Tables that are left as they are, each with its nested tables; normalized names.
        jobs: Single loader files, by the job ids of infos: ``<table>.<file id>.<format>``.
        reason: For people.
    """

    tables: Sequence[str] = ()
    jobs: Sequence[str] = ()
    reason: str = ""


SchemaDecision: TypeAlias = Accept | Drop | Retype | Freeze
LoadDecision: TypeAlias = Stop | Park | Skip

DROPPED, SKIPPED = "gate:discard_value", "gate:skip"
"""Rules under which `RejectedCount` counts the values of dropped columns and the rows of skipped jobs."""


class ColumnDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision on a column, as the journal keeps it: ``hints`` for another type, else the column is dropped.

    Attributes:
        table: The table.
        column: The column.
        gate: Who decided.
        action: ``drop`` or ``retype``.
        hints: The new type.
        reason: For people.
    """

    table: str
    column: str
    gate: str
    action: str
    hints: dict[str, Any] = {}
    reason: str = ""
