"""What is seen of resources while they are at hand: on the pipeline's thread, and so cheap, copies of plain values."""

from __future__ import annotations

import contextlib
import datetime as dt
import inspect
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.extract.stage import describe_hints
from headrace.formats.sqlmodel import FORMAT as MODEL
from headrace.model.location import plain_location
from headrace.observers.lineage.columns_resource import describe
from headrace.observers.lineage.opened import Cursor, Place, Reading

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.extract.pipe import Pipe
    from headrace.extract.resource import DltResource
    from headrace.model.events import Extracted

_HINTS = (
    "write_disposition",
    "primary_key",
    "merge_key",
    "table_format",
    "file_format",
    "schema_contract",
    "table_name",
)
_CHANGES_COUNT = ("yield_map", "filter", "limit", "custom", "validator")


def reading_of(source: str, resource: DltResource[Any], with_code: bool = False) -> Reading:
    """What is known of a resource before it is read.

    Args:
        source: The source's name.
        resource: The resource.
        with_code: Take the text of its function too.
    """
    found = Reading(source=source, resource=resource.name)
    function = _function(resource._pipe)
    if function is not None:
        found.description = inspect.cleandoc(function.__doc__) if function.__doc__ else ""
        found.place = _place(function)
        found.code = _code(function) if with_code else None
    found.above = [pipe.name for pipe in resource._pipe.chain()][1:]
    found.locations = _locations(resource._pipe)
    found.hints = _hints(resource)
    return found


def finish(reading: Reading, resource: DltResource[Any], is_read: bool, rows: int | None) -> None:
    """Note what is only known once the resource was read; again, where it is read more than once in a package."""
    earlier, known = (reading.rows, reading.locations) if reading.is_read else (0, [])
    told = [*known, *(row for row in _locations(resource._pipe) if row not in known)]
    reading.is_read = is_read
    reading.locations = told or reading.locations
    reading.described = describe(resource)
    wrapper = resource.incremental
    cursor = wrapper.incremental if wrapper is not None else None
    if cursor is not None:
        reading.cursor = _cursor(cursor)
        reading.scheduled = _is_scheduled(cursor)
    found = _rows(reading, cursor, rows)
    reading.rows = found + earlier if found is not None and earlier is not None else None


def note_models(reading: Reading, extracted: Extracted, folder: Path) -> None:
    """Keep the texts of SQL models: normalize deletes their files."""
    for file in extracted.files:
        if file.format == MODEL and file.resource == reading.resource and file.path:
            with contextlib.suppress(OSError):
                reading.models[file.path] = (folder / file.path).read_text("utf-8")


def _rows(reading: Reading, cursor: Any, rows: int | None) -> int | None:
    """Items before filters, where that is known: steps that let items go do not count them."""
    counts = getattr(cursor, "_counts", None) if cursor is not None else None
    steps = reading.described.steps if reading.described is not None else []
    if any(step.kind in _CHANGES_COUNT for step in steps):
        return None
    return counts["unfiltered_items_count"] if counts else rows


def _function(pipe: Pipe) -> Any:
    found = pipe.function.f if pipe.function is not None else None
    while isinstance(found, partial):
        found = found.func
    if found is None and inspect.isgenerator(pipe.gen):
        return None
    return inspect.unwrap(found) if callable(found) else None


def _place(function: Any) -> Place | None:
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    if code is None or code.co_filename.startswith("<"):
        return None
    return Place(file=code.co_filename, line=code.co_firstlineno, name=getattr(function, "__qualname__", ""))


def _code(function: Any) -> str | None:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return None


def _locations(pipe: Pipe) -> list[dict[str, Any]]:
    """Where its items come from: it may have told, and those it takes them from."""
    found = [{"resource_name": pipe.name, **plain_location(row)} for row in pipe.inputs]
    for one in pipe.chain():
        if one is not pipe:
            found += [{"resource_name": one.name, **plain_location(row)} for row in one.inputs]
    return found


def _hints(resource: DltResource[Any]) -> dict[str, Any]:
    found = describe_hints(resource)
    return {name: _plain(found[name]) for name in _HINTS if found.get(name) not in (None, "", [], {})}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)


def _cursor(cursor: Any) -> Cursor:
    with contextlib.suppress(Exception):
        start, end = cursor.get_current_range()
        seen = cursor.last_value if end is None and cursor._touched else None
        return Cursor(
            path=str(cursor.cursor_path),
            start=_text(start),
            end=_text(end if end is not None else seen),
            given_end=end is not None,
            open_start=cursor.range_start == "open",
            closed_end=cursor.range_end == "closed" if end is not None else True,
            descending=cursor.last_value_func is min,
        )
    return Cursor(path=str(getattr(cursor, "cursor_path", "")))


def _text(value: Any) -> str | None:
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    return None if value is None else str(value)


def _is_scheduled(cursor: Any) -> bool:
    """Whether it has taken its range from the interval of an orchestrator."""
    return getattr(cursor, "_range", None) is not None


def interval() -> tuple[dt.datetime, dt.datetime | None] | None:
    """The interval in force, None when nobody has set one."""
    # nobody can have set or asked for one without these; loading the room takes longer than a small run
    asked = "headrace.extract.incremental" in sys.modules or sys.modules.get("airflow")
    if not asked and "DLT_INTERVAL_START" not in os.environ:
        return None
    from headrace.extract.incremental.external import current_context

    try:
        found = current_context().interval
    except Exception:  # noqa: BLE001 - somebody's variables, an orchestrator's own code
        return None
    return (found.start, found.end) if found is not None else None
