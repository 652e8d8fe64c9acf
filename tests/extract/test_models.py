"""Pydantic models as columns and as validation; the expected columns and verdicts are those of dlt 1.31."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, Optional, Union

import pytest
from pydantic import BaseModel, ConfigDict, Field

import headrace as hr
from headrace.errors.extract import ResourceExtractionError
from headrace.errors.schema import DataValidationError
from tests.extract.fakes import run


class Part(BaseModel):
    z: int


class Kind(enum.Enum):
    A = "a"


class Wide(BaseModel):
    id: int
    name: Optional[str] = None  # noqa: UP045 - both spellings must work
    other: str | None = None
    ts: datetime
    d: date
    dec: Decimal
    b: bool
    f: float
    l: list[str]  # noqa: E741
    dd: dict[str, Any]
    sub: Part
    osub: Part | None
    anything: Any
    un: Union[int, str]  # noqa: UP007
    lit: Literal["a", "b"]
    kind: Kind
    u: uuid.UUID
    by: bytes
    named: int = Field(alias="called")


class Flat(Wide):
    dlt_config: ClassVar[dict[str, bool]] = {"skip_nested_types": True}


class Small(BaseModel):
    id: int
    n: str | None = None


class Holder(BaseModel):
    id: int
    parts: list[Part] = []


def types_of(model: Any) -> dict[str, tuple[str, bool]]:
    columns = hr.resource([1], name="x", columns=model).compute_table_schema()["columns"]
    return {name: (c["data_type"], c["nullable"]) for name, c in columns.items()}


def test_columns_of_a_model() -> None:
    assert types_of(Wide) == {
        "id": ("bigint", False),
        "name": ("text", True),
        "other": ("text", True),
        "ts": ("timestamp", False),
        "d": ("date", False),
        "dec": ("decimal", False),
        "b": ("bool", False),
        "f": ("double", False),
        "l": ("json", False),
        "dd": ("json", False),
        "sub": ("json", False),
        "osub": ("json", True),
        "un": ("bigint", False),
        "lit": ("text", False),
        "kind": ("text", False),
        "u": ("text", False),
        "by": ("binary", False),
        "called": ("bigint", False),
    }


def test_columns_without_nesting() -> None:
    found = types_of(Flat)
    assert found["sub__z"] == ("bigint", False)
    assert found["osub__z"] == ("bigint", True)
    assert not found.keys() & {"l", "dd", "sub", "osub"}


class Forbids(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: int


class Allows(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


@pytest.mark.parametrize(("model", "columns"), [(Small, "discard_value"), (Forbids, "freeze"), (Allows, "evolve")])
def test_the_model_sets_the_contract_that_is_not_given(model: Any, columns: str) -> None:
    contract = hr.resource([1], name="x", columns=model).compute_table_schema()["schema_contract"]
    assert contract == {"tables": "evolve", "columns": columns, "data_type": "freeze"}


def read(contract: Any, *items: Any, model: Any = Small) -> list[Any]:
    return list(hr.resource(lambda: iter(items), name="x", columns=model, schema_contract=contract))


GOOD, EXTRA, BAD = {"id": 1}, {"id": 2, "more": 5}, {"id": "no"}


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (None, [{"id": 2, "n": None}]),
        ("evolve", [{"id": 2, "n": None, "more": 5}]),
        ({"columns": "evolve"}, [{"id": 2, "n": None, "more": 5}]),
        ({"columns": "discard_value"}, [{"id": 2, "n": None}]),
        ("discard_row", []),
        ({"columns": "discard_row"}, []),
    ],
)
def test_unknown_fields(contract: Any, expected: list[Any]) -> None:
    assert read(contract, EXTRA) == expected
    assert read(contract, [GOOD, EXTRA]) == [{"id": 1, "n": None}, *expected]


@pytest.mark.parametrize(
    ("contract", "expected"),
    [({"data_type": "evolve"}, [{"id": "no", "n": None}]), ({"data_type": "discard_row"}, []), ("discard_row", [])],
)
def test_wrong_types(contract: Any, expected: list[Any]) -> None:
    assert read(contract, BAD) == expected
    assert read(contract, [BAD, GOOD, BAD]) == [*expected, {"id": 1, "n": None}, *expected]


@pytest.mark.parametrize(
    ("contract", "item", "entity", "column"),
    [
        ("freeze", EXTRA, "columns", "more"),
        ({"columns": "freeze"}, EXTRA, "columns", "more"),
        ("freeze", BAD, "data_type", "id"),
        (None, BAD, "data_type", "id"),
        ({"columns": "discard_row"}, BAD, "data_type", "id"),
    ],
)
def test_frozen(contract: Any, item: Any, entity: str, column: str) -> None:
    for given in (item, [GOOD, item]):
        with pytest.raises(ResourceExtractionError) as caught:
            read(contract, given)
        cause = caught.value.__cause__
        assert isinstance(cause, DataValidationError)
        assert (cause.schema_entity, cause.column_name, cause.data_item) == (entity, column, item)


def test_nested_models_follow_the_contract() -> None:
    item = {"id": 1, "parts": [{"z": 1, "more": 2}]}
    assert read("evolve", item, model=Holder) == [item]
    assert read(None, item, model=Holder) == [{"id": 1, "parts": [{"z": 1}]}]
    with pytest.raises(ResourceExtractionError, match=r"parts\.0\.more"):
        read("freeze", item, model=Holder)


def test_leaving_out_single_values_is_not_possible() -> None:
    with pytest.raises(NotImplementedError):
        hr.resource([1], name="x", columns=Small, schema_contract="discard_value")


def test_instances_and_aliases() -> None:
    class Named(BaseModel):
        named: int = Field(alias="called")

    assert read(None, Small(id=1)) == [{"id": 1, "n": None}]
    assert read(None, {"called": 1}, Named(called=2), model=Named) == [{"called": 1}, {"called": 2}]


def test_models_can_be_kept() -> None:
    class Kept(Small):
        dlt_config: ClassVar[dict[str, bool]] = {"return_validated_models": True}

    (found,) = read(None, {"id": 1}, model=Kept)
    assert isinstance(found, Kept)


def test_validation_comes_behind_maps() -> None:
    r = hr.resource([{"id": "x"}], name="r", columns=Small).add_map(lambda i: {"id": 7})
    assert list(r) == [{"id": 7, "n": None}]


def test_a_new_contract_makes_a_new_validator() -> None:
    r = hr.resource([EXTRA], name="r", columns=Small).apply_hints(schema_contract="freeze")
    with pytest.raises(ResourceExtractionError):
        list(r)


def test_an_authoritative_model_may_add_columns_to_a_frozen_table() -> None:
    class Master(Small):
        dlt_config: ClassVar[dict[str, bool]] = {"is_authoritative_model": True}

    def schema() -> Any:
        first = hr.resource([{"id": 1}], name="x", columns={"id": {"data_type": "bigint"}})
        return run(first).schema

    frozen = {"columns": "freeze"}
    with pytest.raises(DataValidationError):
        run(hr.resource([GOOD], name="x", columns=Small, schema_contract=frozen), schema=schema())
    grown = run(hr.resource([GOOD], name="x", columns=Master, schema_contract=frozen), schema=schema())
    assert grown.table("x")["columns"].keys() == {"id", "n"}
