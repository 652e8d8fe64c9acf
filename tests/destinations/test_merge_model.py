"""Random histories of loads through whole pipelines, compared with a model of the tables after each load.

``HEADRACE_LONG=1`` runs thousands of them.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from headrace.model.changes import RowChanges
from tests.destinations.merge_model import BELOW, KEYED, NESTED, ROOT, Doc, Load, Model, Plan

LONG = bool(os.environ.get("HEADRACE_LONG"))
pytestmark = pytest.mark.timeout(3 * 3600 if LONG else 300)
HISTORIES = int(os.environ.get("HEADRACE_HISTORIES") or (1500 if LONG else 12))
TYPES = {"a": "bigint", "b": "bigint", "k": "bigint", "s": "bigint", "v": "bigint", "w": "text", "x": "bigint"}

# ---- histories ---------------------------------------------------------------------------------------------------


def documents(mark: str, keys: int) -> st.SearchStrategy[Doc]:
    gone = {"flag": st.sampled_from([None, False, True]), "text": st.sampled_from([None, None, "", "x"])}
    lists = st.lists(
        st.fixed_dictionaries({"p": st.integers(0, 2), "m": st.lists(st.integers(0, 2), max_size=2)}), max_size=2
    )
    few = st.one_of(st.none(), st.integers(0, 1))
    return st.fixed_dictionaries(
        {
            "a": st.integers(0, keys),
            "b": few,
            "k": few,
            "s": few,
            "v": st.one_of(st.none(), st.sampled_from([1, 2, 99])),
        },
        optional={"w": st.sampled_from(["", "y"]), "x": few, "n": lists, **({"gone": gone[mark]} if mark else {})},
    )


plans = {
    "delete-insert": st.builds(
        Plan,
        family=st.just("delete-insert"),
        primary=st.sampled_from([(), ("a",), ("a", "b")]),
        ranges=st.sampled_from([(), (), ("k",), ("k", "s")]),
        sort=st.sampled_from([None, "asc", "desc"]),
        mark=st.sampled_from(["", "flag", "text"]),
    ),
    "keyed": st.builds(
        Plan,
        family=st.just("keyed"),
        primary=st.sampled_from([("a",), ("a", "b")]),
        ranges=st.sampled_from([(), ("k",)]),
        sort=st.sampled_from([None, "desc"]),
        mark=st.sampled_from(["", "flag", "text"]),
    ),
    "scd2": st.builds(
        Plan, family=st.just("scd2"), primary=st.just(()), ranges=st.sampled_from([(), ("a",), ("a", "k")])
    ),
}
WAYS = {
    "delete-insert": ["delete-insert"] * 4 + ["append", "replace"],
    "keyed": ["upsert", "upsert", "cdc", "insert-only", "append", "replace"],
    "scd2": ["scd2"],
}


@st.composite
def histories(draw: Any, family: str) -> tuple[Plan, list[Load]]:
    """A plan and its loads."""
    plan = draw(plans[family])
    loads = []
    for _ in range(draw(st.integers(1, 4))):
        how = draw(st.sampled_from(WAYS[family]))
        loads.append(
            Load(
                how,
                draw(st.lists(documents(plan.mark, 3), max_size=5)),
                filtered=how not in ("append", "replace", "insert-only") and draw(st.integers(0, 3)) == 0,
                scoped=how in ("delete-insert", "cdc", "scd2") and draw(st.integers(0, 3)) == 0,
                skip=how in ("upsert", "cdc") and draw(st.booleans()),
            )
        )
    return plan, loads


def distinguishable(plan: Plan, model: Model, load: Load) -> Load:
    """Where row ids are made of keys: no nested rows below duplicates, and nothing appended to known records."""
    if plan.family != "keyed":
        return load
    docs: list[Doc] = []
    for doc in load.docs:
        if load.how in KEYED and sum(model.key(doc) == model.key(other) for other in load.docs) > 1:
            docs.append({k: v for k, v in doc.items() if k != "n"})
        elif load.how in KEYED or not any(model.key(doc) == model.key(o) for o in docs):
            docs.append(doc)
    if load.how == "append":
        there = {model.key(row.doc) for row in model.rows}
        docs = [doc for doc in docs if model.key(doc) not in there]
    return Load(load.how, docs, load.filtered, load.scoped, load.skip)


# ---- the real thing ----------------------------------------------------------------------------------------------


class Subject:
    """Pipelines with a table for each history; a new one now and then, so that schemas stay small.

    Args:
        folder: Where they work.
        destination: Makes the destination of a pipeline; DuckDB if there is none.
    """

    def __init__(self, folder: Path, destination: Callable[[str], Any] | None = None) -> None:
        self.folder, self.numbers = folder, itertools.count()
        self.destination = destination or (lambda name: headrace.destinations.duckdb(str(folder / f"{name}.duckdb")))
        self.pipeline: headrace.Pipeline | None = None
        self.table = ""

    def begin(self) -> None:
        number = next(self.numbers)
        if number % 20 == 0:
            name = f"p{number}"
            self.pipeline = headrace.pipeline(
                name,
                destination=self.destination(name),
                dataset_name=f"ds_{uuid.uuid4().hex[:8]}",
                pipelines_dir=str(self.folder / "work"),
            )
        self.table = f"t{number}"

    def load(self, plan: Plan, load: Load) -> dict[str, RowChanges]:
        """Run the pipeline; returns what it says it changed, by the end of the table's name."""
        assert self.pipeline is not None
        disposition: Any = load.how
        if load.how not in ("append", "replace"):
            disposition = {"disposition": "merge", "strategy": load.how}
            disposition |= {"source_filter": "v < 50"} if load.filtered else {}
            disposition |= {"destination_scope": "{table}.a >= 2"} if load.scoped else {}
            disposition |= {"skip_unchanged_rows": True} if load.skip else {}
        columns: dict[str, Any] = {c: {"data_type": t, "nullable": True} for c, t in TYPES.items()}
        if plan.mark:
            kind = "bool" if plan.mark == "flag" else "text"
            columns["gone"] = {"data_type": kind, "nullable": True, "hard_delete": True}
        if plan.sort:
            columns["s"]["dedup_sort"] = plan.sort
        resource = headrace.resource(
            load.docs,
            name=self.table,
            primary_key=plan.primary or None,
            merge_key=plan.ranges or None,
            write_disposition=disposition,
            columns=columns,
        )
        info = self.pipeline.run(resource)
        assert info is not None
        return {name[len(self.table) :]: c for name, c in info.row_changes.items() if name.startswith(self.table)}

    def documents(self, *, history: bool) -> list[str]:
        """What the tables hold, as documents; fails where a nested row hangs on nothing."""
        assert self.pipeline is not None
        with self.pipeline.sql_client() as client:

            def rows(end: str, columns: str) -> list[tuple[Any, ...]]:
                if not client.describe_tables([f"{self.table}{end}"]):
                    return []
                return client.execute_sql(f"SELECT {columns} FROM {self.table}{end}") or []

            named = [c for c in (*TYPES, "gone") if c in self.pipeline.default_schema.tables[self.table]["columns"]]
            root = rows(ROOT, f"_dlt_id, {'_dlt_valid_to IS NULL' if history else 'TRUE'}, {', '.join(named)}")
            nested = rows(NESTED, "_dlt_id, _dlt_parent_id, _dlt_list_idx, p")
            below = rows(BELOW, "_dlt_id, _dlt_parent_id, _dlt_list_idx, value")
        for table, above in ((nested, root), (below, nested)):
            assert len({row[0] for row in table}) == len(table), "a nested row is there twice"
            assert {row[1] for row in table} <= {row[0] for row in above}, "a nested row has lost its parent"
        below_of: dict[str, list[tuple[int, Any]]] = {}
        for _, parent, at, value in below:
            below_of.setdefault(parent, []).append((at, value))
        nested_of: dict[str, list[tuple[Any, ...]]] = {}
        for row_id, parent, at, p in nested:
            nested_of.setdefault(parent, []).append((at, p, [v for _, v in sorted(below_of.get(row_id, []))]))
        flags = {
            c for c in named if self.pipeline.default_schema.tables[self.table]["columns"][c]["data_type"] == "bool"
        }
        return sorted(
            shown(
                {c: bool(v) if c in flags and v is not None else v for c, v in zip(named, values, strict=True)},
                [(p, m) for _, p, m in sorted(nested_of.get(row_id, []))],
                bool(live),
            )
            for row_id, live, *values in root
        )


