"""What `run` accepts as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import headrace as hr
from headrace.errors.extract import (
    InvalidResourceDataTypeBasic,
    InvalidResourceDataTypeIsNone,
    ResourceNameMissing,
)
from headrace.extract.wrap import wrap_data
from headrace.model.schema import Schema


@hr.resource
def users() -> Iterator[Any]:
    yield {"id": 1}


@hr.source
def shop() -> Any:
    return users, hr.resource([1], name="other")


def names(data: Any, **hints: Any) -> list[tuple[str, list[str]]]:
    return [(s.name, list(s.resources)) for s in wrap_data(data, default_schema_name="default", **hints)]


@pytest.mark.parametrize(
    "data",
    [
        [{"a": 1}],
        [1, 2],
        [],
        ({"a": 1} for _ in "x"),
        pd.DataFrame({"a": [1]}),
        pa.table({"a": [1]}),
        [pa.table({"a": [1]})],
        lambda: [{"a": 1}],
        iter([1]),
    ],
)
def test_plain_data_needs_a_name(data: Any) -> None:
    assert names(data, table_name="t") == [("default", ["t"])]


def test_functions_and_generators_have_names() -> None:
    def fun() -> Iterator[int]:
        yield 1

    assert names(fun) == names(fun()) == [("default", ["fun"])]
    with pytest.raises(ResourceNameMissing):
        names([{"a": 1}])


def test_sources_factories_resources_and_references() -> None:
    both = [("shop", ["users", "other"])]
    assert names(shop()) == names(shop) == names(f"{__name__}.shop") == both
    assert names(users) == [("default", ["users"])]
    assert names([users, shop()]) == [("default", ["users"]), *both]
    assert names((users, hr.resource([1], name="x"))) == [("default", ["users", "x"])]


def test_sources_come_in_order_of_their_names() -> None:
    assert [n for n, _ in names([shop.clone(name="z")(), shop.clone(name="a")(), users])] == ["a", "default", "z"]


def test_resources_of_one_name_go_into_sources_of_their_own() -> None:
    assert names([users, users.with_name("x"), users()]) == [("default", ["users", "x"]), ("default", ["users"])]


def test_transformers_keep_their_resource() -> None:
    t = users | hr.transformer(lambda u: u, name="t")
    (source,) = wrap_data([users, t])
    assert source.t._pipe.parent is source.users._pipe


def test_hints_go_to_all_resources_and_contracts_to_schemas_too() -> None:
    (source,) = wrap_data(shop(), write_disposition="merge", primary_key="id", schema_contract="freeze")
    assert {r.write_disposition for r in source.resources.values()} == {"merge"}
    assert source.other.compute_table_schema()["columns"]["id"]["primary_key"]
    assert source.schema_contract == "freeze"
    assert source.users.schema_contract == "freeze"


def test_the_users_resource_is_not_changed() -> None:
    wrap_data(users, table_name="elsewhere", write_disposition="merge")
    assert (users.table_name, users.write_disposition) == ("users", "append")


def test_an_explicit_schema() -> None:
    schema = Schema("mine")
    assert [s.schema for s in wrap_data([users, shop()], schema=schema)] == [schema, schema]


def test_functions_as_table_names() -> None:
    (source,) = wrap_data(users, table_name=lambda i: "t")
    assert source.users.has_dynamic_table_name


@pytest.mark.parametrize(
    ("data", "error"), [(None, InvalidResourceDataTypeIsNone), ({"a": 1}, InvalidResourceDataTypeBasic)]
)
def test_what_is_refused(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        wrap_data(data, table_name="t")
