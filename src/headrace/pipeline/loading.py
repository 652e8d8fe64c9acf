"""The step load: normalized packages become rows of tables."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base import signals
from headrace.errors.base import HeadraceException
from headrace.errors.destination import DestinationTerminalException
from headrace.errors.load import LoadClientJobFailed
from headrace.errors.masking import without_secrets
from headrace.errors.plan import PlanOutdated
from headrace.model.events import JobDone
from headrace.model.infos import LoadInfo
from headrace.model.metrics import LoadMetrics, dataset_outputs, table_metrics
from headrace.model.rejected import add_counts
from headrace.model.state_converge import join_states
from headrace.package.again import failed_jobs
from headrace.package.decided import left_files
from headrace.pipeline.current import package_scope
from headrace.pipeline.parking import leave_package, one_line, park_package
from headrace.pipeline.recovery import LAST_EXTRACTED_HASH, LAST_LOADED_HASH
from headrace.pipeline.schemas import parse_schema
from headrace.pipeline.step import StepParts, StepRun, step
from headrace.pipeline.work import tell_state

if TYPE_CHECKING:
    from headrace.config.known import LoadConfiguration
    from headrace.load.destination import Client, Destination
    from headrace.load.stage import LoadResult, LoadSettings
    from headrace.model.schema import Schema
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
_TRUNCATE = "truncate_tables_on_staging_destination_before_load"


def load(
    p: Pipeline, workers: int | None = None, raise_on_failed_jobs: bool | None = None, *, park: bool = False
) -> LoadInfo | None:
    """Load all normalized packages, oldest first.

    Args:
        p: The pipeline.
        workers: Threads.
        raise_on_failed_jobs: Stop at a job that fails for good.
        park: Go on behind a package that failed for good; it is set aside in either case.

    Returns:
        What was done; None when the pipeline has no schema yet.
    """
    if p.default_schema_name is None and not p.has_pending_data:
        return None
    destination = p._need_destination("load")
    with step(p, "load") as run, signals.delayed(p._settings.runtime.intercept_signals):
        done, found = StepParts(p), p._settings.load()
        run.info = new_info(p, destination, done)
        load_ids = p._store.list("normalized")
        if load_ids:
            settings = load_settings(p, destination, found, workers, raise_on_failed_jobs)
            for load_id in load_ids:
                signals.raise_if_received()
                package = p._store.get(load_id)
                if package.phase == "normalized":  # else it was set aside together with one before it
                    _load_one(p, run, done, package, settings, park)
            _prune(p, found)
        return run.info


def _prune(p: Pipeline, found: LoadConfiguration) -> None:
    if not found.keeps_all_packages:
        from headrace.pipeline.pruning import prune_packages

        prune_packages(p, found)


def new_info(
    p: Pipeline, destination: Destination, done: StepParts, dataset_name: str | None = None, first: bool | None = None
) -> LoadInfo:
    """What load hands back; the lists of ``done`` are shared, not copied."""
    staging = p.staging
    return LoadInfo(
        p,
        done.metrics,
        destination.destination_type,
        destination.describe_location(),
        destination.destination_name,
        _environment(destination),
        staging.destination_type if staging else None,
        staging.destination_name if staging else None,
        staging.describe_location() if staging else None,
        destination.fingerprint(),
        dataset_name,
        done.loads_ids,
        done.load_packages,
        p.first_run if first is None else first,
    )


def _environment(destination: Destination) -> str | None:
    given: Any = getattr(destination, "config_params", {}).get("environment")
    return given if isinstance(given, str) else None


def _load_one(p: Pipeline, run: StepRun, done: StepParts, package: Package, settings: LoadSettings, park: bool) -> None:
    from headrace.load.stage import load as load_package
    from headrace.load.undoing import undo_plan
    from headrace.pipeline.gates import parked_by_gate
    from headrace.pipeline.refreshing import apply_refresh

    run.load_id, p.bus.run.package = package.load_id, package
    destination = p._need_destination("load")
    schema = p._fresh_schema(package.load_id) or parse_schema(package.load_schema())
    dataset_name = p._destinations.dataset_for(schema)
    again = package.was_loaded
    facts, via, first_run = p._destinations.facts(), p.staging, run.info.first_run if run.info else p.first_run
    try:
        with p._session.use(destination, dataset_name, schema, facts) as client, package_scope(package):
            if parked_by_gate(p, package, schema):
                return
            undo = undo_plan(package, settings.keep_undo, destination.capabilities())
            apply_refresh(p, package, client, schema, undo)
            where = (package, destination, dataset_name)
            how: Any = {"pipeline": facts, "publish": p._publish, "client": client, "schema": schema, "staging": via}
            result = load_package(*where, settings=settings, **how, approve=p._promised.get(package.load_id))
            _prune_states(p, client, result.state)
        done.metrics[package.load_id] = [_metrics(result, package, schema, destination)]
        _follow(p, package, schema, result)
        _finish(p, package, settings)
        _tell_failures(p, package)
    except (DestinationTerminalException, PlanOutdated) as error:
        # a job, or the change of the tables before it: another try would end the same way
        run.partial = package.fact(JobDone) is not None
        why = error.failed_message if isinstance(error, LoadClientJobFailed) else str(error)
        (leave_package if again else park_package)(p, package, why, error.fix)
        if not park:
            raise
    except Exception:
        run.partial = package.fact(JobDone) is not None
        raise
    finally:
        # also after a failure: how far it came
        done.add(package)
        run.info = new_info(p, destination, done, dataset_name, first_run)


def _tell_failures(p: Pipeline, package: Package) -> None:
    """Say loudly which jobs of a package that counts as loaded are not in it."""
    for job_id, failure in failed_jobs(package).items():
        logger.error(
            "pipeline `%s`: job %s of load %s FAILED and was passed over (`load.raise_on_failed_jobs` is off); "
            "NOT LOADED are %s of %s: %s. When the cause is mended: `pipeline.retry_job(%r, %r)`",
            *(
                p.pipeline_name,
                job_id,
                package.load_id,
                ", ".join(str(package.path / f) for f in failure.files) or "rows",
            ),
            *(", ".join(failure.tables), one_line(failure.message), package.load_id, job_id),
        )


def _follow(p: Pipeline, package: Package, loaded: Schema, result: LoadResult) -> None:
    """Let the live schema and state know what the package has taken in from other writers."""
    if result.schema_joined:
        from headrace.model.schema_converge import take_in

        live = p._schemas.find(loaded.name)
        if live is not None and live is not loaded:
            take_in(live, loaded, p._destinations.capabilities())
        p._schemas.save(live or loaded)
    if result.state is not None:
        _note_state(p, result)
        tell_state(p, package, "destination", result.state_joined or result.state)


def _note_state(p: Pipeline, result: LoadResult) -> None:
    """Remember which state is at the destination, and go on with it if it was joined with another one."""
    state, local = p._state, p._state.local
    joined, loaded = result.state_joined, result.state or {}
    if joined is not None:
        if state.document.get("_version_hash") == loaded.get("_version_hash"):
            local[LAST_EXTRACTED_HASH] = joined["_version_hash"]
        else:
            # later packages wait with states of their own
            joined = dict(join_states(state.document, joined)[0])
        state.replace(joined)
        loaded = result.state_joined or {}
    local[LAST_LOADED_HASH] = loaded.get("_version_hash")
    state.save()


def _prune_states(p: Pipeline, client: Client, state: Mapping[str, Any] | None) -> None:
    """Delete old states now and then; they are never read, and make up most of some datasets."""
    keep = p._settings.pipeline.keep_states
    if state is None or keep <= 0 or state["_state_version"] % max(1, keep // 10):
        return
    try:
        client.prune_states(p.pipeline_name, keep)
    except HeadraceException as error:
        logger.info(
            "pipeline `%s`: old states could not be deleted, the next run tries again: %s", p.pipeline_name, error
        )


def _finish(p: Pipeline, package: Package, settings: LoadSettings) -> None:
    p._store.finish(package, settings.delete_completed_jobs)
    p._fresh.pop(package.load_id, None)
    if p._state.local.get("first_run", True):
        p._state.local["first_run"] = False
        p._state.save()


def load_settings(
    p: Pipeline,
    destination: Destination,
    found: LoadConfiguration,
    workers: int | None = None,
    raise_on_failed_jobs: bool | None = None,
) -> LoadSettings:
    """Settings of the step for a destination, from those of the section ``load``; other arguments as of `load`."""
    from headrace.load.stage import LoadSettings

    name = destination.destination_name
    given = getattr(destination, "config_params", {}).get(_TRUNCATE)
    truncate = given if given is not None else p._settings.of_destination(name, _TRUNCATE)
    return LoadSettings(
        workers=workers or found.workers,
        raise_on_failed_jobs=found.raise_on_failed_jobs if raise_on_failed_jobs is None else raise_on_failed_jobs,
        raise_on_max_retries=found.raise_on_max_retries,
        parallelism_strategy=found.parallelism_strategy,
        delete_completed_jobs=found.delete_completed_jobs,
        comments=found.comments,
        keep_undo=keep_undo(p, found),
        unstage=found.truncate_staging_dataset,
        unstage_older=str(truncate).lower() not in ("false", "no", "0", "f", "n"),
        replace_strategy=p._settings.of_destination(name, "replace_strategy")
        or getattr(destination, "config_params", {}).get("replace_strategy"),
    )


def keep_undo(p: Pipeline, found: LoadConfiguration) -> int:
    """How many loads stay undoable; says so when that is asked of a destination that cannot."""
    destination, keep = p._need_destination("load"), found.keep_undo
    if keep > 0 and not destination.capabilities().supports_undo:
        logger.warning(
            "pipeline `%s`: `load.keep_undo` is %d, but the destination `%s` cannot undo loads; nothing is kept",
            *(p.pipeline_name, keep, destination.destination_name),
        )
        return 0
    return keep


def _metrics(result: LoadResult, package: Package, schema: Schema, destination: Destination) -> LoadMetrics:
    files = left_files(package)
    place = {
        "location": without_secrets(destination.describe_location() or ""),
        "destination_type": destination.destination_type,
        "destination_name": destination.destination_name,
        "destination_fingerprint": destination.fingerprint(),
        "case_sensitive": destination.capabilities().has_case_sensitive_identifiers,
        "dataset_name": result.dataset_name,
    }
    return {
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "job_metrics": dict(result.job_metrics),
        "row_changes": dict(result.row_changes),
        "table_metrics": table_metrics(files),
        "dataset_name": result.dataset_name,
        "outputs": dataset_outputs((file.table for file in files), schema, **place),
        "rejected": [msgspec.to_builtins(one) for one in add_counts(package.rejected())],
    }


def merge_infos(first: LoadInfo | None, second: LoadInfo) -> LoadInfo:
    """One info for packages that were pending and those of the run itself."""
    if first is None or not first.loads_ids:
        return second
    metrics: dict[str, Any] = {**first.metrics, **second.metrics}
    return second._replace(
        metrics=metrics,
        loads_ids=[*first.loads_ids, *second.loads_ids],
        load_packages=[*first.load_packages, *second.load_packages],
        dataset_name=second.dataset_name or first.dataset_name,
        first_run=first.first_run,
        pending_loads_ids=first.pending_loads_ids,
    )


def loaded_part(info: Any) -> LoadInfo | None:
    """Of what a load that failed has told, the packages that are loaded; None when there are none."""
    if not isinstance(info, LoadInfo):
        return None
    packages = [package for package in info.load_packages if package.state == "loaded"]
    ids = [package.load_id for package in packages]
    metrics: Any = {load_id: info.metrics[load_id] for load_id in ids if load_id in info.metrics}
    return info._replace(load_packages=packages, loads_ids=ids, metrics=metrics) if ids else None
