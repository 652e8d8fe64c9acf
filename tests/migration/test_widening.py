"""Columns of tables that hold data become wider where nothing is lost; what cannot be is refused before data moves."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.schema import UnsafeTypeChangeException
from tests.e2e.project import rows

UTC = dt.timezone.utc
NOON = dt.datetime(2020, 1, 2, 12, tzinfo=UTC)


def pipeline(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw", **settings)


def column(p: headrace.Pipeline, name: str = "x", table: str = "t") -> tuple[str, bool]:
    """The column's type in the database, and whether it may be NULL."""
    with p.sql_client() as client:
        ((kind, nullable),) = client.fetch(
            "SELECT data_type, is_nullable FROM duckdb_columns() WHERE table_name = ? AND column_name = ?", table, name
        )
    return kind, nullable


def load(p: headrace.Pipeline, value: Any, **hints: Any) -> None:
    columns = {"x": {"name": "x", **hints}} if hints else None
    p.run([{"id": 1, "x": value}], table_name="t", columns=columns)  # type: ignore[arg-type]


def hint(data_type: str, precision: int | None = None, scale: int | None = None, **more: Any) -> dict[str, Any]:
    given = {"data_type": data_type, "precision": precision, "scale": scale, **more}
    return {name: value for name, value in given.items() if value is not None}


WIDENED = {
    "decimal": (hint("decimal", 10, 2), Decimal("1.25"), hint("decimal", 38, 4), Decimal("123456789012.1234")),
    "scale alone": (hint("decimal", 10, 2), Decimal("1.25"), hint("decimal", 12, 4), Decimal("1.1234")),
    "integer": (hint("bigint", 16), 7, hint("bigint", 64), 1 << 40),
    "huge": (hint("bigint"), 7, hint("bigint", 128), 1 << 60),
    "integer as decimal": (hint("bigint", 32), 7, hint("decimal", 20, 4), Decimal("7.5")),
    "integer as wei": (hint("bigint", 64), 7, hint("wei"), 1 << 70),
    "small integer as double": (hint("bigint", 32), 7, hint("double"), 7.5),
    "date": (hint("date"), dt.date(2020, 1, 1), hint("timestamp"), NOON),
    "naive date": (hint("date"), dt.date(2020, 1, 1), hint("timestamp", timezone=False), NOON.replace(tzinfo=None)),
    "fractions": (hint("timestamp", 3, timezone=False), NOON.replace(tzinfo=None), hint("timestamp", 6), NOON),
    "json": (hint("json"), {"a": 1}, hint("text"), "a"),
}
DATABASE = {
    "decimal": "DECIMAL(38,4)",
    "scale alone": "DECIMAL(12,4)",
    "integer": "BIGINT",
    "huge": "HUGEINT",
    "integer as decimal": "DECIMAL(20,4)",
    "integer as wei": "DECIMAL(38,0)",
    "small integer as double": "DOUBLE",
    "date": "TIMESTAMP WITH TIME ZONE",
    "naive date": "TIMESTAMP",
    "fractions": "TIMESTAMP",
    "json": "VARCHAR",
}


@pytest.mark.parametrize("case", WIDENED)
@pytest.mark.each(3)
def test_a_declared_type_that_holds_all_the_old_one_does_is_applied(project: Path, case: str) -> None:
    before, old, after, new = WIDENED[case]
    p = pipeline()
    load(p, old, **before)
    load(p, new, **after)
    assert column(p) == (DATABASE[case], True)
    (one, two) = (x for (x,) in p.dataset()("SELECT x FROM t").fetchall())
    want = dt.datetime(2020, 1, 1, tzinfo=None if case == "naive date" else UTC) if "date" in case else old
    assert one == ('{"a":1}' if case == "json" else want)
    assert two == (new.replace(tzinfo=None) if case == "fractions" else new)
    stored = p.default_schema.tables["t"]["columns"]["x"]
    assert {k: stored.get(k) for k in ("data_type", "precision", "scale") if k in stored} == {
        k: v for k, v in after.items() if k != "timezone"
    }
    assert not [name for name in p.default_schema.tables["t"]["columns"] if name.startswith("x__v")]
    # once is enough: the next load has nothing to change
    info = p.run([{"id": 3, "x": new}], table_name="t")
    assert info is not None
    assert not info.load_packages[0].schema_update
    assert not info.load_packages[0].schema_altered


