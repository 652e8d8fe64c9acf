"""Schemas of one name that grew apart become one, and stay one."""

from __future__ import annotations

from typing import Any

from headrace.model.capabilities import Capabilities
from headrace.model.schema import Schema
from headrace.model.schema_converge import is_sibling, take_in

CAPABILITIES = Capabilities()


def grown(base: Schema, **columns: str) -> Schema:
    """A copy of a schema with more columns in its table."""
    schema = base.clone()
    made: Any = {name: {"name": name, "data_type": kind, "nullable": True} for name, kind in columns.items()}
    schema.update_table({"name": "t", "columns": made})
    schema.bump_version()
    return schema


def base() -> Schema:
    return grown(Schema("s"), id="bigint")


def columns(schema: Schema) -> list[str]:
    return list(schema.tables["t"]["columns"])


def test_siblings_agree_after_one_exchange() -> None:
    """Whatever the second stores, the first takes over as it is: no version goes to and fro."""
    first, second = grown(base(), a="text", b="text"), grown(base(), c="text", a="text")
    assert is_sibling(second, first.stored_version_hash) and is_sibling(first, second.stored_version_hash)
    assert take_in(second, first, CAPABILITIES) == {}
    assert columns(second) == ["id", "a", "b", "c"]
    assert second.stored_version == first.stored_version + 1
    assert not is_sibling(second, first.stored_version_hash)
    take_in(first, second, CAPABILITIES)
    assert (first.stored_version, first.stored_version_hash) == (second.stored_version, second.stored_version_hash)
    assert not is_sibling(first, second.stored_version_hash)
    assert not first.is_modified


def test_the_stored_type_wins_and_the_loser_is_told() -> None:
    mine, stored = grown(base(), v="text"), grown(base(), v="bigint")
    conflicts = take_in(mine, stored, CAPABILITIES)
    assert conflicts["t"]["v"]["data_type"] == "text"
    assert mine.tables["t"]["columns"]["v"]["data_type"] == "bigint"


def test_the_wider_type_wins() -> None:
    mine, stored = grown(base(), v="timestamp"), grown(base(), v="date")
    assert take_in(mine, stored, CAPABILITIES) == {}
    assert mine.tables["t"]["columns"]["v"]["data_type"] == "timestamp"


def test_hints_of_the_running_code_win_without_end() -> None:
    """Two codes that declare different things store one version each, and no more."""
    first, second = grown(base(), a="text"), grown(base(), b="text")
    second.tables["t"]["description"] = "second"
    second.bump_version()
    stored: dict[str | None, int] = {first.stored_version_hash: first.stored_version}
    newest = first
    for schema in (second, first, second, first, second):
        if is_sibling(schema, newest.stored_version_hash):
            take_in(schema, newest, CAPABILITIES)
        if schema.stored_version_hash not in stored:
            stored[schema.stored_version_hash], newest = schema.stored_version, schema.clone()
    assert len(stored) == 3
    assert second.tables["t"]["description"] == "second" and "description" not in first.tables["t"]


def test_a_table_that_only_the_other_knows_comes_along() -> None:
    mine, stored = base(), grown(base(), a="text")
    stored.update_table({"name": "t__lines", "parent": "t", "columns": {"n": {"name": "n", "data_type": "bigint"}}})
    stored.bump_version()
    take_in(mine, stored, CAPABILITIES)
    assert mine.tables["t__lines"]["parent"] == "t"
    assert mine.stored_version_hash == stored.stored_version_hash
