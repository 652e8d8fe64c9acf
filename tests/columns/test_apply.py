"""Whole batches at once give what the rules give value by value."""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.columns.apply import FrameNormalizer, TableBatch
from headrace.columns.coerce import arrow_type, cast
from headrace.columns.frame import to_batches
from headrace.columns.kinds import kind_of
from headrace.columns.shape import ShapeBook
from headrace.columns.shred import shred
from headrace.columns.values import coerce_value
from headrace.errors.schema import CannotCoerceNullException, DataValidationError
from headrace.model.capabilities import Capabilities
from headrace.model.evolve import evolve
from headrace.model.schema import Schema

UTC = dt.timezone.utc
CAPABILITIES = Capabilities()


def normalize(schema: Schema, *batches: list[dict[str, Any]], table: str = "t") -> dict[str, list[dict[str, Any]]]:
    """Rows by table, nulls left out."""
    frames = [shred(b) for b in batches]
    book = ShapeBook()
    for frame in frames:
        book.observe(frame)
    chain = evolve(schema, table, book.chain())
    normalizer = FrameNormalizer(chain, schema, CAPABILITIES, "1.5", (7, 0))
    out: dict[str, list[dict[str, Any]]] = {}
    for frame in frames:
        for batch in normalizer.apply(to_batches(frame)):
            out.setdefault(batch.table, []).extend(rows_of(batch))
    for name, columns in normalizer.variants.items():
        schema.update_table({"name": name, "columns": columns}, normalize_identifiers=False)
    return out


def rows_of(batch: TableBatch) -> list[dict[str, Any]]:
    lists = {n: a.to_pylist() for n, a in batch.columns.items()}
    return [{n: v[i] for n, v in lists.items() if v[i] is not None} for i in range(batch.rows)]


def data(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if not k.startswith("_dlt")}


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.sampled_from([0, 1, 2**62]),
    st.floats(-1e15, 1e15, allow_nan=False),
    st.sampled_from([1.0, 0.0, 2.5]),
    st.sampled_from(
        ["x", "7", "0x1f", "2.5", "yes", "NO", "2024-03-01", "2024-03-01T10:00:00+02:00", "{}", "eHg=", "nan"]
    ),
    st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)),
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([Decimal("1.5"), Decimal("3"), Decimal("0.000000001"), Decimal("0.0000000001")]),
    st.binary(max_size=3),
)


def oracle(values: list[Any], data_type: str) -> list[dict[str, Any]]:
    """Each value into the column, or else into the variant of its type."""
    target = arrow_type({"data_type": data_type}, CAPABILITIES)  # type: ignore[typeddict-item]
    rows = []
    for value in values:
        row: dict[str, Any] = {}
        if value is not None:
            kind = kind_of(type(value))
            plain = shred([{"v": value}])[0].columns[0].values[0].as_py()
            try:
                value = coerce_value(data_type, kind, plain)
                if (kind, data_type) == ("double", "decimal"):
                    value = value.quantize(Decimal("1e-9"), context=Context(prec=400))
                row["v"] = pa.scalar(value, target).as_py()
            except (ValueError, TypeError, ArithmeticError, pa.ArrowInvalid):
                row[f"v__v_{kind}"] = _stored(kind, plain)
                if row[f"v__v_{kind}"] is None:
                    row = {"v__v_text": coerce_value("text", "decimal", plain)}
        rows.append(row)
    return rows


def _stored(kind: str, value: Any) -> Any:
    try:
        return pa.scalar(value, arrow_type({"data_type": kind}, CAPABILITIES)).as_py()  # type: ignore[typeddict-item]
    except pa.ArrowInvalid:
        return None


@given(
    st.sampled_from(["text", "bigint", "double", "bool", "timestamp", "date", "decimal", "json", "binary"]),
    st.lists(VALUES, min_size=1, max_size=12),
)
@settings(max_examples=400, deadline=None)
def test_equal_to_value_by_value(data_type: str, values: list[Any]) -> None:
    """Vectorised casts, their fall-backs and variants agree with the rules for single values."""
    schema = Schema("s")
    schema.update_table({"name": "t", "columns": {"v": {"name": "v", "data_type": data_type}}})  # type: ignore[typeddict-item]
    got = normalize(schema, [{"v": v} for v in values])["t"]
    assert [_comparable(data(r)) for r in got] == [_comparable(r) for r in oracle(values, data_type)]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, float) else v for k, v in row.items()}


def test_first_value_decides_the_type_over_batches() -> None:
    schema = Schema("s")
    got = normalize(schema, [{"a": None}, {"a": 1}], [{"a": "2"}, {"a": "x"}])["t"]
    assert [data(r) for r in got] == [{}, {"a": 1}, {"a": 2}, {"a__v_text": "x"}]
    assert schema.tables["t"]["columns"]["a__v_text"]["variant"] is True


