"""What dlt's sources and resources tell of themselves while they are extracted.

dlt's protocol hands over infos only. Which functions values go through, and what columns were called at their source,
stands in the resources: they are found in the arguments of the call that is traced. Where they are not found, nothing
is said of columns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from headrace.observers.lineage.dlt_facts import Seen
from headrace.observers.lineage.opened import Cursor

_DEEP = 6
_MOST = 1_000
_HARMLESS = ("Incremental", "IncrementalResourceWrapper", "LimitItem", "ValidateItem", "MetricsItem", "_LimitItem")
_ADAPTERS = ("query_adapter_callback", "table_adapter_callback", "type_adapter_callback")


def traced_data() -> Any:
    """The ``data`` of the `Pipeline.extract` that is being traced; None when it cannot be found."""
    frame = sys._getframe(1)
    for _ in range(_DEEP):
        if frame is None:
            return None
        if frame.f_code.co_name == "_wrap" and "trace_step" in frame.f_locals:
            args, kwargs = frame.f_locals.get("args") or (), frame.f_locals.get("kwargs") or {}
            return kwargs.get("data", args[0] if args else None)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def resources(data: Any) -> Iterator[tuple[str, Any]]:
    """Resources in the data of a run, each with the name of its source; empty for one without."""
    for one in islice(data, _MOST) if isinstance(data, (list, tuple)) else [data]:
        kind = type(one)
        if any(base.__name__ == "DltSource" for base in kind.__mro__):
            for resource in list(one.resources.selected.values()):
                yield one.schema.name, resource
        elif any(base.__name__ == "DltResource" for base in kind.__mro__):
            yield "", one


def seen(source: str, resource: Any) -> Seen:
    """What a resource tells of itself; what cannot be read is left out.

    Args:
        source: Name of its source.
        resource: dlt's `DltResource`.
    """
    found = Seen(name=str(resource.name), source=source)
    found.changes, found.filters = _steps(resource)
    incremental = _incremental(resource)
    found.cursor = _text(getattr(incremental, "cursor_path", ""))
    found.window = _window(incremental)
    found.inputs = [absolute(one) for one in getattr(resource, "inputs", None) or ()]
    hints = getattr(resource, "_hints", None) or {}
    found.table = _text(hints.get("table_name"))
    own = "" if _module(resource).startswith("dlt.") else _text(getattr(_generator(resource), "__doc__", ""))
    found.description = _text(hints.get("description")) or own
    function = getattr(_generator(resource), "__wrapped__", _generator(resource))
    if (written := getattr(function, "__code__", None)) is not None:
        found.file, found.line = str(Path(written.co_filename).absolute()), int(written.co_firstlineno)
    key = hints.get("primary_key")
    found.primary_key = (
        [key] if isinstance(key, str) else [str(k) for k in key] if isinstance(key, (list, tuple)) else []
    )
    _of_database(found, resource, hints)
    parent = getattr(resource._pipe, "parent", None)
    found.parent = _text(getattr(parent, "name", ""))
    return found


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str) else ""


def _generator(resource: Any) -> Any:
    return getattr(resource._pipe, "gen", None)


def _steps(resource: Any) -> tuple[list[str], list[str]]:
    changes: list[str] = []
    filters: list[str] = []
    generator = _generator(resource)
    for step in resource._pipe.steps:
        kind = type(step).__name__
        if step is generator or kind in _HARMLESS:
            continue
        (filters if kind == "FilterItem" else changes).append(_name(getattr(step, "_f", step)))
    if getattr(resource._pipe, "parent", None) is not None:
        changes.insert(0, _name(generator))
    return changes, filters


def _name(function: Any) -> str:
    function = getattr(function, "func", function)
    return str(getattr(function, "__name__", type(function).__name__))


def _incremental(resource: Any) -> Any:
    wrapped = getattr(resource, "incremental", None)
    return getattr(wrapped, "incremental", None) or getattr(wrapped, "_incremental", None)


def _window(incremental: Any) -> Cursor | None:
    """The range of a cursor that runs up or down; where a function of the user compares, there is none to tell."""
    compares = getattr(incremental, "last_value_func", None)
    if compares not in (max, min) or not hasattr(incremental, "_start_value"):
        return None
    asked = incremental.end_value
    end = asked if asked is not None else (incremental._cached_state or {}).get("last_value")
    return Cursor(
        path=str(incremental.cursor_path),
        start=_value(incremental._start_value),
        end=_value(end),
        given_end=asked is not None,
        open_start=incremental.range_start == "open",
        closed_end=asked is None or incremental.range_end == "closed",
        descending=compares is min,
    )


def _value(value: Any) -> str | None:
    if value is None:
        return None
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _of_database(found: Seen, resource: Any, hints: dict[str, Any]) -> None:
    """Tables of databases: their columns were reflected, and are read one to one."""
    if not _module(resource).startswith("dlt.sources.sql_database"):
        return
    columns = hints.get("columns")
    if isinstance(columns, dict):
        found.columns = [str(name) for name in columns]
    arguments = getattr(resource, "explicit_args", None) if getattr(resource, "_args_bound", True) else None
    adapters = [name for name in _ADAPTERS if (arguments or {}).get(name) is not None]
    found.changes += [_name((arguments or {})[name]) for name in adapters]
    found.plain_sql = bool(found.columns) and arguments is not None


def _module(resource: Any) -> str:
    """The module whose function makes the rows."""
    generator = _generator(resource)
    return str(getattr(generator, "__module__", None) or type(generator).__module__)


def absolute(location: Mapping[str, Any]) -> dict[str, Any]:
    """A location of dlt with the path of a database's file made absolute."""
    text = str(location.get("location") or "")
    scheme = text.partition("://")[0].partition("+")[0]
    path = str(location.get("database") or "")
    if scheme not in ("sqlite", "duckdb") or not path or path.startswith((":", "md:", "file:")):
        return {**location}
    return {**location, "path": str(Path(path).absolute())}
