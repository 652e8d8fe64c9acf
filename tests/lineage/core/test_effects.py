"""What destinations say of loads besides rows: versions, partitions, ids of queries, missing values; never a guess."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace import lineage
from headrace.destinations.impl.filesystem.deltafiles import PartitionsSeen
from headrace.destinations.impl.filesystem.layout import Layout
from headrace.errors.destination import DestinationTerminalException
from headrace.model.effects import MOST_PARTITIONS, TableVersion, distinct, newest
from headrace.model.events import JobDone
from headrace.model.location import Location
from headrace.observers.lineage.delivery import close
from tests.e2e.project import project as project
from tests.lineage.scenarios.stream import RunOf, Stream, validate

DOCS = Path(__file__).parents[3] / "docs" / "destinations"
PLACE = {"kind": "rest_api", "location": "https://api.example.com", "endpoints": ["/v1/orders"]}
DAY = {"day": {"data_type": "date", "partition": True}}
RIGHT = ("C101", "P106", "P107")  # a package outlives its invocation; nothing here is under version control
Dimensions = list[tuple[Any, ...]]


@pytest.fixture
def events(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LINEAGE__PATH", str(project / "events.ndjson"))
    yield project / "events.ndjson"
    close(0)


def orders(*numbers: int, **hints: Any) -> Any:
    """Orders of three days; those with even numbers have no name, the first one no day."""

    @headrace.resource(name="orders", **hints)
    def read() -> Any:
        """All orders."""
        yield [
            {"id": n, "day": dt.date(2024, 1, 1 + n % 3) if n else None, "name": f"o{n}" if n % 2 else None}
            for n in numbers
        ]

    return read().add_input(dict(PLACE))


def lake(**settings: Any) -> Any:
    place = headrace.destinations.filesystem(Path("lake").resolve().as_uri(), **settings)
    return headrace.pipeline("shop", destination=place, dataset_name="raw")


def told(p: Any, path: Path) -> Stream:
    assert lineage.flush(p)
    found = validate(path, path.with_name("report.json")).findings
    assert [f for f in found if f.split()[1] not in RIGHT] == []
    return Stream(path)


def output(run: RunOf, table: str = "orders") -> dict[str, Any]:
    (found,) = [one for one in run.outputs if one["name"].replace("/", ".").rpartition(".")[2] == table]
    return found


def version(run: RunOf, table: str = "orders") -> dict[str, Any]:
    found: dict[str, Any] = output(run, table)["facets"]["version"]
    return found


def partitions(run: RunOf, table: str = "orders") -> Dimensions | None:
    condition = output(run, table)["outputFacets"].get("subset", {}).get("outputCondition")
    if condition is None:
        return None
    assert condition["type"] == "partition"
    return sorted((tuple(one["dimensions"].items()) for one in condition["partitions"]), key=str)


def nulls(run: RunOf, table: str = "orders") -> dict[str, int] | None:
    metrics = output(run, table)["facets"].get("dataQualityMetrics")
    return None if metrics is None else {name: one["nullCount"] for name, one in metrics["columnMetrics"].items()}


def days(*numbers: int | None) -> Dimensions:
    return sorted(((("day", f"2024-01-0{n}" if n else None),) for n in numbers), key=str)


# ---- lake tables -----------------------------------------------------------------------------------------------------


def newest_of(p: Any, kind: str) -> str:
    from headrace.destinations import opentables

    table = getattr(opentables, f"get_{kind}_tables")(p, "orders")["orders"]
    return str(table.version() if kind == "delta" else table.current_snapshot().snapshot_id)


@pytest.mark.parametrize("kind", ["delta", pytest.param("iceberg", marks=pytest.mark.long)])
def test_versions_and_partitions_of_lake_tables(events: Path, kind: str) -> None:
    p, seen = lake(), []
    loads: list[tuple[Any, ...]] = [("append", 0, 1, 2), ("replace", 1, 4), ("merge", 2, 4)]
    for disposition, *numbers in loads:
        p.run(orders(*numbers, columns=DAY, table_format=kind, write_disposition=disposition, primary_key="id"))
        seen.append(newest_of(p, kind))
    runs = told(p, events).of("orders")
    assert [version(run)["datasetVersion"] for run in runs] == seen and len(set(seen)) == 3
    assert [version(run)["loadId"] for run in runs] == [run.load_id for run in runs]
    assert [partitions(run) for run in runs] == [days(None, 2, 3), days(2), days(2, 3)]
    made = {"id": 0, "day": 1, "name": 2, "_dlt_load_id": 0, "_dlt_id": 0}
    # what a merge leaves is not what it brought
    assert [nulls(run) for run in runs] == [made, {**made, "day": 0, "name": 1}, None]


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_repeated_job_tells_the_version_it_made(events: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of the destination is lost: what the first attempt committed is told, not what came after it."""
    from headrace.destinations.impl.filesystem.client import FilesystemClient
    from headrace.errors.destination import DestinationTransientException

    apply, lost = FilesystemClient.apply, []

    def forgetful(self: Any, job: Any, context: Any) -> Any:
        applied = apply(self, job, context)
        if "orders" in job.tables and not lost:
            lost.append(applied.versions["orders"])
            raise DestinationTransientException("the line is dead")
        assert applied.versions in ({}, {"orders": lost[0]})
        return applied

    monkeypatch.setattr(FilesystemClient, "apply", forgetful)
    p = lake()
    p.run(orders(1, 2, columns=DAY, table_format=kind))
    (run,) = told(p, events).of("orders")
    assert version(run)["datasetVersion"] == lost[0].id == newest_of(p, kind)
    assert partitions(run) is None  # which they were died with the answer


