"""Errors of pipelines: names, contexts, steps."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.errors.base import PipelineException
from headrace.errors.schema import DataValidationError

__all__ = [
    "CannotRestorePipelineException",
    "CannotRetryJobs",
    "InvalidPipelineName",
    "PipelineConfigMissing",
    "PipelineException",
    "PipelineHasPendingDataException",
    "PipelineNeverRan",
    "PipelineNotActive",
    "PipelineStateEngineNoUpgradePathException",
    "PipelineStepFailed",
    "StateTooLarge",
]


_KEPT = {
    "extract": "packages of earlier runs are kept and the next `run()` goes on with them",
    "normalize": "the package is kept: the next `run()` tries it again, and sets it aside when its data are at fault",
    "load": "the package is kept and the next `run()` goes on with it",
}


def _what_waits(step: str, exception: BaseException) -> str:
    """What becomes of packages that wait; one that breaks a contract is not among them any more."""
    error: BaseException | None = exception
    while error is not None:
        if isinstance(error, DataValidationError):
            return _KEPT["extract"]
        error = error.__cause__
    return _KEPT.get(step, _KEPT["load"])


def _full_disk(pipeline: Any, exception: BaseException) -> str | None:
    """What to know of a disk without room, where that is what ended the step."""
    error: BaseException | None = exception
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            folder = getattr(pipeline, "working_dir", None)
            return (
                f"there is no room on the disk; the pipeline works in {folder}: make room there, or name another "
                "folder in `pipelines_dir` or HEADRACE_DATA_DIR"
            )
        error = error.__cause__
    return None


class InvalidPipelineName(PipelineException, ValueError):
    """The name cannot be the name of a folder."""

    def __init__(self, pipeline_name: str, details: str) -> None:
        super().__init__(
            pipeline_name,
            f"{pipeline_name!r} cannot be the name of a pipeline.",
            why=details,
            fix="use letters, digits, underscores and dashes, for example `github_issues`",
        )


class PipelineConfigMissing(PipelineException):
    """A step needs a setting that neither the code nor the configuration gives.

    Args:
        pipeline_name: The pipeline.
        config_elem: The missing setting, for example ``destination``.
        step: The step that needs it.
        fix: What to do; a general hint when not given.
    """

    def __init__(self, pipeline_name: str, config_elem: str, step: str, fix: str | None = None) -> None:
        self.config_elem, self.step = config_elem, step
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` has no `{config_elem}`, which the step `{step}` needs.",
            fix=fix or f"give `{config_elem}=` to `pipeline()` or to the step, or set it in the configuration",
        )


class CannotRestorePipelineException(PipelineException):
    """There is neither a working folder to attach to nor a state at the destination to start from."""

    def __init__(self, pipeline_name: str, pipelines_dir: str | Path, reason: str, fix: str | None = None) -> None:
        self.pipelines_dir, self.reason = str(pipelines_dir), reason
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` in `{pipelines_dir}` cannot be restored.",
            why=reason,
            fix=fix
            or "check the name and `pipelines_dir`, or give `destination` and `dataset_name` to restore from there",
        )


class CannotRetryJobs(PipelineException):
    """Loading what had failed would do harm, or there is nothing left to load. Nothing was changed."""

    def __init__(self, pipeline_name: str, load_id: str, reason: str, fix: str | None = None) -> None:
        self.load_id, self.reason = load_id, reason
        super().__init__(
            pipeline_name, f"What failed in load package {load_id} cannot be loaded again.", why=reason, fix=fix
        )


class StateTooLarge(PipelineException):
    """The state is larger than it may be. Nothing of the extract was kept."""

    def __init__(self, pipeline_name: str, size: int, limit: int, largest: Sequence[tuple[str, int, int]]) -> None:
        self.size, self.limit, self.largest = size, limit, list(largest)
        entries = "; ".join(
            f"`{path}`: {items:,} items, {taken:,} bytes before compression" for path, taken, items in largest
        )
        super().__init__(
            pipeline_name,
            f"The state of pipeline `{pipeline_name}` takes {size:,} bytes compressed, and {limit:,} are allowed.",
            why="it is written with every run that changes it, and read at the start of others. "
            f"Its largest entries: {entries}",
            fix="keep rows in tables, and only cursors in `current.resource_state()`; where many rows share a value of "
            "a cursor, give its resource a `primary_key`, or the incremental `primary_key=()` to keep no hashes; "
            f"or raise `pipelines.{pipeline_name}.max_state_size` (bytes; 0 for no limit)",
        )


class PipelineNotActive(PipelineException):
    """The pipeline to deactivate is not the active one."""

    def __init__(self, pipeline_name: str) -> None:
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` is not active.",
            why="another pipeline was activated after it, or it was deactivated before",
            fix="call `activate()` on it first",
        )


class PipelineHasPendingDataException(PipelineException):
    """The operation would lose packages that wait to be normalized or loaded."""

    def __init__(self, pipeline_name: str, pipelines_dir: str | Path) -> None:
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` in `{pipelines_dir}` has packages that were not loaded yet.",
            fix="call `run()` to load them or `drop_pending_packages()` to give them up",
        )


class PipelineNeverRan(PipelineException):
    """The operation needs a pipeline with a schema, and this one has none."""

    def __init__(self, pipeline_name: str, pipelines_dir: str | Path) -> None:
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` in `{pipelines_dir}` never ran: it has no schema.",
            fix="run it, or attach to a working folder or a destination that has its state",
        )


class PipelineStateEngineNoUpgradePathException(PipelineException):
    """A pipeline's state was written in a layout that this version cannot read."""

    def __init__(self, pipeline_name: str, init_engine: int, from_engine: int, to_engine: int) -> None:
        self.init_engine, self.from_engine, self.to_engine = init_engine, from_engine, to_engine
        super().__init__(
            pipeline_name,
            f"The state of pipeline `{pipeline_name}` has layout {init_engine}; this version reads up to {to_engine}.",
            why=f"there is no way from layout {from_engine} to {to_engine}",
            fix="use the version of headrace that wrote it, or a newer one",
        )


