"""Column lineage of SQL models: from the text, and through a load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace as dlt
from headrace.formats.sqlmodel import SqlModel
from headrace.model.schema import Schema
from headrace.observers.lineage.columns import resolve
from headrace.observers.lineage.columns_model import TableLineage
from headrace.observers.lineage.columns_package import PackageSchema
from headrace.observers.lineage.columns_sql import model_lineage, model_tables
from headrace.observers.lineage.facts import DatasetId
from tests.lineage.columns.loads import Loads

_TABLES = {"orders": ("id", "customer_id", "amount", "day", "note"), "customers": ("id", "name", "email")}


@pytest.fixture(scope="module")
def package() -> PackageSchema:
    schema = Schema("shop")
    for name, columns in _TABLES.items():
        made: Any = {c: {"name": c, "data_type": "text"} for c in columns}
        schema.update_table({"name": name, "columns": made, "x-normalizer": {"seen-data": True}})
    return PackageSchema(schema.to_dict())


def _of(package: PackageSchema, query: str, dialect: str = "duckdb") -> TableLineage:
    return model_lineage(str(SqlModel(query, dialect)), package)


def _short(sources: Any) -> dict[str, list[str]]:
    return {f"{s.dataset}.{s.field}": [t.subtype for t in s.transformations] for s in sources}


def test_joins_aggregates_and_hashes(package: PackageSchema) -> None:
    found = _of(
        package,
        "SELECT o.id, c.name AS who, sum(o.amount) / 2 AS total, md5(c.email) AS h, count(*) AS n "
        "FROM raw.orders o JOIN raw.customers c ON o.customer_id = c.id WHERE o.day > 'SECRET' GROUP BY ALL "
        "HAVING sum(o.amount) > 1 ORDER BY who",
    )
    assert {n: _short(s) for n, s in found.columns.items()} == {
        "id": {"raw.orders.id": ["IDENTITY"]},
        "who": {"raw.customers.name": ["IDENTITY"]},
        "total": {"raw.orders.amount": ["AGGREGATION"]},
        "h": {"raw.customers.email": ["TRANSFORMATION"]},
        "n": {},
    }
    assert found.columns["h"][0].transformations[0].masking
    whole = _short(found.indirect)
    assert whole["raw.orders.day"] == ["FILTER"] and whole["raw.orders.amount"] == ["FILTER"]
    assert whole["raw.orders.customer_id"] == whole["raw.customers.id"] == ["JOIN"]
    assert "SORT" in whole["raw.customers.name"]
    assert "SECRET" not in repr(found)


def test_unions_windows_conditions_and_subqueries(package: PackageSchema) -> None:
    found = _of(
        package,
        "WITH x AS (SELECT id, upper(note) AS n FROM raw.orders UNION ALL SELECT id, name FROM raw.customers) "
        "SELECT x.id, x.n, CASE WHEN x.n = 'a' THEN x.id END AS c, row_number() OVER (ORDER BY x.id) AS r, "
        "(SELECT max(o.amount) FROM raw.orders o WHERE o.id = x.id) AS m FROM x",
    )
    columns = {n: _short(s) for n, s in found.columns.items()}
    assert columns["id"] == {"raw.orders.id": ["IDENTITY"], "raw.customers.id": ["IDENTITY"]}
    assert columns["n"] == {"raw.orders.note": ["TRANSFORMATION"], "raw.customers.name": ["IDENTITY"]}
    assert columns["c"]["raw.orders.note"] == ["CONDITIONAL"] and columns["c"]["raw.orders.id"] == ["TRANSFORMATION"]
    assert columns["r"] == {"raw.orders.id": ["WINDOW"], "raw.customers.id": ["WINDOW"]}
    assert columns["m"]["raw.orders.amount"] == ["AGGREGATION"]


def test_stars_are_spelled_out_where_the_schema_knows_them(package: PackageSchema) -> None:
    assert list(_of(package, 'SELECT * FROM "db"."raw"."orders"').columns) == list(_TABLES["orders"])
    assert _of(package, "SELECT * FROM elsewhere.thing").columns == {}
    known = _of(package, "SELECT q, w AS v FROM elsewhere.thing")
    assert {n: _short(s) for n, s in known.columns.items()} == {
        "q": {"elsewhere.thing.q": ["IDENTITY"]},
        "v": {"elsewhere.thing.w": ["IDENTITY"]},
    }


def test_tables_of_one_name_in_two_schemas_stay_apart(package: PackageSchema) -> None:
    text = str(SqlModel("SELECT a.id, b.id AS other FROM s1.orders a, s2.orders b", "duckdb"))
    assert model_tables(text) == [("s1", "orders"), ("s2", "orders")]
    found = model_lineage(text, package)
    assert [_short(s) for s in found.columns.values()] == [
        {"s1.orders.id": ["IDENTITY"]},
        {"s2.orders.id": ["IDENTITY"]},
    ]


def test_what_is_no_sql_has_no_lineage(package: PackageSchema) -> None:
    assert _of(package, "this is not SQL at all ((").columns == {}
    assert model_tables(str(SqlModel("SELECT FROM WHERE ((", "duckdb"))) == []


def test_a_model_that_is_loaded(tmp_path: Path) -> None:
    loads = Loads(tmp_path)
    loads.run(dlt.resource([{"Id": 1, "amount": 2}, {"Id": 1, "amount": 3}], name="orders"))
    query = f"SELECT id, sum(amount) AS total FROM {loads.pipeline.dataset_name}.orders GROUP BY id"
    model = loads.pipeline.dataset()(query).to_model()

    @dlt.resource
    def totals() -> Any:
        yield model

    lineage = loads.run(totals())["totals"]
    assert [(r["id"], r["total"]) for r in loads.rows("totals")] == [(1, 5)]
    orders = DatasetId("duckdb:///w.duckdb", "w.d.orders")
    found = resolve(lineage, [orders])
    assert not found.unknown
    told = {n: [(r.dataset, r.field, r.transformations[0].subtype) for r in refs] for n, refs in found.columns.items()}
    assert told == {
        "id": [(orders, "id", "IDENTITY")],
        "total": [(orders, "amount", "AGGREGATION")],
        "_dlt_load_id": [],
    }
    assert [(r.field, r.transformations[0].subtype) for r in found.indirect] == [("id", "GROUP_BY")]


def test_rows_of_a_relation_are_those_of_its_tables(tmp_path: Path) -> None:
    loads = Loads(tmp_path)
    loads.run(dlt.resource([{"id": 1, "full_name": "x", "vip": True}], name="customers"))

    @dlt.resource
    def vips() -> Any:
        yield loads.pipeline.dataset().query(
            "SELECT id, full_name AS who, count(*) OVER () AS n FROM customers WHERE vip"
        )

    lineage = loads.run(vips())["vips"]
    assert loads.described is not None
    (query,) = loads.described.queries
    assert model_tables(query.text) == [("d", "customers")]
    assert query.place is not None and query.place.schema == "d"
    customers = DatasetId("duckdb:///w.duckdb", "w.d.customers")
    found = resolve(lineage, [customers])
    told = {n: [(r.field, r.transformations[0].subtype) for r in refs] for n, refs in found.columns.items()}
    assert told["id"] == [("id", "IDENTITY")] and told["who"] == [("full_name", "IDENTITY")]
    assert told["n"] == [], "the query makes it: it is no column of a table"
    assert [(r.field, r.transformations[0].subtype) for r in found.indirect] == [("vip", "FILTER")]
