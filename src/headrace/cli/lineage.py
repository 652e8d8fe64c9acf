"""``headrace lineage``: the graph of what was read and written, in the terminal, as files, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.attaching import complete_name, pipelines_dir, pipelines_dir_option
from headrace.cli.base import Command, Entry, Group, current_output, verbose_option
from headrace.cli.failures import CliError
from headrace.cli.output import paint

if TYPE_CHECKING:
    from headrace.observers.lineage.graph import View
    from headrace.observers.lineage.graph.local import LocalGraph
    from headrace.observers.lineage.graph.walk import Direction, Found

OPERATIONS = {
    "show": Entry("headrace.cli.lineage:show", "Show where data come from and go to."),
    "export": Entry("headrace.cli.lineage:export", "The graph as a page, Mermaid, DOT or JSON."),
    "plan": Entry("headrace.cli.lineage_sending:plan", "Events of what a run would read and write."),
    "replay": Entry("headrace.cli.lineage_sending:replay", "Send events that were not sent."),
    "serve": Entry("headrace.cli.lineage_sending:serve", "Take events of other tools, and show one graph of all."),
    "load": Entry("headrace.cli.lineage_sending:load", "Write the graph into a destination, as tables."),
}
FORMATS = ("html", "mermaid", "dot", "json")
_ENDINGS = {".html": "html", ".htm": "html", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot"}
_ENDINGS[".json"] = "json"
_MERMAID_EDGES = 500
"""Its `maxEdges`, which a diagram cannot set for itself."""


@click.group(cls=Group, entries=OPERATIONS)
@pipelines_dir_option
@verbose_option
def lineage() -> None:
    """Where data come from and go to: tables, columns, jobs.

    Runs tell it when lineage is on: `lineage.enabled = true` keeps it on this machine, and that is enough here.
    """


store_option = click.option(
    "--store", type=click.Path(exists=True, file_okay=False), help="Folder of the graph (of `serve`)."
)


def _options(function: Any) -> Any:
    for option in (
        store_option,
        click.option(
            "--events",
            type=click.Path(exists=True, dir_okay=False),
            multiple=True,
            help="A file of events instead of the graph of this machine; may be given more than once.",
        ),
        click.option("--upstream", is_flag=True, help="Only what it comes from."),
        click.option("--downstream", is_flag=True, help="Only what it goes into."),
        click.option("--depth", type=click.IntRange(1), help="So many steps at most."),
        click.option("--columns", is_flag=True, help="With columns."),
        pipelines_dir_option,
        verbose_option,
    ):
        function = option(function)
    return function


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_name)
@_options
def show(
    name: str | None, store: str | None, events: tuple[str, ...], upstream: bool, downstream: bool, **given: Any
) -> None:
    """Show where data come from and go to, as a tree.

    NAME is a pipeline or another job, a table, or a column (`orders.customer_id`); without it all jobs are shown.
    """
    from headrace.observers.lineage.graph.formats import as_json
    from headrace.observers.lineage.graph.terminal import Tree
    from headrace.observers.lineage.graph.walk import part

    out, whole = current_output(), read(store, events)
    found, ways = _found(whole, name), _ways(upstream, downstream)

    def tell() -> None:
        if not whole.datasets and not whole.jobs:
            out.text(f"There is no lineage here yet: {', '.join(events) or store or pipelines_dir()}")
            out.note("Set `lineage.enabled = true`, and run a pipeline; or give the --pipelines-dir that it ran with.")
            return
        tree = Tree(whole, paint, given["columns"], given["depth"])
        out.text(*tree.lines(found, ways))

    cut = whole if found is None else part(whole, found, ways, given["depth"])
    out.result(as_json(cut) if out.json else None, tell)


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_name)
@click.option("--format", "kind", type=click.Choice(FORMATS), help="By the file's ending, else `html`.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file; standard output without it.")
@_options
def export(
    name: str | None,
    kind: str | None,
    output: str | None,
    store: str | None,
    events: tuple[str, ...],
    upstream: bool,
    downstream: bool,
    **given: Any,
) -> None:
    """Write the graph, or what is around NAME, as one HTML page, Mermaid, DOT or JSON.

    The page needs no network: it can be mailed, or kept with a build.
    """
    from headrace.observers.lineage.graph.walk import part

    out, graph = current_output(), read(store, events)
    found = _found(graph, name)
    if found is not None:
        graph = part(graph, found, _ways(upstream, downstream), given["depth"])
    chosen = kind or _kind_of(output) or ("json" if out.json else "html")
    text = _written(graph, chosen, name, given["columns"])
    edges = len(graph.columns if given["columns"] else graph.edges)
    if chosen == "mermaid" and edges > _MERMAID_EDGES:
        out.note(f"Mermaid draws {_MERMAID_EDGES} edges unless told otherwise, and here are {edges}: give a NAME")
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"The file {output} cannot be written.", why=str(error)) from error
    counts = {"datasets": len(graph.datasets), "jobs": len(graph.jobs), "columns": len(graph.columns)}
    document = {"file": output, "format": chosen, **counts}
    out.result(document, lambda: out.text(f"{output}: {_counted(counts)}"))


def _kind_of(output: str | None) -> str | None:
    """The format that a file's ending asks for."""
    ending = Path(output or "").suffix.lower()
    if ending and ending not in _ENDINGS:
        raise click.UsageError(f"The ending `{ending}` is that of no format: give --format {'|'.join(FORMATS)}.")
    return _ENDINGS.get(ending)


def _counted(counts: Mapping[str, int]) -> str:
    from headrace.model.wording import count

    words = {"datasets": "dataset", "jobs": "job", "columns": "column edge"}
    return ", ".join(count(number, words[name]) for name, number in counts.items())


def _written(graph: View, kind: str, name: str | None, columns: bool) -> str:
    if kind == "html":
        from headrace.observers.lineage.graph.html import as_html

        return as_html(graph, f"Lineage of {name}" if name else "Lineage")
    from headrace.observers.lineage.graph import formats

    if kind == "json":
        from headrace.base import json

        return json.dumps(formats.as_json(graph), pretty=True) + "\n"
    make = formats.as_mermaid if kind == "mermaid" else formats.as_dot
    return make(graph, columns)


def read(store: str | None, events: tuple[str, ...]) -> View:
    """The graph that a command is about."""
    from headrace.observers.lineage.graph.local import of_files

    if events:
        try:
            return of_files(events, namespaces())
        except (OSError, ValueError) as error:
            raise CliError("There is no lineage in the file.", why=str(error)) from error
    with opened(store) as local:
        local.refresh()
        return local.view()


@contextmanager
def opened(store: str | None) -> Iterator[LocalGraph]:
    """The graph of this machine."""
    from headrace.observers.lineage.graph.local import LocalGraph

    local = LocalGraph(pipelines_dir(), store, namespaces())
    try:
        yield local
    finally:
        local.close()


def namespaces() -> dict[str, str]:
    """The setting `lineage.namespaces`."""
    from headrace.config.lineage import lineage_settings

    return lineage_settings().namespace_map


def _found(graph: View, name: str | None) -> Found | None:
    from headrace.observers.lineage.graph.walk import find

    return find(graph, name) if name is not None else None


def _ways(upstream: bool, downstream: bool) -> tuple[Direction, ...]:
    if upstream == downstream:
        return ("upstream", "downstream")
    return ("upstream",) if upstream else ("downstream",)
