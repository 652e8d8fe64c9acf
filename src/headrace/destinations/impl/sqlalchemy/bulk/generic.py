"""Any database: INSERT statements through SQLAlchemy, which writes many rows into one where the driver gains by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.destinations.impl.sqlalchemy.bulk import Insert
from headrace.destinations.impl.sqlalchemy.bulk.values import python_values

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient

_ROWS = 1_000


def statement_of(session: SqlalchemyClient, work: Insert) -> Any:
    """The INSERT for some columns of a table, with SQLAlchemy's types."""
    import sqlalchemy as sa

    columns = [
        sa.Column(sa.quoted_name(column["name"], True), session.own_dialect.sa_type(column)) for column in work.columns
    ]
    doubled = session.engine.dialect.paramstyle in ("format", "pyformat")
    # the name is ready for a statement but for that
    target = work.target.replace("%", "%%") if doubled else work.target
    return sa.insert(sa.Table(sa.quoted_name(target, False), sa.MetaData(), *columns))


def insert(session: SqlalchemyClient, work: Insert) -> int:
    """Append the rows; returns how many."""
    statement, names, rows = statement_of(session, work), [column["name"] for column in work.columns], 0
    for batch in work.batches:
        for start in range(0, batch.num_rows, _ROWS):
            part = batch.slice(start, _ROWS)
            values = zip(*(python_values(column) for column in part.columns), strict=True)
            with session.translated(session.doing) as connection:
                connection.execute(statement, [dict(zip(names, row, strict=True)) for row in values]).close()
            rows += part.num_rows
    return rows
