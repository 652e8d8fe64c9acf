"""From what was copied to facts, on the sender's thread: inputs, outputs and everything that is known of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.model.events import Extracted
from headrace.observers.lineage import code, describing, naming
from headrace.observers.lineage.describing import resource_job_id as resource_job_id
from headrace.observers.lineage.effects import queries_of
from headrace.observers.lineage.facts import (
    DatasetId,
    Field,
    FieldRef,
    Input,
    Invocation,
    Job,
    Output,
    ResourceRun,
)
from headrace.observers.lineage.opened import OpenInvocation, OpenPackage, OpenRun, Place, Reading
from headrace.observers.lineage.outputs import described_output, fields_of, lifecycle_of
from headrace.observers.lineage.owning import owners_of_table
from headrace.observers.lineage.packagefacts import load_package, tests_of
from headrace.observers.lineage.subsets import subset_of, without_values

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration
    from headrace.observers.lineage.columns_memory import ColumnMemory
    from headrace.observers.lineage.view import PackageView

logger = logging.getLogger("headrace")


class Builder:
    """Makes facts of one pipeline's runs.

    Args:
        settings: Of `lineage`.
        folder: The folder ``lineage`` of the working folder, for what is remembered of columns.
    """

    def __init__(self, settings: LineageConfiguration, folder: Path) -> None:
        self._settings = settings
        self._namespaces = naming.Namespaces(settings.namespaces)
        self._folder = folder
        self._memories: dict[str, ColumnMemory] = {}

    # ---- runs --------------------------------------------------------------------------------------------------------

    def invocation(self, opened: OpenInvocation) -> Invocation:
        """An invocation with what takes time to find out."""
        opened.run.job.code = code.location(opened.place) or code.location(code.script())
        return opened.run

    def resource_run(
        self,
        package: OpenPackage,
        run: OpenRun,
        view: PackageView | None = None,
        ended: bool = False,
        planned: bool = False,
    ) -> ResourceRun:
        """A resource run with its datasets.

        Args:
            package: It is of.
            run: The run.
            view: The package as it is now; None for one that is not sealed or is gone.
            ended: Tell outputs: what the destination really holds.
            planned: Tell outputs: what would be written.
        """
        reading = run.reading if self._settings.data_values else without_values(run.reading)
        made = ResourceRun(
            run_id=run.run_id,
            job=self._job(run, package.place),
            started_at=run.started_at,
            parent=run.parent,
            parameters=describing.resource_parameters(reading, package.refresh),
            tags=[("load_id", package.load_id), *describing.pairs(self._settings.run_tags)],
            environment=describing.environment(self._settings),
            nominal=run.nominal if reading.scheduled else None,
            load_id=package.load_id,
            source=reading.source,
            resource=reading.resource,
        )
        if package.run_id:
            made.tags.append(("transaction_id", package.run_id))
        self._depend(made, package, run)
        own, above = self._inputs(made, reading, view)
        made.inputs = _joined([*own, *above])
        made.custom["headrace_loadPackage"] = load_package(package, view, reading.resource)
        if view is not None:
            made.tests = tests_of(view, reading.resource)
        if (ended or planned) and view is not None:
            self._outputs(made, reading, view, own, above, planned)
        return made

    def _job(self, run: OpenRun, place: Place | None) -> Job:
        reading = run.reading
        job = Job(
            id=run.job,
            kind=describing.RESOURCE,
            description=reading.description or None,
            owners=describing.owners(self._settings),
            tags=describing.pairs(self._settings.tags),
            code=code.location(reading.place) or code.location(place) or code.location(code.script()),
        )
        if reading.code is not None:
            job.source_code = ("python", reading.code)
        if len(texts := set(reading.models.values())) == 1:
            job.sql = _query(texts.pop())
        return job

    def _depend(self, made: ResourceRun, package: OpenPackage, run: OpenRun) -> None:
        """A transformer follows on the resource it takes items from; a run that goes on, on the one before it."""
        if run.continues is not None:
            ref = msgspec.structs.replace(run.continues, facets={"continues": True})
            made.depends_on.append(ref)
        for name in run.reading.above:
            above = package.runs.get(f"{run.reading.source}.{name}")
            if above is not None:
                made.depends_on.append(above.ref)

    # ---- inputs ------------------------------------------------------------------------------------------------------

    def _inputs(self, made: ResourceRun, reading: Reading, view: PackageView | None) -> tuple[list[Input], list[Input]]:
        """The resource's own inputs, and those of the resources whose items it takes."""
        rows = reading.locations
        extracted = view.fact(Extracted) if view is not None else None
        for told in extracted.inputs if extracted is not None else ():
            if (told.source, told.resource) == (reading.source, reading.resource):
                rows = told.locations
        mine = [row for row in rows if row.get("resource_name", reading.resource) == reading.resource]
        others = [row for row in rows if row.get("resource_name", reading.resource) != reading.resource]
        fields = self._fields(made, reading, extracted)
        own = self._named(made, mine, fields if mine else ())
        own += self._queried(made, reading, view)
        above = self._named(made, others, fields if not mine else ())
        for one in own or above:
            one.subset = subset_of(one.subset, reading.cursor)
        # of a query only the destination knows how many rows it reads
        asked = reading.models or (reading.described is not None and reading.described.queries)
        if reading.is_read and not asked and len(own or above) == 1:
            (own or above)[0].rows = reading.rows
        return own, above

    def _fields(self, made: ResourceRun, reading: Reading, extracted: Extracted | None) -> Sequence[Any]:
        if extracted is None or reading.described is None:
            return ()
        from headrace.observers.lineage.columns_shape import input_fields

        try:
            return input_fields(extracted, reading.described)
        except Exception as error:  # noqa: BLE001 - told in `extractionError`, and the rest goes on
            _trouble(made, f"schema of the input of {reading.resource}", error)
            return ()

    def _named(self, made: ResourceRun, rows: Sequence[Any], fields: Sequence[Any]) -> list[Input]:
        try:
            found = naming.inputs(rows, fields)
        except Exception as error:  # noqa: BLE001 - told in `extractionError`, and the rest goes on
            _trouble(made, "names of inputs", error)
            return []
        if rows and not found:
            made.lineage_errors.append(("names of inputs", "Too little is known of where the data comes from."))
        return [self._namespaces.apply(one) for one in found]

    def _queried(self, made: ResourceRun, reading: Reading, view: PackageView | None) -> list[Input]:
        """Tables that queries of the resource read: models at the destination, relations where their dataset is."""
        asked = [(q.text, q.place, q.destination) for q in (reading.described.queries if reading.described else ())]
        if view is not None:
            asked += [(text, view.location, view.destination_name) for text in reading.models.values()]
        if not asked:
            return []
        from headrace.observers.lineage.columns_sql import model_tables

        found: dict[DatasetId, Input] = {}
        try:
            for text, place, name in asked:
                read = naming.of_queries(place, model_tables(text), name or None) if place is not None else ()
                found.update({one.id: one for one in read})
            if view is not None and view.location is not None:
                for one in found.values():
                    table = one.id.name.rpartition(".")[2]
                    same = table in view.tables and self._table(view, table).id == one.id
                    one.fields = fields_of(view, table) if same else []
        except Exception as error:  # noqa: BLE001 - told in `extractionError`, and the rest goes on
            _trouble(made, f"tables that {reading.resource} reads", error)
            return []
        return [self._namespaces.apply(one) for one in found.values()]

    # ---- outputs -----------------------------------------------------------------------------------------------------

    def datasets(self, view: PackageView, tables: Iterable[str]) -> list[Output]:
        """Tables of a package's dataset, with no more than what they are called."""
        if view.location is None:
            return []
        return [self._namespaces.apply(self._table(view, table)) for table in tables]

    def describe(self, output: Output, view: PackageView) -> None:
        """Put in what a schema says of a table."""
        if output.table in view.tables:
            output.fields = fields_of(view, output.table)
            output.description = view.tables[output.table].get("description") or None

    def _table(self, view: PackageView, table: str) -> Output:
        assert view.location is not None
        document = view.tables.get(table, {})
        root = view.tables.get(view.root_of(table), {})
        found = naming.output(
            view.location,
            table,
            source_name=view.destination_name or None,
            table_format=root.get("table_format"),
            schema_name=str(view.schema.get("name") or ""),
            parent=document.get("parent"),
        )
        above = view.root_of(table)
        names = [table, f"{view.dataset_name}.{table}", found.id.name, above, f"{view.dataset_name}.{above}"]
        found.owners = owners_of_table(self._settings, names)
        return found

    def _outputs(
        self,
        made: ResourceRun,
        reading: Reading,
        view: PackageView,
        own: list[Input],
        above: list[Input],
        planned: bool,
    ) -> None:
        """What the destination holds of the resource: the tables that jobs have written to, whatever was planned."""
        own_tables = view.tables_of(reading.resource)
        if planned:
            counts = view.normalized.row_counts if view.normalized is not None else {}
            written = [name for name in own_tables if name in counts]
        else:
            written = [name for name in own_tables if lifecycle_of(view, name, reading.resource).written]
        if not written:
            return
        if view.location is None:
            if view.trouble:
                made.lineage_errors.append(("names of outputs", view.trouble))
            return
        edges = self._edges(made, reading, view)
        for name in written:
            try:
                output = described_output(self._table(view, name), view, name, reading.resource)
            except Exception as error:  # noqa: BLE001 - told in `extractionError`, and the rest goes on
                _trouble(made, f"the output {name}", error)
                continue
            if not self._settings.data_values:
                output.subset = None
            self._connect(made, output, edges.get(name), own, above)
            made.outputs.append(self._namespaces.apply(output))
        if not planned and made.outputs and (queries := queries_of(view, set(written))):
            made.external_query = (queries[-1], made.outputs[0].id.namespace)

    def _edges(self, made: ResourceRun, reading: Reading, view: PackageView) -> dict[str, Any]:
        """Column lineage of the resource's tables; what earlier loads knew of columns is put in."""
        extracted = view.fact(Extracted)
        if extracted is None or reading.described is None:
            return {}
        from headrace.observers.lineage.columns import edges

        try:
            package = view.package_schema
            found = edges(extracted, package, reading.described, reading.models, view.appended)
            memory = self._memory_of(str(view.schema.get("name") or ""))
            found = memory.merged(reading.resource, found, package, view.refresh.get("dropped_tables") or ())
        except Exception as error:  # noqa: BLE001 - told in `extractionError`, and the rest goes on
            _trouble(made, f"columns of {reading.resource}", error)
            return {}
        return found

    def remember(self) -> None:
        """Write what was learned of columns; once for all runs of a package, as it is one file."""
        for memory in self._memories.values():
            try:
                memory.save()
            except OSError as error:
                logger.warning("Lineage: %s cannot be written: %s", memory.path, error)

    def _memory_of(self, schema_name: str) -> ColumnMemory:
        from headrace.observers.lineage.columns_memory import ColumnMemory

        if schema_name not in self._memories:
            self._memories[schema_name] = ColumnMemory(self._folder, schema_name)
        return self._memories[schema_name]

    def _connect(self, made: ResourceRun, output: Output, lineage: Any, own: list[Input], above: list[Input]) -> None:
        if lineage is None:
            return
        from headrace.observers.lineage.columns import resolve

        told = resolve(lineage, [one.id for one in own], [one.id for one in above])
        there = {field.name for field in output.fields}
        known = {one.id for one in made.inputs}
        output.columns = {name: _of(refs, known) for name, refs in told.columns.items() if name in there}
        output.indirect = _of(told.indirect, known)
        for ref in [*(ref for refs in output.columns.values() for ref in refs), *output.indirect]:
            _know(made.inputs, ref)
        unknown = [name for name in told.unknown if name in there]
        if unknown:
            text = (
                f"It is not known where {len(unknown)} columns of {output.table} come from: {', '.join(unknown[:20])}"
            )
            made.lineage_errors.append(("columnLineage", text))


