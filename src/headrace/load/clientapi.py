"""The words that dlt's clients have for what a client does: for plugins and scripts that hold one.

Everything here is said in terms of the port (`load.destination.Client`), so that every destination has it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headrace.errors.destination import DestinationCapabilitiesException, DestinationUndefinedEntity
from headrace.errors.schema import TableNotFound
from headrace.model.migrate import DropTable, applied_changes, kinds_of_changes
from headrace.typing import TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.load.destination import Client, StoredSchema, StoredState
    from headrace.model.capabilities import Capabilities
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")


class ClientApi:
    """Methods of an open client, besides those that the load needs."""

    schema: Schema
    capabilities: Capabilities
    on_change: Callable[[dict[str, str]], None] | None = None
    """Told which tables were changed by the methods below, and how: ``CREATE``, ``ALTER``, ``TRUNCATE``, ``DROP``."""

    @property
    def _port(self) -> Client:
        return cast("Client", self)

    # ---- the dataset ----------------------------------------------------------------------------------------------

    def is_storage_initialized(self) -> bool:
        """Whether the dataset exists."""
        return self._port.has_dataset()

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Make the dataset if it is missing.

        Args:
            truncate_tables: Tables to empty, if they exist.
        """
        self._port.create_dataset()
        tables = list(truncate_tables or ())
        present = self._port.describe(tables) if tables else {}
        self.empty_tables([table for table in tables if present.get(table) is not None])

    def empty_tables(self, tables: Sequence[str]) -> None:
        """Delete all rows of tables that exist.

        Raises:
            DestinationCapabilitiesException: The destination cannot do that outside of a load.
        """
        if tables:
            raise DestinationCapabilitiesException(
                f"{type(self).__name__} cannot empty tables outside of a load: {', '.join(tables)}.",
                fix="run the resource with `refresh='drop_data'` or `write_disposition='replace'`",
            )

    def drop_storage(self) -> None:
        """Drop the dataset with all its tables."""
        there = self._present(list(self.schema.tables))
        self._port.drop_dataset()
        self._tell(dict.fromkeys(there, "DROP"))

    def _present(self, tables: Sequence[str]) -> list[str]:
        """Which of some tables exist; not asked when nobody wants to know."""
        if self.on_change is None:
            return []
        try:
            there = self._port.describe(tables) if self._port.has_dataset() else {}
        except Exception:
            # what can be dropped is dropped, whether it can be described or not
            logger.debug("tables cannot be described before they are dropped", exc_info=True)
            return []
        return [name for name, columns in there.items() if columns is not None]

    def _tell(self, changes: dict[str, str]) -> None:
        if self.on_change is not None and changes:
            self.on_change(changes)

    @contextmanager
    def with_staging_dataset(self) -> Iterator[Self]:
        """Work in the staging dataset inside ``with``.

        Raises:
            DestinationCapabilitiesException: The destination has none.
        """
        session = getattr(self, "sql_client", None)
        if session is None:
            raise DestinationCapabilitiesException(f"{type(self).__name__} has no staging dataset.")
        with session.with_staging_dataset():
            yield self

    # ---- tables ---------------------------------------------------------------------------------------------------

    def get_storage_table(self, table_name: str) -> tuple[bool, TTableSchemaColumns]:
        """Whether a table exists, and its columns as the destination describes them."""
        [(_, columns)] = self.get_storage_tables([table_name])
        return bool(columns), columns

    def get_storage_tables(self, table_names: Iterable[str]) -> list[tuple[str, TTableSchemaColumns]]:
        """Names and columns of tables; no columns for those that do not exist."""
        names = list(table_names)
        try:
            found = self._port.describe(names)
        except DestinationUndefinedEntity:
            found = {}
        return [(name, found.get(name) or {}) for name in names]

    def drop_tables(self, *tables: str, delete_schema: bool = True) -> None:
        """Drop tables that exist.

        Args:
            tables: Their names.
            delete_schema: Also forget the stored versions of the schema.
        """
        there = self._present(tables)
        self._port.migrate([DropTable(table=table) for table in tables])
        self._tell(dict.fromkeys(there, "DROP"))
        if delete_schema:
            self._port.drop_schema_history(self.schema.name)

    def prepare_load_table(self, table_name: str) -> TTableSchema:
        """A table of the schema with the hints that it has from its parents: disposition, format.

        Raises:
            TableNotFound: The schema has no such table.
        """
        if table_name not in self.schema.tables:
            raise TableNotFound(self.schema.name, table_name)
        table: Any = dict(self.schema.get_table(table_name))
        root: Any = self.schema.get_root_table(table_name)
        for hint in ("write_disposition", "table_format", "file_format", "x-merge-strategy", "x-replace-strategy"):
            if hint not in table and hint in root:
                table[hint] = root[hint]
        return cast(TTableSchema, table)

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: Mapping[str, TTableSchema] | None = None,
        force: bool = False,
    ) -> dict[str, TTableSchema]:
        """Make tables follow the schema, and store it.

        Args:
            only_tables: These and no others.
            expected_update: Ignored: what is missing is read from the destination.
            force: Look also when the schema is stored already.

        Returns:
            Tables and columns that were made, by table.
        """
        if not force and self.get_stored_schema_by_hash(self.schema.stored_version_hash or "") is not None:
            return {}
        from headrace.load.migration import migrate

        chosen = set(only_tables) if only_tables is not None else None
        wanted = {
            name: table
            for name, table in self.schema.tables.items()
            if (chosen is None or name in chosen) and self.schema.get_table_columns(name)
        }
        changes = migrate(self._port, self.schema, wanted, {}, self.capabilities)
        self._tell(kinds_of_changes(changes))
        return applied_changes(changes)

    # ---- records --------------------------------------------------------------------------------------------------

    def get_stored_schema(self, schema_name: str | None = None) -> StoredSchema | None:
        """The newest schema of a name in ``_dlt_version``, or of any; None when there is none."""
        return self._port.read_schema(schema_name)

    def get_stored_schema_by_hash(self, version_hash: str) -> StoredSchema | None:
        """The schema with a version hash; None when there is none."""
        return self._port.read_schema(None, version_hash)

    def get_stored_state(self, pipeline_name: str) -> StoredState | None:
        """The newest state of a pipeline in ``_dlt_pipeline_state``; None when there is none."""
        return self._port.read_state(pipeline_name)

    def complete_load(self, load_id: str) -> None:
        """Write a load into ``_dlt_loads`` with status 0, unless it is there."""
        from headrace.load.destination import LoadContext

        self._port.complete(LoadContext(load_id=load_id, path=Path(), schema=self.schema, created_at=time.time()))
