"""The stage: all items of a source into the sink, all tables its hints describe into the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.errors.extract import SourceExhausted
from headrace.extract.inject import config_sections
from headrace.extract.iterate import Flow
from headrace.extract.nodes import Node
from headrace.extract.ownsteps import maps_of, through
from headrace.extract.resource import DltResource
from headrace.extract.settings import ExtractSettings
from headrace.extract.source import DltSource, json_config
from headrace.extract.state import SourceScope, reset_resource_state, source_scope
from headrace.extract.writer import CHUNK_ROWS, ResourceWriter
from headrace.model.events import Progress
from headrace.model.location import ResourceInputs, plain_location
from headrace.model.schema import Schema

if TYPE_CHECKING:
    from headrace.extract.checkpoint import CheckpointPlan
    from headrace.extract.sink import Sink

_LABEL = "Resources"


class SourceExtractResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a source.

    Attributes:
        resource_rows: Rows by resource; resources that wrote nothing are not in it.
        table_rows: Rows by root table, under its normalized name.
        hints: What resources say of their tables, by resource, as plain data.
        dag: Pairs of resource names: who gives items to whom.
        custom_metrics: What functions and steps measured, by resource.
        inputs: Where items came from, by resource, if the resource told.
        origins: The same for the resources whose rows are written: with what the resources told whose items they took.
    """

    resource_rows: dict[str, int] = {}
    table_rows: dict[str, int] = {}
    hints: dict[str, dict[str, Any]] = {}
    dag: list[tuple[str, str]] = []
    custom_metrics: dict[str, dict[str, Any]] = {}
    inputs: dict[str, list[dict[str, Any]]] = {}
    origins: list[ResourceInputs] = []


def extract_source(
    source: DltSource[Any],
    schema: Schema,
    sink: Sink,
    settings: ExtractSettings | None = None,
    publish: Callable[[Any], None] | None = None,
    checkpoints: CheckpointPlan | None = None,
    on_failure: Callable[[SourceExtractResult], None] | None = None,
) -> SourceExtractResult:
    """Read the selected resources of a source.

    A state document must be open (`state_scope`): sources write to it, and incrementals keep their cursors in it.

    Args:
        source: What to read. Hints of its resources may be changed by marks on items.
        schema: Gets the tables that hints describe, checked by its contract.
        sink: Gets rows, frames and files.
        settings: How items are read.
        publish: Gets progress.
        checkpoints: When to seal what was read so far; None to seal nothing before the end.
        on_failure: Gets what was read before an error, when there is one.

    Returns:
        What was read, but for what checkpoints have sealed.

    Raises:
        SourceExhausted: A generator of the source was read before.
        ResourceExtractionError: A function of the source failed.
        DataValidationError: Hints want what the contract forbids.
    """
    if source.exhausted:
        raise SourceExhausted(source.name)
    settings = settings or ExtractSettings()
    publish = publish or _nobody
    scope = SourceScope(source.name, source.section, schema, source, source.shares_section)
    with source_scope(scope), config_sections(("sources", source.section, source.name)):
        _reset_replaced(source)
        flow = Flow(source.resources.selected_pipes, chunk=CHUNK_ROWS, **settings.flow_options())
        writers = _writers(source, schema, sink, flow, publish)
        shown = _Shown(source.name, len(writers), publish)
        flow.on_end = shown.end
        flow.prepare()
        if checkpoints is not None:
            _plant(source, schema, flow, writers, checkpoints)
        try:
            flow.run()
            for writer in writers:
                writer.flush_all()
                writer.empty_replaced(schema)
                writer.show_progress()
        except BaseException:
            if on_failure is not None:
                on_failure(_result(source, writers))
            raise
        shown.finish()
    return _result(source, writers)


class _Shown:
    """How many resources of a source are read to their end, for those who watch."""

    def __init__(self, source_name: str, total: int, publish: Callable[[Any], None]) -> None:
        self._name, self._total, self._publish = source_name, total, publish
        self._count = 0
        self._add(0)

    def _add(self, number: int) -> None:
        self._count += number
        self._publish(Progress(step="extract", name=_LABEL, inc=number, total=self._total, label=self._name))

    def end(self, node: Node) -> None:
        """A resource is at its end, and with it the transformers that take its items."""
        ended = [node]
        for one in ended:
            ended.extend(one.children)
        self._add(min(sum(one.emits for one in ended), self._total - self._count))

    def finish(self) -> None:
        """All are."""
        self._add(self._total - self._count)


