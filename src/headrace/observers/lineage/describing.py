"""What is said of jobs and runs: names, parameters, owners, tags. Small things, taken on the pipeline's thread."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headrace
from headrace.observers.lineage.facets.base import instant as instant
from headrace.observers.lineage.facets.job import job_type
from headrace.observers.lineage.facets.run import engine
from headrace.observers.lineage.facts import Job, JobId, Run, RunRef
from headrace.observers.lineage.opened import Cursor, Place, Reading
from headrace.observers.lineage.owning import owners_in

if TYPE_CHECKING:
    from headrace.bus.observer import Run as LiveRun
    from headrace.config.lineage import LineageConfiguration

_HERE = str(Path(headrace.__file__).parent) + os.sep
_BETWEEN = ("contextlib.py", "functools.py")

PIPELINE, RESOURCE = "PIPELINE", "RESOURCE"

# what is told of the settings of steps: never what could hold a secret
_STEP_SETTINGS = {
    "extract": ("workers", "max_parallel_items", "next_item_mode"),
    "normalize": ("workers",),
    "load": ("workers", "raise_on_failed_jobs", "raise_on_max_retries", "parallelism_strategy"),
}


def part(name: str) -> str:
    """A part of a job's name: dots part names, and slashes part ids in ``OPENLINEAGE_PARENT_ID``."""
    return name.replace(".", "_").replace("/", "_")


def pipeline_job_id(namespace: str, pipeline: str) -> JobId:
    """The job of a pipeline."""
    return JobId(namespace, part(pipeline))


def resource_job_id(namespace: str, pipeline: str, source: str, resource: str) -> JobId:
    """The job of a resource of a pipeline."""
    return JobId(namespace, ".".join(map(part, (pipeline, source, resource))))


def pipeline_job(namespace: str, pipeline: str, settings: LineageConfiguration) -> Job:
    """The job of a pipeline, with what settings say of it."""
    return Job(
        id=pipeline_job_id(namespace, pipeline),
        kind=PIPELINE,
        description=settings.description or _of_script(),
        owners=owners(settings),
        tags=pairs(settings.tags),
    )


def _of_script() -> str | None:
    """What the program that runs says of itself."""
    text = getattr(sys.modules.get("__main__"), "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) and text.strip() else None


def caller() -> Place | None:
    """Where the code of the user has called us; None at a prompt."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_HERE) and not file.endswith(_BETWEEN):
            return None if file.startswith("<") else Place(file=os.path.abspath(file), line=frame.f_lineno)  # noqa: PTH100
        frame = frame.f_back  # type: ignore[assignment]
    return None


def reference(run: Run) -> RunRef:
    """A run to be pointed at as a parent, with the facets that are handed on."""
    kind = job_type(run.job.kind, run.job.integration)
    facets = {"run": {"processing_engine": engine(run.engine)}, "job": {"jobType": kind}}
    return RunRef(run_id=run.run_id, job=run.job.id, facets=facets)


def owners(settings: LineageConfiguration) -> list[tuple[str, str]]:
    """Owners of jobs, with their kind."""
    return owners_in(settings.owners)


def _names(given: Any) -> list[str]:
    found = given.split(",") if isinstance(given, str) else list(given or [])
    return [str(name).strip() for name in found if str(name).strip()]


def pairs(given: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Tags as pairs of texts."""
    return [(str(key), str(value)) for key, value in (given or {}).items()]


def environment(settings: LineageConfiguration) -> list[tuple[str, str]]:
    """The variables that may be told, and are set."""
    return [(name, os.environ[name]) for name in _names(settings.environment) if name in os.environ]


def parameters(run: LiveRun) -> list[tuple[str, str]]:
    """What an invocation works with: where to, and how."""
    p = run.pipeline
    destination, staging = p.destination, p.staging if p.destination is not None else None
    return texts(
        {
            "destination": getattr(destination, "destination_name", None),
            "destination_type": getattr(destination, "destination_type", None),
            "staging": getattr(staging, "destination_name", None),
            "dataset": p.dataset_name,
            "refresh": p.refresh,
            "dev_mode": p.dev_mode or None,
        }
    )


def step_parameters(step: str, used: Any) -> list[tuple[str, str]]:
    """What a step worked with: with how many workers, and what it does with jobs that fail.

    Args:
        step: Its name.
        used: Its settings.
    """
    return texts({f"{step}.{name}": getattr(used, name, None) for name in _STEP_SETTINGS.get(step, ())})


def texts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values as texts, those without a value left out."""
    return [(name, _text(value)) for name, value in found.items() if value not in (None, "", [], {})]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return str(value)


def resource_parameters(reading: Reading, refresh: str | None) -> list[tuple[str, str]]:
    """What a resource run works with."""
    found: dict[str, Any] = {name: value for name, value in reading.hints.items() if name != "table_name"}
    found["refresh"] = refresh
    if reading.cursor is not None:
        found |= _of_cursor(reading.cursor)
    return texts(found)


def _of_cursor(cursor: Cursor) -> dict[str, Any]:
    return {
        "incremental.cursor": cursor.path,
        "incremental.start": cursor.start,
        "incremental.end": cursor.end if cursor.given_end else None,
        "incremental.last": None if cursor.given_end else cursor.end,
    }


def counts(info: Any) -> dict[str, Any]:
    """Rows and bytes of a step, from what it handed back."""
    rows = size = 0
    for many in (getattr(info, "metrics", None) or {}).values():
        for one in many:
            for numbers in (one.get("table_metrics") or {}).values():
                rows += numbers.items_count
                size += numbers.file_size
    return {"items": rows, "bytes": size} if rows or size else {}
