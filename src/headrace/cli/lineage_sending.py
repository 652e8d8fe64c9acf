"""``headrace lineage plan``, ``replay``, ``serve`` and ``load``: events and the graph, given to others."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.attaching import attach, complete_name, pipelines_dir, pipelines_dir_option
from headrace.cli.base import Command, current_output, verbose_option
from headrace.cli.failures import FAILED, CliError
from headrace.cli.lineage import opened, store_option
from headrace.cli.output import paint
from headrace.cli.run import object_options

if TYPE_CHECKING:
    from headrace.observers.lineage.graph.serving import LineageServer


@click.command(cls=Command)
@click.argument("target")
@click.argument("resources", nargs=-1)
@object_options
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A file for the events, one a line.")
@verbose_option
def plan(
    target: str,
    resources: tuple[str, ...],
    pipeline_name: str | None,
    source: str | None,
    limit: int | None,
    output: str | None,
    **given: Any,
) -> None:
    """Say as OpenLineage events (`JobEvent`) what a run of TARGET would read and write, without running it.

    TARGET and its options are those of `headrace plan`. The events are printed, one a line, or written to a file.
    """
    import msgspec

    from headrace.cli.targets import (
        find_pipeline,
        find_source,
        load_module,
        no_new_folders,
        parse_target,
        printing_aside,
    )
    from headrace.observers.lineage.planned import events_of_plan, note_plans

    out, wanted = current_output(), parse_target(target)
    with printing_aside(True), no_new_folders():
        module = load_module(wanted)
        p = find_pipeline(module, pipeline_name or wanted.name or None, given)
        data = find_source(module, source, resources, limit)
        note_plans(p)
        events = events_of_plan(p.plan(data))
    if output is not None:
        Path(output).write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
        out.result({"file": output, "events": len(events)}, lambda: out.text(f"{output}: {len(events)} events"))
    elif out.json:
        out.document({"events": events})
    else:
        for event in events:
            click.echo(msgspec.json.encode(event).decode())


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_name)
@click.option("--all", "everything", is_flag=True, help="All events that are kept, also those that were sent.")
@pipelines_dir_option
@verbose_option
def replay(name: str | None, everything: bool, **given: Any) -> int:
    """Send events that were not sent, or were refused: of the pipeline NAME, or of all.

    Where to is said by the settings, as for runs. The exit code is 1 when something is left.
    """
    import msgspec

    from headrace.observers.lineage.delivery.replay import replay as send

    out = current_output()
    done = send(name, everything, pipelines_dir())

    def tell() -> None:
        if not done:
            out.text("Nothing is to be sent.")
            return
        head = ("pipeline", "receiver", "sent", "refused", "left", "error")
        rows = [(one.pipeline, one.receiver, one.sent, one.refused, one.left, one.error) for one in done]
        out.table(head, rows, right="sent refused left", whole=("pipeline", "error"))

    out.result({"replayed": [msgspec.to_builtins(one) for one in done]}, tell)
    return FAILED if any(one.left or one.error for one in done) else 0


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; 0.0.0.0 is open to the network.")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="0 takes a free one.")
@click.option("--token", envvar="HEADRACE_LINEAGE_TOKEN", help="What clients have to know (or HEADRACE_LINEAGE_TOKEN).")
@click.option("--store", type=click.Path(file_okay=False), help="Folder of the graph; beside the pipelines without it.")
@pipelines_dir_option
@verbose_option
def serve(host: str, port: int, token: str | None, store: str | None) -> None:
    """Take OpenLineage events of any tool, keep them, and show one graph of them and of the pipelines here.

    Events go to POST /api/v1/lineage and /api/v1/lineage/batch; the graph is a page at /, and JSON at
    /api/v1/graph. Ctrl-C ends it.
    """
    from headrace.observers.lineage.graph.local import FOLDER
    from headrace.observers.lineage.graph.serving import LineageServer

    out = current_output()
    # what others send is kept, also where no pipeline has run yet
    with opened(store or str(Path(pipelines_dir()) / FOLDER)) as graph:
        try:
            server = LineageServer(graph, host, port, token)
        except OSError as error:
            raise CliError(
                f"The server cannot listen at {host}:{port}.", why=str(error), fix="give another --port"
            ) from error
        out.result({"url": server.url}, lambda: out.text(f"Lineage at {paint(server.url, 'key')}"))
        if not server.is_local and token is None:
            out.labelled("Warning:", "warn", "whoever reaches this address may read and add lineage: give a --token")
        out.note(f"OPENLINEAGE_URL={server.url} sends events here; Ctrl-C ends.")
        sys.stdout.flush()
        _until_interrupted(server)
    out.note("stopped")


def _until_interrupted(server: LineageServer) -> None:
    """Serve until Ctrl-C or SIGTERM; requests that have begun are answered."""
    ended = threading.Event()
    ends: list[Any] = [signal.SIGINT, signal.SIGTERM]
    before = [(one, signal.signal(one, lambda *_: ended.set())) for one in ends]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        while not ended.wait(0.5):  # a wait without end is not interrupted on Windows
            pass
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
        for one, handler in before:
            signal.signal(one, handler)


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_name)
@click.option("--destination", help="Where to; that of the pipeline NAME without it.")
@click.option("--dataset-name", help="The dataset; that of the pipeline NAME without it.")
@store_option
@pipelines_dir_option
@verbose_option
def load(name: str | None, destination: str | None, dataset_name: str | None, store: str | None) -> None:
    """Write the graph into a destination as tables `_headrace_lineage_*`, to be asked with SQL.

    With NAME: beside the data of that pipeline, what is up- and downstream of it; without: all that is known here.
    """
    from headrace.observers.lineage.graph.loading import load_graph

    if name is None and destination is None:
        raise click.UsageError("Say where to: the name of a pipeline, or --destination.")
    out = current_output()
    beside = attach(name) if name is not None else None
    with opened(store) as graph:
        graph.refresh()
        loaded = load_graph(graph, beside, destination, dataset_name, pipelines_dir())
    counts = {one: n for one, n in loaded.rows.items() if not one.startswith("_dlt_")}

    def tell() -> None:
        out.text(f"{loaded.place}, dataset {loaded.dataset_name}")
        out.table(("table", "rows"), [(one, f"{n:,}") for one, n in counts.items()], right="rows", indent="  ")

    out.result({"destination": loaded.place, "dataset_name": loaded.dataset_name, "tables": counts}, tell)
