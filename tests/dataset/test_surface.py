"""Names and arguments of what reads back, against those of dlt 1.31.

``dlt_surface.json`` was recorded by looking at dlt 1.31.0 with `inspect`: for each class the public methods with their
parameters (name, kind, whether there is a default), and the properties.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.dataset import Dataset, Relation
from headrace.destinations.impl.duckdb.client import DuckDbClient
from headrace.destinations.impl.duckdb.cursor import DuckDbCursor
from headrace.destinations.impl.duckdb.session import DuckDbSqlClient
from headrace.formats.sqlmodel import SqlModel

RECORDED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("dlt_surface.json").read_text())
CLASSES: dict[str, type[Any]] = {
    "Dataset": Dataset,
    "Relation": Relation,
    "SqlClient": DuckDbSqlClient,
    "Client": DuckDbClient,
    "Cursor": DuckDbCursor,
    "SqlModel": SqlModel,
}
# names that are not there, and why; taking one from here without building it fails
NOT_THERE = {
    **dict.fromkeys(
        ("SqlClient.attach", "SqlClient.attach_statements", "SqlModel.attach"),
        "databases are not attached to each other: relations of two databases are joined as Arrow, or loaded first",
    ),
    **dict.fromkeys(
        (f"SqlClient.{name}" for name in ("create_secret", "create_secret_name", "drop_secret", "list_secrets")),
        "DuckDB's secrets: belongs to the file system destination",
    ),
    "SqlClient.set_query_tags": "DuckDB has no tags",
    "SqlClient.warn_if_catalog_equals_dataset_name": "such a dataset works here",
    "Cursor.execute": "statements are run by the client",
    **dict.fromkeys(
        (f"Client.{name}" for name in ("create_load_job", "prepare_load_job_execution", "maybe_ddl_transaction")),
        "jobs are applied by their key: Client.apply",
    ),
    **dict.fromkeys(
        (
            "Client.create_table_chain_completed_followup_jobs",
            "Client.should_load_data_to_staging_dataset",
            "Client.should_truncate_table_before_load",
            "Client.verify_schema",
            "Client.create_dataset_names",
            "Client.sql_client_class",
        ),
        "the plan of jobs is made from the package and the capabilities, not asked of the client",
    ),
    "SqlModel.with_query": "made anew: SqlModel(query, dialect)",
}
RECORDED_NAMES = [(kind, name) for kind in CLASSES for name in RECORDED[kind]]


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return {p.name: p for p in found if p.name not in ("self", "cls")}


def check_parameters(recorded: list[tuple[str, str, bool]], function: Any) -> None:
    mine = parameters(function)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in mine.values())
    positions = [p.name for p in mine.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    theirs = [name for name, kind, _ in recorded if kind == "POSITIONAL_OR_KEYWORD"]
    for name, kind, has_default in recorded:
        if kind.startswith("VAR_"):
            continue
        assert name in mine or open_ended, f"argument {name}"
        if name in mine and has_default:
            assert mine[name].default is not inspect.Parameter.empty, f"{name} must have a default"
    assert [name for name in positions if name in theirs] == [name for name in theirs if name in positions]
    needed = {name for name, _, has_default in recorded if not has_default}
    extra = [p for p in mine.values() if p.name not in {name for name, *_ in recorded}]
    assert all(p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in extra), needed


@pytest.mark.parametrize(("kind", "name"), RECORDED_NAMES)
def test_methods_and_properties(kind: str, name: str) -> None:
    cls, recorded = CLASSES[kind], RECORDED[kind][name]
    if f"{kind}.{name}" in NOT_THERE:
        assert not hasattr(cls, name), "take it out of NOT_THERE"
        return
    assert hasattr(cls, name), f"{kind}.{name} is missing"
    found = inspect.getattr_static(cls, name)
    if recorded == "property":
        assert isinstance(found, property)
    elif kind != "Cursor" and name not in SPELLED:
        check_parameters(recorded, getattr(cls, name))


# the same arguments under names of our own; people give them by position
SPELLED = {"execute_query", "is_dbapi_exception", "from_query_string", "from_file", "__exit__"}


@pytest.mark.parametrize("name", RECORDED["functions"])
def test_functions(name: str) -> None:
    function: Any = headrace
    for part in name.split("."):
        function = getattr(function, part)
    check_parameters(RECORDED["functions"][name], function)


def test_the_list_of_what_is_not_there_is_of_dlt() -> None:
    known = {f"{kind}.{name}" for kind, name in RECORDED_NAMES}
    assert set(NOT_THERE) <= known
