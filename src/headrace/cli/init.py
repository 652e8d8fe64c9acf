"""``headrace init``."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.base import Command, current_output, yes_option
from headrace.cli.output import Output, paint
from headrace.cli.scaffold import TEMPLATES, Project, destinations, init_project

SOURCES, DESTINATIONS = ("source", "what it loads"), ("destination", "what it is")


@click.command(cls=Command)
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.option("--template", type=click.Choice(list(TEMPLATES)), help="What to begin with; `default` without it.")
@click.option("-l", "--list-sources", is_flag=True, help="List the templates.")
@click.option("--list-destinations", is_flag=True, help="List the destinations.")
@yes_option
def init(
    source: str | None, destination: str | None, template: str | None, list_sources: bool, list_destinations: bool
) -> None:
    """Begin a project in this folder, or add a script to one.

    Writes `SOURCE_pipeline.py`, which loads into DESTINATION (duckdb if left out), .dlt/config.toml and
    .dlt/secrets.toml with the settings to fill in, .gitignore and requirements.txt. SOURCE is a template, or a name of
    yours. Files that are there are added to; a script is only overwritten after a question.
    """
    out = current_output()
    if list_sources:
        found = {name: one.help for name, one in TEMPLATES.items()}
        out.result({"sources": found}, lambda: out.table(SOURCES, found.items(), whole=SOURCES))
    if list_destinations:
        kinds = destinations()
        out.result({"destinations": kinds}, lambda: out.table(DESTINATIONS, kinds.items(), whole=DESTINATIONS))
    if list_sources or list_destinations:
        return
    if source is None:
        if not out.ask or out.json:
            raise click.UsageError("Missing argument 'SOURCE': a template (--list-sources), or a name of yours.")
        source = click.prompt("Name of the source", default="default", err=True)
    made = init_project(
        Path.cwd(), str(source), destination or "duckdb", template, overwrite=lambda path: _may(out, path)
    )
    out.result(made._asdict(), lambda: _tell(out, made))


def _may(out: Output, path: str) -> bool:
    out.confirm(f"{path} is there already. Overwrite it?")
    return True


def _tell(out: Output, made: Project) -> None:
    for what, names, style in (
        ("created", made.created, "ok"),
        ("changed", made.changed, "warn"),
        ("kept", made.kept, "dim"),
    ):
        for name in names:
            out.text(f"  {paint(what.ljust(7), style)}  {name}")
    steps = [f"fill in {place}" for place in made.fill_in]
    steps += [f"add to requirements.txt: {line}" for line in made.add]
    steps += ["pip install -r requirements.txt", f"python {made.script}"]
    out.text("", paint("Next:", "head"), *(f"  {n}. {step}" for n, step in enumerate(steps, 1)))
