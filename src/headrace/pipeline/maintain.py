"""Opening, saving, wiping and giving up: what keeps a working folder in order."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base.files import remove_tree
from headrace.errors.package import PipelineLocked
from headrace.errors.pipeline import CannotRestorePipelineException
from headrace.model.events import JobDone
from headrace.pipeline.state import TPipelineState
from headrace.pipeline.step import working

if TYPE_CHECKING:
    from headrace.pipeline.core import PipelineCore
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
_FOLDERS = ("settings_dir", "local_dir", "run_dir")


def open_folder(p: PipelineCore, must_attach: bool) -> None:
    """Take over what is in the working folder, or start from nothing.

    Raises:
        CannotRestorePipelineException: The folder must hold a pipeline, and holds none.
    """
    exists = p._folder.exists
    if must_attach:
        if not exists:
            raise CannotRestorePipelineException(
                p.pipeline_name, p.pipelines_dir, f"there is no pipeline in {p.working_dir}"
            )
        p.dev_mode = bool(p._state.local.get("_dev_mode"))
    elif exists and p.dev_mode:
        wipe(p)
    elif exists and p._state.local.get("_dev_mode"):
        logger.warning(
            "pipeline `%s` was in development mode: its working folder is emptied, as nothing in it belongs to the "
            "dataset of a regular run",
            p.pipeline_name,
        )
        wipe(p)
    if p._folder.exists:
        p._destinations.take_from_state(p._state.document)


def save_props(p: PipelineCore) -> None:
    """Write name, destination, dataset and folders into the state, and the state to disk if it changed.

    A process that runs the pipeline right now is not disturbed: then only this object knows.
    """
    _put_props(p)
    if not p._state.is_changed():
        return
    try:
        with p._folder.hold() as outermost:
            if outermost and p._state.refresh():
                _put_props(p)
            p._state.save()
    except PipelineLocked:
        logger.debug("pipeline `%s` is at work elsewhere: its state file is left alone", p.pipeline_name)


def _put_props(p: PipelineCore) -> None:
    state, local = p._state.document, p._state.local
    state["pipeline_name"] = p.pipeline_name
    state.setdefault("default_schema_name", None)
    state.setdefault("schema_names", [])
    p._destinations.to_state(state)
    local.setdefault("first_run", True)
    local["_dev_mode"] = p.dev_mode
    folders = {name: os.path.abspath(getattr(p.run_context, name)) for name in _FOLDERS}  # noqa: PTH100 - links stay
    local.setdefault("initial_cwd", folders["local_dir"])
    local["last_run_context"] = {**folders, "uri": p.run_context.uri}
    p._state.bump()


def wipe(p: PipelineCore) -> None:
    """Empty the working folder and start from nothing, in memory too."""
    with p._folder.hold():
        p._folder.wipe()
        p._state.reset()
        p._state.forget_file()
        p._schemas.discard()
        p._store_made = None
        p._fresh.clear()
        p._tracer.forget()
        p._destinations.remember(p._state.document)


def drop(p: Pipeline, pipeline_name: str | None) -> Pipeline:
    """See `Pipeline.drop`."""
    if pipeline_name and pipeline_name != p.pipeline_name:
        other = type(p)(
            pipeline_name,
            pipelines_dir=p.pipelines_dir,
            destination=p.destination,
            staging=p.staging,
            dataset_name=None,
            import_schema_path=_text(p._schemas.external.import_path),
            export_schema_path=_text(p._schemas.external.export_path),
            dev_mode=p.dev_mode,
            refresh=p.refresh,
            progress=p.collector,
        )
        other.activate()
        return other
    wipe(p)
    remove_tree(p._folder.plans)
    p._synced = None
    save_props(p)
    return p


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def drop_pending_packages(p: Pipeline, with_partial_loads: bool) -> None:
    """See `Pipeline.drop_pending_packages`."""
    from headrace.pipeline.parking import rewind

    with working(p):
        # the newest first, so that cursors go back step by step
        for load_id in reversed(p._store.list("extracted", "normalized")):
            package = p._store.get(load_id)
            if package.journal.all(JobDone) and not with_partial_loads:
                continue
            # marked first: were the cursors back and the package still to be loaded, its rows would come twice
            package.abort("it was dropped", told=False)
            rewind(p, package)
            p._store.drop(load_id)
            p._fresh.pop(load_id, None)


def abort_packages(p: Pipeline, load_id: str | None) -> list[str]:
    """See `Pipeline.abort_packages`."""
    from headrace.pipeline.parking import park_package

    with working(p):
        pending = p._store.list("extracted", "normalized")
        chosen = [found for found in reversed(pending) if load_id is None or found == load_id]
        for found in chosen:
            park_package(p, p._store.get(found), "it was aborted by hand")
        return sorted(chosen)


@contextmanager
def managed_state(p: Pipeline, extract_state: bool) -> Iterator[TPipelineState]:
    """See `Pipeline.managed_state`."""
    with working(p):
        try:
            yield p._state.document
        except BaseException:
            p._state.reload()
            raise
        if extract_state:
            from headrace.pipeline.extracting import extract_state_alone

            extract_state_alone(p)
        p._state.bump()
        p._state.save()


def set_local_value(p: PipelineCore, key: str, value: Any) -> None:
    """See `PipelineCore.set_local_state_val`."""
    if p._folder.held:
        # by a step of this object: saved now, what the step has changed so far could not be rolled back
        p._state.local[key] = value
        return
    with p._folder.hold():
        p._state.refresh()
        p._state.local[key] = value
        p._state.save()


def note_schema(p: PipelineCore, name: str) -> None:
    """A schema belongs to the pipeline from now on."""
    state: dict[str, Any] = p._state.document
    if not state.get("default_schema_name"):
        state["default_schema_name"] = name
    names = state.get("schema_names") or []
    if name not in names:
        state["schema_names"] = sorted([*names, name])
