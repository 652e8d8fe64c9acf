"""A type is wider only if every value of the other one fits into it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.model.capabilities import Capabilities
from headrace.model.widening import compare_types, holds, type_text

CAPABILITIES = Capabilities()
EXACT = st.one_of(
    st.builds(lambda bits: {"data_type": "bigint", "precision": bits}, st.sampled_from([None, 8, 16, 32, 64, 128])),
    st.integers(1, 38).flatmap(
        lambda p: st.integers(0, p).map(lambda s: {"data_type": "decimal", "precision": p, "scale": s})
    ),
    st.sampled_from([{"data_type": "decimal"}, {"data_type": "wei"}]),
)
OTHERS = st.builds(
    lambda kind, precision: {"data_type": kind, "precision": precision},
    st.sampled_from(["text", "binary", "time", "timestamp", "date", "json", "bool", "double"]),
    st.sampled_from([None, 0, 3, 6, 9, 64]),
)


def extremes(column: dict[str, Any]) -> list[Decimal]:
    """The largest and the finest values of an exact number type."""
    if column["data_type"] == "bigint":
        bits = column.get("precision") or 64
        return [Decimal(2 ** (bits - 1) - 1), Decimal(-(2 ** (bits - 1)))]
    precision, scale = column.get("precision"), column.get("scale") or 0
    if precision is None:
        precision, scale = (38, 9) if column["data_type"] == "decimal" else (38, 0)
    return [(Decimal(10**precision) - 1).scaleb(-scale), Decimal(1).scaleb(-scale)]


def fits(value: Decimal, column: dict[str, Any]) -> bool:
    largest, *others = extremes(column)
    if column["data_type"] == "bigint":
        return value == int(value) and others[0] <= value <= largest
    return abs(value) <= largest and value % others[0] == 0


@given(EXACT, EXACT)
@settings(max_examples=300)
def test_exact_numbers_hold_what_they_say(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    with localcontext() as context:
        context.prec = 90
        really = all(fits(value, outer) for value in extremes(inner))
    if holds(outer, inner, CAPABILITIES):
        assert really
    elif outer["data_type"] != "bigint":
        assert not really, "what is refused would lose something"


@given(st.one_of(EXACT, OTHERS), st.one_of(EXACT, OTHERS), st.one_of(EXACT, OTHERS))
@settings(max_examples=300)
def test_wider_is_an_order(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert holds(a, a, CAPABILITIES)
    assert compare_types(a, a, CAPABILITIES) == "same"
    if holds(a, b, CAPABILITIES) and holds(b, c, CAPABILITIES):
        assert holds(a, c, CAPABILITIES)
    assert (compare_types(a, b, CAPABILITIES) == "unsafe") == (
        not holds(a, b, CAPABILITIES) and not holds(b, a, CAPABILITIES)
    )


def test_types_are_told_to_people() -> None:
    assert type_text({"data_type": "decimal", "precision": 10, "scale": 2}) == "decimal(10, 2)"
    assert type_text({"data_type": "timestamp", "timezone": False}) == "timestamp without timezone"
    assert type_text({}) == "unknown"
