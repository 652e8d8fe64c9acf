"""The command ``headrace``: its commands by name, and how it begins and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from headrace.base.version import VERSION
from headrace.cli.base import ENTRY_POINTS, Entry, Group, verbose_option, yes_option
from headrace.cli.failures import FAILED, report
from headrace.cli.output import Output

COMMANDS = {
    "run": Entry("headrace.cli.run:run", "Run a script, or a pipeline of it with a source."),
    "plan": Entry("headrace.cli.plan:plan", "Show what a run would do, and do nothing."),
    "init": Entry("headrace.cli.init:init", "Begin a project: a script, its settings, its requirements."),
    "pipeline": Entry("headrace.cli.pipelines:pipeline", "Look at pipelines, and put them right."),
    "lineage": Entry("headrace.cli.lineage:lineage", "Where data come from and go to."),
    "schema": Entry("headrace.cli.schema:schema", "Show a schema file in another format."),
    "config": Entry("headrace.cli.config:config", "Say where a setting comes from."),
    "doctor": Entry("headrace.cli.doctor:doctor", "Check versions, settings, connections, permissions."),
    "completion": Entry("headrace.cli.completion:completion", "Complete commands in bash, zsh or fish."),
    "telemetry": Entry("headrace.cli.telemetry:telemetry", "There is none."),
}


def _ignored(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Options of dlt's command that switch what headrace has not."""


def _no_questions(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Output).ask = False


def _no_folder(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Scripts find modules of the working directory, and so do commands that load scripts, unless told not to."""
    if not value and not ctx.resilient_parsing and os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.insert(0, os.getcwd())  # noqa: PTH109


@click.group(
    cls=Group,
    entries=COMMANDS,
    entry_points=ENTRY_POINTS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="headrace", message="%(prog)s %(version)s")
@click.option("--non-interactive", is_flag=True, expose_value=False, callback=_no_questions, help="Never ask.")
@click.option(
    "--no-pwd", is_flag=True, expose_value=False, callback=_no_folder, help="Import nothing from this folder."
)
@click.option(
    "--disable-telemetry", "--enable-telemetry", is_flag=True, expose_value=False, hidden=True, callback=_ignored
)
@yes_option
@verbose_option
@click.pass_context
def app(ctx: click.Context) -> None:
    """Load data from APIs, files and databases into tables.

    Exit codes: 0 done, 1 failed, 2 not understood (of `plan`: there are changes), 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def call(arguments: Sequence[str], name: str = "headrace") -> int:
    """Run the command line.

    Args:
        arguments: What stands behind the command's name.
        name: How the command is called, for its help.

    Returns:
        The exit code.
    """
    # known before anything is parsed: errors of parsing are told as all others are. Behind `--` is the script's
    ours = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    asks = sys.stdin is not None and sys.stdin.isatty()
    out = Output(json="--json" in ours, debug="--debug" in ours, ask=asks)
    settings: dict[str, Any] = {
        "prog_name": name,
        "standalone_mode": False,
        "obj": out,
        "color": False if os.environ.get("NO_COLOR") or "--no-color" in ours else None,
        "complete_var": "_HEADRACE_COMPLETE",
    }
    try:
        found = app.main(list(arguments), **settings)
        return found if isinstance(found, int) else 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the end of the line
        return report(error, out)


def main(name: str = "headrace") -> None:
    """Run the command line with the arguments of the process, and end the process."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by who called: `headrace ... >&-`
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115, PTH123
    code = 0
    try:
        code = call(sys.argv[1:], name)
        sys.stdout.flush()
    except BrokenPipeError:
        # `headrace ... | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        click.echo(f"Error: the output cannot be written: {error}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)
