"""`add_input` as in dlt 1.31: what is kept, what is refused, and how it comes to the infos and the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.base import TypeErrorWithKnownTypes
from headrace.errors.extract import DataLocationKindRequired
from headrace.model.events import Extracted
from headrace.observers.lineage import naming
from headrace.observers.lineage.facts import Field
from headrace.sources import inputs
from tests.e2e.project import project as project

API = {"kind": "rest_api", "location": "https://api.example.com/v1", "endpoints": ["users"]}


def rows(name: str = "users") -> Any:
    return headrace.resource([{"id": 1}], name=name)


def extract(*data: Any, destination: str = "dummy") -> tuple[Any, list[Any]]:
    """The info, and what the packages hold of inputs."""
    pipeline = headrace.pipeline("shop", destination=destination)
    info = pipeline.extract(list(data) if len(data) > 1 else data[0])
    facts = [pipeline._store.get(load_id).fact(Extracted) for load_id in info.loads_ids]
    return info, [one for fact in facts if fact for one in fact.inputs]


def told(info: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("load_id", "extract_idx")} for row in info.asdict()["inputs"]]


# ---- the protocol, as an experiment with dlt 1.31 showed it --------------------------------------------------------


@pytest.mark.parametrize("location", [None, "https://x", ["x"]])
def test_only_dictionaries_are_locations(location: Any) -> None:
    with pytest.raises(TypeErrorWithKnownTypes) as caught:
        rows().add_input(location)
    assert isinstance(caught.value, TypeError) and caught.value.valid_types == ["TDataLocation"]


def test_the_kind_is_the_sources_name_once_there_is_a_source() -> None:
    with pytest.raises(DataLocationKindRequired) as caught:
        rows().add_input({"location": "x"})
    assert caught.value.resource_name == "users"

    @headrace.source
    def crm() -> Any:
        return rows()

    made = crm().resources["users"].add_input({"location": "x"})
    assert made.inputs == [{"location": "x", "kind": "crm"}]


def test_unknown_facts_are_absent_and_the_resource_is_given_back() -> None:
    made = rows()
    assert made.add_input({"kind": "k", "location": None, "more": {"a": [1]}}) is made
    assert made.inputs == [{"kind": "k", "more": {"a": [1]}}]
    assert made.inputs is made.inputs
    assert made.add_input({"kind": "other"}, replace=True).inputs == [{"kind": "other"}]


def test_the_resource_that_told_is_the_one_that_counts(project: Path) -> None:
    info, _ = extract(rows().add_input({"kind": "k", "resource_name": "wrong", "location": "x"}))
    assert told(info) == [{"kind": "k", "resource_name": "users", "location": "x"}]


def test_a_running_function_tells_and_running_it_again_does_not_tell_twice(project: Path) -> None:
    @headrace.resource
    def users() -> Any:
        headrace.current.resource().add_input(dict(API))
        yield {"id": 1}

    made = users()
    for _ in range(2):
        info, _ = extract(made)
        assert told(info) == [{**API, "resource_name": "users"}]


def test_copies_keep_what_was_told_and_tell_for_themselves() -> None:
    first = rows().add_input(dict(API))
    second = first.with_name("people")
    second.add_input({"kind": "more"})
    assert (first.inputs, second.inputs) == ([API], [API, {"kind": "more"}])


def test_built_in_sources_tell_what_dlts_tell() -> None:
    """Rows of dlt 1.31's own sources; ours have the same fields, and more."""
    recorded = [
        (
            inputs.rest_endpoint("http://127.0.0.1:8080/v1?api_key=SECRETSECRET", "orgs/acme/users"),
            {"kind": "rest_api", "location": "http://127.0.0.1:8080/v1?api_key=***", "endpoints": ["orgs/acme/users"]},
        ),
        (
            inputs.sql_tables("sqlite:////data/shop.db", "Customers", schema="main"),
            {
                "kind": "sql_database",
                "location": "sqlite:///data/shop.db",
                "database": "/data/shop.db",
                "db_schema": "main",
                "tables": ["Customers"],
            },
        ),
        (
            inputs.sql_tables("postgresql+psycopg2://me:pw@db:5432/shop", "t"),
            {"kind": "sql_database", "location": "postgresql://db:5432", "database": "shop", "tables": ["t"]},
        ),
        (inputs.files("/data", "*"), {"kind": "filesystem", "location": "file:///data", "glob": "*"}),
    ]
    for ours, theirs in recorded:
        assert {name: ours.get(name) for name in theirs} == theirs
        assert set(ours) - set(theirs) <= {"scheme", "host", "port", "path"}
        # what dlt tells is enough for the same name, in these cases
        assert naming.inputs([theirs])[0].id == naming.inputs([ours])[0].id


