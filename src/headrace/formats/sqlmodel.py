"""A query as something to load: the destination runs it, and its rows become rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors.base import HeadraceException

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = "model"
_HEAD, _PLACE = "dialect: ", "place: "


class SqlModel:
    """One SELECT in the SQL of a destination.

    Made by `Relation.to_model`, or from text.

    Args:
        query: The SELECT; tables named as the destination names them.
        query_dialect: The SQL it is written in (sqlglot's name of it).
        columns: What a schema says of its columns, by name; without them the table must have been declared.
        place: Hash of the database that can run it; empty when any can.
    """

    def __init__(
        self,
        query: str,
        query_dialect: str | None = None,
        columns: Mapping[str, Any] | None = None,
        place: str = "",
    ) -> None:
        self._query, self._dialect = query, query_dialect
        self.columns: dict[str, Any] = dict(columns or {})
        self.place = place

    @property
    def query_dialect(self) -> str | None:
        """The SQL it is written in."""
        return self._dialect

    def to_sql(self) -> str:
        """The SELECT."""
        return self._query

    def to_model(self) -> Self:
        """Itself, as a relation gives its model."""
        return self

    @classmethod
    def from_query_string(cls, query: str, dialect: str | None = None) -> Self:
        """Check and take a query.

        Args:
            query: One SELECT.
            dialect: The SQL it is written in.

        Raises:
            ValueError: It is not one SELECT.
        """
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        try:
            trees = [tree for tree in sqlglot.parse(query, dialect=dialect) if tree is not None]
        except SqlglotError as error:
            raise ValueError(f"this is not SQL of `{dialect or 'sqlglot'}`: {query}") from error
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise ValueError(f"a model is one SELECT, and this is not: {query}")
        return cls(trees[0].sql(dialect=dialect), dialect)

    def __str__(self) -> str:
        place = f"{_PLACE}{self.place}\n" if self.place else ""
        return f"{_HEAD}{self._dialect or ''}\n{place}{self._query}\n"

    @classmethod
    def from_file(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            HeadraceException: The text is something else.
        """
        head, _, query = text.partition("\n")
        if not head.startswith(_HEAD):
            raise HeadraceException("This is not the text of a SQL model.", why=f"its first line is {head[:80]!r}")
        place = ""
        if query.startswith(_PLACE):
            place, _, query = query.removeprefix(_PLACE).partition("\n")
        return cls(query.rstrip("\n"), head.removeprefix(_HEAD) or None, place=place)
