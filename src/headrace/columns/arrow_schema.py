"""Arrow tables given by users: their types as columns, their columns under the schema's names, without copying rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from headrace.columns.coerce import arrow_type
from headrace.errors.columns import UnsupportedArrowTypeException
from headrace.model.capabilities import Capabilities
from headrace.model.naming.base import NamingConvention
from headrace.typing import TColumnSchema

_MOST_DIGITS = 38  # of a decimal; what has more travels as exact text
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def column_of(field: pa.Field, table: str = "") -> dict[str, Any] | None:
    """The column an Arrow field makes, without its name; None for a field of nulls.

    Unsigned integers take the next larger signed type, 64-bit ones a decimal, decimals of more than 38 digits text,
    so that every value fits.

    Args:
        field: The user's.
        table: Whose column it is, for the error.

    Raises:
        UnsupportedArrowTypeException: The type has no place in a table.
    """
    try:
        made = _data_type(field.type)
    except UnsupportedArrowTypeException as error:
        raise UnsupportedArrowTypeException(field.type, field.name, table) from error
    if made is None:
        return None
    return {"nullable": field.nullable, **made}


def columns_of(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """The columns that an Arrow schema declares, by name; fields of nulls have no type yet.

    Timestamps without a zone stay so where a schema declares them: there are no values that could be taken as UTC.
    """
    columns = {}
    for field in schema:
        column = {"name": field.name, **(column_of(field) or {"nullable": field.nullable})}
        if pt.is_timestamp(field.type) and field.type.tz is None:
            column["timezone"] = False
        columns[field.name] = column
    return columns


def _data_type(t: pa.DataType) -> dict[str, Any] | None:
    if pt.is_null(t):
        return None
    if pt.is_dictionary(t):
        return _data_type(t.value_type)
    if pt.is_boolean(t):
        return {"data_type": "bool"}
    if pt.is_integer(t):
        return _integer(t)
    if pt.is_floating(t):
        return {"data_type": "double"}
    if pt.is_string(t) or pt.is_large_string(t) or _is_view(t, "string_view"):
        return {"data_type": "text"}
    if pt.is_fixed_size_binary(t) and not pt.is_decimal(t):
        return {"data_type": "binary", "precision": t.byte_width}
    if pt.is_binary(t) or pt.is_large_binary(t) or _is_view(t, "binary_view"):
        return {"data_type": "binary"}
    if pt.is_decimal(t):
        if t.precision > _MOST_DIGITS:
            return {"data_type": "text"}
        return {"data_type": "decimal", "precision": t.precision, "scale": t.scale}
    if pt.is_date(t):
        return {"data_type": "date"}
    if pt.is_timestamp(t):
        return _digits("timestamp", t.unit)
    if pt.is_time(t):
        return _digits("time", t.unit)
    if pt.is_nested(t) and not pt.is_union(t):
        return {"data_type": "json"}
    raise UnsupportedArrowTypeException(t)


def _is_view(t: pa.DataType, name: str) -> bool:
    return str(t) == name


def _integer(t: pa.DataType) -> dict[str, Any]:
    bits = t.bit_width
    if pt.is_unsigned_integer(t):
        if bits == 64:
            return {"data_type": "decimal", "precision": 20, "scale": 0}
        bits *= 2
    return {"data_type": "bigint"} if bits == 64 else {"data_type": "bigint", "precision": bits}


def _digits(data_type: str, unit: str) -> dict[str, Any]:
    digits = _DIGITS[unit]
    # microseconds are the default; nanoseconds are cut to it
    return {"data_type": data_type} if digits >= 6 else {"data_type": data_type, "precision": digits}


class ArrowPlan(NamedTuple):
    """How tables of one Arrow schema become batches of a table: (source index, target type) a column, and the
    result.
    """

    sources: list[tuple[int, pa.DataType | None]]
    schema: pa.Schema


def compile_arrow_plan(
    given: pa.Schema, names: Mapping[str, str], columns: Mapping[str, TColumnSchema], capabilities: Capabilities
) -> ArrowPlan:
    """Decide names and casts for tables of one schema.

    Args:
        given: The user's Arrow schema.
        names: The user's column names to the table's; columns that are not in it are left out.
        columns: The table's columns.
        capabilities: Of the destination, or its defaults when none is known yet.
    """
    sources: list[tuple[int, pa.DataType | None]] = []
    fields: list[pa.Field] = []
    for index, field in enumerate(given):
        name = names.get(field.name)
        if name is None or name not in columns:
            continue
        wanted = _travel_type(field.type, columns[name], capabilities)
        sources.append((index, None if wanted == field.type else wanted))
        fields.append(pa.field(name, wanted))
    return ArrowPlan(sources, pa.schema(fields))


def _travel_type(have: pa.DataType, column: TColumnSchema, capabilities: Capabilities) -> pa.DataType:
    """The type to travel in: the user's where the destination casts it without loss, else the column's own."""
    data_type = column["data_type"]
    if data_type == "json" and pt.is_nested(have):
        return have
    made = _data_type(have)
    if made is None or made["data_type"] != data_type or pt.is_dictionary(have) or pt.is_float16(have):
        return arrow_type(column, capabilities)
    if data_type == "text" and pt.is_decimal(have):
        return arrow_type(column, capabilities)
    if pt.is_unsigned_integer(have) or pt.is_date64(have) or _is_view(have, "string_view"):
        return arrow_type(column, capabilities)
    if pt.is_timestamp(have):
        zone = None if column.get("timezone") is False else "UTC"
        return pa.timestamp("us" if have.unit == "ns" and zone else have.unit, zone)
    if pt.is_time(have) and have.unit == "ns":
        return pa.time64("us")
    return have


def rearrange(batch: pa.RecordBatch, plan: ArrowPlan) -> pa.RecordBatch:
    """Apply a plan to a batch.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit its column; the text names the column.
    """
    arrays = []
    for index, wanted in plan.sources:
        array = batch.column(index)
        try:
            arrays.append(array if wanted is None else _to(array, wanted))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            name = batch.schema.names[index]
            raise pa.ArrowInvalid(f"column `{name}` of type {array.type} into {wanted}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=plan.schema)


def _to(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_timestamp(wanted) and pt.is_timestamp(array.type):
        if array.type.tz is None and wanted.tz is not None:
            array = array.view(pa.timestamp(array.type.unit, wanted.tz))
        elif wanted.tz is None and array.type.tz is not None:
            array = array.view(pa.timestamp(array.type.unit))
        return array.cast(wanted, safe=False)
    if pt.is_time(wanted) and pt.is_time(array.type):
        return array.cast(wanted, safe=False)  # nanoseconds are cut, as those of timestamps
    _refuse_odd(array.type, wanted)
    moved = array.cast(wanted)
    if pt.is_decimal(wanted) and wanted.scale == 0 and pt.is_floating(array.type):
        _check_whole(array, moved)
    return moved


def _refuse_odd(have: pa.DataType, wanted: pa.DataType) -> None:
    """Refuse casts that Arrow makes and that change what the value says."""
    if (pt.is_timestamp(wanted) and pt.is_integer(have)) or (pt.is_integer(wanted) and pt.is_timestamp(have)):
        raise pa.ArrowInvalid("a number does not say which unit of time it counts")
    if pt.is_time(wanted) and pt.is_timestamp(have):
        raise pa.ArrowInvalid("the date would be lost")


def _check_whole(values: pa.Array, moved: pa.Array) -> None:
    """Refuse floating-point numbers with a fraction where a column counts whole things; else they are rounded."""
    rounded = pc.not_equal(moved.cast(pa.float64()), values.cast(pa.float64()))
    if pc.any(rounded).as_py():
        first = values.filter(rounded)[0].as_py()
        raise pa.ArrowInvalid(f"{first!r} is no whole number, and the column has no digits after the point")


def normalize_names(given: pa.Schema, naming: NamingConvention) -> dict[str, str]:
    """The user's column names to normalized ones; names of null columns are included.

    Raises:
        ValueError: Two columns get one name; the text names both.
    """
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for raw in given.names:
        name = naming.normalize_path(raw)
        if name in taken:
            raise ValueError(f"the columns `{taken[name]}` and `{raw}` both get the name `{name}`")
        taken[name] = raw
        names[raw] = name
    return names
