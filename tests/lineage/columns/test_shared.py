"""Several resources write one table: rows, columns, failures and new columns are told of each as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

import headrace as dlt
from headrace import lineage
from headrace.destinations.sql.client import SqlJobClient
from headrace.errors.base import HeadraceException
from headrace.errors.destination import DestinationTerminalException
from headrace.extract import sink
from headrace.load import plan
from headrace.model.events import ColumnAdded, Extracted, Normalized, TableAdded, VariantAdded
from headrace.observers.lineage.columns import edges
from headrace.observers.lineage.columns_memory import ColumnMemory
from headrace.observers.lineage.columns_package import PackageSchema
from headrace.observers.lineage.columns_resource import describe
from headrace.observers.lineage.delivery import close
from tests.e2e.project import project as project
from tests.lineage.scenarios.stream import RunOf, Stream

PLACE = {"kind": "rest_api", "location": "https://api.example.com"}


class Shop:
    """One pipeline that tells its lineage to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[Any] = []
        self.pipeline: Any = dlt.pipeline("shop", destination=dlt.destinations.duckdb("w.duckdb"), dataset_name="raw")
        self.pipeline.observe(self._note)

    def _note(self, event: Any, run: Any) -> None:
        self.seen.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if type(event) is kind]

    def ends(self) -> dict[str, RunOf]:
        """The last run of each resource."""
        assert lineage.flush(self.pipeline)
        return {run.job.rpartition(".")[2]: run for run in Stream(self.path).resources}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.pipeline.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(query)]


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("LINEAGE__PATH", str(project / "events.ndjson"))
    yield Shop(project / "events.ndjson")
    close(0)


def resource(name: str, *pages: Any, table: str = "t", **hints: Any) -> Any:
    made = dlt.resource(list(pages), name=name, table_name=table, **hints)
    return made.add_input({**PLACE, "endpoints": [f"/{name}"]})  # type: ignore[typeddict-item]


def told(run: RunOf) -> dict[str, tuple[int | None, list[str]]]:
    """By table the rows, and the data columns that have an edge."""
    found = {}
    for out in run.outputs:
        fields = out["facets"]["columnLineage"]["fields"]
        columns = [n for n, f in fields.items() if f["inputFields"] and not n.startswith("_dlt")]
        rows = out.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
        found[out["name"].rpartition(".")[2]] = (rows, columns)
    return found


def test_each_tells_its_own_rows_and_columns(shop: Shop) -> None:
    one = resource("one", [{"id": 1, "x": 1, "l": [1, 2]}, {"id": 2, "x": 2}])
    two = resource("two", [{"id": 3, "y": 1}, {"id": 4, "y": "a"}, {"id": 5, "n": [{"z": 1}]}])
    shop.pipeline.run([one, two])
    ends = shop.ends()
    assert told(ends["one"]) == {"t": (2, ["id", "x"]), "t__l": (2, ["value"])}
    assert told(ends["two"]) == {"t": (3, ["id", "y", "y__v_text"]), "t__n": (1, ["z"])}
    for name, counts in (("one", {"t": 2, "t__l": 2}), ("two", {"t": 3, "t__n": 1})):
        assert ends[name].facet("headrace_loadPackage")["rowCounts"] == counts
        assert not ends[name].facet("extractionError")
        (whole,) = [o["facets"]["dataQualityMetrics"]["rowCount"] for o in ends[name].outputs if o["name"][-2:] == ".t"]
        assert whole == 5
    assert {e.table: e.resources for e in shop.of(TableAdded)} == {
        "t": ["one", "two"],
        "t__l": ["one"],
        "t__n": ["two"],
    }
    assert {e.column: (e.resource, e.resources, e.first) for e in shop.of(ColumnAdded) if e.table == "t"} == {
        "id": ("one", ["one", "two"], 0),
        "x": ("one", ["one"], 0),
        "y": ("two", ["two"], 2),
        "_dlt_load_id": ("one", ["one", "two"], None),
        "_dlt_id": ("one", ["one", "two"], None),
    }
    assert [(e.column, e.resources) for e in shop.of(VariantAdded)] == [("y__v_text", ["two"])]


