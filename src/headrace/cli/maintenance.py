"""Operations of ``headrace pipeline`` that change something: they say what, ask, and do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headrace.cli.attaching import attach, name_argument, pipelines_dir, pipelines_dir_option
from headrace.cli.base import Command, current_output, verbose_option, yes_option
from headrace.cli.failures import FAILED, CliError
from headrace.cli.output import paint
from headrace.cli.pipelines import destination_of, instant
from headrace.model.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.model.infos import LoadInfo
    from headrace.pipeline.helpers import DropInfo
    from headrace.pipeline.pipeline import Pipeline

# ---- the working folder ----------------------------------------------------------------------------------------------


@click.command(cls=Command)
@name_argument
@click.option("--destination", help="Where the pipeline loads to, if it never ran on this machine.")
@click.option("--dataset-name", help="Its dataset there.")
@pipelines_dir_option
@yes_option
def sync(name: str, destination: str | None, dataset_name: str | None) -> None:
    """Forget state and schemas of this machine, and take those of the destination. Nothing changes there.

    With --destination and --dataset-name a pipeline of another machine goes on here.
    """
    from headrace.pipeline.overview import overview, pipeline_names

    out, given = current_output(), {"destination": destination, "dataset_name": dataset_name}
    known = name in pipeline_names(pipelines_dir())
    p = attach(name, **given)
    if known:
        _need_stored_state(p)
        waiting = _waiting(p)
        lost = f", and {count(len(waiting), 'package')} that {'waits' if len(waiting) == 1 else 'wait'} to be loaded"
        out.confirm(f"Forget state and schemas of `{name}` in {p.working_dir}{lost if waiting else ''}?")
        p.drop()
        p.sync_destination()
    found = overview(p)

    def tell() -> None:
        schemas = ", ".join(f"{one['name']} version {one['version']}" for one in found["schemas"]) or "none"
        out.text(f"Pipeline {name} has state and schemas of {destination_of(p)}; schemas: {schemas}.")

    out.result(found, tell)


def _need_stored_state(p: Pipeline) -> None:
    """What is here is only forgotten when there is something to take instead."""
    # with an empty schema: the one that is here may be damaged, and be why this is done
    place, schema = p._need_destination("sync"), p._destinations.blank_schema()
    with place.open(p._destinations.dataset_for(schema), schema, p._destinations.facts()) as client:
        there = client.has_dataset() and client.read_state(p.pipeline_name) is not None
    if not there:
        raise CliError(
            f"There is no state of pipeline `{p.pipeline_name}` in {destination_of(p)}: nothing was changed.",
            fix="check destination and dataset; `headrace pipeline info` shows those that the pipeline uses",
        )


def _waiting(p: Pipeline) -> list[str]:
    return [*p.list_extracted_load_packages(), *p.list_normalized_load_packages()]


@click.command(cls=Command, name="drop-pending-packages")
@name_argument
@pipelines_dir_option
@yes_option
def drop_pending(name: str) -> None:
    """Delete packages that wait to be normalized or loaded; their data are lost, and cursors go back behind them."""
    out, p = current_output(), attach(name)
    waiting = _waiting(p)
    if waiting:
        _tell_packages(p, waiting)
        out.confirm(f"Delete {count(len(waiting), 'package')} with {'its' if len(waiting) == 1 else 'their'} data?")
        p.drop_pending_packages()
    said = f"Deleted: {', '.join(waiting)}." if waiting else f"Pipeline {name} has no packages that wait."
    out.result({"dropped": waiting}, lambda: out.text(said))


@click.command(cls=Command, name="abort-packages")
@name_argument
@click.argument("load_id", required=False)
@pipelines_dir_option
@yes_option
def abort_packages(name: str, load_id: str | None) -> None:
    """Set packages that wait aside: all, or LOAD_ID. Their files stay to be looked at; later runs leave them alone."""
    out, p = current_output(), attach(name)
    waiting = [one for one in _waiting(p) if load_id in (None, one)]
    if load_id and not waiting:
        raise CliError(f"Package {load_id} of pipeline `{name}` does not wait.", fix=f"headrace pipeline info {name}")
    done: list[str] = []
    if waiting:
        _tell_packages(p, waiting)
        out.confirm(f"Set {count(len(waiting), 'package')} aside?")
        done = p.abort_packages(load_id)
    said = f"Set aside: {', '.join(done)}." if done else f"Pipeline {name} has no packages that wait."
    out.result({"aborted": done}, lambda: out.text(said))


def _tell_packages(p: Pipeline, load_ids: Sequence[str]) -> None:
    out = current_output()
    for load_id in load_ids:
        info = p.get_load_package_info(load_id)
        partly = any(info.jobs.get("completed_jobs") or ())
        out.text(info.asstr(0) + (paint("; some of its jobs are loaded already", "warn") if partly else ""))


# ---- the destination -------------------------------------------------------------------------------------------------


@click.command(cls=Command)
@name_argument
@click.argument("resources", nargs=-1)
@click.option("--drop-all", is_flag=True, help="All resources of the schema.")
@click.option("--state-paths", multiple=True, help="JSONPath in the state of the source to remove; may be repeated.")
@click.option("--schema", "schema_name", help="The schema; the default one without it.")
@click.option("--state-only", is_flag=True, help="Leave the tables alone.")
@click.option("--destination", help="Where the pipeline loads to, if it never ran on this machine.")
@click.option("--dataset-name", help="Its dataset there.")
@pipelines_dir_option
@yes_option
def drop(
    name: str,
    resources: tuple[str, ...],
    drop_all: bool,
    state_paths: tuple[str, ...],
    schema_name: str | None,
    state_only: bool,
    destination: str | None,
    dataset_name: str | None,
) -> None:
    """Drop the tables and forget the state of RESOURCES: names, or patterns that begin with `re:`.

    The next run loads them again from the beginning.
    """
    from headrace.pipeline.helpers import pipeline_drop

    out = current_output()
    if not (resources or drop_all or state_paths):
        raise click.UsageError("Say what to drop: RESOURCES, --drop-all, or --state-paths.")
    p = attach(name, destination=destination, dataset_name=dataset_name)
    if not p.has_pending_data:
        p.sync_destination()
    order = pipeline_drop(p, resources, schema_name, state_paths, drop_all, state_only)
    told = _drop_document(order.info, done=False)
    for line in [*(paint(warning, "warn") for warning in order.info["warnings"]), *_drop_lines(order.info)]:
        out.text(line)
    if order.is_empty:
        out.result(told, lambda: out.text("There is nothing to drop."))
        return
    out.confirm(f"Drop this in {destination_of(p)}?")
    order()
    out.result({**told, "dropped": True}, lambda: out.text("Dropped."))


def _drop_document(info: DropInfo, done: bool) -> dict[str, Any]:
    kept = {key: value for key, value in info.items() if key != "resource_pattern"}
    return {**kept, "dropped": done}


def _drop_lines(info: DropInfo) -> list[str]:
    rows = (
        ("resources", info["resource_names"]),
        ("tables", info["tables"]),
        ("state of resources", info["resource_states"]),
        ("paths of the state", info["state_paths"]),
    )
    return [f"  {paint(what.ljust(18), 'key')}  {', '.join(values)}" for what, values in rows if values]


@click.command(cls=Command)
@name_argument
@click.argument("load_id", required=False)
@click.argument("job_id", required=False)
@click.option("--force", is_flag=True, help="Also where later loads have written the same tables.")
@pipelines_dir_option
@yes_option
def retry(name: str, load_id: str | None, job_id: str | None, force: bool) -> int:
    """Load once more what failed for good: all of it, the package LOAD_ID, or its job JOB_ID.

    Each row is loaded once, however often this is said; what would put old rows over newer ones is refused.
    """
    out, p = current_output(), attach(name)
    if force:
        out.confirm("Rows of later loads may be written over, or be there twice. Load it nevertheless?")
    if load_id and job_id:
        info = p.retry_job(load_id, job_id, force=force)
    else:
        info = p.retry_failed_jobs(load_id, force=force)
    return tell_load(info, _nothing_to_retry(p) if info is None else "")


def _nothing_to_retry(p: Pipeline) -> str:
    from headrace.pipeline.overview import why_aside

    if any(p.list_failed_jobs_in_package(load_id) for load_id in p._store.list()):
        return f"Nothing was loaded: what has failed in pipeline {p.pipeline_name} cannot be loaded again."
    aside = [load_id for load_id in p._store.list("aborted") if why_aside(p._store.get(load_id))]
    if aside:
        return (
            f"No job has failed in pipeline {p.pipeline_name}. Set aside: {', '.join(aside)}; "
            f"`headrace pipeline retry {p.pipeline_name} LOAD_ID` tries one once more."
        )
    return f"Nothing has failed in pipeline {p.pipeline_name}."


def tell_load(info: LoadInfo | None, nothing: str) -> int:
    """Say what a load did; returns the exit code."""
    out = current_output()
    loads_ids = list(info.loads_ids) if info is not None else []
    failed = [job for package in info.load_packages for job in package.failed_jobs] if info is not None else []
    document = {"loads_ids": loads_ids, "failed_jobs": [job.asdict() for job in failed]}
    out.result(document, lambda: out.text(nothing if info is None else info.asstr(out.verbose)))
    return FAILED if info is not None and info.has_failed_jobs else 0


@click.command(cls=Command)
@name_argument
@click.argument("load_id", required=False)
@click.option("--cascade", is_flag=True, help="Also undo the loads that came later.")
@click.option("--list", "listed", is_flag=True, help="List the loads that can be undone.")
@pipelines_dir_option
@verbose_option
@yes_option
def rollback(name: str, load_id: str | None, cascade: bool, listed: bool) -> None:
    """Undo the newest load, or LOAD_ID: rows, columns, tables, cursors and state are again what they were before it.

    Only loads of which enough was kept can be undone: the setting `load.keep_undo` says how many.
    """
    out, p = current_output(), attach(name)
    if listed:
        _list_undoable(p)
        return
    if out.ask and not out.yes and not out.json:
        load_id = _tell_undoing(p, load_id, cascade)
    which = f"load {load_id}" if load_id else "the newest load"
    more = " and all that came later" if cascade else ""
    out.confirm(f"Undo {which}{more} of `{name}` in {destination_of(p)}?")
    undone = p.rollback(load_id, cascade)
    out.result(undone.asdict(), lambda: out.text(undone.asstr(out.verbose)))


def _tell_undoing(p: Pipeline, load_id: str | None, cascade: bool) -> str:
    """Say what would be undone, before the question; returns the load that is meant."""
    from headrace.pipeline.rollingback import loads_to_undo

    out, found = current_output(), loads_to_undo(p, load_id, cascade)
    for one in found:
        own = ", ".join(table for table in one.tables if not table.startswith("_dlt_")) or "no table of data"
        out.text(f"{paint('load ' + one.load_id, 'head')}  {instant(one.began_at)} UTC  {own}")
        if one.why_not:
            out.text(paint(f"  cannot be undone: {one.why_not}", "warn"))
    return found[-1].load_id


def _list_undoable(p: Pipeline) -> None:
    out, found = current_output(), p.list_undoable_loads()

    def tell() -> None:
        if not found:
            out.text(
                f"No load of pipeline {p.pipeline_name} can be undone.", "`load.keep_undo` says how many are kept."
            )
            return
        head = ("load id", "began", "tables")
        out.table(head, [(f.load_id, instant(f.began_at), ", ".join(f.tables)) for f in found], whole=head)
        for one in found:
            if one.why_not:
                out.text(paint(f"{one.load_id} cannot be undone: {one.why_not}", "warn"))

    out.result({"loads": [one._asdict() for one in found]}, tell)
