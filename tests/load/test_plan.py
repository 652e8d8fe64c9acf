"""The plan: which jobs a package needs, and that asking twice gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors.destination import DestinationCapabilitiesException, LoadClientUnsupportedFileFormats
from headrace.load.plan import BUNDLE_BYTES, BUNDLE_FILES, plan_jobs
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import AnyJob, Copy, LoadFile
from tests.load.shop import make_schema
from tests.load.sqlite_destination import CAPABILITIES

SCHEMA = make_schema()
TABLES = ["events", "snapshot", "snapshot__parts", "accounts", "accounts__lines", "skipped", "_dlt_pipeline_state"]


def file(table: str, number: int = 0, size: int = 100) -> LoadFile:
    return LoadFile(
        id=f"{table}{number}", table=table, path=f"files/{table}.{number}", format="jsonl", rows=1, size=size
    )


def plan(files: Sequence[LoadFile], replaced: Sequence[str] = (), caps: Capabilities = CAPABILITIES, **kw: Any) -> Any:
    return plan_jobs(files, kw.pop("schema", SCHEMA), caps, replaced, **kw)


def told(jobs: Sequence[AnyJob]) -> list[tuple[str, list[str], list[str], list[str]]]:
    return [(job.id, job.tables, [f.id for f in job.files], job.after) for job in jobs]


def test_many_small_appends_are_one_job_with_the_state_in_it() -> None:
    """Tiny loads are one transaction."""
    assert told(plan([file("_dlt_pipeline_state"), file("events", 1), file("events", 2)])) == [
        ("copy-0", ["events", "_dlt_pipeline_state"], ["events1", "events2", "_dlt_pipeline_state0"], [])
    ]


def test_each_disposition_has_its_job_and_the_state_comes_last() -> None:
    """Replace and merge take whole chains, parents first; skipped tables are left out."""
    files = [file(t) for t in ("_dlt_pipeline_state", "events", "snapshot__parts", "snapshot", "accounts", "skipped")]
    assert told(plan(files)) == [
        ("replace-0", ["snapshot", "snapshot__parts"], ["snapshot0", "snapshot__parts0"], []),
        ("merge-1", ["accounts", "accounts__lines"], ["accounts0"], []),
        ("copy-2", ["events"], ["events0"], []),
        ("copy-3", ["_dlt_pipeline_state"], ["_dlt_pipeline_state0"], ["replace-0", "merge-1", "copy-2"]),
    ]


def test_a_replaced_table_without_rows_is_emptied() -> None:
    """Its whole chain is; a table that never saw data has nothing to empty, and other names do no harm."""
    assert told(plan([], ["snapshot", "fresh", "events", "accounts", "unknown"])) == [
        ("replace-0", ["snapshot", "snapshot__parts"], [], [])
    ]


@pytest.mark.parametrize("how", ["argument", "hint", "only one"])
def test_truncate_and_insert_empties_first(how: str) -> None:
    """Asked for in general, by the table, or because the destination knows nothing else."""
    schema = make_schema(snapshot={"x-replace-strategy": "truncate-and-insert"}) if how == "hint" else SCHEMA
    caps = CAPABILITIES
    if how == "only one":
        caps = msgspec.structs.replace(caps, supported_replace_strategies=())
    files = [file("snapshot"), file("events")]
    jobs = plan(files, caps=caps, schema=schema, replace_strategy="truncate-and-insert" if how == "argument" else None)
    assert told(jobs) == [
        ("truncate-0", ["snapshot", "snapshot__parts"], [], []),
        ("copy-1", ["snapshot", "events"], ["snapshot0", "events0"], ["truncate-0"]),
    ]


def test_a_strategy_the_destination_has_not_is_refused() -> None:
    """By name, with those it has."""
    with pytest.raises(DestinationCapabilitiesException, match=r"`staging-optimized`.*\n.*use one of: insert-from"):
        plan([file("snapshot")], replace_strategy="staging-optimized")
    schema = make_schema(accounts={"x-merge-strategy": "upsert"})
    with pytest.raises(DestinationCapabilitiesException, match="merge strategy `upsert`"):
        plan([file("accounts")], schema=schema)
    with pytest.raises(LoadClientUnsupportedFileFormats):
        plan([msgspec.structs.replace(file("events"), format="csv")])


def test_without_any_merge_strategy_rows_are_appended() -> None:
    """As the field does, with a warning."""
    caps = msgspec.structs.replace(CAPABILITIES, supported_merge_strategies=())
    assert told(plan([file("accounts")], caps=caps)) == [("copy-0", ["accounts"], ["accounts0"], [])]


def test_bundles_end_at_their_limits() -> None:
    """By number and by size; a file larger than a bundle has its own."""
    many = plan([file("events", n) for n in range(BUNDLE_FILES + 1)])
    assert [len(job.files) for job in many] == [BUNDLE_FILES, 1]
    large = plan([file("events", 0, 10), file("events", 1, BUNDLE_BYTES + 1), file("events", 2, 10)])
    assert [len(job.files) for job in large] == [1, 1, 1]


@pytest.mark.parametrize("how", ["table-sequential", "sequential"])
def test_parallelism_is_part_of_the_plan(how: Any) -> None:
    """Where a destination wants jobs of a table, or all jobs, one after another."""
    caps = msgspec.structs.replace(CAPABILITIES, loader_parallelism_strategy=how)
    big = BUNDLE_BYTES
    jobs = plan([file("accounts"), file("events", 1, big), file("events", 2, big)], ["snapshot"], caps)
    by_kind = {job.id: job.after for job in jobs}
    if how == "sequential":
        assert list(by_kind.values()) == [[], ["merge-0"], ["replace-1"], ["copy-2"]]
    else:
        assert by_kind == {"merge-0": [], "replace-1": [], "copy-2": [], "copy-3": ["copy-2"]}


@given(st.lists(st.tuples(st.sampled_from(TABLES), st.integers(0, BUNDLE_BYTES)), max_size=40), st.booleans())
def test_a_plan_is_complete_ordered_and_repeatable(picks: list[tuple[str, int]], also: bool) -> None:
    """Each file is in one job, none of skipped tables; jobs wait only for earlier ones; twice the same."""
    files = [file(table, n, size) for n, (table, size) in enumerate(picks)]
    replaced = ["snapshot"] if also else []
    jobs = plan(files, replaced)
    assert jobs == plan(files, replaced)
    planned = [f.id for job in jobs for f in job.files]
    assert sorted(planned) == sorted(f.id for f in files if f.table != "skipped")
    seen: set[str] = set()
    for job in jobs:
        assert set(job.after) <= seen
        assert {f.table for f in job.files} <= set(job.tables)
        assert job.id not in seen
        seen.add(job.id)
        if isinstance(job, Copy) and len(job.files) > 1 and job.tables != ["_dlt_pipeline_state"]:
            assert sum(f.size for f in job.files) <= BUNDLE_BYTES


def test_destinations_limit_the_files_of_a_job() -> None:
    """Where each file is a job of its own, the state comes after them in another."""
    alone = msgspec.structs.replace(CAPABILITIES, max_files_per_job=1)
    jobs = plan_jobs([file("events", 0), file("events", 1), file("_dlt_pipeline_state", 2)], SCHEMA, alone)
    assert [len(job.files) for job in jobs] == [1, 1, 1]
    assert jobs[-1].after == [job.id for job in jobs[:-1]]
