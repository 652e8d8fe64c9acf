"""``headrace pipeline``: look at a pipeline. What changes one is in `maintenance`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.attaching import attach, name_argument, pipelines_dir, pipelines_dir_option
from headrace.cli.base import Command, Entry, Group, current_output, verbose_option, yes_option
from headrace.cli.failures import CliError
from headrace.cli.output import paint, terminal_width, wrapped
from headrace.model.wording import count

if TYPE_CHECKING:
    from headrace.cli.output import Output
    from headrace.pipeline.overview import PipelineEntry
    from headrace.pipeline.pipeline import Pipeline

OPERATIONS = {
    "list": Entry("headrace.cli.pipelines:list_all", "Pipelines of this machine."),
    "info": Entry("headrace.cli.pipelines:info", "Where it is, where it loads to, how its last run went."),
    "show": Entry("headrace.cli.showing:show", "Tables at the destination: rows, and a sample."),
    "trace": Entry("headrace.cli.pipelines:trace", "Steps of the last run."),
    "load-package": Entry("headrace.cli.pipelines:load_package", "Files and jobs of a load package."),
    "failed-jobs": Entry("headrace.cli.pipelines:failed_jobs", "Jobs that failed for good, and why."),
    "rollback": Entry("headrace.cli.maintenance:rollback", "Undo a load."),
    "retry": Entry("headrace.cli.maintenance:retry", "Load once more what failed for good."),
    "schema": Entry("headrace.cli.schema:pipeline_schema", "A schema of it, in several formats."),
    "sync": Entry("headrace.cli.maintenance:sync", "Take state and schemas from the destination."),
    "drop": Entry("headrace.cli.maintenance:drop", "Drop tables and state of resources."),
    "drop-pending-packages": Entry("headrace.cli.maintenance:drop_pending", "Give up packages that wait."),
    "abort-packages": Entry("headrace.cli.maintenance:abort_packages", "Set packages that wait aside."),
}


class _Operations(Group):
    """Takes the name before the operation too, as dlt's command does: ``pipeline shop info``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the operation; a name in front of it goes behind it."""
        if len(args) > 1 and args[0] not in self.entries and args[1] in self.entries:
            args = [args[1], args[0], *args[2:]]
        elif len(args) == 1 and args[0] not in self.entries and not args[0].startswith("-"):
            args = ["info", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Operations, entries=OPERATIONS, invoke_without_command=True)
@click.option("-l", "--list-pipelines", "listed", is_flag=True, help="The same as `list`.")
@pipelines_dir_option
@yes_option
@verbose_option
@click.pass_context
def pipeline(ctx: click.Context, listed: bool) -> None:
    """Look at pipelines, and put them right.

    The name may stand behind the operation or in front of it: `headrace pipeline info shop`, `headrace pipeline shop
    info`. Without an operation it is `info`, without anything `list`.
    """
    if ctx.invoked_subcommand is None:
        _list(current_output())


@click.command(cls=Command, name="list")
@pipelines_dir_option
def list_all() -> None:
    """List the pipelines that have a working folder on this machine."""
    _list(current_output())


def _list(out: Output) -> None:
    from headrace.pipeline.overview import list_pipelines

    folder = pipelines_dir()
    found = list_pipelines(folder)

    def tell() -> None:
        if not found:
            out.text(f"No pipelines in {folder}.")
            return
        out.text(f"{count(len(found), 'pipeline')} in {folder}", "")
        head = ("pipeline", "status", "last run", "destination", "dataset", "waiting")
        out.table(head, [_row(one) for one in found], right="waiting", whole=head[:1])

    out.result({"pipelines_dir": folder, "pipelines": [one.asdict() for one in found]}, tell)


def _row(one: PipelineEntry) -> tuple[Any, ...]:
    waiting = one.pending or ""
    return one.pipeline_name, one.status, instant(one.last_run_at), one.destination, one.dataset_name, waiting


