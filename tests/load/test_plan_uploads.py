"""Plans for files that go through a staging place."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors.destination import LoadClientUnsupportedFileFormats
from headrace.load.plan import plan_jobs
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import LoadFile
from headrace.model.schema import Schema

ABLE = Capabilities(
    supported_loader_file_formats=("model",),
    supported_staging_file_formats=("parquet", "jsonl"),
    supported_merge_strategies=("delete-insert",),
    supported_replace_strategies=("truncate-and-insert",),
    max_files_per_job=2,
)


def schema(**dispositions: Any) -> Schema:
    made = Schema("s")
    for name, disposition in dispositions.items():
        columns: Any = {"id": {"name": "id", "data_type": "bigint", "nullable": True}}
        made.update_table({"name": name, "columns": columns, "write_disposition": disposition})
    return made


def file(table: str, number: int, kind: str = "parquet") -> LoadFile:
    return LoadFile(id=f"{table}{number}", table=table, path=f"{table}{number}", format=kind, rows=1, size=10)


def plan(
    files: list[LoadFile], of: Schema, capabilities: Capabilities = ABLE
) -> dict[str, tuple[list[str], list[str]]]:
    jobs = plan_jobs(files, of, capabilities, set(of.tables), staged_formats=("parquet", "jsonl"))
    return {job.id: (job.after, [f.id for f in job.files]) for job in jobs}


def test_uploads_come_before_jobs_in_pieces() -> None:
    found = plan([file("m", n) for n in range(3)], schema(m="merge"))
    assert found == {
        "upload-merge-0-0": ([], ["m0", "m1"]),
        "upload-merge-0-1": ([], ["m2"]),
        "merge-0": (["upload-merge-0-0", "upload-merge-0-1"], ["m0", "m1", "m2"]),
    }


def test_uploads_do_not_wait_for_tables_to_be_emptied() -> None:
    found = plan([file("r", 0)], schema(r="replace"))
    assert found == {
        "truncate-0": ([], []),
        "upload-copy-1-0": ([], ["r0"]),
        "copy-1": (["truncate-0", "upload-copy-1-0"], ["r0"]),
    }


def test_files_without_rows_are_not_uploaded() -> None:
    found = plan([file("a", 0), file("a", 1, "model")], schema(a="append"))
    assert found["copy-0"] == (["upload-copy-0-0"], ["a0", "a1"])
    assert found["upload-copy-0-0"] == ([], ["a0"])
    assert plan([file("a", 1, "model")], schema(a="append")) == {"copy-0": ([], ["a1"])}


def test_formats_that_neither_way_takes() -> None:
    with pytest.raises(LoadClientUnsupportedFileFormats):
        plan([file("a", 0, "csv")], schema(a="append"))


def test_one_after_the_other() -> None:
    import msgspec

    calm = msgspec.structs.replace(ABLE, loader_parallelism_strategy="sequential")
    found = plan([file("a", 0), file("m", 0)], schema(a="append", m="merge"), calm)
    ids = list(found)
    assert [found[job][0][-1:] for job in ids[1:]] == [[before] for before in ids[:-1]]


def test_capabilities_through_a_place() -> None:
    place = Capabilities(supported_loader_file_formats=("jsonl", "csv"), compresses_text=True)
    through = ABLE.through(place)
    assert ABLE.needs_staging
    assert (through.preferred_loader_file_format, through.supported_loader_file_formats) == (
        "jsonl",
        ("jsonl", "model"),
    )
    assert through.compresses_text
    assert not Capabilities().needs_staging
