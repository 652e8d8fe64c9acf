"""The schema's data types in sqlglot's terms, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from headrace.typing import TColumnSchema, TDataType

_T = exp.DataType.Type
_TO_SQL: dict[TDataType, Any] = {
    "text": _T.TEXT,
    "double": _T.DOUBLE,
    "bool": _T.BOOLEAN,
    "timestamp": _T.TIMESTAMPTZ,
    "bigint": _T.BIGINT,
    "binary": _T.VARBINARY,
    "json": _T.JSON,
    "decimal": _T.DECIMAL,
    # no other data type becomes this one, so that `wei` is known again
    "wei": _T.UINT256,
    "date": _T.DATE,
    "time": _T.TIME,
}
_FROM_SQL: dict[Any, TDataType] = {
    **dict.fromkeys(exp.DataType.TEXT_TYPES, "text"),
    **dict.fromkeys(exp.DataType.INTEGER_TYPES, "bigint"),
    **dict.fromkeys((_T.FLOAT, _T.DOUBLE), "double"),
    **dict.fromkeys((_T.DECIMAL, _T.BIGDECIMAL, _T.MONEY), "decimal"),
    **dict.fromkeys((_T.DATETIME, _T.TIMESTAMP, _T.TIMESTAMPTZ, _T.TIMESTAMPLTZ, _T.TIMESTAMPNTZ), "timestamp"),
    **dict.fromkeys((_T.TIMESTAMP_S, _T.TIMESTAMP_MS, _T.TIMESTAMP_NS, _T.DATETIME64), "timestamp"),
    **dict.fromkeys((_T.JSON, _T.JSONB, _T.STRUCT, _T.MAP, _T.ARRAY, _T.LIST, _T.OBJECT, _T.VARIANT), "json"),
    **dict.fromkeys((_T.BINARY, _T.VARBINARY, _T.BLOB), "binary"),
    _T.UUID: "text",
    _T.BOOLEAN: "bool",
    _T.DATE: "date",
    _T.TIME: "time",
    _T.TIMETZ: "time",
    _T.UINT256: "wei",
}
_UNZONED = {_T.TIMESTAMP, _T.TIMESTAMPNTZ, _T.DATETIME}


def to_sql_type(column: Mapping[str, Any]) -> exp.DataType:
    """A column's type for sqlglot; unknown when the column has none."""
    data_type = column.get("data_type")
    if data_type is None:
        return exp.DataType(this=_T.UNKNOWN)
    if data_type == "timestamp" and column.get("timezone") is False:
        return exp.DataType(this=_T.TIMESTAMP)
    made = exp.DataType(this=_TO_SQL[data_type])
    if data_type == "decimal" and column.get("precision") is not None:
        sizes = [column["precision"], column.get("scale") or 0]
        made.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(size)) for size in sizes])
    return made


def from_sql_type(found: exp.DataType | None) -> TColumnSchema:
    """What a schema would say of a type: ``data_type``, and size or time zone where the type tells; else nothing."""
    data_type = _FROM_SQL.get(found.this) if found is not None else None
    if found is None or data_type is None:
        return {}
    said: TColumnSchema = {"data_type": data_type}
    sizes = [param.this for param in found.expressions if isinstance(param, exp.DataTypeParam)]
    if data_type == "decimal" and len(sizes) == 2 and all(size.is_int for size in sizes):
        said["precision"], said["scale"] = int(sizes[0].this), int(sizes[1].this)
    if data_type == "timestamp" and found.this in _UNZONED:
        said["timezone"] = False
    return said


def literal(value: Any, column: Mapping[str, Any] | None = None) -> exp.Expression:
    """A value as a literal, cast to the column's type if the column is given.

    Raises:
        TypeError: The value has no literal form.
    """
    if value is None:
        return exp.null()
    made = _plain(value)
    data_type = (column or {}).get("data_type")
    if data_type in (None, "wei", "json", "binary"):
        return made
    return exp.Cast(this=made, to=to_sql_type(column or {}))


def _plain(value: Any) -> exp.Expression:
    import datetime as dt
    import decimal
    import uuid

    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, (int, float, decimal.Decimal)):
        number = exp.Literal.number(str(abs(value)))
        return exp.Neg(this=number) if value < 0 else number
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return exp.Literal.string(value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat())
    if isinstance(value, (str, uuid.UUID)):
        return exp.Literal.string(str(value))
    if isinstance(value, bytes):
        return exp.HexString(this=value.hex())
    item = getattr(value, "item", None)
    if callable(item):  # numpy scalars
        return _plain(item())
    raise TypeError(f"a {type(value).__name__} cannot be compared with in a query: {value!r}")