def test_keys_tie_the_tables_together() -> None:
    rows = normalize(Schema("s"), [{"id": 1, "l": [{"x": 1, "m": [1, 2]}]}, {"id": 2, "l": [{"x": 2}]}])
    root = {r["_dlt_id"]: r["id"] for r in rows["t"]}
    nested = {r["_dlt_id"]: r for r in rows["t__l"]}
    assert [root[r["_dlt_parent_id"]] for r in rows["t__l"]] == [1, 2]
    assert [nested[r["_dlt_parent_id"]]["x"] for r in rows["t__l__m"]] == [1, 1]
    assert [r["_dlt_list_idx"] for r in rows["t__l__m"]] == [0, 1]
    assert {r["_dlt_load_id"] for r in rows["t"]} == {"1.5"}


def test_ids_are_the_same_when_a_package_is_normalized_again() -> None:
    documents = [{"id": i, "l": [1, 2]} for i in range(5)]
    assert normalize(Schema("s"), documents) == normalize(Schema("s"), documents)


def test_row_ids_of_an_upsert_are_those_of_dlt() -> None:
    schema = Schema("s")
    schema.update_table(
        {
            "name": "t",
            "write_disposition": "merge",
            "x-merge-strategy": "upsert",
            "columns": {"a": {"name": "a", "data_type": "bigint", "primary_key": True, "nullable": False}},
        }
    )
    rows = normalize(schema, [{"a": 1, "b": "x", "l": [1]}])
    assert rows["t"][0]["_dlt_id"] == "Ec9HPMTWWD8wGA"
    assert rows["t__l"][0]["_dlt_root_id"] == "Ec9HPMTWWD8wGA"


def test_where_two_keys_have_one_name_the_later_wins() -> None:
    got = normalize(Schema("s"), [{"userId": 1, "user_id": 2}, {"userId": 3}])["t"]
    assert [data(r) for r in got] == [{"user_id": 2}, {"user_id": 3}]


def contracted(**contract: str) -> Schema:
    schema = Schema("s")
    normalize(schema, [{"a": 1, "l": [{"x": 1}]}])
    schema.set_schema_contract(contract)  # type: ignore[arg-type]
    return schema


def test_a_discarded_row_takes_its_children_along() -> None:
    got = normalize(contracted(columns="discard_row"), [{"a": 2, "new": 1, "l": [{"x": 2}]}, {"a": 3, "l": [{"x": 3}]}])
    assert [r["a"] for r in got["t"]] == [3] and [r["x"] for r in got["t__l"]] == [3]


def test_a_discarded_value_leaves_the_row() -> None:
    got = normalize(contracted(columns="discard_value"), [{"a": 2, "new": 1}])
    assert [data(r) for r in got["t"]] == [{"a": 2}]


def test_a_discarded_table_brings_no_rows() -> None:
    got = normalize(contracted(tables="discard_row"), [{"a": 2, "other": [{"y": [1]}]}])
    assert set(got) == {"t"}


def test_a_frozen_type_refuses_the_value() -> None:
    with pytest.raises(DataValidationError, match="data_type"):
        normalize(contracted(data_type="freeze"), [{"a": "x"}])


def test_a_missing_value_in_a_required_column_is_an_error() -> None:
    schema = Schema("s")
    schema.update_table(
        {"name": "t", "columns": {"k": {"name": "k", "data_type": "bigint", "nullable": False, "primary_key": True}}}
    )
    with pytest.raises(CannotCoerceNullException, match="`k`"):
        normalize(schema, [{"k": 1}, {"k": None, "v": 1}])


@pytest.mark.parametrize("kind_and_type", [("text", "timestamp"), ("double", "bigint"), ("bool", "bigint")])
def test_failed_values_stay_marked(kind_and_type: tuple[str, str]) -> None:
    kind, data_type = kind_and_type
    values = {
        "text": pa.array(["2024-01-01T00:00:00Z", "no", None]),
        "double": pa.array([1.0, 1.5, None]),
        "bool": pa.array([None, True, None]),
    }[kind]
    target = arrow_type({"data_type": data_type}, CAPABILITIES)  # type: ignore[typeddict-item]
    fitting, failed = cast(kind, values, data_type, target)
    assert fitting.type == target and failed is not None
    assert failed.to_pylist() == [False, True, False]


def test_decimals_too_fine_for_any_column_stay_exact_as_text() -> None:
    """More than 28 digits survive too, and no number column is made that nothing would be in."""
    fine = "1.1234567890123456789012345678901234567"
    schema = Schema("s")
    rows = normalize(schema, [{"v": Decimal("1.50")}, {"v": Decimal(fine)}])["t"]
    assert [data(row) for row in rows] == [{"v": Decimal("1.500000000")}, {"v__v_text": fine}]
    assert [c for c in schema.tables["t"]["columns"] if not c.startswith("_dlt")] == ["v", "v__v_text"]
