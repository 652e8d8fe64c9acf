"""Load example_source: a table of a database that SQLAlchemy can read, from where the last run ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy

import headrace

ROWS = 10_000  # that are read at a time


@headrace.source
def example_source(url: str = headrace.secrets.value, table: str = headrace.config.value) -> Any:
    """A table.

    Args:
        url: The database, for example postgresql://user:password@host/database; in .dlt/secrets.toml.
        table: Its table; in .dlt/config.toml.
    """

    def rows(cursor: Any = headrace.sources.incremental("id")) -> Iterator[Any]:
        """Rows behind the last `id` that was seen; name another column that only grows, or leave it out."""
        engine = sqlalchemy.create_engine(url)
        found = sqlalchemy.Table(table, sqlalchemy.MetaData(), autoload_with=engine)
        query = sqlalchemy.select(found).order_by(found.c.id)
        if cursor.last_value is not None:
            query = query.where(found.c.id > cursor.last_value)
        with engine.connect().execution_options(stream_results=True) as connection:
            for part in connection.execute(query).mappings().partitions(ROWS):
                yield [dict(row) for row in part]

    return headrace.resource(rows, name=table, primary_key="id")


if __name__ == "__main__":
    pipeline = headrace.pipeline("example_pipeline", destination="duckdb", dataset_name="example_data")
    print(pipeline.run(example_source()))