def instant(moment: dt.datetime | None) -> str:
    """An instant for people, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "never"


@click.command(cls=Command)
@name_argument
@pipelines_dir_option
@verbose_option
def info(name: str) -> None:
    """Say where a pipeline is, where it loads to, what waits, and how its last run went; -v adds its state."""
    from headrace.pipeline.overview import overview

    out, p = current_output(), attach(name)
    found = overview(p)
    if out.verbose:
        found["state"] = p.state

    def tell() -> None:
        out.text(paint(f"Pipeline {p.pipeline_name}", "head"))
        pairs(out, _info_pairs(found))
        if out.verbose:
            from headrace.base import json

            out.text("", paint("State", "head"), json.dumps(found["state"], pretty=True))

    out.result(found, tell)


def pairs(out: Output, told: list[tuple[str, str]]) -> None:
    """Print names with their values in two columns."""
    width = max(len(name) for name, _ in told)
    for name, value in told:
        label = f"  {paint(name.ljust(width), 'key')}  "
        out.text(*wrapped(value, label, " " * (width + 4), terminal_width()))


def _info_pairs(found: dict[str, Any]) -> list[tuple[str, str]]:
    told = [("working folder", found["working_dir"])]
    for role in ("destination", "staging"):
        place = found[role]
        if place:
            named = "" if place["type"].endswith(f".{place['name']}") else f" ({place['type']})"
            told.append((role, f"{place['name']}{named}"))
    if not found["destination"]:
        told.append(("destination", paint("none yet", "warn")))
    told.append(("dataset", found["dataset_name"] or "none yet"))
    told += _last_run(found["last_run"])
    packages = found["packages"]
    waiting = len(packages["extracted"]) + len(packages["normalized"])
    text = f"{len(packages['loaded'])} loaded"
    if packages["aborted"]:
        text += ", " + paint(f"{len(packages['aborted'])} set aside", "fail")
    if waiting:
        text += ", " + paint(f"{waiting} waiting: the next run loads them first", "warn")
    told.append(("packages", text))
    for schema in found["schemas"]:
        tables = ", ".join(schema["tables"]) or "no tables"
        told.append(("schema", f"{schema['name']}, version {schema['version']}: {tables}"))
    for source, resources in found["sources"].items():
        told.append(("state of", f"{source}: {', '.join(resources) or 'the source alone'}"))
    return told


def _last_run(run: dict[str, Any] | None) -> list[tuple[str, str]]:
    if run is None:
        return [("last run", "none that is known here")]
    when = f"{instant(run['finished_at'] or run['started_at'])} UTC"
    if run["error"]:
        return [("last run", f"{when}, {paint('failed', 'fail')}"), ("error", run["error"].splitlines()[0])]
    rows = {table: n for table, n in run["rows"].items() if not table.startswith("_dlt_")}
    said = ", ".join(f"{table} {n:,}" for table, n in rows.items())
    lines = [("last run", f"{when}, {paint('ok', 'ok')}" + (f"; rows: {said}" if said else ""))]
    if run["rejected"]:
        lost = ", ".join(f"{t} {n:,}" for t, n in run["rejected"].items())
        lines.append(("rejected", paint(f"by schema contracts: {lost}", "warn")))
    return lines


@click.command(cls=Command)
@name_argument
@pipelines_dir_option
@verbose_option
def trace(name: str) -> None:
    """Show the steps of the last run: times, rows, schema changes, errors; -v and -vv say more."""
    out, p = current_output(), attach(name)
    found = p.last_trace
    if found is None:
        raise CliError(
            f"Pipeline `{name}` has no trace.",
            why="it never ran on this machine, or `enable_runtime_trace` is off",
            fix=f"`headrace pipeline info {name}` says what is known of it",
        )
    out.result(found.asdict(), lambda: out.text(found.asstr(out.verbose)))


@click.command(cls=Command, name="load-package")
@name_argument
@click.argument("load_id", required=False)
@pipelines_dir_option
@verbose_option
def load_package(name: str, load_id: str | None) -> None:
    """Show the files and jobs of a load package; without LOAD_ID those of the newest one."""
    out, p = current_output(), attach(name)
    known = p._store.list()
    if not known:
        raise CliError(f"Pipeline `{name}` has no packages here.", fix="they come with its first run")
    package = p.get_load_package_info(load_id or known[-1])

    def tell() -> None:
        out.text(package.asstr(max(2, 1 + out.verbose)), f"  folder: {package.package_path}")

    out.result(package.asdict(), tell)


@click.command(cls=Command, name="failed-jobs")
@name_argument
@pipelines_dir_option
def failed_jobs(name: str) -> None:
    """List jobs that failed for good, with the destination's message, from all packages that are still here.

    Also packages that were set aside before they had jobs.
    """
    from headrace.pipeline.overview import why_aside

    out, p = current_output(), attach(name)
    found = [(load_id, job) for load_id in p._store.list() for job in p.list_failed_jobs_in_package(load_id)]
    told = {load_id for load_id, _ in found}
    reasons = {i: why_aside(p._store.get(i)) for i in p._store.list("aborted") if i not in told}
    aside = {load_id: reason for load_id, reason in reasons.items() if reason}

    def tell() -> None:
        for load_id, reason in aside.items():
            out.text(f"{paint('package ' + load_id, 'head')}  set aside", *(f"  {s}" for s in reason.splitlines()), "")
        if not found and not aside:
            out.text(f"No failed jobs in {count(len(p._store.list()), 'package')} of pipeline {name}.")
        for load_id, job in found:
            out.text(f"{paint('package ' + load_id, 'head')}  {job.asstr(1)}", "")

    document = {
        "failed_jobs": [{"load_id": load_id, **job.asdict()} for load_id, job in found],
        "set_aside": [{"load_id": load_id, "reason": reason} for load_id, reason in aside.items()],
    }
    out.result(document, tell)


def destination_of(p: Pipeline) -> str:
    """Destination and dataset for messages."""
    place = p.destination
    return f"{place.describe_location() if place else 'no destination'}, dataset {p.dataset_name}"
