"""What a plan says of statements is what the database receives; before that it receives nothing but questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from tests.e2e.project import rows
from tests.plan.world import ORDERS, files_of, pipeline, table_of

# statements that make, change, empty or drop tables; temporary ones and headrace's own records are not told
_TABLES = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE|COMMENT|ATTACH|DELETE)\b", re.IGNORECASE)
_WRITES = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE|COMMENT|INSERT|UPDATE|DELETE|COPY|MERGE|GRANT)\b", re.IGNORECASE)
_NOT_TOLD = re.compile(
    r"_hr_stage|_hr_sent|_hr_gone|TEMP|DELETE FROM \S*(_headrace_jobs|_dlt_version|_dlt_pipeline_state)"
)


def told(statements: list[str]) -> list[str]:
    """Those that a plan tells, in one line each."""
    return [_line(s) for s in statements if _TABLES.match(s) and not _NOT_TOLD.search(s)]


def _line(statement: str) -> str:
    return " ".join(statement.split())


class PostgresLog:
    """The statements that a database has received since it was asked last."""

    def __init__(self, server: Any) -> None:
        self.url = server.database()
        name = self.url.rpartition("/")[2]
        server.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
        self.path = server.folder / "server.log"
        self.read()

    def read(self) -> list[str]:
        size = getattr(self, "size", 0)
        data = self.path.read_bytes()
        self.size = len(data)
        found: list[str] = []
        for line in data[size:].decode().splitlines():
            if "LOG:  statement: " in line:
                found.append(line.partition("LOG:  statement: ")[2])
            elif line.startswith("\t") and found:
                found[-1] += "\n" + line[1:]
        return [part for statement in found for part in _parts(statement)]


def _parts(text: str) -> list[str]:
    """Statements of a request; texts in quotes have no semicolon in these tests."""
    return [part.strip() for part in text.split(";") if part.strip()]


@pytest.fixture
def log(project: Path, postgres_server: Any) -> PostgresLog:
    return PostgresLog(postgres_server)


SHOP: list[dict[str, Any]] = [
    {"data": ORDERS, "table_name": "orders", "primary_key": "id", "write_disposition": "merge"},
    {"data": [{"id": 2, "name": "c", "more": 1.5, "items": [{"x": "y"}]}], "table_name": "orders"},
    {"data": [{"id": 3}], "table_name": "orders", "write_disposition": "replace"},
    {"data": [{"id": 3}], "table_name": "orders", "refresh": "drop_data"},
    {"data": [{"id": "x"}], "table_name": "orders", "refresh": "drop_resources"},
    {"data": [{"id": 5}], "table_name": "orders"},
]


@pytest.mark.destination("postgres")
@pytest.mark.parametrize("strategy", ["insert-from-staging", "truncate-and-insert", "staging-optimized"])
def test_postgres(log: PostgresLog, monkeypatch: pytest.MonkeyPatch, strategy: str) -> None:
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", strategy)
    p = pipeline(headrace.destinations.postgres(log.url))
    for step in SHOP if strategy == "insert-from-staging" else SHOP[:3]:
        log.read()
        plan = p.plan(step["data"], **{k: v for k, v in step.items() if k != "data"})
        asked = log.read()
        assert asked, "the log works"
        assert [s for s in asked if _WRITES.match(s)] == []
        p.run(plan)
        assert told(log.read()) == [_line(s) for s in plan.statements]
    assert "_hr_new_" in " ".join(plan.statements) or strategy != "staging-optimized"


@pytest.mark.destination("postgres")
def test_postgres_widens_columns(log: PostgresLog) -> None:
    p = pipeline(headrace.destinations.postgres(log.url))
    p.run([{"id": 1, "n": 1}], table_name="t", columns={"n": {"data_type": "bigint", "precision": 32}})
    plan = p.plan([{"id": 2, "n": 2**40}], table_name="t", columns={"n": {"data_type": "bigint", "precision": 64}})
    assert table_of(plan, "t").altered == {"n": {"before": "bigint(32)", "after": "bigint(64)"}}
    assert [(one.table, one.kind) for one in plan.destructive] == [("t", "rewrite")]
    log.read()
    p.run(plan)
    assert told(log.read()) == [_line(s) for s in plan.statements]
    assert rows(p, "t", "n", order="n") == [(1,), (2**40,)]


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """All statements that any engine of SQLAlchemy is given."""
    import sqlalchemy as sa

    found: list[str] = []

    def hear(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        found.append(statement)

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", hear)
    yield found
    sa.event.remove(sa.engine.Engine, "before_cursor_execute", hear)


@pytest.mark.destination("sqlalchemy")
def test_sqlite(project: Path, heard: list[str]) -> None:
    p = pipeline(headrace.destinations.sqlalchemy(f"sqlite:///{project}/shop.db"))
    for step in SHOP:
        heard.clear()
        before = files_of(project, but=("data",))
        plan = p.plan(step["data"], **{k: v for k, v in step.items() if k != "data"})
        assert [s for s in heard if _WRITES.match(s)] == []
        assert files_of(project, but=("data",)) == before, "no file is made, none is changed"
        heard.clear()
        p.run(plan)
        ran = [s for s in told(heard) if not s.startswith("ATTACH")]
        assert ran == [_line(s) for s in plan.statements if not s.startswith("ATTACH")]
        assert any(s.startswith("ATTACH") for s in plan.statements) == (step is SHOP[0]), "it makes the dataset's file"


def test_a_database_of_the_same_name_as_its_dataset(project: Path) -> None:
    """DuckDB needs the catalog in names then; so does the plan of a file that is still to be made."""
    p = headrace.pipeline("shop", destination=headrace.destinations.duckdb("raw.duckdb"), dataset_name="raw")
    first = p.plan(ORDERS, table_name="orders")
    assert first.statements[0] == 'CREATE SCHEMA IF NOT EXISTS "raw"."raw"'
    assert not (project / "raw.duckdb").exists()
    p.run(first)
    assert (
        p.plan([{"id": 3, "new": 1}], table_name="orders").statements[1].startswith('ALTER TABLE "raw"."raw"."orders"')
    )


@pytest.mark.parametrize("table_format", [None, "delta", "iceberg"])
def test_files_and_lakes(project: Path, table_format: Any) -> None:
    p = pipeline(headrace.destinations.filesystem(str(project / "lake")))
    how: Any = {"table_name": "t", "table_format": table_format}
    first = p.plan([{"id": 1}], **how)
    assert not (project / "lake").exists()
    assert first.statements == []
    assert any("without statements" in note for note in first.notes)
    assert {c["table"]: c["change"] for c in first.changes}["t"] == "CreateTable"
    p.run(first)
    before = files_of(project / "lake")
    second = p.plan([{"id": 2, "more": "x"}], **how)
    replaced = p.plan([{"id": 3}], write_disposition="replace", **how)
    assert files_of(project / "lake") == before
    assert [(c["table"], c["change"], list(c["columns"])) for c in second.changes] == [("t", "AddColumns", ["more"])]
    assert [(one.table, one.kind) for one in replaced.destructive] == [("t", "replace")]
    p.run(second)
    assert sorted(p.dataset().t[["id", "more"]].fetchall()) == [(1, None), (2, "x")]


def test_a_destination_that_knows_no_tables(project: Path) -> None:
    got: list[Any] = []

    @headrace.destination(name="sink")
    def sink(items: Any, table: Any) -> None:
        got.append(items)

    p = headrace.pipeline("shop", destination=sink)
    plan = p.plan(ORDERS, table_name="orders")
    assert got == []
    assert any("does not tell which tables" in note for note in plan.notes)
    p.run(plan)
    assert len(got) > 0
