"""``headrace plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from headrace.cli.base import Command, current_output, verbose_option
from headrace.cli.failures import CHANGES
from headrace.cli.output import paint
from headrace.cli.run import MODES, object_options
from headrace.cli.targets import find_pipeline, find_source, load_module, no_new_folders, parse_target, printing_aside

if TYPE_CHECKING:
    from headrace.typing import TRefreshMode


@click.command(cls=Command)
@click.argument("target")
@click.argument("resources", nargs=-1)
@object_options
@click.option("--refresh", type=click.Choice(MODES), help="As of `run`.")
@verbose_option
def plan(
    target: str,
    resources: tuple[str, ...],
    pipeline_name: str | None,
    source: str | None,
    limit: int | None,
    refresh: str | None,
    **given: Any,
) -> int:
    """Show what a run of TARGET would do: tables, columns, statements, what becomes of rows, what would be lost.

    Nothing is changed: the data are read, and kept with the plan; `headrace run TARGET --plan ID` does exactly that.
    TARGET, its options and RESOURCES are those of `headrace run`; a script is imported, not run.

    The exit code is 0 when nothing would change, 2 when something would, 1 when the plan could not be made.
    """
    out, wanted = current_output(), parse_target(target)
    with printing_aside(out.json), no_new_folders():
        module = load_module(wanted)
        pipeline = find_pipeline(module, pipeline_name or wanted.name or None, given)
        data = find_source(module, source, resources, limit)
        found = pipeline.plan(data, refresh=cast("TRefreshMode | None", refresh))

    def tell() -> None:
        out.text(found.asstr(1 + out.verbose))
        if found.has_changes:
            named = f" --pipeline {pipeline_name}" if pipeline_name else ""
            out.text("", paint(f"headrace run {target}{named} --plan {found.id}", "key") + "  does exactly this")

    out.result(found.asdict(), tell)
    return CHANGES if found.has_changes else 0
