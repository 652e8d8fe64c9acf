"""What the destination holds afterwards: every line of `outcomes`, on a real DuckDB, and the page that shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.destinations.impl.duckdb.client import DuckDbClient
from headrace.errors.outcome import DestinationTerminalException
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.outcomes import DATA, DISPOSITIONS, OUTCOMES, REFRESH, cells

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "outcomes.md"
OLD = [{"id": 1, "v": "a", "l": ["x"]}, {"id": 2, "v": "b", "l": ["y"]}]
NEW = [{"id": 2, "v": "c", "l": ["z"]}, {"id": 3, "v": "d", "l": ["w"]}]
COLUMNS: Any = {"id": {"data_type": "bigint"}, "v": {"data_type": "text"}}
# root rows as (id, v, is active), and nested values
EXPECTED: dict[str, tuple[list[tuple[Any, ...]], list[str]] | None] = {
    "old": ([(1, "a", True), (2, "b", True)], ["x", "y"]),
    "new": ([(2, "c", True), (3, "d", True)], ["w", "z"]),
    "old + new": ([(1, "a", True), (2, "b", True), (2, "c", True), (3, "d", True)], ["w", "x", "y", "z"]),
    "merged": ([(1, "a", True), (2, "c", True), (3, "d", True)], ["w", "x", "z"]),
    "first kept": ([(1, "a", True), (2, "b", True), (3, "d", True)], ["w", "x", "y"]),
    "history": ([(1, "a", False), (2, "b", False), (2, "c", True), (3, "d", True)], ["w", "x", "y", "z"]),
    "empty": ([], []),
    "gone": None,
}


def name_of(disposition: str) -> str:
    return "t_" + re.sub(r"\W+", "_", disposition)


def source(dispositions: list[str], data: str, first: bool = False) -> Any:
    """Resources with the same items, one for each disposition, and one more that always has a row."""

    @headrace.source(name="shop")
    def shop() -> Any:
        for disposition in dispositions:

            def items() -> Any:
                if first:
                    yield OLD
                elif data in ("rows", "load fails"):
                    yield NEW
                elif data == "materialized":
                    yield headrace.mark.materialize_table_schema()
                elif data == "extract fails":
                    yield NEW[0]
                    raise OSError("the source went away")
                yield from ()

            # the first load makes the tables, whatever comes later
            how = "append" if first and disposition == "skip" else DISPOSITIONS[disposition]
            yield headrace.resource(
                items, name=name_of(disposition), write_disposition=how, primary_key="id", columns=COLUMNS
            )
        yield headrace.resource([{"n": 1}], name="other")

    made = shop()
    return made.with_resources("other") if data == "not selected" and not first else made


def held(p: headrace.Pipeline, table: str) -> tuple[list[tuple[Any, ...]], list[str]] | None:
    with p.sql_client() as client:
        columns = {
            name
            for (name,) in client.fetch(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'raw'", table
            )
        }
        if not columns:
            return None
        active = "_dlt_valid_to IS NULL" if "_dlt_valid_to" in columns else "TRUE"
        found = client.fetch(f"SELECT id, v, {active} FROM raw.{table} ORDER BY ALL") if "v" in columns else []
        nested = client.fetch("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", f"{table}__l")
        values = client.fetch(f"SELECT value FROM raw.{table}__l ORDER BY 1") if nested else []
        return found, [value for (value,) in values]


def fail_jobs(patch: pytest.MonkeyPatch) -> None:
    """From here on rows of the tables under test cannot be brought in: jobs die in the middle."""
    real = DuckDbClient.insert_file

    def broken(self: Any, file: Any, context: Any, target: str, columns: Any) -> int:
        rows = real(self, file, context, target, columns)
        if file.table.startswith("t_"):
            raise DestinationTerminalException("broken")
        return rows

    patch.setattr(DuckDbClient, "insert_file", broken)


@pytest.mark.parametrize("refresh", REFRESH)
@pytest.mark.parametrize("data", DATA)
@pytest.mark.each(3)
def test_what_the_destination_holds(project: Path, monkeypatch: pytest.MonkeyPatch, data: str, refresh: str) -> None:
    """All dispositions of one column of the table in one dataset: one load costs less than nine."""
    wanted = {c.disposition: EXPECTED[c.outcome] for c in cells() if (c.data, c.refresh) == (data, refresh)}
    assert len(wanted) == len(DISPOSITIONS)
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    p.run(source(list(DISPOSITIONS), data, first=True))
    settings: Any = {} if refresh == "none" else {"refresh": refresh}
    if data == "load fails":
        fail_jobs(monkeypatch)
        monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    if data == "extract fails":
        with pytest.raises(PipelineStepFailed, match="the source went away"):
            p.run(source(list(DISPOSITIONS), data), **settings)
    elif data == "load fails":
        # the others are passed over; a table that was emptied and not filled ends the load in any case
        with pytest.raises(PipelineStepFailed, match="broken"):
            p.run(source(list(DISPOSITIONS), data), **settings)
    else:
        p.run(source(list(DISPOSITIONS), data), **settings)
    assert not p.has_pending_data
    assert {d: held(p, name_of(d)) for d in DISPOSITIONS} == wanted


def test_every_cell_has_a_known_outcome() -> None:
    found = list(cells())
    assert len(found) == len(DISPOSITIONS) * len(DATA) * len(REFRESH)
    assert {c.outcome for c in found} <= OUTCOMES.keys() == EXPECTED.keys()


def page_tables() -> str:
    """The tables of the page, made of the data."""
    lines = []
    for refresh in REFRESH:
        title = "Without refresh" if refresh == "none" else f'With `refresh="{refresh}"`'
        lines += [f"## {title}", "", "| disposition | " + " | ".join(DATA) + " |", "|---" * (len(DATA) + 1) + "|"]
        for disposition in DISPOSITIONS:
            by_data = {c.data: c.outcome for c in cells() if (c.disposition, c.refresh) == (disposition, refresh)}
            lines.append(f"| `{disposition}` | " + " | ".join(by_data[data] for data in DATA) + " |")
        lines.append("")
    return "\n".join(lines)


def test_the_page_shows_them() -> None:
    text = PAGE.read_text()
    assert page_tables().strip() in text
    for word, meaning in (*DATA.items(), *OUTCOMES.items()):
        assert f"| {word} | {meaning} |" in text