# ---- packages ------------------------------------------------------------------------------------------------------


def test_transformers_have_the_inputs_of_those_they_take_items_from(project: Path) -> None:
    users = rows().add_input(dict(API))

    @headrace.transformer(data_from=users)
    def details(user: Any) -> Any:
        yield user

    @headrace.transformer(data_from=details)
    def orders(detail: Any) -> Any:
        yield detail

    orders.add_input({"kind": "rest_api", "location": "https://api.example.com/v1", "endpoints": ["orders/{id}"]})
    silent = rows("silent")
    info, kept = extract(users, details, orders, silent)
    found = {one.resource: [place.id.name for place in naming.inputs(one.locations)] for one in kept}
    assert found == {
        "users": ["/v1/users"],
        "details": ["/v1/users"],
        "orders": ["/v1/orders/{id}", "/v1/users"],
    }
    assert {one.source for one in kept} == {"shop"}
    assert [place["resource_name"] for one in kept if one.resource == "orders" for place in one.locations] == [
        "orders",
        "users",
    ]
    # the infos have each place once, with those who told it
    assert [row["resource_name"] for row in told(info)] == ["users", "orders"]


def test_parents_that_are_not_loaded_themselves_tell_too(project: Path) -> None:
    listing = headrace.resource([{"file": "a"}], name="listing", selected=False)
    listing.add_input({"kind": "filesystem", "location": "s3://lake/in", "glob": "orders/*.csv"})

    @headrace.transformer(data_from=listing)
    def orders(file: Any) -> Any:
        yield file

    _, kept = extract(orders)
    [one] = kept
    [found] = naming.inputs(one.locations)
    assert (one.resource, found.id.namespace, found.id.name) == ("orders", "s3://lake", "in/orders")
    assert found.subset == {"type": "location", "locations": ["orders/*.csv"]}


def test_another_process_finds_them_in_the_package(project: Path) -> None:
    made = rows().add_input({"kind": "rest_api", "location": "https://api.example.com", "since": Path("x"), "n": (1,)})
    info, kept = extract(made, destination="duckdb")
    again = headrace.attach("shop")
    fact = again._store.get(info.loads_ids[0]).fact(Extracted)
    assert fact.inputs == kept
    assert kept[0].locations == [
        {"kind": "rest_api", "location": "https://api.example.com", "since": "x", "n": [1], "resource_name": "users"}
    ]


def test_secrets_in_locations_stay_out_of_infos_and_packages(project: Path) -> None:
    made = rows().add_input(
        {"kind": "k", "location": "postgresql://me:hunter22@db/shop", "x": {"y": ["api_key=S3CRET99"]}}
    )
    info, kept = extract(made)
    text = f"{info.asdict()} {kept}"
    assert "hunter22" not in text and "S3CRET99" not in text


def test_each_part_of_a_long_extract_has_the_inputs_of_its_resources(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTRACT__CHECKPOINT_ROWS", "1")

    @headrace.resource
    def many(id: Any = headrace.sources.incremental("id", initial_value=0, row_order="asc")) -> Any:
        headrace.current.resource().add_input(dict(API), replace=True)
        for i in range(1, 4):
            yield [{"id": i}]

    info, kept = extract(many)
    assert len(info.loads_ids) > 1, "no checkpoint was made"
    with_rows = [load_id for load_id, metrics in info.metrics.items() if metrics[0]["resource_metrics"].get("many")]
    assert len(kept) >= len(with_rows) > 1
    assert {one.resource for one in kept} == {"many"}
    assert {naming.inputs(one.locations)[0].id.name for one in kept} == {"/v1/users"}


# ---- what the data looked like -------------------------------------------------------------------------------------


def test_fields_of_tables_have_the_types_of_the_database_or_none(project: Path) -> None:
    place = inputs.sql_tables("postgresql://db/shop", "users")
    read = naming.inputs([place], [Field(name="x", type="bigint")])
    assert [(f.name, f.type) for f in read[0].fields] == [("x", None)]
    declared = inputs.sql_tables("postgresql://db/shop", "users", columns={"id": "INTEGER", "name": "VARCHAR(10)"})
    assert [(f.name, f.type) for f in naming.inputs([declared])[0].fields] == [
        ("id", "INTEGER"),
        ("name", "VARCHAR(10)"),
    ]
