"""Text from the environment becomes the type of the field, as in dlt; plain values of files are checked."""

# ruff: noqa: UP007, UP045  the old spellings of types are tested too

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import pathlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.config import BaseConfiguration, TSecretStrValue, TSecretValue, configspec, resolve_configuration
from headrace.config.coerce import coerce, guess
from headrace.errors.config import ConfigFieldTypeHintNotSupported, ConfigValueCannotBeCoercedException

Color = enum.Enum("Color", {"RED": "r", "BLUE": "b"})
UserId = NewType("UserId", int)


def spec_with(hint: Any) -> type[BaseConfiguration]:
    return configspec(type("Spec", (BaseConfiguration,), {"__annotations__": {"f": hint}, "f": None}))


GOOD: list[tuple[Any, str, Any]] = [
    (bool, "yes", True),
    (bool, "True", True),
    (bool, "N", False),
    (bool, "0", False),
    (int, "0x10", 16),
    (int, " 5 ", 5),
    (int, "-7", -7),
    (float, "1e3", 1000.0),
    (str, "5", "5"),
    (dict, '{"a":1}', {"a": 1}),
    (dict[str, int], '{"a":"1"}', {"a": "1"}),
    (Mapping[str, Any], '{"a":1}', {"a": 1}),
    (list, "[1,2]", [1, 2]),
    (list[int], '["1"]', ["1"]),
    (Sequence[str], '["a"]', ["a"]),
    (tuple, "(1,2)", (1, 2)),
    (tuple[str, ...], "('a',)", ("a",)),
    (dt.datetime, "2024-01-01", dt.datetime(2024, 1, 1)),
    (Optional[dt.datetime], "2024-01-01T00:00:00Z", dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)),
    (dt.date, "2024-01-01", dt.date(2024, 1, 1)),
    (dt.time, "10:30:00", dt.time(10, 30)),
    (Literal["a", "b"], "a", "a"),
    (Literal[1, 2], "1", 1),
    (Any, "5", "5"),
    (Optional[int], "5", 5),
    (Decimal, "1.5", Decimal("1.5")),
    (bytes, "YWJj", b"abc"),
    (TSecretValue, "{}", "{}"),
    (TSecretStrValue, "x", "x"),
    (Annotated[int, "note"], "5", 5),
    (Union[int, str], "5", 5),
    (Union[int, str], "x", "x"),
    (Color, "r", Color.RED),
    (UserId, "5", 5),
    (pathlib.Path, "a/b", pathlib.Path("a/b")),
    (dt.timedelta, "90", dt.timedelta(seconds=90)),
    (int | None, "5", 5),
]


@pytest.mark.parametrize(("hint", "text", "value"), GOOD, ids=str)
def test_text_becomes_the_type_of_the_field(hint, text, value, monkeypatch) -> None:
    monkeypatch.setenv("F", text)
    found = resolve_configuration(spec_with(hint)()).f
    assert found == value and type(found) is type(value)


BAD: list[tuple[Any, str]] = [
    (bool, "2"),
    (int, "1.0"),
    (int, "abc"),
    (float, "abc"),
    (list, "a,b"),
    (dict, "[1]"),
    (tuple, "1"),
    (dt.datetime, "zzz"),
    (Literal["a", "b"], "c"),
    (bytes, "*"),
    (Decimal, "x"),
    (Color, "green"),
]


@pytest.mark.parametrize(("hint", "text"), BAD, ids=str)
def test_text_of_another_form_is_refused_with_the_place(hint, text, monkeypatch) -> None:
    monkeypatch.setenv("F", text)
    with pytest.raises(ConfigValueCannotBeCoercedException) as raised:
        resolve_configuration(spec_with(hint)())
    assert isinstance(raised.value, ValueError)
    assert "found as F in Environment Variables" in str(raised.value)
    assert (raised.value.field_name, raised.value.key) == ("f", "F")


@pytest.mark.parametrize("hint", [type, complex, range])
def test_types_that_no_text_can_be_are_refused_when_the_class_is_made(hint) -> None:
    with pytest.raises(ConfigFieldTypeHintNotSupported):
        spec_with(hint)


@pytest.mark.parametrize(
    ("hint", "toml", "value"),
    [
        (str, "5", "5"),
        (str, "true", "True"),
        (int, "5", 5),
        (int, "5.0", 5),
        (float, "5", 5.0),
        (bool, "true", True),
        (list, "[1, 2]", [1, 2]),
        (tuple, "[1, 2]", (1, 2)),
        (dict, "{a = 1}", {"a": 1}),
        (Any, "{a = 1}", {"a": 1}),
        (dt.datetime, "2024-01-01T10:00:00", dt.datetime(2024, 1, 1, 10)),
        (dt.date, "2024-01-01", dt.date(2024, 1, 1)),
    ],
    ids=str,
)
def test_values_of_a_file_become_the_type_of_the_field(hint, toml, value, write_toml) -> None:
    write_toml("config.toml", f"f = {toml}")
    found = resolve_configuration(spec_with(hint)()).f
    assert found == value and type(found) is type(value)


def test_a_table_is_no_value_for_a_field_of_text(write_toml) -> None:
    """A table that happens to have a field's name, as [destination], must not become the field's value."""
    write_toml("config.toml", "[s.f]\na = 1\n")
    spec = configspec(type("Spec", (BaseConfiguration,), {"__annotations__": {"f": str}, "f": "default"}))
    assert resolve_configuration(spec(), sections=("s",)).f == "default"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("5", 5),
        ("1.5", 1.5),
        ('{"a":1}', {"a": 1}),
        ("[1]", [1]),
        ("{a", "{a"),
        ("text", "text"),
        ("", ""),
    ],
)
def test_untyped_text_is_read_as_what_it_looks_like(text, value) -> None:
    assert guess(text) == value and type(guess(text)) is type(value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers())
def test_integers_of_any_size_survive(number: int) -> None:
    assert coerce(str(number), int) == number
    assert coerce(hex(number), int) == number


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(allow_nan=False))
def test_floats_survive(number: float) -> None:
    assert coerce(repr(number), float) == number


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_no_text_makes_a_converter_fail_with_another_error(text: str) -> None:
    for hint in (bool, int, float, dict, list, tuple, bytes, dt.datetime, dt.date, dt.time, Decimal, Literal["a", 1]):
        with contextlib.suppress(ValueError, TypeError):
            coerce(text, hint)
