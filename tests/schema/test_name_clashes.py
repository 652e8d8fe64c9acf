"""Keys, lists and resources that get one name are named, and no row vanishes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import headrace as dlt


def run(caplog: pytest.LogCaptureFixture, *data: Any) -> tuple[Any, str]:
    p = dlt.pipeline("clash", destination=dlt.destinations.duckdb("clash.duckdb"), dataset_name="d")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "headrace"):
        for one in data:
            p.run(one)
    return p, caplog.text


def test_two_keys_of_one_document(caplog: pytest.LogCaptureFixture) -> None:
    p, text = run(caplog, dlt.resource([{"id": 1, "userId": 1, "user_id": 2}], name="t"))
    assert "the keys `userId` and `user_id` are both called `user_id`" in text
    assert p.dataset().t.select("user_id").fetchall() == [(2,)]


def test_two_keys_of_different_documents_and_of_a_path(caplog: pytest.LogCaptureFixture) -> None:
    items = [{"id": 1, "userId": 1}, {"id": 2, "user_id": 2}, {"id": 3, "a": {"b": 1}}, {"id": 4, "a__b": 2}]
    p, text = run(caplog, dlt.resource(items, name="t"))
    assert "`userId` and `user_id`" in text
    assert "`a.b` and `a__b`" in text
    found = p.dataset()("SELECT id, coalesce(user_id, a__b) FROM t ORDER BY id").fetchall()
    assert found == [(1, 1), (2, 2), (3, 1), (4, 2)]


def test_two_lists_of_one_document(caplog: pytest.LogCaptureFixture) -> None:
    p, text = run(caplog, dlt.resource([{"id": 1, "subItems": [{"a": 1}], "sub_items": [{"a": 2}]}], name="t"))
    assert "table `t__sub_items` gets rows of the lists at `subItems` in `t` and of the lists at `sub_items`" in text
    assert sorted(p.dataset().t__sub_items.select("a").fetchall()) == [(1,), (2,)]


def test_a_resource_and_a_list(caplog: pytest.LogCaptureFixture) -> None:
    nested = dlt.resource([{"id": 1, "c": [{"x": 1}]}], name="t")
    p, text = run(caplog, [nested, dlt.resource([{"x": 2}], name="t__c")])
    assert "table `t__c`" in text
    assert "the lists at `c` in `t`" in text
    assert sorted(p.dataset().t__c.select("x").fetchall()) == [(1,), (2,)]


def test_a_resource_of_an_earlier_load_and_a_list(caplog: pytest.LogCaptureFixture) -> None:
    own = dlt.resource([{"x": 2}], name="t__c")
    _, text = run(caplog, own, dlt.resource([{"id": 1, "c": [{"x": 1}]}], name="t"))
    assert "table `t__c` gets rows of resource `t__c` and of the lists at `c` in `t`" in text


def test_two_resources(caplog: pytest.LogCaptureFixture) -> None:
    one, other = dlt.resource([{"id": 1}], name="userData"), dlt.resource([{"id": 2}], name="user_data")
    p, text = run(caplog, [one, other])
    assert "table `user_data` gets rows of resource `userData` and of resource `user_data`" in text
    assert sorted(p.dataset().user_data.select("id").fetchall()) == [(1,), (2,)]


def test_what_is_meant_is_no_clash(caplog: pytest.LogCaptureFixture) -> None:
    same = [dlt.resource([{"id": n}], name=f"r{n}", table_name="both") for n in (1, 2)]
    keyed = dlt.resource([{"id": 1, "c": [{"k": 1}]}], name="t", nested_hints={"c": {"primary_key": "k"}})
    mixed = dlt.resource([{"id": 1, "v": 1}, {"id": 2, "v": "x"}, {"id": 3, "l": [[1]]}], name="m")
    _, text = run(caplog, same, keyed, mixed)
    assert "gets rows of" not in text
    assert "both called" not in text
