"""Errors of reading back: datasets, relations and queries.

::

    HeadraceException
    ├── LineageFailedException              a query does not fit the schema
    └── DatasetException
        ├── DatasetTableNotFound            (also ValueError)
        ├── RelationHasQueryException
        └── RelationUnknownColumnException  (also KeyError)
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from headrace.errors.base import HeadraceException

_NAMES_SHOWN = 20


class DatasetException(HeadraceException):
    """Root of errors of datasets and relations."""


class LineageFailedException(HeadraceException, ValueError):
    """A query cannot be understood, or names something that the dataset's schema does not have."""


class DatasetTableNotFound(DatasetException, ValueError):
    """The dataset's schemas have no such table."""

    def __init__(self, dataset_name: str, table_name: str, known: Sequence[str]) -> None:
        self.dataset_name, self.table_name, self.known = dataset_name, table_name, list(known)
        super().__init__(
            f"Dataset `{dataset_name}` has no table `{table_name}` in its schema.",
            why=did_you_mean(table_name, known, "table"),
            fix="a table that another tool made can be read with `dataset.query(sql, _execute_raw_query=True)`",
        )


class RelationHasQueryException(DatasetException):
    """Something was asked of a relation that only a whole table can do."""

    def __init__(self, attempted_change: str) -> None:
        self.attempted_change = attempted_change
        super().__init__(
            f"{attempted_change} is not possible on a relation that is a query.",
            fix="start from a table: `dataset.table(name)`",
        )


class RelationUnknownColumnException(DatasetException, KeyError):
    """The relation has no such column."""

    def __init__(self, column_name: str, known: Sequence[str]) -> None:
        self.column_name, self.known = column_name, list(known)
        super().__init__(f"The relation has no column `{column_name}`.", why=did_you_mean(column_name, known, "column"))


def did_you_mean(name: str, known: Sequence[str], what: str) -> str:
    """Say which names are close, or else which there are."""
    close = difflib.get_close_matches(name.casefold(), {n.casefold() for n in known}, n=3, cutoff=0.6)
    likely = [n for n in known if n.casefold() in close]
    if likely:
        return f"did you mean {' or '.join(f'`{n}`' for n in likely)}?"
    shown = ", ".join(f"`{n}`" for n in list(known)[:_NAMES_SHOWN])
    more = f" and {len(known) - _NAMES_SHOWN} more" if len(known) > _NAMES_SHOWN else ""
    return f"its {what}s are {shown}{more}" if known else f"it has no {what}s yet"
