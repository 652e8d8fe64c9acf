"""What a dataset remembers of itself: its loads, its schemas, the state of its pipelines.

Tables and columns are those of dlt, so that a dataset begun with either continues with the other.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from headrace.base import json
from headrace.base.time import now
from headrace.destinations.sql.session import SqlClient
from headrace.errors.destination import DatabaseUndefinedRelation
from headrace.load.destination import StateClaim, StoredSchema, StoredState
from headrace.model.state import bump_state_version, decompress_state, migrate_state, state_row
from headrace.model.state_converge import join_states

if TYPE_CHECKING:
    from headrace.model.schema import Schema
    from headrace.model.state import TPipelineState

logger = logging.getLogger("headrace")

_SCHEMA_COLUMNS = ("version", "engine_version", "inserted_at", "schema_name", "version_hash", "schema")
_STATE_COLUMNS = ("version", "engine_version", "pipeline_name", "state", "created_at", "version_hash", "_dlt_load_id")
_INSTANTS = {"inserted_at", "created_at"}


class Records:
    """Reads and writes the system tables of a session's dataset.

    Args:
        session: An open session.
        schema: Its naming convention names the tables and columns.
    """

    def __init__(self, session: SqlClient, schema: Schema) -> None:
        self._session, self._schema = session, schema
        self._newest_at: dt.datetime | None = None

    def _name(self, column: str) -> str:
        return self._session.dialect.quote(self._schema.naming.normalize_identifier(column))

    def _names(self, columns: tuple[str, ...]) -> str:
        return ", ".join(self._name(column) for column in columns)

    def _read(self, columns: tuple[str, ...], prefix: str = "") -> str:
        instant = self._session.dialect.instant
        read = [prefix + self._name(column) for column in columns]
        return ", ".join(
            instant(text) if column in _INSTANTS else text for column, text in zip(columns, read, strict=True)
        )

    def _facts(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
        to_instant = self._session.dialect.to_instant
        pairs = zip(columns, row, strict=True)
        return {column: to_instant(value) if column in _INSTANTS else value for column, value in pairs}

    def _table(self, name: str) -> str:
        return self._session.make_qualified_table_name(name)

    def _rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of a query; none when a table it reads does not exist."""
        try:
            return self._session.fetch(sql, *params)
        except DatabaseUndefinedRelation:
            return []

    # ---- loads ----------------------------------------------------------------------------------------------------

    def has_load(self, load_id: str) -> bool:
        """Whether the load is there with status 0."""
        loads = self._table(self._schema.loads_table_name)
        return bool(
            self._rows(
                f"SELECT 1 FROM {loads} WHERE {self._name('load_id')} = ? AND {self._name('status')} = 0", load_id
            )
        )

    def add_load(self, load_id: str, schema: Schema) -> None:
        """Write a load with status 0, unless it is there."""
        loads = self._table(self._schema.loads_table_name)
        columns = ("load_id", "schema_name", "status", "inserted_at", "schema_version_hash")
        self._session.run(
            f"INSERT INTO {loads} ({self._names(columns)}) SELECT ?, ?, 0, ?, ?{self._session.dialect.no_table} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {loads} AS l "
            f"WHERE l.{self._name('load_id')} = ? AND l.{self._name('status')} = 0)",
            *(load_id, schema.name, now(), schema.version_hash, load_id),
        )

    def remove_load(self, load_id: str) -> None:
        """Delete a load's row."""
        loads = self._table(self._schema.loads_table_name)
        self._session.run(f"DELETE FROM {loads} WHERE {self._name('load_id')} = ?", load_id)

    def later_loads(self, table: str, load_id: str, since: dt.datetime | None) -> dict[str, str]:
        """Other loads that rows of a table (qualified) belong to and that are later than a load, with their schemas.

        Args:
            table: With a column of load ids.
            load_id: The load.
            since: When it began.
        """
        loads, own = self._table(self._schema.loads_table_name), f"t.{self._session.dialect.quote(self.load_id_column)}"
        rows = self._rows(
            f"SELECT DISTINCT {own}, l.{self._name('schema_name')} FROM {table} AS t LEFT JOIN {loads} AS l "
            f"ON l.{self._name('load_id')} = {own} WHERE {own} <> ? AND "
            f"({own} > ? OR l.{self._name('inserted_at')} > ?)",
            *(load_id, load_id, since or now()),
        )
        return {str(found): str(schema or "unknown") for found, schema in rows}

    @property
    def load_id_column(self) -> str:
        """The name of the column with the load id of a row."""
        return self._schema.naming.normalize_identifier("_dlt_load_id")

    def table_names(self) -> set[str]:
        """Names of the system tables."""
        return {self._schema.loads_table_name, self._schema.version_table_name, self._schema.state_table_name}

    def unfinished_loads(self, ledger: str) -> list[str]:
        """Loads whose jobs stand in the ledger and that are not complete."""
        loads, load_id = self._table(self._schema.loads_table_name), self._name("load_id")
        rows = self._rows(
            f"SELECT DISTINCT j.load_id FROM {ledger} AS j WHERE NOT EXISTS "
            f"(SELECT 1 FROM {loads} AS l WHERE l.{load_id} = j.load_id AND l.{self._name('status')} = 0) ORDER BY 1"
        )
        return [str(row[0]) for row in rows]

    # ---- schemas --------------------------------------------------------------------------------------------------

    def add_schema(self, schema: Schema) -> bool:
        """Write a schema, unless its content hash is there; returns whether it was written."""
        versions = self._table(self._schema.version_table_name)
        document = schema.to_dict()
        values = (
            document["version"],
            document["engine_version"],
            self._next_instant(),
            schema.name,
            document["version_hash"],
            json.dumps(document),
        )
        rows = self._session.run(
            f"INSERT INTO {versions} ({self._names(_SCHEMA_COLUMNS)}) "
            f"SELECT ?, ?, ?, ?, ?, ?{self._session.dialect.no_table} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {versions} WHERE {self._name('version_hash')} = ?)",
            *(*values, document["version_hash"]),
        )
        return rows != 0

    @property
    def versions(self) -> str:
        """The bare name of the table of stored schemas."""
        return self._schema.version_table_name

    @property
    def states(self) -> str:
        """The bare name of the table of states."""
        return self._schema.state_table_name

    def of_schema(self, schema_name: str) -> str:
        """A predicate: a stored schema has a name."""
        return f"{self._name('schema_name')} = {self._session.dialect.text(schema_name)}"

    def remove_schema(self, version_hash: str) -> None:
        """Delete the stored version of a hash."""
        versions = self._table(self._schema.version_table_name)
        self._session.run(f"DELETE FROM {versions} WHERE {self._name('version_hash')} = ?", version_hash)

    def newest_schema(self, schema_name: str | None, version_hash: str | None) -> StoredSchema | None:
        """The newest stored schema of a name, or the one with a hash, or the newest of all."""
        sql = f"SELECT {self._read(_SCHEMA_COLUMNS)} FROM {self._table(self._schema.version_table_name)}"
        tests, params = [], []
        for column, value in (("schema_name", schema_name), ("version_hash", version_hash)):
            if value is not None:
                tests.append(f"{self._name(column)} = ?")
                params.append(value)
        if tests:
            sql += f" WHERE {' AND '.join(tests)}"
        newest = self._session.dialect.first_rows(f"{sql} ORDER BY {self._name('inserted_at')} DESC", 1)
        rows = self._rows(newest, *params)
        return StoredSchema(**self._facts(_SCHEMA_COLUMNS, rows[0])) if rows else None

    def newest_hash(self, schema_name: str) -> str | None:
        """The hash of the newest stored schema of a name."""
        versions, inserted_at = self._table(self._schema.version_table_name), self._name("inserted_at")
        dialect = self._session.dialect
        found = (
            f"SELECT {self._name('version_hash')}, {dialect.instant(inserted_at)} FROM {versions} "
            f"WHERE {self._name('schema_name')} = ? ORDER BY {inserted_at} DESC"
        )
        rows = self._rows(dialect.first_rows(found, 1), schema_name)
        if not rows:
            return None
        self._newest_at = self._session.dialect.to_instant(rows[0][1])
        return str(rows[0][0])

    def _next_instant(self) -> dt.datetime:
        """Now, but behind the newest schema that was met: clocks differ, and the newest is found by its instant."""
        instant = now()
        if self._newest_at is not None and self._newest_at >= instant:
            return self._newest_at + dt.timedelta(microseconds=1)
        return instant

    def drop_schemas(self, schema_name: str) -> None:
        """Delete all stored versions of a schema."""
        versions = self._table(self._schema.version_table_name)
        try:
            self._session.run(f"DELETE FROM {versions} WHERE {self._name('schema_name')} = ?", schema_name)
        except DatabaseUndefinedRelation:
            return

    # ---- state ----------------------------------------------------------------------------------------------------

    def newest_state(self, pipeline_name: str) -> StoredState | None:
        """The newest state of a pipeline whose load was completed."""
        states, loads = self._table(self._schema.state_table_name), self._table(self._schema.loads_table_name)
        load_of_state = f"s.{self._name('_dlt_load_id')}"
        found = (
            f"SELECT {self._read(_STATE_COLUMNS, 's.')} FROM {states} AS s JOIN {loads} AS l "
            f"ON l.{self._name('load_id')} = {load_of_state} "
            f"WHERE s.{self._name('pipeline_name')} = ? AND l.{self._name('status')} = 0 "
            # of two processes the one that ended last has taken in what the other had written
            f"ORDER BY l.{self._name('inserted_at')} DESC, {load_of_state} DESC"
        )
        rows = self._rows(self._session.dialect.first_rows(found, 1), pipeline_name)
        if not rows:
            return None
        facts = self._facts(_STATE_COLUMNS, rows[0])
        facts["dlt_load_id"] = facts.pop("_dlt_load_id")
        return StoredState(**facts)

    def set_source(self, pipeline_name: str, source_name: str, state: Any) -> None:
        """Let the newest state of a pipeline have another state of a source; None takes it out."""
        newest = self.newest_state(pipeline_name)
        if newest is None:
            return
        document = migrate_state(decompress_state(newest.state), pipeline_name)
        sources: dict[str, Any] = document.setdefault("sources", {})
        if sources.get(source_name) == state:
            return
        if state is None:
            sources.pop(source_name)
        else:
            sources[source_name] = state
        bump_state_version(document)
        self._overwrite_state(document, pipeline_name, newest.dlt_load_id)

    def prune_states(self, pipeline_name: str, keep: int) -> None:
        """Delete states older than the newest ``keep`` of completed loads."""
        states, loads = self._table(self._schema.state_table_name), self._table(self._schema.loads_table_name)
        of_load, name = self._name("_dlt_load_id"), self._name("pipeline_name")
        kept = (
            f"SELECT s.{of_load} FROM {states} AS s JOIN {loads} AS l ON l.{self._name('load_id')} = s.{of_load} "
            f"WHERE s.{name} = ? AND l.{self._name('status')} = 0 ORDER BY s.{of_load} DESC"
        )
        oldest = self._session.fetch(self._session.dialect.first_rows(kept, 1, int(keep) - 1), pipeline_name)
        if oldest:
            self._session.run(f"DELETE FROM {states} WHERE {name} = ? AND {of_load} < ?", pipeline_name, oldest[0][0])

    def join_state(self, claim: StateClaim, load_id: str) -> dict[str, Any] | None:
        """Let the state of a load take in what another process of the pipeline has written since it was read.

        Args:
            claim: The load's state.
            load_id: The load, whose row of state is there and whose row of ``_dlt_loads`` is not yet.

        Returns:
            The joined state; None when there was nothing to take in.
        """
        newest = self.newest_state(claim.pipeline_name)
        own = claim.document.get("_version_hash")
        if newest is None or newest.version_hash in (own, *claim.known):
            return None
        theirs = migrate_state(decompress_state(newest.state), claim.pipeline_name)
        joined, told = join_states(claim.document, theirs)
        self._overwrite_state(joined, claim.pipeline_name, load_id)
        logger.warning(
            "pipeline `%s` runs in two places: load %s has written its state (version %d) since this one was read; "
            "the two were joined into version %d%s%s",
            *(claim.pipeline_name, newest.dlt_load_id, newest.version, joined["_state_version"], ": " if told else ""),
            "; ".join(told),
        )
        return dict(joined)

    def _overwrite_state(self, document: TPipelineState, pipeline_name: str, load_id: str | None) -> None:
        states = self._table(self._schema.state_table_name)
        values = {k: v for k, v in state_row(document).items() if k in ("version", "state", "version_hash")}
        self._session.run(
            f"UPDATE {states} SET {', '.join(f'{self._name(key)} = ?' for key in values)} "
            f"WHERE {self._name('_dlt_load_id')} = ? AND {self._name('pipeline_name')} = ?",
            *(*values.values(), load_id, pipeline_name),
        )