def test_tables_without_versions_and_partitions(events: Path) -> None:
    p = headrace.pipeline("shop", destination=headrace.destinations.duckdb("w.duckdb"), dataset_name="raw")
    p.run(orders(0, 1, 2, columns=DAY))
    (run,) = told(p, events).of("orders")
    assert version(run)["datasetVersion"] == run.load_id and partitions(run) is None
    assert "externalQuery" not in run.last["run"]["facets"]
    metrics = output(run)["facets"]["dataQualityMetrics"]
    # the table is not made of the files that were loaded
    assert metrics["rowCount"] == 3 and not {"bytes", "fileCount"} & set(metrics)


def test_many_partitions_are_not_told_in_part() -> None:
    many = [{"day": str(n)} for n in range(MOST_PARTITIONS + 1)]
    assert distinct(many) is None and distinct([*many[:-1], *many[:-1]]) == many[:-1]
    assert newest([TableVersion("9", 1), TableVersion("3", 2)]) == TableVersion("3", 2) and newest([]) is None


# ---- files -----------------------------------------------------------------------------------------------------------


def test_partitions_of_a_layout(events: Path) -> None:
    layout = "{table_name}/region={region}/{YYYY}-{MM}/{load_id}.{file_id}.{ext}"
    asked: list[str] = []
    p = lake(layout=layout, extra_placeholders={"region": lambda *facts: asked.append("x") or f"r{len(asked)}"})
    p.run(orders(1, 2, write_disposition="replace"))
    (run,) = told(p, events).of("orders")
    at = dt.datetime.fromtimestamp(float(run.load_id), dt.timezone.utc)
    # what the function said for the file that is there, whatever it would say when asked again
    assert partitions(run) == [(("region", "r1"), ("YYYY-MM", f"{at:%Y-%m}"))]
    metrics = output(run)["facets"]["dataQualityMetrics"]
    assert metrics["fileCount"] == 1 and metrics["bytes"] > 0 and nulls(run) is not None


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("{table_name}/{load_id}.{file_id}.{ext}", "t/1.a.jsonl", {}),
        ("{table_name}/{load_id}/{file_id}.{ext}", "t/1/a.jsonl", {"load_id": "1"}),
        ("{table_name}.{YYYY}/{file_id}/{ext}/a", "t.2024/x/jsonl/a", {"YYYY": "2024"}),
        ("{table_name}/data/y={YYYY}/{MM}{DD}/{file_id}", "t/data/y=2024/0102/a", {"y": "2024", "MMDD": "0102"}),
        ("{table_name}/{own}/{file_id}", "t/a/b/c", {}),  # a value with a slash in it
        ("{schema_name}/{table_name}/{table_name}/{file_id}", "s/t/t/a", {}),
        ("{schema_name}/{table_name}/{YYYY}/{file_id}", "s/other/2024/a", {}),
    ],
)
def test_partition_of_a_path(template: str, path: str, found: dict[str, str]) -> None:
    assert Layout(template, {"own": "a/b"}).partition(path, "s", "t") == found


# ---- queries ---------------------------------------------------------------------------------------------------------


