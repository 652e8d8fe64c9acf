"""``headrace run``: a script, or a pipeline of a module with a source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from headrace.cli.base import Command, current_output, verbose_option, yes_option
from headrace.cli.failures import FAILED, CliError
from headrace.cli.targets import (
    Target,
    find_pipeline,
    find_source,
    load_module,
    parse_target,
    printing_aside,
    run_script,
    settings,
)
from headrace.model.wording import count

if TYPE_CHECKING:
    from headrace.cli.output import Output
    from headrace.model.trace import PipelineTrace
    from headrace.pipeline.pipeline import Pipeline
    from headrace.typing import TRefreshMode

F = TypeVar("F", bound=Callable[..., Any])
MODES = ("drop_sources", "drop_resources", "drop_data")


class Asked(NamedTuple):
    """What the options of a run say."""

    target: Target
    arguments: tuple[str, ...]
    pipeline_name: str | None
    source: str | None
    destination: str | None
    dataset_name: str | None
    limit: int | None
    plan_id: str | None
    refresh: TRefreshMode | None


def object_options(function: F) -> F:
    """Options that name a pipeline and a source of a module."""
    for option in (
        click.option("--limit", type=click.IntRange(1), help="Pages that each resource may give."),
        click.option("--dataset-name", help="The dataset."),
        click.option("--destination", help="Where to, for a pipeline that says nothing of it."),
        click.option("--source", help="A source or resource of the module: its variable, or its name."),
        click.option("--pipeline", "pipeline_name", help="A pipeline of the module: its variable, or its name."),
    ):
        function = option(function)
    return function


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})
@click.argument("target")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@object_options
@click.option("--plan", "plan_id", help="Do what this plan says (see `headrace plan`), and nothing else.")
@click.option("--retries", type=click.IntRange(0), help="How often a step that failed for a while is done again.")
@click.option("--refresh", type=click.Choice(MODES), help="Drop tables and state first.")
@click.option("--full-refresh", is_flag=True, help="Load all again from the beginning: --refresh drop_sources.")
@click.option("--log-level", help="Level of the log, for example INFO.")
@click.option("--progress", help="Show progress: log, tqdm, rich, ...")
@yes_option
@verbose_option
def run(
    target: str,
    arguments: tuple[str, ...],
    refresh: str | None,
    full_refresh: bool,
    log_level: str | None,
    retries: int | None,
    progress: str | None,
    **asked: Any,
) -> int:
    """Run TARGET and say what was loaded.

    \b
    headrace run script.py [ARGUMENTS]            as Python runs it
    headrace run script.py --source S [RESOURCES] its source S
    headrace run package.module:pipeline          the same, of a module
    headrace run script.py --plan ID              what a plan says

    With --pipeline or --source, or a pipeline behind a colon, the module is imported; its only pipeline and its only
    source need not be named, a pipeline that it lacks is made, and ARGUMENTS are the resources to load. Options of this
    command that a script has too go behind `--`. The exit code is 1 when a run or one of its jobs failed.
    """
    out = current_output()
    mode = cast("TRefreshMode | None", refresh or ("drop_sources" if full_refresh else None))
    wanted = Asked(parse_target(target), arguments, refresh=mode, **asked)
    if mode in MODES[:2]:
        out.confirm(f"`{mode}` drops tables with their rows before they are loaded again. Go on?")
    given = {
        "PIPELINES__REFRESH": mode,
        "PIPELINES__PROGRESS": progress,
        "RETRIES__ATTEMPTS": None if retries is None else str(retries + 1),
        "RUNTIME__LOG_LEVEL": log_level,
    }
    with settings(given), _watched(out) as runs:
        out.so_far = {"target": target, "runs": runs}
        _script(wanted) if _is_script(wanted) else _object(wanted)
    return _tell(out, target, runs)


def _is_script(asked: Asked) -> bool:
    named = asked.pipeline_name or asked.source or asked.target.name or asked.plan_id
    return asked.target.path is not None and not named


def _script(asked: Asked) -> None:
    for option in ("destination", "dataset_name", "limit"):
        if getattr(asked, option) is not None:
            raise click.UsageError(
                f"--{option.replace('_', '-')} needs --source or --pipeline: a script that is run says that itself."
            )
    assert asked.target.path is not None
    try:
        run_script(asked.target.path, asked.arguments)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise CliError(
                f"The script ended with {end.code}.", code=end.code if isinstance(end.code, int) else FAILED
            ) from end


def _object(asked: Asked) -> None:
    unknown = [text for text in asked.arguments if text.startswith("-")]
    if unknown:
        raise click.UsageError(f"No such option: {unknown[0]}")
    module = load_module(asked.target)
    given = {"destination": asked.destination, "dataset_name": asked.dataset_name}
    pipeline = find_pipeline(module, asked.pipeline_name or asked.target.name or None, given)
    if asked.plan_id is not None:
        _run_plan(pipeline, asked.plan_id)
        return
    data = find_source(module, asked.source, asked.arguments, asked.limit)
    pipeline.run(data, refresh=asked.refresh)


def _run_plan(pipeline: Pipeline, plan_id: str) -> None:
    plan, out = pipeline.get_plan(plan_id), current_output()
    if plan.destructive:
        for step in plan.destructive:
            out.note(f"  {step.kind} {step.table}: {step.why}")
        out.confirm("Rows or tables that are there now will not be there any more. Go on?")
    pipeline.run(plan, allow_destructive=True)


# ---- what happened ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _watched(out: Output) -> Iterator[list[dict[str, Any]]]:
    """Collect the runs of all pipelines; with ``--json`` what the script prints goes to standard error."""
    from headrace.model.events import RunEnded
    from headrace.pipeline.watching import watching_all

    runs: dict[str, dict[str, Any]] = {}

    def note(event: Any, run: Any) -> None:
        if isinstance(event, RunEnded) and run.trace is not None:
            runs[run.trace.transaction_id] = outcome(run.trace, event.error)

    found: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(watching_all(note))
        stack.enter_context(printing_aside(out.json))
        try:
            yield found
        finally:
            found.extend(runs.values())


def outcome(trace: PipelineTrace, error: str | None) -> dict[str, Any]:
    """A run as a document: the keys of ``headrace run --json``."""
    load, normalize = trace.last_load_info, trace.last_normalize_info
    failed = [job for package in load.load_packages for job in package.failed_jobs] if load else []
    return {
        "pipeline_name": trace.pipeline_name,
        "status": "failed" if error or failed else "loaded" if load and load.loads_ids else "nothing",
        "error": error,
        "started_at": trace.started_at,
        "finished_at": trace.finished_at,
        "destination": load.destination_name if load else None,
        "dataset_name": load.dataset_name if load else None,
        "loads_ids": list(load.loads_ids) if load else [],
        "rows": {t: n for t, n in normalize.row_counts.items() if not t.startswith("_dlt_")} if normalize else {},
        "rejected": trace.rejected_counts,
        "failed_jobs": [job.asdict() for job in failed],
    }


def _tell(out: Output, target: str, runs: list[dict[str, Any]]) -> int:
    def tell() -> None:
        for one in runs:
            out.note(_line(one))

    out.result({"target": target, "runs": runs}, tell)
    return FAILED if any(one["status"] == "failed" for one in runs) else 0


def _line(one: dict[str, Any]) -> str:
    from headrace.base.time import human_duration
    from headrace.cli.output import paint

    style = {"failed": "fail", "loaded": "ok"}.get(one["status"], "dim")
    rows = ", ".join(f"{table} {n:,}" for table, n in one["rows"].items())
    loaded = count(len(one["loads_ids"]), "package") if one["status"] == "loaded" else "nothing new"
    what = f"rows: {rows}" if rows else loaded
    seconds = (one["finished_at"] - one["started_at"]).total_seconds() if one["finished_at"] else 0
    where = f" into {one['destination']}, dataset {one['dataset_name']}" if one["destination"] else ""
    text = f"{paint(one['status'], style)}  {one['pipeline_name']}{where}  {what}  {human_duration(seconds)}"
    if one["rejected"]:
        text += paint(f"  rejected: {', '.join(f'{t} {n:,}' for t, n in one['rejected'].items())}", "warn")
    if one["failed_jobs"]:
        text += paint(
            f"  failed jobs: {len(one['failed_jobs'])} (headrace pipeline failed-jobs {one['pipeline_name']})", "fail"
        )
    return text