def test_a_later_load_of_one_knows_nothing_of_the_other(shop: Shop) -> None:
    shop.pipeline.run(resource("one", [{"id": 1, "x": 1}]))
    shop.pipeline.run(resource("two", [{"id": 2, "y": 1}]))
    ends = shop.ends()
    assert told(ends["two"]) == {"t": (1, ["id", "y"])}
    assert not ends["two"].facet("extractionError")


def test_frames_dynamic_names_and_transformers(shop: Shop) -> None:
    @dlt.resource(table_name=lambda row: row["kind"])
    def events() -> Any:
        yield [{"kind": "a", "p": 1}, {"kind": "b", "q": 1}, {"kind": "a", "p": 2}]

    @dlt.transformer(table_name="a")
    def more(items: Any) -> Any:
        yield {"kind": "a", "r": len(items)}

    @dlt.resource
    def marked() -> Any:
        yield dlt.mark.with_table_name({"s": 1}, "b")
        yield dlt.mark.with_table_name({"s": 2}, "own")

    source = events().add_input({**PLACE, "endpoints": ["/events"]})
    shop.pipeline.run([source, source | more, marked().add_input({**PLACE, "endpoints": ["/marked"]})])
    ends = shop.ends()
    assert told(ends["events"]) == {"a": (2, ["kind", "p"]), "b": (1, ["kind", "q"])}
    assert told(ends["more"]) == {"a": (1, ["kind", "r"])}
    assert told(ends["marked"]) == {"b": (1, ["s"]), "own": (1, ["s"])}
    frames = [resource(n, pa.table({"Id": [1] * k, n.upper(): [1] * k}), table="f") for n, k in (("u", 2), ("v", 3))]
    shop.seen.clear()
    shop.pipeline.run(frames)
    ends = shop.ends()
    assert told(ends["u"]) == {"f": (2, ["id", "u"])} and told(ends["v"]) == {"f": (3, ["id", "v"])}
    assert {e.column: e.resources for e in shop.of(ColumnAdded)} == {"id": ["u", "v"], "u": ["u"], "v": ["v"]}


def test_what_a_merge_did_is_told_of_nobody_alone(shop: Shop) -> None:
    hints: Any = {"primary_key": "id", "write_disposition": "merge"}
    shop.pipeline.run([resource("one", [{"id": 1}, {"id": 2}], **hints), resource("two", [{"id": 2}], **hints)])
    assert {name: told(run)["t"][0] for name, run in shop.ends().items()} == {"one": None, "two": None}
    shop.pipeline.run(resource("two", [{"id": 2}, {"id": 3}], **hints))
    assert told(shop.ends()["two"])["t"][0] == 2


def test_replaced_together(shop: Shop) -> None:
    hints: Any = {"write_disposition": "replace"}
    shop.pipeline.run([resource("one", [{"id": 1}], **hints), resource("two", [{"id": 2}, {"id": 3}], **hints)])
    shop.pipeline.run([resource("one", [{"id": 4}], **hints), resource("two", [{"id": 5}], **hints)])
    ends = shop.ends()
    assert {name: told(run)["t"][0] for name, run in ends.items()} == {"one": 1, "two": 1}
    (out,) = ends["one"].outputs
    assert out["facets"]["dataQualityMetrics"]["rowCount"] == 2 == shop.rows("SELECT count(*) FROM t")[0][0]


def test_where_a_contract_breaks_is_found_behind_the_rows_of_others(shop: Shop) -> None:
    shop.pipeline.run(resource("one", [{"id": 1}]))
    rows = [{"id": n} for n in range(5)]
    bad = resource("two", [{"id": 7}, {"id": 8, "new": "here"}], schema_contract={"columns": "freeze"})
    with pytest.raises(HeadraceException) as caught:
        shop.pipeline.run([resource("one", rows, schema_contract={"columns": "freeze"}), bad])
    assert "resource `two`, item 1, at $.new: 'here'" in str(caught.value)


