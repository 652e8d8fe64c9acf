"""A package in the making, and how it is sealed."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from headrace.base.time import now
from headrace.model.events import ColumnsDecided, StateCommitted
from headrace.model.judging import ColumnJudge, declared_since
from headrace.model.rejected import RejectedCount, add_counts, announce
from headrace.model.state import state_row
from headrace.model.tables import pipeline_state_table
from headrace.pipeline.columngates import ask_for_columns
from headrace.pipeline.extractinfo import STATE_RESOURCE
from headrace.pipeline.recovery import LAST_EXTRACTED_AT, LAST_EXTRACTED_HASH, LAST_LOADED_HASH, package_document

if TYPE_CHECKING:
    import datetime as dt

    from headrace.columns.shape import TableKey
    from headrace.extract.sink import SpoolSink
    from headrace.extract.stage import SourceExtractResult
    from headrace.model.jobs import SpoolFile
    from headrace.model.location import ResourceInputs
    from headrace.model.schema import Schema
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline


class Work:
    """A package in the making: one a schema, for all sources that share it.

    Attributes:
        sink: Takes rows.
        more_sinks: Take the rows of resources that make checkpoints.
        sources: What was read, from when to when.
        refresh: What the load has to drop first.
        files: What the sinks wrote, once they are closed.
        known_states: Hashes of the states that the package's row of state grew out of; None when it has no such row.
        known_columns: Of the schema before the extract, by table.
    """

    def __init__(self, package: Package, schema: Schema, sink: SpoolSink) -> None:
        self.package, self.schema, self.sink = package, schema, sink
        self.more_sinks: list[SpoolSink] = []
        self.sources: list[tuple[SourceExtractResult, dt.datetime, dt.datetime]] = []
        self.refresh: dict[str, Any] | None = None
        self.extract: str | None = None
        self.files: list[SpoolFile] = []
        self.known_states: list[str] | None = None
        self.known_columns: dict[str, set[str]] = {}

    @property
    def sinks(self) -> list[SpoolSink]:
        """All of them."""
        return [self.sink, *self.more_sinks]

    def finish(self) -> None:
        """Close the sinks."""
        before: dict[str, dict[TableKey, int]] = {}
        self.files = [file for sink in self.sinks for file in sink.finish(before)]

    def row_counts(self) -> dict[str, int]:
        """Rows by table."""
        counts: dict[str, int] = {}
        for sink in self.sinks:
            for table, rows in sink.row_counts.items():
                counts[table] = counts.get(table, 0) + rows
        return counts

    def rejected(self) -> list[RejectedCount]:
        """What contracts let go while the data was read."""
        return add_counts(one for sink in self.sinks for one in sink.rejections.counts())

    def inputs(self) -> list[ResourceInputs]:
        """What the resources were read from, as far as they told."""
        return [one for result, _, _ in self.sources for one in result.origins]

    def move_to(self, package: Package) -> None:
        """Go on under another load id: rows that are not sealed yet move to a package that comes later."""
        move_files(self.files, self.package, package)
        document = self.package.path / "package_state.json"
        if document.exists():
            document.rename(package.path / document.name)
        self.package = package


def move_files(files: list[SpoolFile], source: Package, target: Package) -> None:
    """Move spool files to another package; imported files stay where they are."""
    for path in dict.fromkeys(file.path for file in files if file.kind != "file" and file.path):
        (source.path / path).rename(target.path / path)


def new_sink(
    p: Pipeline, package: Package, schema: Schema, known: Mapping[str, Collection[str]] | None = None
) -> SpoolSink:
    """Where the rows of a package go; ``known`` are the columns of the schema before the extract."""
    from headrace.extract.sink import SpoolSink

    keep = p._settings.normalize().keep_rejected
    sink = SpoolSink(package.path, schema, p._destinations.capabilities(), keep_rejected=keep)
    if (ask := ask_for_columns(p)) is not None and known is not None:

        def declared(table: str) -> list[str]:
            return declared_since(known, schema).get(table, [])

        sink.judge = ColumnJudge(package.load_id, schema, ask, (), declared)
    return sink


def put_state_row(p: Pipeline, work: Work, document: dict[str, Any], content: str) -> None:
    """Let a state travel with a package's data if it changed since it travelled last.

    Args:
        p: The pipeline.
        work: The package.
        document: The state, its version brought up to date.
        content: Hash of its content.
    """
    local = p._state.local
    if not p._settings.pipeline.restore_from_destination or content == local.get(LAST_EXTRACTED_HASH):
        return
    table = pipeline_state_table()
    if work.schema.state_table_name not in work.schema.tables:
        work.schema.update_table(table)
    work.known_states = [str(local[key]) for key in (LAST_LOADED_HASH, LAST_EXTRACTED_HASH) if local.get(key)]
    row = state_row(document)  # type: ignore[arg-type]
    _check_size(p, document, len(row["state"]))
    work.sink.write_rows(work.schema.state_table_name, [row], resource=STATE_RESOURCE, max_nesting=0)
    local[LAST_EXTRACTED_HASH], local[LAST_EXTRACTED_AT] = content, now()


def _check_size(p: Pipeline, document: dict[str, Any], size: int) -> None:
    limit = p._settings.pipeline.max_state_size
    if limit and size > limit:
        from headrace.errors.pipeline import StateTooLarge
        from headrace.model.state import largest_entries

        raise StateTooLarge(p.pipeline_name, size, limit, largest_entries(document))


def seal_work(p: Pipeline, work: Work, state: dict[str, Any], before: dict[str, Any]) -> None:
    """Commit a package: data, schema and cursors at once.

    Args:
        p: The pipeline.
        work: The package; its sinks are closed.
        state: The state document that goes with its rows.
        before: State by source without these rows.
    """
    name = work.schema.name
    old = {"source": before.get(name)} if before.get(name) != state.get("sources", {}).get(name) else None
    document = package_document(state, p._state.local, old, work.refresh, work.known_states)
    if work.extract is not None:
        document["extract"] = work.extract
    work.schema.bump_version()
    if decisions := [one for sink in work.sinks if sink.judge is not None for one in sink.judge.decisions]:
        work.package.record(ColumnsDecided(load_id=work.package.load_id, step="extract", decisions=decisions))
    work.package.seal_extracted(
        work.files,
        work.schema.to_dict(bump_version=False),
        document,
        id_seed=secrets.randbits(62),
        row_counts=work.row_counts(),
        rejected=(rejected := work.rejected()),
        inputs=work.inputs(),
        declared=declared_since(work.known_columns, work.schema),
    )
    announce(rejected, work.package.load_id, "extract", p._publish)
    tell_state(p, work.package, "package", document["pipeline_state"])
    p._fresh[work.package.load_id] = (work.schema, work.schema.stored_version_hash)
    p._orders[work.package.load_id] = work.refresh


def tell_state(p: Pipeline, package: Package, place: str, state: Mapping[str, Any]) -> None:
    """Tell observers that the state was committed with a package, or with its data at the destination."""
    p._publish(
        StateCommitted(
            run_id=p._tracer.run_id,
            load_id=package.load_id,
            place=place,
            version=state.get("_state_version") or 0,
            version_hash=state.get("_version_hash") or "",
        )
    )
