"""Facts become events that follow the specification: every facet, the size, secrets, the budget of column edges."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace.observers.lineage.delivery.masks import masked
from headrace.observers.lineage.events import MAX_BYTES, dataset_event, job_event, run_event
from headrace.observers.lineage.facets.run import MAX_MESSAGE
from headrace.observers.lineage.facts import (
    Dataset,
    DatasetId,
    Failure,
    Field,
    FieldRef,
    Input,
    Invocation,
    Job,
    JobId,
    Output,
    Parent,
    ResourceRun,
    RunRef,
    Transformation,
)
from headrace.observers.lineage.ids import new_run_id
from tests.lineage.scenarios.stream import validate

AT = dt.datetime(2026, 11, 21, 10, tzinfo=dt.timezone.utc)
P, R, ROOT = (new_run_id(AT + dt.timedelta(seconds=n)) for n in range(3))
API, TABLE = (
    DatasetId("https://api.example.com", "/v1/orders"),
    DatasetId("postgres://db.example.com:5432", "w.raw.orders"),
)
SAME = Transformation("DIRECT", "IDENTITY", "$.id")


def pipeline() -> Invocation:
    job = Job(id=JobId("shops", "shop"), kind="PIPELINE", description="Loads", owners=[("team:a", "OWNER")])
    job.code = {"url": "https://github.com/a/b/blob/0/shop.py#L1", "path": "shop.py", "version": "0"}
    run = Invocation(run_id=P, job=job, started_at=AT, pipeline_name="shop", parameters=[("destination", "postgres")])
    run.custom["headrace_steps"] = {"steps": [{"step": "run", "startedAt": "2026-11-21T10:00:00Z"}], "packages": []}
    return run


def resource(**more: Any) -> ResourceRun:
    """A run of a resource of which everything is known."""
    above = RunRef(run_id=P, job=JobId("shops", "shop"))
    job = Job(id=JobId("shops", "shop.erp.orders"), kind="RESOURCE", tags=[("tier", "1")], sql=("SELECT 1", "duckdb"))
    job.code, job.source_code = pipeline().job.code, ("python", "def orders(): ...")
    source = Input(id=API, fields=[Field(name="id", type="bigint"), Field(name="at", type="text")], rows=3, bytes=9)
    source.source_name, source.source_uri, source.type = "api", "https://api.example.com", "API_ENDPOINT"
    source.subset = {"type": "location", "locations": ["a"]}
    table = Output(id=TABLE, table="orders", written=True, rows=3, bytes=90, files=1)
    table.source_name, table.source_uri, table.type = "postgres", "postgres://db.example.com:5432", "TABLE"
    table.fields = [Field(name="id", type="bigint", description="Key", tags=[("primary_key", "true")])]
    table.hierarchy = [("DATABASE", "w"), ("SCHEMA", "raw"), ("TABLE", "orders")]
    table.symlinks = [("postgres://db:5432", "w.raw.orders", "TABLE")]
    table.catalog = {"framework": "iceberg", "type": "rest", "name": "lake"}
    table.storage, table.description = {"storageLayer": "iceberg", "fileFormat": "parquet"}, "Orders"
    table.owners, table.tags, table.version = [("team:a", "OWNER")], [("pii", "no")], {"datasetVersion": "1"}
    table.columns = {"id": [FieldRef(dataset=API, field="id", transformations=[SAME])]}
    table.indirect = [
        FieldRef(dataset=API, field="at", transformations=[Transformation("INDIRECT", "FILTER")]),
        FieldRef(dataset=API, field="", transformations=[Transformation("INDIRECT", "JOIN")]),
    ]
    table.lifecycle, table.write = ["ALTER", "CREATE"], {"writeDisposition": "merge"}
    table.changes, table.schema_change = {"inserted": 3}, {"created": True, "columnsAdded": ["id"]}
    table.assertions = [{"assertion": "not_null", "success": True, "column": "id"}]
    table.metrics, table.subset = {"rowCount": 3}, {"type": "location", "locations": ["orders/1.parquet"]}
    run = ResourceRun(run_id=R, job=job, started_at=AT, load_id="1", source="erp", resource="orders", inputs=[source])
    run.outputs, run.parent = [table], Parent(run_id=P, job=above.job, root=above)
    run.parameters, run.tags, run.environment = [("refresh", "no")], [("load_id", "1")], [("STAGE", "test")]
    run.nominal, run.external_query = (AT, AT + dt.timedelta(days=1)), ("q1", TABLE.namespace)
    run.depends_on, run.lineage_errors = [RunRef(run_id=ROOT, job=JobId("shops", "x"))], [("names", "too little")]
    run.tests = [{"name": "contract", "status": "pass"}]
    run.custom["headrace_loadPackage"] = {"loadId": "1", "schemaName": "shop", "state": "loaded"}
    return msgspec.structs.replace(run, **more)


def story(run: ResourceRun, end: Any = "COMPLETE") -> list[dict[str, Any]]:
    return [
        run_event(pipeline(), "START", AT),
        run_event(run, "START", AT),
        run_event(run, "RUNNING", AT),
        run_event(run, end, AT + dt.timedelta(seconds=1)),
        run_event(pipeline(), end, AT + dt.timedelta(seconds=2)),
    ]


def findings(events: list[dict[str, Any]], folder: Path) -> list[str]:
    path = folder / "events.ndjson"
    path.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    return [found for found in validate(path, folder / "report.json").findings if "C101" not in found]


def test_every_facet_follows_its_schema(tmp_path: Path) -> None:
    events = story(resource())
    assert findings(events, tmp_path) == []
    last = events[3]
    assert {"parent", "processing_engine", "nominalTime", "executionParameters", "tags", "environmentVariables"} <= {
        *last["run"]["facets"]
    }
    assert {"extractionError", "externalQuery", "jobDependencies", "test"} <= {*last["run"]["facets"]}
    assert {"jobType", "tags", "sourceCodeLocation", "sourceCode", "sql", "lineage"} <= {*last["job"]["facets"]}
    told = {*last["outputs"][0]["facets"]}
    assert {"schema", "columnLineage", "dataSource", "version", "lifecycleStateChange", "datasetType"} <= told
    assert {"hierarchy", "symlinks", "catalog", "storage", "documentation", "ownership", "tags"} <= told
    assert {"dataQualityMetrics", "dataQualityAssertions", "headrace_schemaChange"} <= told
    assert {*last["outputs"][0]["outputFacets"]} == {"outputStatistics", "subset", "headrace_write"}
    assert all(f["_producer"].startswith("https://github.com/headrace") for f in last["run"]["facets"].values())


def test_what_is_told_when() -> None:
    start, running, last = story(resource())[1:4]
    assert "schema" not in start["inputs"][0]["facets"] and "inputStatistics" not in start["inputs"][0]["inputFacets"]
    assert running["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 3
    assert "outputStatistics" not in running["outputs"][0]["outputFacets"]
    assert last["outputs"][0]["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert last["outputs"][0]["outputFacets"]["headrace_write"]["lifecycle"] == ["ALTER", "CREATE"]


def test_the_invocation_has_no_datasets() -> None:
    run = pipeline()
    run.inputs, run.outputs = resource().inputs, resource().outputs
    event = run_event(run, "COMPLETE", AT)
    assert (event["inputs"], event["outputs"]) == ([], []) and "lineage" not in event["job"]["facets"]


def test_only_what_was_written_is_told_in_the_end(tmp_path: Path) -> None:
    run = resource()
    run.outputs = [*run.outputs, Output(id=DatasetId(TABLE.namespace, "w.raw.never"), table="never")]
    run.failure = Failure(message="m" * 10_000)
    events = story(run, "FAIL")
    events[-1] = run_event(
        msgspec.structs.replace(pipeline(), failure=Failure(message="x")), "FAIL", AT + dt.timedelta(1)
    )
    assert [out["name"] for out in events[3]["outputs"]] == ["w.raw.orders"]
    assert len(events[3]["run"]["facets"]["errorMessage"]["message"]) == MAX_MESSAGE
    assert "errorMessage" not in events[2]["run"]["facets"]
    assert findings(events, tmp_path) == []


def test_explicit_lineage_says_the_same_as_columns() -> None:
    entry = story(resource())[3]["job"]["facets"]["lineage"]["entries"][0]
    assert entry["fields"]["id"]["inputs"][0]["field"] == "id"
    plain, filtered = entry["inputs"]
    # a field without a name is the whole dataset: said once, with how it matters
    assert "field" not in plain and plain["transformations"] == [{"type": "INDIRECT", "subtype": "JOIN"}]
    assert filtered["field"] == "at"


def test_a_table_that_nothing_is_known_of_comes_from_the_job() -> None:
    table = Output(id=TABLE, table="t", written=True, columns={"id": []})
    event = run_event(resource(inputs=[], outputs=[table]), "COMPLETE", AT)
    entry = event["job"]["facets"]["lineage"]["entries"][0]
    assert entry["inputs"] == [{"type": "JOB"}] and entry["fields"]["id"]["inputs"] == [{"type": "JOB"}]
    assert event["outputs"][0]["facets"]["columnLineage"]["fields"] == {"id": {"inputFields": []}}


def test_nothing_is_said_of_edges_where_nobody_knows_what_was_read() -> None:
    table = Output(id=TABLE, table="t", written=True, columns={"id": []})
    event = run_event(resource(inputs=[], outputs=[table], unknown_inputs=True), "COMPLETE", AT)
    assert "lineage" not in event["job"]["facets"]


def wide(columns: int, tables: int = 1) -> ResourceRun:
    run = resource()
    refs = {f"c{n}": [FieldRef(dataset=API, field="id", transformations=[SAME])] for n in range(columns)}
    fields = [Field(name=name, type="bigint") for name in refs]
    run.outputs = [
        Output(id=DatasetId(TABLE.namespace, f"w.raw.t{n}"), table=f"t{n}", written=True, columns=refs, fields=fields)
        for n in range(tables)
    ]
    return run


def test_column_edges_have_a_budget_and_table_edges_none(tmp_path: Path) -> None:
    run = wide(40, 3)
    run.outputs[1].columns = dict(list(run.outputs[1].columns.items())[:5])
    event = run_event(run, "COMPLETE", AT, budget=50)
    assert ["columnLineage" in out["facets"] for out in event["outputs"]] == [True, True, False]
    assert [len(e["inputs"]) > 0 for e in event["job"]["facets"]["lineage"]["entries"]] == [True, True, True]
    assert "40 column edges" in event["run"]["facets"]["extractionError"]["errors"][-1]["errorMessage"]


def test_events_stay_below_a_megabyte() -> None:
    run = wide(4_900)
    event = run_event(run, "COMPLETE", AT)
    assert len(json.dumps(event)) < 1_000_000 and MAX_BYTES < 1_000_000
    assert event["outputs"][0]["facets"]["schema"]["fields"] and "columnLineage" not in event["outputs"][0]["facets"]
    assert event["job"]["facets"]["lineage"]["entries"][0]["inputs"][0]["name"] == API.name
    assert "too large" in event["run"]["facets"]["extractionError"]["errors"][-1]["errorMessage"]
    small = run_event(wide(20_000), "COMPLETE", AT, budget=100_000)
    assert len(json.dumps(small)) < 1_000_000 and "schema" not in small["outputs"][0].get("facets", {})


def test_no_secret_gets_out() -> None:
    run = resource(failure=Failure(message="postgres://u:HUNTER2xyz@db:5432 api_key=abcdef123456"))
    run.parameters = [("url", "https://me:s3cr3tpass@example.com")]
    run.outputs[0].fields = [Field(name="id", description="see https://a.example/?sig=0123456789abcdef")]
    text = json.dumps(masked(run_event(run, "FAIL", AT)))
    for secret in ("HUNTER2xyz", "abcdef123456", "s3cr3tpass", "0123456789abcdef"):
        assert secret not in text
    planned = json.dumps(job_event(run.job, run.inputs, run.outputs, AT))
    assert "0123456789abcdef" not in planned


def test_declared_and_dropped(tmp_path: Path) -> None:
    run = resource()
    events = [
        job_event(run.job, run.inputs, run.outputs, AT),
        dataset_event(Dataset(id=TABLE, type="TABLE"), AT, "DROP"),
        dataset_event(run.outputs[0], AT, "OVERWRITE"),
    ]
    assert findings(events, tmp_path) == []
    assert "run" not in events[0] and events[0]["inputs"] and "outputStatistics" not in str(events[0])
    assert events[1]["dataset"]["facets"]["lineage"]["_deleted"] is True
    assert "lineage" not in events[2]["dataset"]["facets"]


@pytest.mark.parametrize("state", ["COMPLETE", "FAIL", "ABORT"])
def test_times_are_rfc_3339(state: Any) -> None:
    at = dt.datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert run_event(pipeline(), state, at)["eventTime"] == "2026-11-21T10:00:00.000005Z"