def shown(doc: Doc, nested: list[tuple[Any, list[Any]]], active: bool) -> str:
    return repr((sorted((k, v) for k, v in doc.items() if v is not None and k != "n"), nested, active))


def expected(model: Model) -> list[str]:
    return sorted(shown(row.doc, [(n["p"], n["m"]) for n in row.doc.get("n", [])], row.active) for row in model.rows)


def check(
    folder: Path, family: str, destination: Callable[[str], Any] | None = None, examples: int = HISTORIES
) -> None:
    subject = Subject(folder, destination)

    @given(histories(family))
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def follow(history: tuple[Plan, list[Load]]) -> None:
        plan, loads = history
        model = Model(plan)
        subject.begin()
        for given_load in loads:
            load = distinguishable(plan, model, given_load)
            there = bool(model.rows) or bool(model.versions)
            wanted = model.load(load)
            said = subject.load(plan, load)
            if load.docs or there:
                assert subject.documents(history=family == "scd2") == expected(model)
            for end in {*said, *wanted}:
                assert said.get(end, RowChanges()) == wanted.get(end, RowChanges()), (end, load.how)

    follow()


def test_delete_insert(tmp_path: Path) -> None:
    """With append and replace between; keys of all kinds, and none."""
    check(tmp_path, "delete-insert")


def test_upsert_cdc_and_insert_only(tmp_path: Path) -> None:
    """In turns on one table, with append and replace between."""
    check(tmp_path, "keyed")


def test_scd2(tmp_path: Path) -> None:
    """Histories of records, with and without a merge key."""
    check(tmp_path, "scd2")
