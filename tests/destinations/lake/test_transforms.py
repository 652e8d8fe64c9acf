from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest


@pytest.mark.destination("iceberg")
def test_iceberg_transforms_count_as_the_specification_says() -> None:
    transforms = pytest.importorskip("pyiceberg.transforms")
    from pyiceberg.types import DateType, TimestamptzType

    from headrace.destinations.impl.filesystem.icebergspec import transformed

    instants = [
        dt.datetime(1969, 12, 31, 23, 59, tzinfo=dt.timezone.utc),
        dt.datetime(2026, 3, 4, 5, tzinfo=dt.timezone.utc),
        None,
    ]
    days = [dt.date(1969, 12, 31), dt.date(2026, 3, 4), None]
    for values, kinds, names in (
        (pa.array(instants, pa.timestamp("us", "UTC")), TimestamptzType(), ("Year", "Month", "Day", "Hour")),
        (pa.array(days), DateType(), ("Year", "Month", "Day")),
    ):
        for name in names:
            transform = getattr(transforms, f"{name}Transform")()
            from pyiceberg.expressions import literal

            plain = [None if v is None else literal(v).to(kinds).value for v in values.to_pylist()]
            expected = [transform.transform(kinds)(v) for v in plain]
            assert transformed(values, transform, kinds).to_pylist() == expected, name