def test_very_many_resources_do_not_keep_their_files_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "MOST_OPEN", 2)
    resources = [resource(f"r{n}", *([{"id": n, f"c{n}": i}] * 150 for i in range(3))) for n in range(4)]
    resources += [resource(f"f{n}", *(pa.table({"id": [n]}) for _ in range(3)), table="f") for n in range(4)]
    shop.pipeline.run(resources)
    (fact,) = shop.of(Extracted)
    assert sum(f.rows for f in fact.files if f.table == "t") == 1800 and len([f for f in fact.files if f.rows]) > 9
    assert shop.rows("SELECT id, count(*), max(c2) FROM t GROUP BY id ORDER BY id") == [
        (n, 450, 2 if n == 2 else None) for n in range(4)
    ]
    ends = shop.ends()
    assert {n: told(ends[f"r{n}"])["t"] for n in range(4)} == {n: (450, ["id", f"c{n}"]) for n in range(4)}
    assert all(told(ends[f"f{n}"])["f"] == (3, ["id"]) for n in range(4))


def test_journals_of_shared_files_are_read_and_nothing_is_made_up(tmp_path: Path, shop: Shop) -> None:
    one = resource("one", [{"id": 1, "x": 1}])
    shop.pipeline.run([one, resource("two", [{"id": 2, "y": 1}])])
    (fact,), (normalized,) = shop.of(Extracted), shop.of(Normalized)
    assert [f.by_resource for f in normalized.files if f.table == "t"] == [{"one": 1, "two": 1}]
    first = next(f for f in fact.files if f.resource == "one")
    old = msgspec.structs.replace(fact, files=[msgspec.structs.replace(first, others=["two"])])
    package = PackageSchema(shop.pipeline.default_schema.to_dict())
    for name in ("one", "two"):
        found = edges(old, package, describe(one.with_name(name)))["t"]
        assert found.unknown == ["id", "x", "y"]
        assert not ColumnMemory(tmp_path / "m", "s").merged(name, {"t": found}, package)["t"].columns.keys() & {
            "x",
            "y",
        }


def test_a_failed_job_fails_those_whose_rows_it_had(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "4")
    monkeypatch.setattr(plan, "BUNDLE_FILES", 1)
    apply = SqlJobClient.apply

    def broken(self: Any, job: Any, context: Any) -> Any:
        if any(file.table == "t" and "two" in file.by_resource for file in job.files):
            raise DestinationTerminalException("no room")
        return apply(self, job, context)

    rows: dict[str, Any] = {"one": [{"id": 1, "l": [1, 2]}, {"id": 2}], "two": [{"id": n} for n in (3, 4, 5)]}
    rows["three"] = [{"id": 6, "l": [3]}]
    with monkeypatch.context() as patch:
        patch.setattr(SqlJobClient, "apply", broken)
        info = shop.pipeline.run([resource(name, page) for name, page in rows.items()])
    ends = shop.ends()
    assert {name: run.end for name, run in ends.items()} == {"one": "FAIL", "two": "FAIL", "three": "COMPLETE"}
    assert told(ends["three"]) == {"t": (1, ["id"]), "t__l": (1, ["value"])}
    assert {name: row for name, (row, _) in told(ends["one"]).items()} == {"t__l": 2} and not ends["two"].outputs
    assert ends["two"].facet("headrace_loadPackage")["rowCounts"] == {"t": 3}
    shop.pipeline.retry_failed_jobs(info.loads_ids[0])
    shop.pipeline.load()
    ends = shop.ends()
    assert {name: (ends[name].end, told(ends[name])["t"][0]) for name in ("one", "two")} == {
        "one": ("COMPLETE", 2),
        "two": ("COMPLETE", 3),
    }
    # how many bytes of a file are whose nobody knows
    (out,) = ends["two"].outputs
    assert out["outputFacets"]["outputStatistics"].keys() >= {"rowCount", "fileCount"}
    assert "size" not in out["outputFacets"]["outputStatistics"]
