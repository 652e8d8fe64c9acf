"""Numbers of more digits than Arrow's decimals have, and ids in order."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from headrace.columns.coerce import arrow_type, cast
from headrace.columns.keys import random_ids
from headrace.model.capabilities import Capabilities

WIDE = Capabilities(wei_precision=(156, 78))


@pytest.mark.parametrize(
    ("kind", "values", "wanted", "failed"),
    [
        ("bigint", pa.array([1, None, -(2**63)]), ["1", None, str(-(2**63))], None),
        ("wei", pa.array([Decimal(10**37), None], pa.decimal128(38, 0)), [str(10**37), None], None),
        ("text", pa.array([str(2**256 - 1), "0x10", "x", None]), [str(2**256 - 1), "16", None, None], 2),
        ("double", pa.array([3.0, 0.5]), ["3", None], 1),
    ],
)
def test_wei_past_76_digits_travels_as_text(
    kind: str, values: pa.Array, wanted: list[str | None], failed: int | None
) -> None:
    target = arrow_type({"name": "w", "data_type": "wei"}, WIDE)
    assert target == pa.string()
    found, bad = cast(kind, values, "wei", target)
    assert found.to_pylist() == wanted
    assert (bad is None) if failed is None else [i for i, b in enumerate(bad.to_pylist()) if b] == [failed]


def test_ids_of_a_batch_are_in_order_and_all_different() -> None:
    """In the order of their bytes; ids of other seeds lie between them."""
    ids = random_ids(50_000, (1, 2, 3)).to_pylist()
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {14}
    others = random_ids(50_000, (1, 2, 4)).to_pylist()
    assert not set(ids) & set(others)
    assert others[0] < ids[-1]
    assert ids[0] < others[-1]
    # two bits of the last character, as in eighty bits to the base of 64
    assert {one[-1] for one in ids} == set("AQgw")