def test_the_change_is_told(project: Path) -> None:
    p = pipeline()
    load(p, Decimal(1), **hint("decimal", 10, 2))
    info = p.run([{"id": 1}], table_name="t", columns={"x": {"precision": 20, "scale": 2}})  # type: ignore[dict-item]
    assert info is not None
    package = info.load_packages[0]
    assert package.schema_update == {}  # nothing was created
    update: Any = package.schema_altered
    assert update["t"]["columns"]["x"]["precision"] == 20
    assert "table t, columns with another type: x decimal" in package.asstr(1)
    assert info.asdict()["load_packages"][0]["altered_tables"][0]["columns"][0]["name"] == "x"


@pytest.mark.parametrize(
    ("before", "old", "after", "kept"),
    [
        (hint("decimal", 20, 4), Decimal("1.25"), hint("decimal", 10, 2), "DECIMAL(20,4)"),
        (hint("bigint"), 7, hint("bigint", 16), "BIGINT"),
        (hint("timestamp"), NOON, hint("date"), ""),
        (hint("timestamp"), NOON, hint("timestamp", timezone=False), "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_a_declared_type_that_holds_less_changes_nothing(
    project: Path, before: dict[str, Any], old: Any, after: dict[str, Any], kept: str, caplog: pytest.LogCaptureFixture
) -> None:
    p = pipeline()
    load(p, old, **before)
    load(p, old, **after)
    assert column(p)[0] == (kept or "TIMESTAMP WITH TIME ZONE")
    stored = p.default_schema.tables["t"]["columns"]["x"]
    assert all(stored.get(k) == v for k, v in before.items())
    assert "stays so" in caplog.text
    assert rows(p, "t", "count(*), count(DISTINCT x)") == [(2, 1)]


UNSAFE = [
    (hint("bigint"), 7, hint("text"), "a", "sort and compare otherwise"),
    (hint("bigint"), 7, hint("double"), 1.5, "15 exact digits"),
    (hint("decimal", 38, 4), Decimal(7), hint("decimal", 38, 9), Decimal(1), "fewer digits"),
    (hint("decimal", 12, 2), Decimal("1.25"), hint("bigint"), 1, "fewer digits"),
    (hint("text"), "a", hint("bigint"), 1, "cannot hold every value"),
    (hint("bool"), True, hint("bigint"), 1, "cannot hold every value"),
]


@pytest.mark.parametrize(("before", "old", "after", "new", "why"), UNSAFE)
def test_a_declared_type_that_would_lose_something_is_refused_and_poisons_nothing(
    project: Path, before: dict[str, Any], old: Any, after: dict[str, Any], new: Any, why: str
) -> None:
    p = pipeline()
    load(p, old, **before)
    kind = column(p)
    with pytest.raises(PipelineStepFailed) as failed:
        load(p, new, **after)
    assert failed.value.step == "extract"
    cause = failed.value.exception
    assert isinstance(cause, UnsafeTypeChangeException)
    for part in ("`x`", "`t`", before["data_type"], after["data_type"], why, "drop_resources", "Nothing was changed"):
        assert part in str(cause)
    assert not p.has_pending_data
    assert column(p) == kind
    load(p, old)
    assert pipeline().default_schema.tables["t"]["columns"]["x"]["data_type"] == before["data_type"]
    assert rows(p, "t", "count(x)") == [(2,)]


def test_a_refused_type_is_taken_when_the_table_is_dropped(project: Path) -> None:
    p = pipeline()
    load(p, 7)
    p.run([{"id": 1, "x": "a"}], table_name="t", columns={"x": {"data_type": "text"}}, refresh="drop_resources")  # type: ignore[dict-item]
    assert rows(p, "t", "x") == [("a",)]


def test_a_frozen_data_type_comes_before_widening(project: Path) -> None:
    p = pipeline()
    load(p, 7, **hint("bigint", 16))
    with pytest.raises(PipelineStepFailed, match="data_type"):
        p.run(
            [{"id": 1, "x": 1}],
            table_name="t",
            columns={"x": {"precision": 64}},  # type: ignore[dict-item]
            schema_contract={"data_type": "freeze"},
        )
    assert column(p) == ("SMALLINT", True)


def test_a_column_may_be_null_when_the_hint_says_so(project: Path) -> None:
    p = pipeline()
    load(p, 7, **hint("bigint", nullable=False))
    assert column(p) == ("BIGINT", False)
    load(p, None, **hint("bigint", nullable=True))
    assert column(p) == ("BIGINT", True)
    assert rows(p, "t", "x") == [(7,), (None,)]


def test_a_column_that_shall_not_be_null_keeps_its_old_rows(project: Path) -> None:
    """The destination goes on allowing NULL, where old rows have it; new rows without a value are refused."""
    p = pipeline()
    load(p, 1)
    p.run([{"id": 2}], table_name="t")
    load(p, 3, nullable=False)
    assert column(p) == ("BIGINT", True)
    with pytest.raises(PipelineStepFailed, match="has no value for `x`"):
        p.run([{"id": 4}], table_name="t")


def frame(kind: pa.DataType, value: Any) -> pa.Table:
    return pa.table({"id": pa.array([1]), "x": pa.array([value], kind)})


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (frame(pa.decimal128(10, 2), Decimal("1.25")), frame(pa.decimal128(38, 4), Decimal("2.1234")), "DECIMAL(38,4)"),
        (frame(pa.int16(), 1), frame(pa.int64(), 1 << 40), "BIGINT"),
        (frame(pa.int32(), 1), frame(pa.uint32(), (1 << 32) - 1), "BIGINT"),
        (frame(pa.int64(), 1), frame(pa.uint64(), (1 << 64) - 1), "DECIMAL(20,0)"),
        (frame(pa.int32(), 1), frame(pa.float64(), 1.5), "DOUBLE"),
        (frame(pa.date32(), dt.date(2020, 1, 1)), frame(pa.timestamp("us", "UTC"), NOON), "TIMESTAMP WITH TIME ZONE"),
        (frame(pa.date32(), dt.date(2020, 1, 1)), frame(pa.timestamp("us"), NOON), "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_wider_frames_widen(project: Path, before: pa.Table, after: pa.Table, kind: str) -> None:
    p = pipeline()
    p.run(before, table_name="t")
    p.run(after, table_name="t")
    assert column(p)[0] == kind
    want = after["x"][0].as_py()
    assert rows(p, "t", "x")[-1][0] == (NOON if isinstance(want, dt.datetime) else want)
    p.run(before, table_name="t")
    assert column(p)[0] == kind, "narrower frames change nothing"
    assert rows(p, "t", "count(x)") == [(3,)]


def test_frames_do_not_widen_what_hints_declare_or_a_contract_freezes(project: Path) -> None:
    p = pipeline()
    narrow, wide = frame(pa.int16(), 1), frame(pa.int64(), 2)
    hints: dict[str, Any] = {"table_name": "t", "columns": {"x": {"data_type": "bigint", "precision": 16}}}
    p.run(narrow, **hints)
    p.run(wide, **hints)
    p.run(wide, table_name="t", schema_contract={"data_type": "discard_value"})
    assert column(p)[0] == "SMALLINT"


def test_a_table_with_unique_keys_is_widened_too(project: Path) -> None:
    p = headrace.pipeline("shop", destination=headrace.destinations.duckdb(create_indexes=True), dataset_name="raw")
    load(p, 7, **hint("bigint", 16))
    load(p, 1 << 40, **hint("bigint", 64))
    assert column(p)[0] == "BIGINT"


def test_an_index_in_the_way_is_named(project: Path) -> None:
    p = pipeline()
    load(p, 7, **hint("bigint", 16))
    with p.sql_client() as client:
        client.execute_sql("CREATE INDEX mine ON t (id)")
    with pytest.raises(PipelineStepFailed, match="drop the index"):
        load(p, 1 << 40, **hint("bigint", 64))
    assert not p.has_pending_data
    with p.sql_client() as client:
        client.execute_sql("DROP INDEX mine")
    load(p, 1 << 40, **hint("bigint", 64))
    assert rows(p, "t", "x") == [(7,), (1 << 40,)]


def test_nested_columns_are_widened(project: Path) -> None:
    p = pipeline()

    def run(value: Any, precision: int) -> None:
        @headrace.resource(name="t", nested_hints={"l": {"columns": {"x": hint("bigint", precision)}}})
        def t() -> Any:
            yield {"id": 1, "l": [{"x": value}]}

        p.run(t())

    run(1, 16)
    run(1 << 40, 64)
    assert rows(p, "t__l", "x") == [(1,), (1 << 40,)]
