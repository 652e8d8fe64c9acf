"""Values as a destination gives them back, brought to the form of their data type, so that they can be compared.

Drivers differ in the Python types that they use; what is compared is the value. Nothing is rounded here: a digit that
was lost on the way stays lost.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any


def canonical(value: Any, column: Mapping[str, Any]) -> Any:
    """A value in the Python type of its column's data type.

    Args:
        value: As it was read.
        column: The column of the schema.
    """
    if value is None:
        return None
    return _BY_TYPE.get(str(column.get("data_type")), _same)(value, column)


def _same(value: Any, column: Mapping[str, Any]) -> Any:
    return value


def _bool(value: Any, column: Mapping[str, Any]) -> Any:
    return bool(value) if value in (0, 1) else value


def _decimal(value: Any, column: Mapping[str, Any]) -> Any:
    return value if isinstance(value, bool) else Decimal(str(value))


def _double(value: Any, column: Mapping[str, Any]) -> Any:
    return float(value) if isinstance(value, (int, Decimal)) else value


def _integer(value: Any, column: Mapping[str, Any]) -> Any:
    return int(value) if isinstance(value, (Decimal, float)) and value == int(value) else value


def _binary(value: Any, column: Mapping[str, Any]) -> Any:
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def _json(value: Any, column: Mapping[str, Any]) -> Any:
    return json.loads(value) if isinstance(value, (str, bytes)) else value


def _timestamp(value: Any, column: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if not isinstance(value, dt.datetime):
        return value
    if column.get("timezone") is False:
        return value.replace(tzinfo=None)
    return value.replace(tzinfo=dt.timezone.utc) if value.tzinfo is None else value.astimezone(dt.timezone.utc)


def _date(value: Any, column: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return dt.date.fromisoformat(value)
    return value.date() if isinstance(value, dt.datetime) and value.time() == dt.time() else value


def _time(value: Any, column: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return dt.time.fromisoformat(value)
    if isinstance(value, dt.timedelta):
        return (dt.datetime(2000, 1, 1) + value).time()
    return value


_BY_TYPE: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "bool": _bool,
    "decimal": _decimal,
    "wei": _decimal,
    "double": _double,
    "bigint": _integer,
    "binary": _binary,
    "json": _json,
    "timestamp": _timestamp,
    "date": _date,
    "time": _time,
}