def _know(inputs: Iterable[Input], ref: FieldRef) -> None:
    """Put a field into the schema of its input where this load has not met it: columns of earlier ones came from it."""
    source = next(one for one in inputs if one.id == ref.dataset)
    fields = source.fields
    if not fields or not ref.field:
        return
    if any(field.name == ref.field for field in fields):
        return
    rest = ref.field
    while rest:
        found = next((one for one in fields if rest == one.name or rest.startswith(f"{one.name}.")), None)
        if found is None:
            name, _, below = rest.partition(".")
            found = Field(name=name)
            fields.append(found)
        else:
            below = rest[len(found.name) + 1 :]
        fields, rest = found.fields, below


def _of(refs: Iterable[FieldRef], known: set[DatasetId]) -> list[FieldRef]:
    """References to the run's own inputs: one that leads elsewhere would be an edge that nobody has declared."""
    return [ref for ref in refs if ref.dataset in known]


def _joined(inputs: Iterable[Input]) -> list[Input]:
    """Each dataset once."""
    found: dict[DatasetId, Input] = {}
    for one in inputs:
        found.setdefault(one.id, one)
    return list(found.values())


def _query(text: str) -> tuple[str, str]:
    """Query and dialect of a model's file."""
    from headrace.formats.sqlmodel import SqlModel

    model = SqlModel.from_file(text)
    return model.to_sql(), model.query_dialect or ""


def _trouble(made: ResourceRun, task: str, error: Exception) -> None:
    logger.debug("lineage: %s of %s", task, made.job.id.name, exc_info=error)
    made.lineage_errors.append((task, f"{type(error).__name__}: {error}"))
