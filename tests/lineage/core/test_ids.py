"""Run ids are those of OpenLineage's own client."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest

from headrace.observers.lineage.ids import invocation_run_id, new_run_id, resource_run_id, static_run_id

AT = dt.datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize("hours", [-9, 0, 5])
def test_the_algorithm_is_that_of_the_client(hours: int) -> None:
    client = pytest.importorskip("openlineage.client.uuid")
    at = AT.astimezone(dt.timezone(dt.timedelta(hours=hours)))
    assert static_run_id(at, "a.b.c") == str(client.generate_static_uuid(at, b"a.b.c"))


def test_known_ids_stay_what_they_are() -> None:
    # other processes, and later versions, must find the same ones
    found = resource_run_id(AT, "default", "shop", "erp", "orders", "1795256961.817560482913")
    assert found == static_run_id(AT, "default.shop.erp.orders.1795256961.817560482913")
    assert UUID(found).version == 7
    assert UUID(found).int >> 80 == int(AT.timestamp() * 1000)


def test_every_part_makes_another_id() -> None:
    parts = ["default", "shop", "erp", "orders", "1"]
    found = {resource_run_id(AT, *parts)}
    for place in range(len(parts)):
        found.add(resource_run_id(AT, *[p + "x" if n == place else p for n, p in enumerate(parts)]))
    found.add(invocation_run_id(AT, "default", "shop", "1"))
    assert len(found) == len(parts) + 2


def test_new_ids_are_new() -> None:
    assert len({new_run_id(AT) for _ in range(100)}) == 100
