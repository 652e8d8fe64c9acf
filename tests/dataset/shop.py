"""A small dataset in a real DuckDB file: users with nested tags, orders that refer to users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace import destinations
from headrace.dataset import Dataset
from headrace.load.destination import Destination
from headrace.model.migrate import CreateTable
from headrace.model.schema import Schema
from headrace.model.tables import new_column, new_table

SEEN: Any = {"seen-data": True}


def shop_schema(name: str = "shop") -> Schema:
    schema = Schema(name)
    users = new_table(
        "users",
        columns=[
            new_column("id", "bigint", nullable=False),
            new_column("name", "text"),
            new_column("balance", "decimal", precision=20, scale=2),
            new_column("born", "date"),
            {"name": "_dlt_load_id", "data_type": "text", "nullable": False},
            {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
        ],
    )
    tags = new_table(
        "users__tags",
        parent_table_name="users",
        columns=[
            new_column("value", "text"),
            {"name": "_dlt_parent_id", "data_type": "text", "nullable": False, "parent_key": True},
            {"name": "_dlt_list_idx", "data_type": "bigint", "nullable": False},
            {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
        ],
    )
    orders = new_table(
        "orders",
        columns=[
            new_column("id", "bigint"),
            new_column("user_id", "bigint"),
            {"name": "_dlt_load_id", "data_type": "text", "nullable": False},
            {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
        ],
    )
    orders["references"] = [{"referenced_table": "users", "columns": ["user_id"], "referenced_columns": ["id"]}]
    for table in (users, tags, orders, new_table("never_seen", columns=[new_column("x", "text")])):
        if table["name"] != "never_seen":
            table["x-normalizer"] = SEEN
        schema.update_table(table)
    return schema


def fill(destination: Destination, dataset_name: str, schema: Schema) -> None:
    """Make the tables and put rows of two loads in."""
    with destination.open(dataset_name, schema) as client:
        client.create_dataset()
        tables = [*schema.data_tables(seen_data_only=True), *schema.dlt_tables()]
        client.migrate([CreateTable(table=t["name"], schema=dict(t)) for t in tables])
        client.store_schema(schema)
        sql: Any = client.sql_client  # type: ignore[attr-defined]
        sql.execute_sql(
            "INSERT INTO users VALUES (1, 'Ann', 10.50, '2000-01-02', 'l1', 'u1'), (2, 'Bob', -1, NULL, 'l2', 'u2'),"
            "(3, NULL, NULL, NULL, 'l2', 'u3')"
        )
        sql.execute_sql("INSERT INTO users__tags VALUES ('a','u1',0,'t1'), ('b','u1',1,'t2'), ('c','u2',0,'t3')")
        sql.execute_sql("INSERT INTO orders VALUES (10, 1, 'l1', 'o1'), (11, 1, 'l2', 'o2')")
        for load_id, status in (("l1", 0), ("l2", 0), ("l3", 1)):
            sql.execute_sql("INSERT INTO _dlt_loads VALUES (?, ?, ?, now(), 'h')", load_id, schema.name, status)


def shop(folder: Path, dataset_name: str = "raw") -> Dataset:
    """The filled dataset."""
    schema = shop_schema()
    destination = destinations.duckdb(str(folder / "shop.duckdb"))
    fill(destination, dataset_name, schema)
    return Dataset(destination, dataset_name, schema)
