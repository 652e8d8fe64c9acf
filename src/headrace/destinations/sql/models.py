"""Files that hold a query: its rows go into a table without leaving the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors.destination import DestinationTerminalException
from headrace.formats.sqlmodel import SqlModel
from headrace.model import tables as tb
from headrace.model.contract import resolve_contract

if TYPE_CHECKING:
    from headrace.destinations.sql.session import SqlClient
    from headrace.load.destination import LoadContext


def insert_model(session: SqlClient, text: str, table: str, context: LoadContext, target: str) -> int:
    """Run a query and append its rows to a table inside the open transaction.

    Columns are matched by the name that the naming convention gives them; those that the table does not have were
    dropped by its contract. ``_dlt_load_id`` becomes that of the load.

    Args:
        session: With an open transaction.
        text: What the file holds.
        table: The table in the schema.
        context: The package.
        target: The table to insert into, ready for a statement.

    Returns:
        The rows it appended.

    Raises:
        DestinationTerminalException: The query was written for another database, or reads the table that it replaces.
    """
    model = SqlModel.from_file(text)
    known = context.schema.tables[table]
    if model.place and session.place and model.place != session.place:
        raise DestinationTerminalException(
            f"The query for table `{table}` reads another database than the one that the table is in.",
            why=f"it was made from a relation of that one: {model.to_sql()[:200]}",
            fix="yield the relation itself, not `relation.to_model()`: its rows then travel as Arrow",
        )
    if known.get("write_disposition") == "replace":
        _check_others(session, model, table)
    naming, quote = context.schema.naming, session.dialect.quote
    load_id = naming.normalize_identifier(tb.C_DLT_LOAD_ID)
    nothing = session.dialect.first_rows(f"SELECT * FROM ({model.to_sql()}) AS _hr_model", 0)
    with session.execute_query(nothing) as cursor:
        found = {name: naming.normalize_identifier(name) for name in cursor.column_names}
    wanted = {name: new for name, new in found.items() if new in known["columns"] and new != load_id}
    if lost := [name for name, new in found.items() if new not in known["columns"]]:
        _check_unwanted(context, table, lost)
    columns = [quote(new) for new in wanted.values()]
    values = [quote(name) for name in wanted]
    if load_id in known["columns"]:
        columns.append(quote(load_id))
        values.append(session.dialect.text(context.load_id))
    return session.run(
        f"INSERT INTO {target} ({', '.join(columns)}) SELECT {', '.join(values)} FROM ({model.to_sql()}) AS _hr_model"
    )


def _check_unwanted(context: LoadContext, table: str, columns: list[str]) -> None:
    """Columns of the query that the table does not have may only be left out where its contract says so."""
    if resolve_contract(context.schema, table)["columns"] in ("discard_value", "discard_row"):
        return
    raise DestinationTerminalException(
        f"Table `{table}` has no column {', '.join(f'`{name}`' for name in columns)}, which the query for it gives.",
        why="a query that is written as text does not tell the types of its columns",
        fix="declare them: `dlt.resource(columns={...})`; or make the model of a relation: `dataset(sql).to_model()`",
    )


def _check_others(session: SqlClient, model: SqlModel, table: str) -> None:
    """A table that is replaced is empty by the time the query runs."""
    import sqlglot
    from sqlglot import exp

    here = session.dataset_name.casefold()
    for node in sqlglot.parse_one(model.to_sql(), dialect=model.query_dialect).find_all(exp.Table):
        if node.name.casefold() == table.casefold() and node.db.casefold() in ("", here):
            raise DestinationTerminalException(
                f"The query for table `{table}` reads the table itself, which is replaced.",
                why="its rows are gone before the query runs; nothing was changed",
                fix="load into a table of another name, use `merge`, or yield the relation instead of its model",
            )
