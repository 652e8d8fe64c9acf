"""Several writers, one dataset: a package takes in what others have stored and made since its schema was read.

The first to make a column decides its type. Rows that another process has written out under the same name with a type
that this one cannot hold go to the variant column, as they would have, had the first one's column been known when they
were normalized.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from headrace.base import json
from headrace.base.strings import decompress_b64
from headrace.errors.destination import DestinationSchemaWillNotUpdate, DestinationUndefinedEntity
from headrace.load.destination import Client, StateClaim
from headrace.model.capabilities import Capabilities
from headrace.model.events import Normalized
from headrace.model.schema import Schema
from headrace.model.schema_converge import KEY_HINTS, Conflicts, is_sibling, take_in
from headrace.model.widening import TYPE_PROPS, holds, type_text
from headrace.package.package import Package
from headrace.typing import TColumnSchema, TTableSchemaColumns

logger = logging.getLogger("headrace")

Renames = dict[str, dict[str, str]]
"""By table: which column of the files goes to which column of the table."""


class Meeting:
    """What a package finds of other writers at the destination, and what follows for it.

    Args:
        schema: The package's; is changed.
        learned: What normalize added for the package, as partial tables: others may have added it at the same time.
        capabilities: Of the destination.

    Attributes:
        renames: By table: columns of the package's files that go to another column.
        joined: Whether the schema took anything in.
    """

    def __init__(self, schema: Schema, learned: Mapping[str, Any], capabilities: Capabilities) -> None:
        self._schema, self._capabilities = schema, capabilities
        self._learned: Conflicts = {
            name: {c: cast(TColumnSchema, {**column}) for c, column in table.get("columns", {}).items()}
            for name, table in learned.items()
        }
        self.renames: Renames = {}
        self.joined = False

    def join_stored(self, client: Client) -> None:
        """Bring the schema together with the newest stored one."""
        conflicts = take_in_stored(client, self._schema, self._capabilities)
        if conflicts is None:
            return
        self.joined = True
        for table, columns in conflicts.items():
            self._learned.setdefault(table, {}).update(columns)

    def settle(self, client: Client, present: Mapping[str, TTableSchemaColumns | None]) -> None:
        """Divert values that the tables as they are cannot hold.

        Args:
            client: At the dataset, held against other writers.
            present: The columns of the package's tables.

        Raises:
            DestinationSchemaWillNotUpdate: A key cannot be diverted.
        """
        found = divert(client, self._schema, self._learned, present, self._capabilities)
        self.joined = self.joined or bool(found)
        self.renames.update(found)


def parse_stored(text: str) -> Schema:
    """The schema of a row of ``_dlt_version``, whose text may be compressed."""
    try:
        document = json.loads(decompress_b64(text))
    except ValueError:
        document = json.loads(text)
    if document.get("engine_version") == Schema.ENGINE_VERSION:
        return Schema.from_stored_schema(document)
    return Schema.from_dict(document)


def take_in_stored(client: Client, schema: Schema, capabilities: Capabilities) -> Conflicts | None:
    """Bring a schema together with the newest stored one of its name, if that is a sibling.

    Args:
        client: At the dataset, held against other writers.
        schema: Is changed.
        capabilities: Of the destination.

    Returns:
        Columns whose type others have decided; None when nobody else has stored anything.
    """
    try:
        newest = client.newest_schema_hash(schema.name)
        if not is_sibling(schema, newest):
            return None
        stored = client.read_schema(schema.name, newest)
    except DestinationUndefinedEntity:
        return None
    if stored is None:
        return None
    other = parse_stored(stored.schema)
    logger.info(
        "schema `%s`: version %d at the destination and version %d here are joined",
        *(schema.name, stored.version, schema.stored_version),
    )
    return take_in(schema, other, capabilities)


def divert(
    client: Client,
    schema: Schema,
    learned: Conflicts,
    present: Mapping[str, TTableSchemaColumns | None],
    capabilities: Capabilities,
) -> Renames:
    """Send values that a column of the destination cannot hold to its variant column, which is put into the schema.

    Args:
        client: Says which types are one at the destination.
        schema: Is changed.
        learned: Columns of the package as they were written, by table: those that others may have made too.
        present: What the destination has.
        capabilities: Of the destination.

    Returns:
        Where such columns of the files go.

    Raises:
        DestinationSchemaWillNotUpdate: A key cannot go elsewhere.
    """
    renames: Renames = {}
    for table, columns in learned.items():
        there = _by_name(present.get(table) or {}, capabilities)
        for name, column in columns.items():
            found = there.get(name if capabilities.has_case_sensitive_identifiers else name.casefold())
            if found is None or _fits(client, found, column, capabilities):
                continue
            if KEY_HINTS & {hint for hint, value in column.items() if value}:
                raise _refusal(table, column, found)
            renames.setdefault(table, {})[name] = _add_variant(schema, table, column, found)
    return renames


def _by_name(columns: TTableSchemaColumns, capabilities: Capabilities) -> dict[str, TColumnSchema]:
    cased = capabilities.has_case_sensitive_identifiers
    return {name if cased else name.casefold(): column for name, column in columns.items()}


def _fits(client: Client, found: TColumnSchema, column: TColumnSchema, capabilities: Capabilities) -> bool:
    if not found.get("data_type") or client.type_of(found) == client.type_of(column):
        return True
    # what is wide enough, or can be made so, is no conflict
    return holds(found, column, capabilities) or holds(column, found, capabilities)


def _add_variant(schema: Schema, table: str, column: TColumnSchema, found: TColumnSchema) -> str:
    name = column["name"]
    variant = schema.naming.shorten_fragments(name, f"v_{column['data_type']}")
    columns = schema.tables[table]["columns"]
    typed = {key: value for key, value in found.items() if key in TYPE_PROPS}
    own = {key: value for key, value in columns.get(name, column).items() if key not in TYPE_PROPS}
    columns[name] = cast(TColumnSchema, {**own, **typed})
    made: dict[str, Any] = {**column, "name": variant, "nullable": True, "variant": True}
    columns.setdefault(variant, cast(TColumnSchema, made))
    logger.warning(
        "column `%s` of table `%s` is %s at the destination, where another writer made it first; this package's values "
        "are %s and go to `%s`",
        *(name, table, type_text(found), type_text(column), variant),
    )
    return variant


def _refusal(table: str, column: TColumnSchema, found: TColumnSchema) -> DestinationSchemaWillNotUpdate:
    name = column["name"]
    why = f"another writer made the key column `{name}` as {type_text(found)}, this package has {type_text(column)}"
    error = DestinationSchemaWillNotUpdate(table, [name], why)
    error.what = f"Table `{table}` cannot be loaded: its key column `{name}` has two types. Nothing was loaded."
    error.fix = f"let all writers give `{name}` one type: declare it in `columns` of the resource"
    return error


def state_claim(package: Package, state_table: str) -> StateClaim | None:
    """The state that a package brings to the destination; None when it brings none."""
    normalized = package.fact(Normalized)
    if normalized is None or not any(file.table == state_table for file in normalized.files):
        return None
    document = package.load_state()
    if document is None or document.get("known_states") is None:
        return None
    return StateClaim(
        pipeline_name=package.pipeline_name, document=document["pipeline_state"], known=document["known_states"]
    )