class PipelineStepFailed(PipelineException):
    """A step of a pipeline ended with an error; the error itself is ``exception`` and the ``__cause__``.

    Attributes:
        step: ``sync``, ``extract``, ``normalize``, ``load`` or ``run``.
        load_id: The package that was being worked on, None when there was none.
        exception: What went wrong.
        step_info: The step's info object as far as it got, None when there is none.
        is_package_partially_loaded: Some jobs of the package are at the destination, others are not.
        has_pending_data: Packages wait for the next run.
    """

    def __init__(
        self,
        pipeline: Any,
        step: str,
        load_id: str | None,
        exception: BaseException,
        step_info: Any = None,
        *,
        is_package_partially_loaded: bool = False,
    ) -> None:
        self.pipeline, self.step, self.load_id = pipeline, step, load_id
        self.exception, self.step_info = exception, step_info
        self.is_package_partially_loaded = is_package_partially_loaded
        self.has_pending_data = bool(getattr(pipeline, "has_pending_data", False))
        name = getattr(pipeline, "pipeline_name", None)
        package = f", package {load_id}" if load_id else ""
        super().__init__(
            name,
            f"Pipeline `{name}` failed in the step `{step}`{package}: {type(exception).__name__}: {exception}",
            why=_full_disk(pipeline, exception),
            fix=_what_waits(step, exception) if self.has_pending_data else None,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # a live pipeline holds locks and connections: only its name travels to another process
        rebuild, (kind, args, facts) = super().__reduce__()[:2]
        return (rebuild, (kind, args, {**facts, "pipeline": None, "step_info": None}))

    def attrs(self) -> dict[str, Any]:
        """The facts the error carries, without the live pipeline."""
        return {k: v for k, v in super().attrs().items() if k not in ("pipeline", "step_info", "exception")}
