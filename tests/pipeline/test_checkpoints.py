"""Checkpoints with real packages: failed and killed extracts, what the destination and the state hold afterwards."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.crash import forks

PROGRAM = """
import os, sys
import headrace

folder, fault, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.environ["EXTRACT__CHECKPOINT_ROWS"] = "100"

@headrace.source(name="shop")
def shop():
    @headrace.resource(primary_key="id")
    def orders(at=headrace.sources.incremental("at", row_order="asc")):
        print("orders from", at.start_value, flush=True)
        for i in range(rows):
            if i == fault:
                os.kill(os.getpid(), 9)
            if at.start_value is None or i // 7 >= at.start_value:
                yield {"id": i, "at": i // 7, "tags": [{"n": 1}, {"n": 2}]}

    @headrace.transformer(data_from=orders)
    def lines(order):
        yield [{"order": order["id"], "n": n} for n in range(2)]

    @headrace.resource(write_disposition="replace")
    def rates():
        for i in range(50):
            yield {"n": i}

    return orders, lines, rates

pipeline = headrace.pipeline(
    "shop",
    destination=headrace.destinations.duckdb(folder + "/db.duckdb"),
    dataset_name="raw",
    pipelines_dir=folder + "/pipelines",
)
info = pipeline.run(shop())
print(len(info.loads_ids), "packages")
"""


def _pipeline(folder: Path) -> headrace.Pipeline:
    return headrace.pipeline(
        "shop",
        destination=headrace.destinations.duckdb(str(folder / "db.duckdb")),
        dataset_name="raw",
        pipelines_dir=str(folder / "p"),
    )


def _count(pipeline: headrace.Pipeline, table: str, key: str = "id") -> tuple[int, int]:
    """Rows, and how many of them differ."""
    relation: Any = pipeline.dataset()(f"SELECT count(*), count(DISTINCT {key}) FROM {table}")
    found: tuple[int, int] = relation.fetchall()[0]
    return found


@pytest.fixture
def every_100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__CHECKPOINT_ROWS", "100")


def _orders(fault: int | None, rows: int = 1000, **options: Any) -> Any:
    @headrace.resource(name="orders", primary_key="id", **options)
    def orders(at: Any = headrace.sources.incremental("at", row_order="asc")) -> Iterator[Any]:
        first = 0 if at.start_value is None else at.start_value
        starts.append(first)
        for i in range(rows):
            if i == fault:
                raise ConnectionError("gone")
            if i // 3 >= first:
                yield {"id": i, "at": i // 3}

    return orders()


starts: list[int] = []


def test_a_failed_extract_goes_on_where_it_was(tmp_path: Path, every_100: None) -> None:
    pipeline = _pipeline(tmp_path)
    starts.clear()
    with pytest.raises(PipelineStepFailed):
        pipeline.run(_orders(777))
    sealed = pipeline.list_extracted_load_packages()
    assert len(sealed) == 7
    # the state is that of the last checkpoint at once, and not only in the next run
    cursor = pipeline.state["sources"]["shop"]["resources"]["orders"]["incremental"]["at"]
    assert cursor["last_value"] == 237
    info = pipeline.run(_orders(None))
    assert starts == [0, 237]
    assert info is not None
    assert info.loads_ids[:7] == sealed
    assert info.loads_ids == sorted(info.loads_ids)
    assert len(info.loads_ids) == 10
    assert pipeline.last_trace.last_extract_info.loads_ids == info.loads_ids[7:]
    assert _count(pipeline, "orders") == (1000, 1000)
    assert pipeline.run(_orders(None)).is_empty  # type: ignore[union-attr]


def test_infos_count_each_row_once(tmp_path: Path, every_100: None) -> None:
    info = _pipeline(tmp_path).extract(_orders(None))
    assert len(info.loads_ids) == 10
    # the state has an entry of its own
    metrics = [m["table_metrics"] for found in info.metrics.values() for m in found]
    rows = [tables["orders"].items_count for tables in metrics if "orders" in tables]
    assert sum(rows) == 1000
    assert rows[0] == 102  # of a value all rows are sealed, or none
    assert [p.load_id for p in info.load_packages] == info.loads_ids


def test_another_machine_goes_on_from_a_loaded_checkpoint(tmp_path: Path, every_100: None) -> None:
    pipeline = _pipeline(tmp_path)
    with pytest.raises(PipelineStepFailed):
        pipeline.run(_orders(777))
    pipeline.normalize()
    pipeline.load()
    pipeline.drop()
    starts.clear()
    fresh = _pipeline(tmp_path)
    fresh.run(_orders(None))
    assert starts == [237]
    assert _count(fresh, "orders") == (1000, 1000)


def test_what_is_replaced_is_replaced_once_and_whole(tmp_path: Path, every_100: None) -> None:
    @headrace.source(name="shop")
    def shop(fault: int | None, mark: str, rows: int = 2000) -> Any:
        @headrace.resource(write_disposition="replace")
        def rates() -> Iterator[Any]:
            for i in range(400):
                yield {"n": i, "mark": mark}

        return rates, _orders(fault, rows)

    pipeline = _pipeline(tmp_path)
    pipeline.run(shop(None, "old", 1000))
    with pytest.raises(PipelineStepFailed):
        pipeline.run(shop(1700, "new"))
    assert len(pipeline.list_extracted_load_packages()) == 6
    pipeline.normalize()
    pipeline.load()
    assert _count(pipeline, "rates WHERE mark = 'old'", "n") == (400, 400)
    pipeline.run(shop(None, "new"))
    assert _count(pipeline, "rates WHERE mark = 'new'", "n") == (400, 400)
    assert _count(pipeline, "rates", "n") == (400, 400)
    assert _count(pipeline, "orders") == (2000, 2000)


def test_killed_in_the_middle(tmp_path: Path) -> None:
    def start(fault: int) -> subprocess.CompletedProcess[str]:
        return forks.python(PROGRAM, tmp_path, fault, 1000)

    killed = start(777)
    assert killed.returncode == -signal.SIGKILL
    again = start(930)
    assert again.returncode == -signal.SIGKILL
    last = start(-1)
    assert last.returncode == 0, last.stderr
    assert killed.stdout.strip() == "orders from None"
    resumed = int(again.stdout.split()[-1])
    assert resumed > 50
    assert int(last.stdout.split()[2]) > resumed
    pipeline = headrace.pipeline(
        "shop",
        destination=headrace.destinations.duckdb(str(tmp_path / "db.duckdb")),
        dataset_name="raw",
        pipelines_dir=str(tmp_path / "pipelines"),
    )
    assert _count(pipeline, "orders") == (1000, 1000)
    assert _count(pipeline, "orders__tags", "(_dlt_parent_id, n)") == (2000, 2000)
    assert _count(pipeline, "lines", '("order", n)') == (2000, 2000)
    assert _count(pipeline, "rates", "n") == (50, 50)
    assert pipeline.list_extracted_load_packages() == []


def test_a_checkpoint_that_cannot_be_loaded_takes_the_later_ones_along(tmp_path: Path, every_100: None) -> None:
    """They build on it: the cursors go back behind all of them, and the data is read again."""

    def orders(odd: bool, fault: int | None) -> Any:
        made = _orders(fault, schema_contract={"data_type": "freeze"})
        return made.add_map(lambda row: {**row, "v": "text" if odd and row["id"] == 350 else 1})

    pipeline = _pipeline(tmp_path)
    with pytest.raises(PipelineStepFailed):
        pipeline.run(orders(True, 777))
    assert len(pipeline.list_extracted_load_packages()) == 7
    starts.clear()
    pipeline.run(orders(False, None))
    assert starts == [101]
    assert _count(pipeline, "orders") == (1000, 1000)


def test_with_refresh_nothing_is_sealed_in_parts(tmp_path: Path, every_100: None) -> None:
    pipeline = _pipeline(tmp_path)
    with pytest.raises(PipelineStepFailed):
        pipeline.run(_orders(777), refresh="drop_data")
    assert pipeline.list_extracted_load_packages() == []


def test_off_by_default(tmp_path: Path) -> None:
    info = _pipeline(tmp_path).extract(_orders(None))
    assert len(info.loads_ids) == 1
