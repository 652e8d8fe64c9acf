"""``headrace doctor``."""

from __future__ import annotations

import click

from headrace.cli.attaching import complete_name, pipelines_dir, pipelines_dir_option
from headrace.cli.base import Command, current_output
from headrace.cli.failures import FAILED
from headrace.cli.output import paint, terminal_width, wrapped
from headrace.model.wording import count


@click.command(cls=Command)
@click.option(
    "--pipeline", "pipeline_name", shell_complete=complete_name, help="Also this pipeline and its destination."
)
@click.option("--destination", help="Also this destination, by its name in the configuration.")
@click.option("--no-write", is_flag=True, help="Make no dataset at the destination to try what is allowed.")
@pipelines_dir_option
def doctor(pipeline_name: str | None, destination: str | None, no_write: bool) -> int:
    """Check what a run needs: versions, settings, disk, clock.

    Of a pipeline also its folder; of a destination the connection, and what its user may do there, in a dataset
    for this and dropped again.

    Each line is ok, warn (it works, and something should be done) or fail; the exit code is 1 if one is fail.
    """
    from headrace.pipeline.checkup import check_up, worst

    out, found, topic = current_output(), [], ""
    for check in check_up(pipeline_name, destination, pipelines_dir=pipelines_dir(), probe=not no_write):
        found.append(check)
        if check.topic != topic:
            topic = check.topic
            out.text(paint(topic, "head"))
        mark = paint(check.status.ljust(4), check.status)
        width = terminal_width()
        out.text(*wrapped(check.text, f"  {mark}  {check.name.ljust(12)}  ", " " * 22, width))
        if check.fix:
            out.text(*wrapped(check.fix, f"{' ' * 22}{paint('->', 'dim')} ", " " * 25, width))
    verdict = worst(found)
    bad = {status: sum(check.status == status for check in found) for status in ("fail", "warn")}
    told = ", ".join(count(n, {"fail": "failure", "warn": "warning"}[s]) for s, n in bad.items() if n)
    out.text("", paint(told or "All is well.", verdict))
    if out.json:
        out.document({"status": verdict, "checks": [check._asdict() for check in found]})
    return FAILED if verdict == "fail" else 0