def test_ids_of_queries(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The destination that the documentation tells newcomers to write, in a database that numbers what it runs."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(DOCS)])
    import pocket

    class Client(pocket.PocketClient):
        def insert_file(self, file: Any, *args: Any) -> int:
            self._session.queries.append(f"shop:eu.job_{file.table}")
            return int(super().insert_file(file, *args))

    class Warehouse(pocket.pocket):
        def location(self, dataset_name: str, pipeline: Any = None) -> Location:
            return Location(scheme="bigquery", project="shop", schema=dataset_name)

        def open(self, *args: Any, **more: Any) -> Any:
            made = super().open(*args, **more)
            return Client(made.sql_client, made.schema)

    def pipeline() -> Any:
        return headrace.pipeline("shop", destination=Warehouse(), dataset_name="raw")

    pipeline().extract([orders(1), headrace.resource([{"n": 1}], name="others").add_input(dict(PLACE))])
    pipeline().normalize()
    p = pipeline()
    info = p.load()
    done = pipeline()._store.get(info.loads_ids[0]).journal.all(JobDone)  # read from disk
    kept = {table: queries for fact in done for table, queries in fact.queries.items()}
    assert (kept["orders"], kept["others"]) == (["shop:eu.job_orders"], ["shop:eu.job_others"])
    stream = told(p, events)
    for name in ("orders", "others"):
        (run,) = stream.of(name)
        assert run.facet("externalQuery")["externalQueryId"] == f"shop:eu.job_{name}"
        assert run.facet("externalQuery")["source"] == "bigquery" == output(run, name)["namespace"]
        assert run.facet("headrace_loadPackage")["externalQueries"] == [f"shop:eu.job_{name}"]


# ---- loads that go on ------------------------------------------------------------------------------------------------


def test_a_load_that_goes_on_tells_only_what_is_new(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.destinations.sql.client import SqlJobClient

    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "2")
    apply, broken = SqlJobClient.apply, []

    def fragile(self: Any, job: Any, context: Any) -> Any:
        if "orders" in job.tables and not broken and job.files:
            broken.append(sum(file.rows for file in job.files))
            raise DestinationTerminalException("no room")
        return apply(self, job, context)

    monkeypatch.setattr(SqlJobClient, "apply", fragile)
    p = headrace.pipeline("shop", destination=headrace.destinations.duckdb("w.duckdb"), dataset_name="raw")

    @headrace.resource(name="orders")
    def many() -> Any:
        """Orders in several files."""
        for n in range(0, 8, 2):
            yield [{"id": n}, {"id": n + 1}]

    info = p.run(many().add_input(dict(PLACE)))
    p.retry_failed_jobs(info.loads_ids[0])
    p.load()
    first, second = told(p, events).of("orders")
    assert (first.end, second.end) == ("FAIL", "COMPLETE")
    rows = [sum(o["outputFacets"]["outputStatistics"]["rowCount"] for o in run.outputs) for run in (first, second)]
    assert rows == [8 - broken[0], broken[0]]
    changes = [
        [o["facets"].get("lifecycleStateChange", {}).get("lifecycleStateChange") for o in run.outputs]
        for run in (first, second)
    ]
    assert changes in ([["CREATE"], [None]], [[], ["CREATE"]])


def test_partitions_of_values_that_python_has_not_are_not_told() -> None:
    years = pa.array([-(10**8)], pa.date32())
    batch = pa.RecordBatch.from_arrays([years], names=["day"])
    seen = PartitionsSeen(["day"], [batch, batch])
    assert [one.num_rows for one in seen] == [1, 1], "the load has its rows"
    assert seen.found is None


@pytest.mark.parametrize("wanted", [True, False])
def test_values_of_data_can_be_kept_back(events: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    monkeypatch.setenv("LINEAGE__DATA_VALUES", str(wanted).lower())
    p = lake(layout="{table_name}/year={YYYY}/{load_id}.{file_id}.{ext}")
    # so long that no instant and no id has them in it by chance
    first, last = 864_027_116_395_120_700, 864_027_116_395_120_712
    p.run(orders(last - 1, last).apply_hints(incremental=headrace.sources.incremental("id", initial_value=first)))
    (run,) = told(p, events).of("orders")
    assert (partitions(run) is not None) == wanted
    assert ("subset" in run.inputs[0]["inputFacets"]) == wanted
    text = str(list(run.events))
    assert "incremental.cursor" in text and (str(last) in text) == (str(first) in text) == wanted
