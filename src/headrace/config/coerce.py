"""Values as they are found, mostly text, turned into the types that hints ask for."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from headrace.config.hints import AnySecret, is_literal, plain_origin

_TRUE = frozenset({"yes", "true", "t", "y", "1"})
_FALSE = frozenset({"no", "false", "f", "n", "0"})
_MAPPINGS = (dict, Mapping, MutableMapping)
_SEQUENCES = (list, Sequence, MutableSequence, Iterable)


def coerce(value: Any, hint: Any) -> Any:
    """Turn a value into a plain type.

    Args:
        value: Text, or a value that a TOML file or a dictionary holds.
        hint: One type without wrappers (see `hints.take_apart`).

    Returns:
        The value in that type.

    Raises:
        ValueError: The value does not have that form.
        TypeError: The same, for values that are no text.
    """
    if hint is Any or hint is AnySecret or hint is object:
        return value
    if is_literal(hint):
        return _one_of(value, typing.get_args(hint))
    target = plain_origin(hint)
    if target in _MAPPINGS:
        return _container(value, dict, (Mapping,))
    if target in _SEQUENCES:
        return _container(value, list, (list, tuple))
    if target in _SIMPLE:
        return _SIMPLE[target](value)
    late = _late_coercer(target)
    if late is None:
        raise TypeError(f"no text can be read as {target!r}")
    return late(value)


def can_coerce(hint: Any) -> bool:
    """Whether values can be turned into a type at all."""
    if hint is Any or hint is AnySecret or hint is object or is_literal(hint):
        return True
    target = plain_origin(hint)
    return target in _MAPPINGS or target in _SEQUENCES or target in _SIMPLE or _late_coercer(target) is not None


def takes_mapping(members: Sequence[Any]) -> bool:
    """Whether one of the types can be a mapping; a TOML table is no value for other types."""
    return any(m is Any or m is AnySecret or m is object or plain_origin(m) in _MAPPINGS for m in members)


def guess(value: Any) -> Any:
    """Read text as a bool, number, JSON object or array if it looks like one; leave other text alone."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    if text[:1] in ("{", "["):
        try:
            return _json(text)
        except ValueError:
            return value
    return value


def json_object(value: Any) -> dict[str, Any] | None:
    """Read JSON text of an object; None for anything else."""
    if not isinstance(value, (str, bytes)) or value.strip()[:1] not in ("{", b"{"):
        return None
    try:
        parsed = _json(value)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _json(text: str | bytes) -> Any:
    import json  # the standard one: this module must not load msgspec

    return json.loads(text)


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise ValueError("not one of yes, true, t, y, 1, no, false, f, n, 0")
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise TypeError("not a bool")


def _int(value: Any) -> int:
    if isinstance(value, str):
        text = value.strip().lower()
        return int(text, 16) if text.lstrip("+-").startswith("0x") else int(text)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise TypeError("not an integer")


def _float(value: Any) -> float:
    if isinstance(value, (str, int, float)):
        return float(value)
    raise TypeError("not a number")


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (Mapping, list, tuple)):
        raise TypeError("not a text")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    import base64

    return base64.b64decode(str(value), validate=True)


def _tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        import ast

        try:
            value = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            value = _json(value)
    if not isinstance(value, (list, tuple)):
        raise TypeError("not a tuple")
    return tuple(value)


def _set(value: Any) -> set[Any]:
    return set(_container(value, list, (list, tuple, set, frozenset)))


def _container(value: Any, kind: type[Any], accepted: tuple[type[Any], ...]) -> Any:
    if isinstance(value, str):
        value = _json(value)
    if not isinstance(value, accepted):
        raise TypeError(f"not a {kind.__name__}")
    return value if isinstance(value, kind) else kind(value)


_SIMPLE: dict[Any, Callable[[Any], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    bytes: _bytes,
    tuple: _tuple,
    set: _set,
    frozenset: lambda value: frozenset(_set(value)),
}


def _one_of(value: Any, options: Sequence[Any]) -> Any:
    for option in options:
        if value == option and type(value) is type(option):
            return option
    for option in options:
        try:
            if coerce(value, type(option)) == option:
                return option
        except (ValueError, TypeError):
            continue
    raise ValueError(f"not one of {', '.join(map(repr, options))}")


def _late_coercer(target: Any) -> Callable[[Any], Any] | None:
    """Find how to read a type whose module need not be loaded otherwise."""
    if not isinstance(target, type):
        return None
    name = f"{target.__module__}.{target.__qualname__}"
    if name in _LATE:
        return _LATE[name]
    if any(base.__module__ == "enum" and base.__qualname__ == "Enum" for base in target.__mro__):
        return lambda value: _enum(value, target)
    if target.__module__.startswith("pendulum"):
        return _LATE.get(f"datetime.{target.__name__.lower()}")
    if issubclass(target, (str, int, float)) and target.__mro__[1] in _SIMPLE:
        return lambda value: target(_SIMPLE[target.__mro__[1]](value))
    return None


def _enum(value: Any, target: Any) -> Any:
    if isinstance(value, target):
        return value
    for member in target:
        if member.value == value or str(member.value) == str(value) or member.name == value:
            return member
    raise ValueError(f"not one of {', '.join(str(m.value) for m in target)}")


def _decimal(value: Any) -> Any:
    import decimal

    try:
        return value if isinstance(value, decimal.Decimal) else decimal.Decimal(str(value).strip())
    except decimal.InvalidOperation:
        raise ValueError("not a decimal number") from None


def _datetime(value: Any) -> Any:
    import datetime as dt

    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return dt.datetime.fromtimestamp(value, dt.timezone.utc)
    text = str(value).strip()
    return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in "zZ" and text else text)


def _date(value: Any) -> Any:
    import datetime as dt

    if isinstance(value, dt.datetime):
        return value.date()
    return value if isinstance(value, dt.date) else _datetime(value).date()


def _time(value: Any) -> Any:
    import datetime as dt

    return value if isinstance(value, dt.time) else dt.time.fromisoformat(str(value).strip())


def _timedelta(value: Any) -> Any:
    import datetime as dt

    return value if isinstance(value, dt.timedelta) else dt.timedelta(seconds=float(value))


def _path(value: Any) -> Any:
    import pathlib

    return pathlib.Path(value)


_LATE: dict[str, Callable[[Any], Any]] = {
    "decimal.Decimal": _decimal,
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.timedelta": _timedelta,
    "pathlib.Path": _path,
    "pathlib._local.Path": _path,
    "pathlib.PurePath": _path,
}
