"""What is known of pipelines without running them: the working folders of this machine, and one of them closely."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base import json
from headrace.model.wording import count
from headrace.pipeline.folder import WorkingFolder

if TYPE_CHECKING:
    from headrace.model.trace import PipelineTrace
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

_PENDING, _ENDED = ("extracted", "normalized"), ("loaded", "aborted")


class PipelineEntry(NamedTuple):
    """A pipeline of this machine, as its working folder tells it.

    Attributes:
        pipeline_name: Its name.
        working_dir: Its folder.
        destination: Name of the destination; None if it never had one.
        dataset_name: The dataset.
        schema_names: Its schemas.
        last_run_at: When the newest run ended (or began, if it was killed); None if there is no trace.
        last_run_error: What the newest run ended with; None if it went well.
        pending: Packages that wait to be normalized or loaded.
        aborted: Packages that were set aside.
    """

    pipeline_name: str
    working_dir: str
    destination: str | None
    dataset_name: str | None
    schema_names: list[str]
    last_run_at: dt.datetime | None
    last_run_error: str | None
    pending: int
    aborted: int

    @property
    def status(self) -> str:
        """In a word: ``ok``, ``failed``, ``pending`` (packages wait) or ``new`` (it never ran)."""
        if self.last_run_error is not None:
            return "failed"
        return "pending" if self.pending else "new" if self.last_run_at is None else "ok"

    def asdict(self) -> dict[str, Any]:
        """A dictionary with the status."""
        return {**self._asdict(), "status": self.status}


def list_pipelines(pipelines_dir: str | Path | None = None) -> list[PipelineEntry]:
    """The pipelines that have a working folder, by name.

    Args:
        pipelines_dir: The folder of working folders; that of the configuration by default.
    """
    root = _root(pipelines_dir)
    try:
        names = sorted(path.name for path in root.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    folders = [WorkingFolder(root, name) for name in names]
    return [_entry(folder) for folder in folders if folder.exists]


def pipeline_names(pipelines_dir: str | Path | None = None) -> list[str]:
    """Names of the pipelines that have a working folder, sorted."""
    root = _root(pipelines_dir)
    try:
        return sorted(path.name for path in root.iterdir() if WorkingFolder(root, path.name).exists)
    except OSError:
        return []


def _root(pipelines_dir: str | Path | None) -> Path:
    from headrace.config.run_context import get_pipelines_dir

    return Path(pipelines_dir or get_pipelines_dir())


def _entry(folder: WorkingFolder) -> PipelineEntry:
    from headrace.package.store import PackageStore

    state = _state(folder)
    at, error = _last_run(folder)
    store = PackageStore(folder.packages)
    kind = state.get("destination_type") or ""
    return PipelineEntry(
        folder.path.name,
        str(folder.path),
        state.get("destination_name") or kind.rpartition(".")[2] or None,
        state.get("dataset_name"),
        list(state.get("schema_names") or ()),
        at,
        error,
        len(store.list(*_PENDING)),
        len(store.list("aborted")),
    )


def _state(folder: WorkingFolder) -> dict[str, Any]:
    try:
        found = json.loads(folder.state_file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _last_run(folder: WorkingFolder) -> tuple[dt.datetime | None, str | None]:
    from headrace.pipeline.tracing import Tracer

    trace = Tracer(folder.runs, folder.path.name).last
    if trace is None or not trace.steps:  # a sync alone is no run
        return None, None
    return trace.finished_at or trace.started_at, error_of(trace)


def error_of(trace: PipelineTrace) -> str | None:
    """What a run ended with, None if it went well; after a step that was done again by itself, what that ended with.

    Jobs that failed for good and were passed over (``load.raise_on_failed_jobs`` is off) count as an error.
    """
    if not trace.steps or trace.steps[-1].step_exception:
        return trace.steps[-1].step_exception if trace.steps else None
    failed = [job for package in getattr(trace.steps[-1].step_info, "load_packages", ()) for job in package.failed_jobs]
    if not failed:
        return None
    were = "was" if len(failed) == 1 else "were"
    where = f"`headrace pipeline failed-jobs {trace.pipeline_name}`"
    return f"{count(len(failed), 'job')} failed for good and {were} passed over: {where}"


def why_aside(package: Package) -> str | None:
    """Why a package was set aside; None when it was not, or its load was undone on purpose."""
    from headrace.model.events import Aborted, RolledBack

    if package.phase != "aborted" or package.fact(RolledBack) is not None:
        return None
    fact = package.fact(Aborted)
    return fact.reason if fact is not None else "its journal does not say why"


def overview(p: Pipeline) -> dict[str, Any]:
    """What there is to know of a pipeline, from its working folder alone: nothing is asked of the destination."""
    trace, store, schemas = p.last_trace, p._store, [p.schemas[name] for name in p.schema_names]
    return {
        "pipeline_name": p.pipeline_name,
        "working_dir": p.working_dir,
        "destination": _place(p, "destination"),
        "staging": _place(p, "staging"),
        "dataset_name": p.dataset_name,
        "default_schema_name": p.default_schema_name,
        "schemas": [
            {
                "name": schema.name,
                "version": schema.version,
                "version_hash": schema.version_hash,
                "tables": sorted(schema.data_table_names()),
            }
            for schema in schemas
        ],
        "packages": {phase: store.list(phase) for phase in (*_PENDING, *_ENDED)},
        "last_run": None
        if trace is None or not trace.steps
        else {
            "started_at": trace.started_at,
            "finished_at": trace.finished_at,
            "error": error_of(trace),
            "rows": trace.last_normalize_info.row_counts if trace.last_normalize_info else {},
            "rejected": trace.rejected_counts,
        },
        "first_run": p.first_run,
        "dev_mode": p.dev_mode,
        "sources": {
            name: sorted(state.get("resources", {})) for name, state in sorted(p.state.get("sources", {}).items())
        },
    }


def _place(p: Pipeline, role: str) -> dict[str, Any] | None:
    """Name and type of a destination, from the state: its drivers need not be installed."""
    kind = p._state.document.get(f"{role}_type")
    if not kind:
        return None
    return {"name": p._state.document.get(f"{role}_name") or kind.rpartition(".")[2], "type": kind}
