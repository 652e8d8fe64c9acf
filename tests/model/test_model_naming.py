"""Naming conventions: the vectors, and what holds for any identifier."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import VECTORS

from headrace.errors.schema import InvalidNamingType, NamingTypeNotFound, UnknownNamingModule
from headrace.model import naming
from headrace.model.naming import NamingConvention
from headrace.model.schema_document import normalize_schema_name

CONVENTIONS = sorted(naming.BUILT_IN)
identifiers = st.text(min_size=1, max_size=60).filter(lambda s: s.strip())


def make(name: str, max_length: int | None = None) -> NamingConvention:
    return naming.get(name)(max_length)


@pytest.mark.parametrize("name", VECTORS["naming"])
def test_identifiers_are_spelled_as_in_the_vectors(name: str) -> None:
    convention = make(name)
    expected = VECTORS["naming"][name]
    assert {i: convention.normalize_identifier(i) for i in expected} == expected


def test_paths_are_spelled_as_in_the_vectors() -> None:
    convention = make("snake_case")
    assert {p: convention.normalize_path(p) for p in VECTORS["paths"]} == VECTORS["paths"]


@pytest.mark.parametrize("key", VECTORS["shorten"])
def test_long_identifiers_are_shortened_as_in_the_vectors(key: str) -> None:
    identifier, length = key.split("|")
    assert make("snake_case", int(length)).normalize_identifier(identifier) == VECTORS["shorten"][key]


def test_long_paths_are_shortened_by_the_hash_of_the_joined_path() -> None:
    ((key, expected),) = VECTORS["shorten_path"].items()
    path, length = key.split("|")
    assert make("snake_case", int(length)).shorten_fragments(*path.split("__")) == expected


def test_schema_names_are_made_as_in_the_vectors() -> None:
    assert {n: normalize_schema_name(n) for n in VECTORS["schema_names"]} == VECTORS["schema_names"]


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("blank", [None, "", "  ", "\n"])
def test_a_missing_identifier_is_an_error(name: str, blank: Any) -> None:
    with pytest.raises(ValueError, match="identifier is missing"):
        make(name).normalize_identifier(blank)


@pytest.mark.parametrize("name", CONVENTIONS)
@given(identifier=identifiers)
def test_normalizing_twice_changes_nothing(name: str, identifier: str) -> None:
    once = make(name).normalize_identifier(identifier)
    assert make(name).normalize_identifier(once) == once


@pytest.mark.parametrize("name", CONVENTIONS)
@given(identifier=identifiers, length=st.integers(8, 40))
def test_no_name_is_longer_than_the_limit(name: str, identifier: str, length: int) -> None:
    convention = make(name, length)
    assert 0 < len(convention.normalize_identifier(identifier)) <= length
    assert len(convention.normalize_path(identifier)) <= length
    assert len(convention.normalize_table_identifier(identifier)) <= length


@pytest.mark.parametrize("name", ["snake_case", "sql_ci_v1", "s3_tables"])
@given(identifier=identifiers)
def test_insensitive_conventions_write_lower_case(name: str, identifier: str) -> None:
    spelled = make(name).normalize_identifier(identifier)
    assert spelled == spelled.lower()


@pytest.mark.parametrize("name", [n for n in CONVENTIONS if n != "direct"])
@given(identifier=identifiers)
def test_no_identifier_holds_the_separator(name: str, identifier: str) -> None:
    assert "__" not in make(name).normalize_identifier(identifier)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_system_names_stay_recognisable(name: str) -> None:
    convention = make(name)
    assert convention.normalize_identifier("_dlt_id") == "_dlt_id"
    assert convention.normalize_table_identifier("_dlt_loads").startswith(convention.normalize_table_identifier("_dlt"))


def test_paths_are_made_and_broken_by_the_separator() -> None:
    assert make("snake_case").make_path("a", "", "b") == "a__b"
    assert make("snake_case").break_path("X___y") == ["X", "_y"]
    assert make("direct").make_path("a", "b") == "a▶b"


def test_a_convention_says_its_name_case_and_limit() -> None:
    assert str(make("snake_case")) == "snake_case_ci"
    assert str(make("sql_cs_v1", 20)) == "sql_cs_v1_cs_20"
    assert make("s3_tables").max_length == 255


def test_a_name_of_underscores_only_keeps_one() -> None:
    """A table or column cannot have an empty name."""
    assert make("sql_cs_v1").normalize_identifier("__") == "_"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    made = types.ModuleType("house_naming")
    monkeypatch.setitem(sys.modules, "house_naming", made)

    class Shouting(naming.get("sql_cs_v1")):  # type: ignore[misc]
        def normalize_identifier(self, identifier: str) -> str:
            return str(super().normalize_identifier(identifier)).upper()

    Shouting.__module__, Shouting.__qualname__ = "house_naming", "Shouting"
    made.Shouting = made.NamingConvention = Shouting  # type: ignore[attr-defined]
    made.Other = int  # type: ignore[attr-defined]
    naming._by_name.cache_clear()
    return made


def test_conventions_of_ones_own_are_found(module: Any) -> None:
    for ref in ("house_naming", "house_naming.Shouting", module, module.Shouting):
        assert naming.get(ref) is module.Shouting
    assert naming.ref_of(module.Shouting) == "house_naming.Shouting"
    assert module.Shouting().normalize_identifier("a b") == "A_B"


def test_names_of_the_compatible_library_mean_the_built_in_ones() -> None:
    assert naming.get("dlt.common.normalizers.naming.sql_ci_v1") is naming.get("sql_ci_v1")
    assert naming.ref_of(naming.get("sql_ci_v1")) == "sql_ci_v1"


@pytest.mark.parametrize(
    ("ref", "error"),
    [
        ("nope", UnknownNamingModule),
        ("no.such.Convention", UnknownNamingModule),
        ("house_naming.Absent", NamingTypeNotFound),
        ("house_naming.Other", InvalidNamingType),
        (int, InvalidNamingType),
    ],
)
def test_what_is_not_a_convention_is_refused(module: Any, ref: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        naming.get(ref)
