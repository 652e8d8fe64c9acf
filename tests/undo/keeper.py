"""What a child does that is killed: load, undo, or go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def act(folder: Path, kind: str, url: str, deed: str, place: str = "") -> None:
    """Do one thing in a folder, and die at a place if one is named."""
    os.chdir(folder)
    os.environ.update(HEADRACE_DATA_DIR=str(folder / "data"), LOAD__KEEP_UNDO="3", RUNTIME__LOG_LEVEL="ERROR")
    from headrace.base import failpoints
    from tests.undo.world import DuckDb, Postgres

    failpoints._armed.update(failpoints.parse(place))
    world = DuckDb(folder) if kind == "duckdb" else Postgres(url)
    import headrace

    pipeline = headrace.pipeline("kept", destination=world.destination(), dataset_name="kept")
    if deed == "load":
        pipeline.run(sources())
    elif deed == "undo":
        pipeline.rollback()
    else:
        pipeline.rollback(pipeline.list_undoable_loads()[1].load_id, cascade=True)


def sources() -> list[Any]:
    """Numbers by a cursor, appended; the same merged with nested rows; a table that is replaced. New columns, too."""
    import headrace

    def two(cursor: Any) -> list[int]:
        return [cursor.last_value + 1, cursor.last_value + 2]

    @headrace.resource(write_disposition="append")
    def numbers(at: Any = headrace.sources.incremental("n", initial_value=0)) -> Any:
        yield [{"n": n, f"c{n}": n} for n in two(at)]

    @headrace.resource(
        write_disposition={"disposition": "merge", "strategy": "upsert"},  # type: ignore[arg-type]
        primary_key="part",
    )
    def parts(at: Any = headrace.sources.incremental("n", initial_value=0)) -> Any:
        yield [{"n": n, "part": n % 3, "bits": [{"b": n}]} for n in two(at)]

    @headrace.resource(write_disposition="replace")
    def newest() -> Any:
        yield [{"n": 1}, {"n": 2}]

    return [numbers(), parts(), newest()]
