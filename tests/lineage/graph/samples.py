"""Events as several producers send them, made by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

Event = dict[str, Any]
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
START = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.timezone.utc)


def at(seconds: float) -> str:
    return (START + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def run_id(number: int) -> str:
    return f"01a1fd8c-6900-7000-8000-{number:012x}"


def dataset(namespace: str, name: str, fields: Any = None, **facets: Any) -> dict[str, Any]:
    if fields is not None:
        facets["schema"] = {"fields": [{"name": n, "type": t} for n, t in dict(fields).items()]}
    return {"namespace": namespace, "name": name, "facets": facets}


def written(given: dict[str, Any], rows: int) -> dict[str, Any]:
    return {**given, "outputFacets": {"outputStatistics": {"rowCount": rows, "size": rows * 10}}}


def event(
    state: str,
    job: str,
    run: int,
    seconds: float,
    inputs: Any = (),
    outputs: Any = (),
    *,
    namespace: str = "prod",
    producer: str = "https://github.com/headrace/headrace",
    run_facets: Any = None,
    job_facets: Any = None,
) -> Event:
    return {
        "eventType": state,
        "eventTime": at(seconds),
        "producer": producer,
        "schemaURL": SCHEMA,
        "run": {"runId": run_id(run), "facets": dict(run_facets or {})},
        "job": {"namespace": namespace, "name": job, "facets": dict(job_facets or {})},
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def columns(**fields: list[tuple[str, str, str]]) -> dict[str, Any]:
    """A facet `columnLineage` of direct copies: column -> (namespace, name, field)."""
    return {
        "fields": {
            column: {
                "inputFields": [
                    {
                        "namespace": ns,
                        "name": name,
                        "field": field,
                        "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
                    }
                    for ns, name, field in sources
                ]
            }
            for column, sources in fields.items()
        }
    }


API, DWH = "https://api.shop.example", "postgres://dwh:5432"
ORDERS = (DWH, "dwh.raw.orders")


def load(run: int = 2, seconds: float = 0, state: str = "COMPLETE", rows: int = 100) -> list[Event]:
    """A run of a loader: an API to a table and its child table, with explicit lineage."""
    api = dataset(API, "/orders", {"id": "integer", "customer": "object", "lines": "array"}, datasetType=kind("API"))
    parent = {"parent": {"run": {"runId": run_id(1)}, "job": {"namespace": "prod", "name": "shop"}}}
    made = [{"type": "JOB"}]
    one = {"namespace": API, "name": "/orders", "type": "DATASET"}
    entries = [
        {
            "type": "DATASET",
            "namespace": DWH,
            "name": "dwh.raw.orders",
            "inputs": [one],
            "fields": {
                "id": {"inputs": [{**one, "field": "id"}]},
                "customer__email": {"inputs": [{**one, "field": "customer.email"}]},
                "_dlt_id": {"inputs": made},
            },
        },
        {
            "type": "DATASET",
            "namespace": DWH,
            "name": "dwh.raw.orders__lines",
            "inputs": [one],
            "fields": {"sku": {"inputs": [{**one, "field": "lines._element.sku"}]}},
        },
    ]
    orders = {"id": "bigint", "customer__email": "text", "_dlt_id": "text"}
    outputs = [
        written(dataset(*ORDERS, orders, datasetType=kind("TABLE")), rows),
        written(dataset(DWH, "dwh.raw.orders__lines", {"sku": "text"}, datasetType=kind("TABLE")), rows * 2),
    ]
    job = {"lineage": {"entries": entries}, "jobType": {"integration": "HEADRACE", "jobType": "RESOURCE"}}
    failure = {"errorMessage": {"message": "the server is gone", "programmingLanguage": "PYTHON"}}
    ended = parent if state == "COMPLETE" else {**parent, **failure}
    return [
        event("START", "shop.orders", run, seconds, [api], run_facets=parent),
        event(
            state,
            "shop.orders",
            run,
            seconds + 5,
            [api],
            outputs if state == "COMPLETE" else [],
            run_facets=ended,
            job_facets=job if state == "COMPLETE" else None,
        ),
    ]


def kind(name: str) -> dict[str, Any]:
    return {"datasetType": name}


def dbt(run: int = 11, seconds: float = 60) -> list[Event]:
    """As dbt-ol: a model reads the loaded table; column lineage without transformations, SQL, tests as assertions."""
    facet = columns(order_id=[(*ORDERS, "id")], email=[(*ORDERS, "customer__email")])
    for body in facet["fields"].values():
        body["inputFields"][0]["transformations"] = []
    source = dataset(*ORDERS, {"id": "BIGINT"})
    source["inputFacets"] = {"dataQualityAssertions": {"assertions": [{"assertion": "not_null", "success": True}]}}
    target = dataset(DWH, "dwh.marts.fct_orders", {"order_id": "BIGINT", "email": "TEXT"}, columnLineage=facet)
    given: dict[str, Any] = {
        "namespace": "dbt",
        "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/dbt",
        "job_facets": {"sql": {"query": "select id as order_id from raw.orders"}, "jobType": kind("MODEL")},
    }
    job = "dwh.marts.shop.fct_orders"
    return [
        event("START", job, run, seconds, **given),
        event("COMPLETE", job, run, seconds + 3, [source], [written(target, 90)], **given),
    ]


def airflow(run: int = 21, seconds: float = 120) -> list[Event]:
    """As the Airflow provider: datasets on START only, a DAG run as parent without datasets."""
    parent = {"parent": {"run": {"runId": run_id(20)}, "job": {"namespace": "airflow", "name": "nightly"}}}
    given: dict[str, Any] = {"namespace": "airflow", "run_facets": parent}
    mart = dataset(DWH, "dwh.marts.fct_orders")
    report = dataset("s3://reports", "orders/daily")
    return [
        event("START", "nightly", 20, seconds - 1, namespace="airflow"),
        event("START", "nightly.export", run, seconds, [mart], [report], **given),
        event("COMPLETE", "nightly.export", run, seconds + 3, **given),
    ]


def spark(run: int = 31, seconds: float = 180) -> list[Event]:
    """As the Spark agent: the table under its place, its name in a catalog as a symlink; indirect dependencies."""
    lake = dataset(
        "s3://lake",
        "warehouse/orders",
        {"order_id": "long", "total": "double"},
        symlinks={"identifiers": [{"namespace": "arn:aws:glue:eu:1", "name": "table/shop/orders", "type": "TABLE"}]},
        columnLineage={
            **columns(order_id=[(DWH, "dwh.marts.fct_orders", "order_id")]),
            "dataset": [
                {
                    "namespace": DWH,
                    "name": "dwh.marts.fct_orders",
                    "field": "email",
                    "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}],
                }
            ],
        },
    )
    source = dataset(DWH, "dwh.marts.fct_orders")
    glue = dataset("arn:aws:glue:eu:1", "table/shop/orders")
    return [
        event("START", "spark.append", run, seconds, namespace="spark"),
        event("RUNNING", "spark.append", run, seconds + 1, [source], namespace="spark"),
        event("COMPLETE", "spark.append", run, seconds + 9, [source], [lake], namespace="spark"),
        event("COMPLETE", "dashboard", run + 1, seconds + 20, [glue], namespace="bi"),
    ]


def everything() -> list[Event]:
    return [*load(), *dbt(), *airflow(), *spark()]


def large(datasets: int, fields: int, wide: int = 10) -> list[Event]:
    """Rows of tables, each made of two of the row before, column by column."""
    found = []
    for number in range(datasets):
        layer, place = divmod(number, max(datasets // wide, 1))
        name = f"dwh.layer_{layer}.table_{place}"
        target = dataset(DWH, name, {f"column_{i}": "bigint" for i in range(fields)}, datasetType=kind("TABLE"))
        before = [f"dwh.layer_{layer - 1}.table_{p}" for p in {place, place // 2}] if layer else []
        target["facets"]["columnLineage"] = columns(
            **{f"column_{i}": [(DWH, one, f"column_{i}") for one in before] for i in range(fields)}
        )
        state = "FAIL" if number % 17 == 16 else "COMPLETE"
        inputs = [dataset(DWH, one) for one in before]
        found.append(event(state, f"build.layer_{layer}.table_{place}", 1000 + number, number, inputs, [target]))
    return found