def _nobody(event: Any) -> None:
    return None


def _reset_replaced(source: DltSource[Any]) -> None:
    """What is replaced is read from the start: resources of that disposition lose their state and cursors."""
    for resource in source.resources.extracted:
        disposition = resource.write_disposition
        if isinstance(disposition, Mapping):
            disposition = disposition.get("disposition")
        if disposition == "replace":
            reset_resource_state(resource.name)


def _writers(
    source: DltSource[Any], schema: Schema, sink: Sink, flow: Flow, publish: Callable[[Any], None]
) -> list[ResourceWriter]:
    nesting = source.max_table_nesting
    if nesting is None:
        nesting = json_config(schema).get("max_nesting")
    writers = []
    for node in flow.nodes:
        if node.emits:
            writer = ResourceWriter(source.resources.with_pipe(node.pipe), schema, sink, nesting, publish)
            node.out = writer
            writers.append(writer)
    return writers


def _plant(
    source: DltSource[Any], schema: Schema, flow: Flow, writers: list[ResourceWriter], checkpoints: CheckpointPlan
) -> None:
    from headrace.extract.checkpoint import plant

    by_node = {id(node): writer for node in flow.nodes for writer in writers if node.out is writer}
    plant(flow, by_node, source.name, schema, checkpoints, lambda own: _result(source, own))


def _result(source: DltSource[Any], writers: Sequence[ResourceWriter]) -> SourceExtractResult:
    tables: dict[str, int] = {}
    for writer in writers:
        for table, rows in writer.table_rows.items():
            tables[table] = tables.get(table, 0) + rows
    extracted = source.resources.extracted
    return SourceExtractResult(
        resource_rows={w.resource.name: w.rows for w in writers if w.wrote},
        table_rows=tables,
        hints={r.name: describe_hints(r) for r in source.resources.selected.values()},
        dag=source.resources.selected_dag,
        custom_metrics={r.name: dict(r.custom_metrics) for r in extracted if r.custom_metrics},
        inputs={r.name: [plain_location(place) for place in r.inputs] for r in extracted if r.inputs},
        origins=_origins(source),
    )


def _origins(source: DltSource[Any]) -> list[ResourceInputs]:
    found = []
    for resource in source.resources.selected.values():
        chain = resource._pipe.chain()
        told = [{**plain_location(place), "resource_name": pipe.name} for pipe in chain for place in pipe.inputs]
        asked = resource._pipe.queries
        if told or asked:
            code = None if asked or resource.column_sources else [*through(resource._pipe), *maps_of(resource._pipe)]
            found.append(ResourceInputs(source=source.name, resource=resource.name, locations=told, code=code))
    return found


def describe_hints(resource: DltResource[Any]) -> dict[str, Any]:
    """The hints of a resource as plain data: functions and models by name."""
    found: dict[str, Any] = {}
    for name, value in resource._hints.items():
        if name == "validator" or (name == "columns" and not value):
            continue
        if name == "original_columns":
            found[name] = getattr(value, "__name__", type(value).__name__)
        elif name == "incremental":
            found[name] = _describe_incremental(value)
        else:
            found[name] = getattr(value, "__name__", "function") if callable(value) else value
    cursor = resource.incremental.incremental if resource.incremental is not None else None
    if cursor is not None:
        found["incremental"] = _describe_incremental(cursor)
    return found


def _describe_incremental(cursor: Any) -> dict[str, Any]:
    fields = ("cursor_path", "initial_value", "end_value", "row_order", "allow_external_schedulers")
    more = ("on_cursor_value_missing", "lag", "range_start", "range_end")
    described = {name: getattr(cursor, name, None) for name in (*fields, *more)}
    function = getattr(cursor, "last_value_func", None)
    return {**described, "last_value_func": getattr(function, "__name__", function)}
