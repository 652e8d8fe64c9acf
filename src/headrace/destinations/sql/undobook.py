"""The book of loads that can be undone: one row a load, and one row for everything a load did to a table.

Book and before-images lie in a dataset of their own (``<dataset>_undo``), and each row is written in the transaction
of the change that it tells of. Without the setting ``load.keep_undo`` nothing here is ever called.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base import json, typed_json
from headrace.base.strings import tag
from headrace.base.time import now
from headrace.destinations.sql.session import SqlClient
from headrace.model.undo import UndoLoad, UndoPlan

if TYPE_CHECKING:
    from headrace.model.schema import Schema

LOADS = "_headrace_undo_loads"
ENTRIES = "_headrace_undo_entries"
DATASET_SUFFIX = "_undo"

CURSORS = "cursors"
# a table whose rows before the load are known as a whole, so that no single change of them need be kept
WHOLE = ("created", "whole", "dropped")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a load did to a table.

    Attributes:
        number: Rises from entry to entry.
        table: The table's bare name.
        kind: ``created``, ``dropped``, ``columns``, ``altered``, ``comments`` (the table itself); ``whole``, ``added``,
            ``removed``, ``load``, ``filled`` (its rows); ``schema`` (a row of the stored
            schemas); ``cursors`` (the state of the source before the load); ``spoiled``; ``undone``.
        place: The table of the undo dataset with the rows, if there are any to keep.
        rows: How many rows it is about; -1 when unknown.
        facts: What else is needed.
    """

    number: int
    table: str
    kind: str
    place: str = ""
    rows: int = 0
    facts: dict[str, Any] = {}


