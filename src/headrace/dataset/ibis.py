"""Datasets as ibis backends: a thin adapter over the connection that the client already has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.base.lazy import need
from headrace.errors.dataset import DatasetException

if TYPE_CHECKING:
    from headrace.dataset.dataset import Dataset

_FEATURE = "reading a dataset with ibis"


def to_sql(expression: Any, dialect: str | None) -> str:
    """An ibis expression as SQL text."""
    ibis = need("ibis", _FEATURE, "ibis")
    return str(ibis.to_sql(expression, dialect=dialect))


def backend(dataset: Dataset) -> Any:
    """An ibis backend over the dataset's connection, which it keeps open.

    Raises:
        MissingDependencyException: ibis is not installed.
        DatasetException: The destination has no ibis backend that takes an open connection.
    """
    ibis = need("ibis", _FEATURE, "ibis")
    dialect = dataset.destination_dialect
    if dialect not in ("duckdb", "postgres"):
        raise DatasetException(
            f"A dataset in {dialect or 'a destination without SQL'} cannot be handed to ibis yet.",
            fix="read it with `relation.arrow()`, and give that to `ibis.memtable`",
        )
    session = dataset.keep_open()
    use_dataset = getattr(session, "use_dataset", None)
    if use_dataset is not None:
        use_dataset()  # so that tables are found by their names alone
    connection: Any = getattr(ibis, dialect).from_connection(session.native_connection)
    return connection


def to_ibis(dataset: Dataset, sql: str) -> Any:
    """A query as an ibis table."""
    return backend(dataset).sql(sql)
