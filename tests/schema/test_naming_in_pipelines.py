"""Naming conventions in pipelines: each built-in one, one's own, a change with data; properties of paths."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as dlt
from headrace.errors.schema import TableIdentifiersFrozen
from headrace.model import naming as conventions
from headrace.model.naming.sql_cs_v1 import NamingConvention as Base

LONG = bool(os.environ.get("HEADRACE_LONG"))
ITEM = {"userId": 1, "a b": {"C d": 2}, "LiSt": [{"X": 1}], 'q"q': 1}


def pipeline(name: str = "names") -> Any:
    return dlt.pipeline(name, destination=dlt.destinations.duckdb(f"{name}.duckdb"), dataset_name="d")


def columns(p: Any) -> dict[str, list[str]]:
    tables = p.default_schema.tables
    return {t: [c for c in tables[t]["columns"] if "_dlt" not in c] for t in p.default_schema.data_table_names()}


@pytest.mark.parametrize(
    ("convention", "expected"),
    [  # recorded with dlt 1.31
        ("direct", {"_MyT": ["userId", "q_q", "a b▶C d"], "_MyT▶LiSt": ["X"]}),
        ("duck_case", {"_MyT": ["userId", "q_q", "a b__C d"], "_MyT__LiSt": ["X"]}),
        ("sql_ci_v1", {"_myt": ["userid", "q_q", "a_b__c_d"], "_myt__list": ["x"]}),
        ("sql_cs_v1", {"_MyT": ["userId", "q_q", "a_b__C_d"], "_MyT__LiSt": ["X"]}),
        ("s3_tables", {"my_t": ["user_id", "q_q", "a_b__c_d"], "my_t__li_st": ["x"]}),
    ],
)
def test_built_in_conventions(convention: str, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA__NAMING", convention)
    p = pipeline()
    p.run([ITEM], table_name="_MyT")
    assert {t: sorted(c) for t, c in columns(p).items()} == {t: sorted(c) for t, c in expected.items()}
    assert p.dataset().row_counts().fetchall()


class Shouting(Base):
    """A user's own."""

    def normalize_identifier(self, identifier: str) -> str:
        name = super().normalize_identifier(identifier)
        return name if name.startswith("_dlt") else name.upper()


def test_a_convention_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("shouting")
    module.Shouting = Shouting
    monkeypatch.setitem(sys.modules, "shouting", module)
    monkeypatch.setenv("SCHEMA__NAMING", "shouting.Shouting")
    p = pipeline()
    p.run([{"id": 1, "items": [{"sku": "a"}]}], table_name="orders")
    assert columns(p) == {"ORDERS": ["ID"], "ORDERS__ITEMS": ["SKU"]}


def test_a_change_with_data_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    p = pipeline()
    p.run([{"userId": 1}], table_name="MyT")
    monkeypatch.setenv("SCHEMA__NAMING", "sql_cs_v1")
    read = []

    def rows() -> Any:
        read.append(1)
        yield {"userId": 2}

    with pytest.raises(Exception, match="allow_identifier_change_on_table_with_data") as caught:
        p.run(rows, table_name="MyT")
    assert isinstance(caught.value.__cause__, TableIdentifiersFrozen)
    assert not read
    assert not p.has_pending_data
    monkeypatch.setenv("SCHEMA__ALLOW_IDENTIFIER_CHANGE_ON_TABLE_WITH_DATA", "true")
    p.run(rows, table_name="MyT")
    # as with dlt: the old table stays as it is
    assert columns(p) == {"my_t": ["user_id"], "MyT": ["userId"]}


# ---- paths ----------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=12).filter(str.strip)


@pytest.mark.parametrize("name", conventions.BUILT_IN)
@given(parts=st.lists(texts, min_size=1, max_size=4))
@settings(max_examples=1000 if LONG else 50)
def test_breaking_a_path_gives_what_it_was_made_of(name: str, parts: list[str]) -> None:
    naming = conventions.get(name)(None)
    spelled = [p for p in (naming.normalize_identifier(p) for p in parts) if p.strip()]
    edges = [p for p in spelled if not p.startswith("_") and not p.endswith("_")]
    assert list(naming.break_path(naming.make_path(*edges))) == edges
    path = naming.make_path(*edges)
    if edges:
        assert naming.normalize_path(path) == path


@pytest.mark.parametrize("name", conventions.BUILT_IN)
@given(one=texts, other=texts, length=st.integers(12, 30))
@settings(max_examples=1000 if LONG else 50)
def test_long_names_that_differ_stay_apart(name: str, one: str, other: str, length: int) -> None:
    naming, unlimited = conventions.get(name)(length), conventions.get(name)(None)
    long, longer = one * 10, other * 10
    if unlimited.normalize_identifier(long) != unlimited.normalize_identifier(longer):
        assert naming.normalize_identifier(long) != naming.normalize_identifier(longer)
