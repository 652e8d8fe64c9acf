"""Tables have the types that dlt gives them on DuckDB, checked against dlt 1.31 by experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.errors.destination import DestinationTerminalException
from tests.destinations.bench import bench, column, table

# what `duckdb_columns()` said after dlt 1.31.0 had made a table of these
SEEN_IN_DLT: list[tuple[dict[str, Any], str]] = [
    ({"data_type": "bigint"}, "BIGINT"),
    ({"data_type": "bigint", "precision": 1}, "TINYINT"),
    ({"data_type": "bigint", "precision": 8}, "TINYINT"),
    ({"data_type": "bigint", "precision": 16}, "SMALLINT"),
    ({"data_type": "bigint", "precision": 20}, "INTEGER"),
    ({"data_type": "bigint", "precision": 32}, "INTEGER"),
    ({"data_type": "bigint", "precision": 33}, "BIGINT"),
    ({"data_type": "bigint", "precision": 64}, "BIGINT"),
    ({"data_type": "bigint", "precision": 65}, "HUGEINT"),
    ({"data_type": "bigint", "precision": 128}, "HUGEINT"),
    ({"data_type": "text"}, "VARCHAR"),
    ({"data_type": "text", "precision": 10}, "VARCHAR"),
    ({"data_type": "binary"}, "BLOB"),
    ({"data_type": "binary", "precision": 10}, "BLOB"),
    ({"data_type": "timestamp"}, "TIMESTAMP WITH TIME ZONE"),
    ({"data_type": "timestamp", "timezone": True}, "TIMESTAMP WITH TIME ZONE"),
    ({"data_type": "timestamp", "timezone": False}, "TIMESTAMP"),
    *[({"data_type": "timestamp", "precision": p}, "TIMESTAMP WITH TIME ZONE") for p in (0, 1, 2, 3, 4, 6, 7, 9)],
    ({"data_type": "timestamp", "precision": 0, "timezone": False}, "TIMESTAMP_S"),
    ({"data_type": "timestamp", "precision": 1, "timezone": False}, "TIMESTAMP_MS"),
    ({"data_type": "timestamp", "precision": 3, "timezone": False}, "TIMESTAMP_MS"),
    ({"data_type": "timestamp", "precision": 4, "timezone": False}, "TIMESTAMP"),
    ({"data_type": "timestamp", "precision": 6, "timezone": False}, "TIMESTAMP"),
    ({"data_type": "timestamp", "precision": 7, "timezone": False}, "TIMESTAMP_NS"),
    ({"data_type": "timestamp", "precision": 9, "timezone": False}, "TIMESTAMP_NS"),
    ({"data_type": "time"}, "TIME"),
    ({"data_type": "time", "precision": 9}, "TIME"),
    ({"data_type": "date"}, "DATE"),
    ({"data_type": "double"}, "DOUBLE"),
    ({"data_type": "double", "precision": 24}, "DOUBLE"),
    ({"data_type": "bool"}, "BOOLEAN"),
    ({"data_type": "json"}, "JSON"),
    ({"data_type": "decimal"}, "DECIMAL(38,9)"),
    ({"data_type": "decimal", "precision": 10}, "DECIMAL(10,9)"),
    ({"data_type": "decimal", "precision": 10, "scale": 2}, "DECIMAL(10,2)"),
    ({"data_type": "decimal", "precision": 20, "scale": 0}, "DECIMAL(20,0)"),
    ({"data_type": "decimal", "scale": 5}, "DECIMAL(38,5)"),
    ({"data_type": "wei"}, "DECIMAL(38,0)"),
    ({"data_type": "wei", "precision": 20}, "DECIMAL(20,0)"),
    ({"data_type": "wei", "precision": 30, "scale": 2}, "DECIMAL(30,2)"),
]


def test_types_are_those_of_dlt(tmp_path: Path) -> None:
    """Every type, precision and time zone becomes the same database type as with dlt."""
    columns = [column(f"c{i}", **facts) for i, (facts, _) in enumerate(SEEN_IN_DLT)]
    with bench(tmp_path, table("t", *columns)) as b:
        found = [kind for _, kind, _ in b.client.sql_client.describe_tables(["t"])["t"]]
    assert found == [kind for _, kind in SEEN_IN_DLT]


def test_system_tables_are_those_of_dlt(tmp_path: Path) -> None:
    """The columns of the system tables, in order, with their types and whether NULL is allowed."""
    with bench(tmp_path) as b:
        found = b.client.sql_client.describe_tables(["_dlt_loads", "_dlt_version"])
    instant = "TIMESTAMP WITH TIME ZONE"
    assert found["_dlt_loads"] == [
        ("load_id", "VARCHAR", False),
        ("schema_name", "VARCHAR", True),
        ("status", "BIGINT", False),
        ("inserted_at", instant, False),
        ("schema_version_hash", "VARCHAR", True),
    ]
    assert found["_dlt_version"] == [
        ("version", "BIGINT", False),
        ("engine_version", "BIGINT", False),
        ("inserted_at", instant, False),
        ("schema_name", "VARCHAR", False),
        ("version_hash", "VARCHAR", False),
        ("schema", "VARCHAR", False),
    ]


@pytest.mark.parametrize("facts", [facts for facts, _ in SEEN_IN_DLT], ids=str)
def test_described_columns_make_the_same_table_again(facts: dict[str, Any]) -> None:
    """What is read back from the database leads to the same database type."""
    dialect = DuckDbDialect()
    kind = dialect.column_type(column("c", **facts))  # type: ignore[arg-type]
    back = dialect.column_facts("c", kind, True)
    assert dialect.column_type(back) == kind


def test_foreign_types_are_described_as_something() -> None:
    """Columns that a user made in types of DuckDB's own do not stop a load."""
    dialect = DuckDbDialect()
    assert dialect.column_facts("c", "INTEGER[]", True)["data_type"] == "json"
    assert dialect.column_facts("c", "STRUCT(a INTEGER)", True)["data_type"] == "json"
    assert dialect.column_facts("c", "UUID", True)["data_type"] == "text"


