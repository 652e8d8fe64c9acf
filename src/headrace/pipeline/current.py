"""The active pipeline, and what functions may ask for while one of its packages is being made or loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from headrace.base.logs import log_context
from headrace.config.current import set_pipeline_name
from headrace.extract.state import set_ambient_state

if TYPE_CHECKING:
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

# a thread of the user's sees what it activated itself; steps pass their pipeline on to pool threads by context
_activated = threading.local()
_running: ContextVar[Pipeline | None] = ContextVar("headrace_running_pipeline", default=None)
_package: ContextVar[Package | None] = ContextVar("headrace_current_package", default=None)
_package_documents: dict[str, dict[str, Any]] = {}


def active() -> Pipeline | None:
    """The pipeline that is running here, else the one activated last in this thread."""
    running = _running.get()
    return running if running is not None else getattr(_activated, "pipeline", None)


def activate(pipeline: Pipeline) -> None:
    """Make the pipeline the active one of this thread; the one before is deactivated."""
    _activated.pipeline = pipeline
    set_pipeline_name(pipeline.pipeline_name)
    set_ambient_state(_ambient_state)


def _ambient_state() -> dict[str, Any] | None:
    """A copy of the active pipeline's state: functions may read it outside of a run, and nothing of theirs is kept."""
    pipeline = active()
    return pipeline.state if pipeline is not None else None


def deactivate(pipeline: Pipeline) -> None:
    """Leave this thread without an active pipeline.

    Raises:
        PipelineNotActive: Another one is active, or none.
    """
    if getattr(_activated, "pipeline", None) is not pipeline:
        from headrace.errors.pipeline import PipelineNotActive

        raise PipelineNotActive(pipeline.pipeline_name)
    _activated.pipeline = None
    set_pipeline_name(None)


def reset() -> None:
    """Leave this thread without an active pipeline, whichever it was."""
    _activated.pipeline = None
    set_pipeline_name(None)


@contextmanager
def running(pipeline: Pipeline) -> Iterator[None]:
    """While a step runs its pipeline is the active one, in pool threads too."""
    token = _running.set(pipeline)
    try:
        yield
    finally:
        _running.reset(token)


def current_pipeline() -> Pipeline:
    """The active pipeline; one with default settings is made when there is none."""
    found = active()
    if found is None:
        from headrace.pipeline.factory import pipeline

        found = pipeline()
    return found


@contextmanager
def package_scope(package: Package) -> Iterator[None]:
    """Make the package the current one; its state document is saved on the way out if it was asked for."""
    token = _package.set(package)
    try:
        with log_context(load_id=package.load_id, schema_name=package.schema_name):
            yield
        _save(package)
    finally:
        _package.reset(token)
        _package_documents.pop(str(package.path), None)


def load_package_state() -> dict[str, Any]:
    """The state document of the package that is being extracted or loaded; write into it at will.

    Raises:
        CurrentLoadPackageStateNotAvailable: No package is being worked on here.
    """
    return _document(_current_package())


def destination_state() -> dict[str, Any]:
    """The part of the package's state that destination functions share; not synced to the destination.

    Raises:
        CurrentLoadPackageStateNotAvailable: No package is being worked on here.
    """
    part: dict[str, Any] = load_package_state().setdefault("destination_state", {})
    return part


def commit_load_package_state() -> None:
    """Write the package's state document to disk now instead of at the end of the step.

    Raises:
        CurrentLoadPackageStateNotAvailable: No package is being worked on here.
    """
    _save(_current_package())


def read_package_document(package: Package) -> dict[str, Any]:
    """The state document of any package, as it is on disk."""
    from headrace.base import typed_json

    try:
        found: dict[str, Any] = typed_json.loads((package.path / "package_state.json").read_bytes())
    except FileNotFoundError:
        found = {}
    found.setdefault("created_at", package.created_at)
    return found


def _current_package() -> Package:
    package = _package.get()
    if package is None:
        from headrace.errors.package import CurrentLoadPackageStateNotAvailable

        raise CurrentLoadPackageStateNotAvailable()
    return package


def _document(package: Package) -> dict[str, Any]:
    key = str(package.path)
    if key not in _package_documents:
        _package_documents[key] = read_package_document(package)
    return _package_documents[key]


def _save(package: Package) -> None:
    document = _package_documents.get(str(package.path))
    if document is not None and package.path.is_dir():
        from headrace.base import typed_json
        from headrace.base.files import write_atomic

        write_atomic(package.path / "package_state.json", typed_json.dumpb(document))
