"""A destination's tables are brought up to a schema, before any row moves: add, widen, describe, or say why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors.destination import DestinationSchemaWillNotUpdate, DestinationUndefinedEntity
from headrace.load.destination import Client
from headrace.model.capabilities import Capabilities
from headrace.model.events import SchemaMigrated, SchemaMigrating
from headrace.model.jobs import PlannedJob
from headrace.model.migrate import (
    AnyChange,
    Misfit,
    altered_columns,
    applied_changes,
    find_misfits,
    has_descriptions,
    join_updates,
    plan_changes,
    plan_comments,
)
from headrace.model.schema import Schema
from headrace.model.widening import type_text
from headrace.typing import TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from headrace.package.package import Package

Settle = Callable[[Mapping[str, TTableSchemaColumns | None]], None]
Begin = Callable[[list[AnyChange]], None]


class ChangesMade:
    """Tells a package's journal what its load changes at the destination, and keeps count over crashes and retries.

    A destination may be killed, or its connection lost, between a change and the note of it. So the change is noted
    before as well: what an earlier attempt had begun and this one finds done was done by the package.

    Args:
        package: The package that is loaded.
    """

    def __init__(self, package: Package) -> None:
        self._package = package

    def begin(self, changes: list[AnyChange]) -> None:
        """Note what will be changed."""
        if not changes:
            return
        applied, altered = applied_changes(changes), altered_columns(changes)
        self._package.record(SchemaMigrating(load_id=self._package.load_id, applied=applied, altered=altered))

    def end(self, changes: list[AnyChange]) -> dict[str, Any]:
        """Note what has been changed, by this attempt or one before; returns the tables and columns created."""
        load_id, noted = self._package.load_id, self._package.fact(SchemaMigrated)
        begun = [f for f in self._package.journal.all(SchemaMigrating) if noted is None or noted.at <= f.at]
        applied = join_updates([*(fact.applied for fact in begun), applied_changes(changes)])
        altered = join_updates([*(fact.altered for fact in begun), altered_columns(changes)])
        if applied or altered:
            self._package.record(SchemaMigrated(load_id=load_id, applied=applied, altered=altered))
        return applied


def filled_tables(jobs: Iterable[PlannedJob]) -> dict[str, set[str] | None]:
    """Tables that get rows, each with the columns of its files; None where a file does not tell."""
    filled: dict[str, set[str] | None] = {}
    for job in jobs:
        for file in job.files:
            known = filled.setdefault(file.table, set())
            filled[file.table] = None if known is None or not file.columns else known.union(file.columns)
    return filled


def migrate(
    client: Client,
    schema: Schema,
    wanted: Mapping[str, TTableSchema],
    filled: Mapping[str, Collection[str] | None],
    capabilities: Capabilities,
    *,
    comments: bool = True,
    settle: Settle | None = None,
    begin: Begin | None = None,
) -> list[AnyChange]:
    """Change what has to change, and store the schema.

    Args:
        client: At the dataset.
        schema: The schema.
        wanted: Those of its tables that must be there.
        filled: Of `filled_tables`.
        capabilities: Of the destination.
        comments: Whether descriptions become comments.
        settle: Called with what is there before anything is compared with it; may change the schema.
        begin: Called with the changes, maybe none, before anything is done; what it raises leaves all as it is.

    Returns:
        What was changed.

    Raises:
        DestinationSchemaWillNotUpdate: Rows could not be brought into a table as it is, or two names differ in case
            alone where the destination does not tell them apart; nothing was changed.
    """
    cased = capabilities.has_case_sensitive_identifiers
    if not cased:
        _refuse_equal_names(schema, wanted)
    present: Mapping[str, TTableSchemaColumns | None]
    try:
        present = client.describe(list(wanted))
    except DestinationUndefinedEntity:
        present = dict.fromkeys(wanted)
    client.described = dict(present)
    if settle is not None:
        settle(present)
    misfits = find_misfits(wanted, present, filled, cased, capabilities, client.type_of)
    for misfit in misfits:
        if misfit.wanted is not None or not client.has_default(misfit.table, misfit.column):
            raise _refusal(misfit, client)
    client.with_comments = comments
    changes = plan_changes(wanted, present, cased, capabilities, client.type_of)
    if comments:
        changes += _comments(client, schema, wanted, present)
    if begin is not None:
        begin(changes)
    if changes:
        client.create_dataset()
        client.migrate(changes)
    client.store_schema(schema)
    return changes


def _comments(
    client: Client,
    schema: Schema,
    wanted: Mapping[str, TTableSchema],
    present: Mapping[str, TTableSchemaColumns | None],
) -> list[AnyChange]:
    """What has to change so that descriptions are comments of tables that are there."""
    system = set(schema.dlt_table_names())
    described = {n: t for n, t in wanted.items() if present.get(n) and n not in system and has_descriptions(t)}
    return plan_comments(described, client.describe_comments(list(described))) if described else []


def _refuse_equal_names(schema: Schema, wanted: Mapping[str, TTableSchema]) -> None:
    """Two tables that the destination takes for one would get each other's rows."""
    tables: dict[str, str] = {}
    known = (name for name, facts in schema.tables.items() if any(_typed(facts)))
    for table in [*wanted, *known]:
        first = tables.setdefault(table.casefold(), table)
        if first != table:
            raise _same_name(table, [], f"table `{first}`")
    for table, facts in wanted.items():
        columns: dict[str, str] = {}
        for column in _typed(facts):
            first = columns.setdefault(column.casefold(), column)
            if first != column:
                raise _same_name(table, [column], f"column `{first}`")


def _typed(table: TTableSchema) -> Iterator[str]:
    """The columns that are made at the destination: those that only have hints so far are not."""
    return (name for name, column in table["columns"].items() if column.get("data_type"))


def _same_name(table: str, columns: list[str], other: str) -> DestinationSchemaWillNotUpdate:
    error = DestinationSchemaWillNotUpdate(table, columns, "the destination does not tell upper from lower case")
    subject = f"column `{columns[0]}` of table `{table}`" if columns else f"table `{table}`"
    error.what = f"The {subject} cannot be made: it has the name of {other}. Nothing was loaded."
    error.fix = "rename one of them, or choose a `schema.naming` that makes one name of both, such as `snake_case`"
    return error


def _refusal(misfit: Misfit, client: Client) -> DestinationSchemaWillNotUpdate:
    table, column, wanted, present, why = misfit
    error = DestinationSchemaWillNotUpdate(table, [column], why)
    if wanted is None:
        error.what = (
            f"Table `{table}` cannot be loaded: at the destination it has the NOT NULL column `{column}`, "
            "which the schema does not know. Nothing was loaded."
        )
        error.fix = (
            f"give the column a default in the database, or let it be NULL; or have the resource yield `{column}`"
        )
        return error
    is_type, wanted_type = client.type_of(present), client.type_of(wanted)  # type: ignore[arg-type]
    error.what = (
        f"Table `{table}` cannot be loaded: column `{column}` is {is_type} at the destination, the schema has "
        f"{type_text(wanted)} ({wanted_type}). Nothing was loaded."
    )
    error.fix = (
        f"change the column in the database to {wanted_type}; or load the values under another name; or drop the "
        'table and load it anew with `refresh="drop_resources"`'
    )
    return error