def test_unknown_types_are_refused_with_advice() -> None:
    """A column that cannot be made says which it is."""
    with pytest.raises(DestinationTerminalException, match=r"`c`.*'geometry'"):
        DuckDbDialect().column_type(column("c", "geometry"))  # type: ignore[arg-type]
    with pytest.raises(DestinationTerminalException, match="200 bits"):
        DuckDbDialect().column_type(column("c", "bigint", precision=200))  # type: ignore[arg-type]


def test_added_columns_are_nullable(tmp_path: Path) -> None:
    """Rows that are there have no value for a new column; DuckDB cannot add one as NOT NULL anyway."""
    with bench(tmp_path, table("t", column("a"))) as b:
        b.load(b.copy(b.file("t", [{"a": 1}])))
        b.schema.update_table(table("t", column("n", "text", nullable=False)))  # type: ignore[arg-type]
        b.migrate()
        assert b.client.sql_client.describe_tables(["t"])["t"] == [("a", "BIGINT", True), ("n", "VARCHAR", True)]


def test_create_indexes_enforces_unique_hints(tmp_path: Path) -> None:
    """Off by default; on, a UNIQUE constraint refuses a second row of one id."""
    made = table("t", column("a", unique=True))
    with bench(tmp_path, made, create_indexes=True) as b:
        with pytest.raises(DestinationTerminalException, match="constraint"):
            b.load(b.copy(b.file("t", [{"a": 1}, {"a": 1}])))
        assert b.rows("SELECT * FROM t") == []


def test_names_are_quoted(tmp_path: Path) -> None:
    """Reserved words, quotes and blanks in names are names."""
    made = table("select", column("from"), column('we "ird', "text"))
    with bench(tmp_path, migrated=False) as b:
        b.schema.tables["select"] = made  # type: ignore[assignment]
        b.migrate()
        b.load(b.copy(b.file("select", [{"from": 1, 'we "ird': "x"}])))
        assert b.rows('SELECT * FROM "select"') == [(1, "x")]
