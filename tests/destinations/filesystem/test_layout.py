"""Names of files; the expected ones were made by dlt 1.31."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from headrace.destinations.impl.filesystem.errors import (
    CantExtractTablePrefix,
    InvalidFilesystemLayout,
    InvalidPlaceholderCallback,
)
from headrace.destinations.impl.filesystem.layout import FileFacts, Layout

NOW = dt.datetime(2024, 2, 3, 14, 5, 6, 123456, tzinfo=dt.timezone.utc)
PACKAGE = dt.datetime(2024, 2, 1, tzinfo=dt.timezone.utc)
FACTS = FileFacts("shop", "orders", "1795279827.9072108", "d0dc419dfc", "jsonl.gz", PACKAGE)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{table_name}/{load_id}.{file_id}.{ext}", "orders/1795279827.9072108.d0dc419dfc.jsonl.gz"),
        ("{table_name}", "orders.jsonl.gz"),
        ("{table_name}/x", "orders/x.jsonl.gz"),
        ("{schema_name}.{table_name}.{file_id}.{ext}", "shop.orders.d0dc419dfc.jsonl.gz"),
        ("data/{schema_name}/{table_name}/{file_id}.{ext}", "data/shop/orders/d0dc419dfc.jsonl.gz"),
        ("{table_name}_{file_id}.{ext}", "orders_d0dc419dfc.jsonl.gz"),
        ("{table_name}/{ext}/{file_id}", "orders/jsonl.gz/d0dc419dfc"),
        ("{table_name}//{file_id}.{ext}", "orders/d0dc419dfc.jsonl.gz"),
        ("{table_name}-{table_name}/{file_id}.{ext}", "orders-orders/d0dc419dfc.jsonl.gz"),
        ("{table_name}/{YYYY}/{YY}/{Y}/{MMMM}/{MMM}/{MM}/{M}", "orders/2024/24/2024/february/feb/02/2.jsonl.gz"),
        ("{table_name}/{DD}/{D}/{dddd}/{ddd}/{dd}/{d}", "orders/03/3/saturday/sat/sa/6.jsonl.gz"),
        ("{table_name}/{HH}/{H}/{mm}/{m}/{ss}/{s}", "orders/14/14/05/5/06/6.jsonl.gz"),
        ("{table_name}/{SSSS}/{SSS}/{SS}/{S}/{Q}", "orders/1234/123/12/1/1.jsonl.gz"),
        ("{table_name}/{curr_date}/{timestamp}/{timestamp_ms}", "orders/2024-02-03/1706969106/1706969106123.jsonl.gz"),
        (
            "{table_name}/{load_package_timestamp}/{load_package_timestamp_ms}",
            "orders/1706745600/1706745600000.jsonl.gz",
        ),
    ],
)
def test_path(template: str, path: str) -> None:
    layout = Layout(template, current_datetime=NOW)
    assert layout.path(FACTS) == path
    assert layout.is_repeatable
    assert layout.owner(path, "shop", ["order", "orders", "orders_x", "other"]) == "orders"


def test_extra_placeholders() -> None:
    extra: dict[str, Any] = {
        "own": "A B/C",
        "number": 5,
        "when": NOW,
        "call": lambda schema, table, load_id, file_id, ext: f"{schema}|{table}|{ext}",
    }
    layout = Layout("{table_name}/{own}/{number}/{when}/{call}/{file_id}.{ext}", extra)
    expected = "orders/A B/C/5/2024-02-03 14:05:06.123456+00:00/shop|orders|jsonl.gz/d0dc419dfc.jsonl.gz"
    assert layout.path(FACTS) == expected
    assert not layout.is_repeatable, "the function may say something else next time"


def test_time_is_that_of_the_package() -> None:
    """So that a load that is taken up again gives the same names."""
    assert Layout("{table_name}/{YYYY}-{MM}-{DD}").path(FACTS) == "orders/2024-02-01.jsonl.gz"


@pytest.mark.parametrize("given", [lambda: NOW, "2024-02-03T14:05:06Z", NOW.replace(tzinfo=None)])
def test_forms_of_current_datetime(given: Any) -> None:
    assert Layout("{table_name}/{timestamp}", current_datetime=given).path(FACTS) == "orders/1706969106.jsonl.gz"


@pytest.mark.parametrize("template", ["{foo}/{table_name}.{ext}", "{table_name}/{foo}.{ext}", "{table_name}/{", "{}"])
def test_unknown_placeholders(template: str) -> None:
    with pytest.raises(InvalidFilesystemLayout, match="extra_placeholders"):
        Layout(template)


@pytest.mark.parametrize(
    "template", ["{load_id}/{table_name}/{file_id}", "{table_name}{file_id}.{ext}", "{load_id}.{ext}", "{table_name}x"]
)
def test_tables_could_not_be_told_apart(template: str) -> None:
    with pytest.raises(CantExtractTablePrefix, match="table"):
        Layout(template)


def test_function_of_other_arguments() -> None:
    with pytest.raises(InvalidPlaceholderCallback, match="own"):
        Layout("{table_name}/{own}", {"own": lambda x: x}).path(FACTS)


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("orders_1795.1.abc.jsonl", "orders"),
        ("orders_items_1795.1.abc.jsonl", "orders_items"),
        ("orders_unknown_1795.1.abc.jsonl", None),
        ("orders_something.txt", None),
    ],
)
def test_owner_without_folders(path: str, owner: str | None) -> None:
    layout = Layout("{table_name}_{load_id}.{file_id}.{ext}")
    assert layout.owner(path, "shop", ["orders", "orders_items"]) == owner