class UndoBook:
    """The book of a session's dataset."""

    def __init__(self, session: SqlClient) -> None:
        self._session = session

    @property
    def dataset_name(self) -> str:
        """Where book and before-images are."""
        dataset = self._session.dataset_name
        room = self._session.capabilities.max_identifier_length - len(DATASET_SUFFIX)
        if len(dataset.encode()) > room:  # of those that count bytes and those that count characters none cuts it
            ending = tag(dataset, 1e-9)
            dataset = dataset.encode()[: room - len(ending)].decode(errors="ignore") + ending
        return dataset + DATASET_SUFFIX

    def name(self, table: str) -> str:
        """The qualified name of a table of the undo dataset."""
        with self._session.with_alternative_dataset_name(self.dataset_name):
            return self._session.make_qualified_table_name(table)

    def exists(self) -> bool:
        """Whether anything was ever kept."""
        with self._session.with_alternative_dataset_name(self.dataset_name):
            return LOADS in self._session.describe_tables([LOADS])

    def create(self) -> None:
        """Make dataset and book if they are missing."""
        with self._session.with_alternative_dataset_name(self.dataset_name):
            self._session.create_dataset()
        dialect = self._session.dialect
        text = dialect.column_type({"name": "text", "data_type": "text"})
        number = dialect.column_type({"name": "number", "data_type": "bigint"})
        self._session.run(
            f"CREATE TABLE IF NOT EXISTS {self.name(LOADS)} (load_id {text} NOT NULL, pipeline_name {text} NOT NULL, "
            f"schema_name {text} NOT NULL, began {number} NOT NULL, began_at {dialect.timestamp_type} NOT NULL, "
            f"ended {number}, undone {number})"
        )
        self._session.run(
            f"CREATE TABLE IF NOT EXISTS {self.name(ENTRIES)} (load_id {text} NOT NULL, number {number} NOT NULL, "
            f"table_name {text} NOT NULL, kind {text} NOT NULL, place {text} NOT NULL, num_rows {number} NOT NULL, "
            f"facts {text} NOT NULL)"
        )

    # ---- loads ----------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        """The next place in the order of what happens to the dataset."""
        found = self._session.fetch(f"SELECT max(began), max(ended), max(undone) FROM {self.name(LOADS)}")
        return 1 + max((int(number) for number in found[0] if number is not None), default=0)

    def drop(self) -> None:
        """Drop book and before-images, and the dataset if nothing else is in it."""
        self.forget([load.load_id for load in self.loads()])
        with self._session.with_alternative_dataset_name(self.dataset_name):
            self._session.drop_tables(LOADS, ENTRIES)
            if not self._session.describe_tables():
                self._session.drop_dataset()

    def knows(self, load_id: str) -> bool:
        """Whether a load was written down."""
        return bool(self._session.fetch(f"SELECT 1 FROM {self.name(LOADS)} WHERE load_id = ?", load_id))

    def begin(self, load_id: str, schema: Schema, plan: UndoPlan) -> None:
        """Write a load down that is not there; to be called where no other writer changes tables."""
        self._session.run(
            f"INSERT INTO {self.name(LOADS)} (load_id, pipeline_name, schema_name, began, began_at) "
            "VALUES (?, ?, ?, ?, ?)",
            *(load_id, plan.pipeline_name, schema.name, self._next(), now()),
        )
        if plan.before is not None:
            # packages are deleted, and other machines never had them
            self.add(load_id, schema.state_table_name, CURSORS, {"before": typed_json.dumps(plan.before)})
        if plan.is_late:
            why = "part of it had come in when nothing was kept, or what was kept has given way to newer loads"
            self.add(load_id, schema.loads_table_name, "spoiled", {"why": why})

    def end(self, load_id: str) -> None:
        """Note that a load is complete."""
        self._session.run(
            f"UPDATE {self.name(LOADS)} SET ended = ? WHERE load_id = ? AND ended IS NULL", self._next(), load_id
        )

    def note_undone(self, load_id: str) -> None:
        """Note that a load was undone; what was kept for it goes, but for the names of its tables."""
        entries = self.entries(load_id)
        self.forget([load_id])
        for table in dict.fromkeys(entry.table for entry in entries if entry.kind != CURSORS):
            self.add(load_id, table, "undone")
        for entry in entries:
            if entry.kind == CURSORS:
                self.add(load_id, entry.table, CURSORS, entry.facts)
        self._session.run(f"UPDATE {self.name(LOADS)} SET undone = ? WHERE load_id = ?", self._next(), load_id)

    def loads(self) -> list[UndoLoad]:
        """All loads of the book, in the order in which they began."""
        instant = self._session.dialect.instant("began_at")
        rows = self._session.fetch(
            f"SELECT load_id, pipeline_name, schema_name, began, {instant}, ended, undone FROM {self.name(LOADS)} "
            "ORDER BY began"
        )
        tables: dict[str, dict[str, None]] = {}
        spoiled: dict[str, str] = {}
        cursors: dict[str, dict[str, Any]] = {}
        query = f"SELECT load_id, table_name, kind, facts FROM {self.name(ENTRIES)} ORDER BY load_id, number"
        for load_id, table, kind, facts in self._session.fetch(query):
            if kind == CURSORS:
                cursors[load_id] = typed_json.loads(json.loads(facts)["before"])
                continue
            tables.setdefault(load_id, {})[table] = None
            if kind == "spoiled":
                spoiled.setdefault(load_id, json.loads(facts)["why"])
        return [
            UndoLoad(
                load_id=load_id,
                pipeline_name=pipeline,
                schema_name=schema,
                began=began,
                began_at=self._session.dialect.to_instant(at),
                ended=ended,
                undone=undone,
                tables=list(tables.get(load_id, {})),
                why_not=spoiled.get(load_id, ""),
                before=cursors.get(load_id),
            )
            for load_id, pipeline, schema, began, at, ended, undone in rows
        ]

    def prune(self, pipeline_name: str, keep: int) -> list[str]:
        """Forget what was kept for all but the newest complete loads of a pipeline; returns which."""
        mine = [load for load in self.loads() if load.pipeline_name == pipeline_name and load.undone is None]
        kept = [load.began for load in mine if load.is_complete and not load.why_not][-keep:]
        if len(kept) < keep:
            return []
        old = [load.load_id for load in mine if load.began < kept[0]]
        self.forget(old)
        for load_id in old:
            self._session.run(f"DELETE FROM {self.name(LOADS)} WHERE load_id = ?", load_id)
        return old

    def forget(self, load_ids: Iterable[str]) -> None:
        """Drop the before-images and entries of loads."""
        for load_id in load_ids:
            for entry in self.entries(load_id):
                if entry.place:
                    self._session.run(f"DROP TABLE IF EXISTS {self.name(entry.place)}")
            self._session.run(f"DELETE FROM {self.name(ENTRIES)} WHERE load_id = ?", load_id)

    # ---- entries --------------------------------------------------------------------------------------------------

    def add(
        self,
        load_id: str,
        table: str,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        *,
        place: str = "",
        rows: int = 0,
    ) -> None:
        """Write an entry."""
        self._session.run(
            f"INSERT INTO {self.name(ENTRIES)} (load_id, number, table_name, kind, place, num_rows, facts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(load_id, time.time_ns(), table, kind, place, rows, json.dumps(facts or {})),
        )

    def entries(self, load_id: str) -> list[Entry]:
        """All entries of a load, oldest first."""
        rows = self._session.fetch(
            f"SELECT number, table_name, kind, place, num_rows, facts FROM {self.name(ENTRIES)} WHERE load_id = ? "
            "ORDER BY number",
            load_id,
        )
        return [
            Entry(number=number, table=table, kind=kind, place=place, rows=count, facts=json.loads(facts))
            for number, table, kind, place, count, facts in rows
        ]

    def covered(self, load_id: str) -> Collection[str]:
        """Tables whose rows before the load are known as a whole."""
        return {entry.table for entry in self.entries(load_id) if entry.kind in WHOLE}
