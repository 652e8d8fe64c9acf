"""A package as it is now, for the sender's thread: what its journal says, its schema, where its tables are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.base import json
from headrace.model.events import (
    DurableEvent,
    Event,
    Extracted,
    JobDone,
    JobFailed,
    Normalized,
    Planned,
    Reopened,
    SchemaMigrated,
)
from headrace.model.jobs import Copy, Upload
from headrace.model.location import Location
from headrace.model.rejected import RejectedCount, add_counts
from headrace.package.decided import decisions, skipped_counts
from headrace.package.package import NORMALIZED_SCHEMA, SCHEMA, STATE

if TYPE_CHECKING:
    from headrace.model.jobs import PlannedJob
    from headrace.observers.lineage.columns_package import PackageSchema
    from headrace.package.package import Package
    from headrace.pipeline.core import PipelineCore

E = TypeVar("E", bound=Event)


@dataclass
class PackageView:
    """Copies of what a package holds; nothing of it changes any more, and its folder may go.

    Attributes:
        load_id: The package.
        facts: Of its journal, oldest first.
        document: Its schema as JSON, of the newest phase.
        state_document: What else it carries, as typed JSON.
        location: Where its dataset is; None when that is not known.
        trouble: Why it is not known.
        destination_name: As its user calls it.
        dataset_name: As the destination calls it.
        type_of: The destination's word for the type of a column.
        present: Columns that its tables had before the load, as the destination told; None where nobody asked.
    """

    load_id: str
    facts: tuple[DurableEvent, ...]
    document: bytes | None
    state_document: bytes | None = None
    location: Location | None = None
    trouble: str = ""
    destination_name: str = ""
    destination_type: str = ""
    dataset_name: str = ""
    type_of: Callable[[Any], str] | None = None
    present: Mapping[str, Any] = field(default_factory=dict)
    case_sensitive: bool = True

    def fact(self, kind: type[E]) -> E | None:
        """The newest fact of a kind."""
        return next((fact for fact in reversed(self.facts) if isinstance(fact, kind)), None)

    def all(self, kind: type[E]) -> list[E]:
        """All facts of a kind, oldest first."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    # ---- on the sender's thread --------------------------------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The schema's document; without tables when there is none."""
        if self.document is None:
            return {"tables": {}}
        found: dict[str, Any] = json.loads(self.document)
        return found

    @cached_property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The schema's tables by name."""
        found: dict[str, dict[str, Any]] = self.schema.get("tables") or {}
        return found

    @cached_property
    def refresh(self) -> dict[str, Any]:
        """What the load had to drop or empty first."""
        if self.state_document is None:
            return {}
        from headrace.base import typed_json

        with contextlib.suppress(ValueError):
            return typed_json.loads(self.state_document).get("refresh") or {}
        return {}

    @cached_property
    def resources_of(self) -> dict[str, set[str]]:
        """By root table, the resources that wrote it in this package."""
        found: dict[str, set[str]] = {}
        extracted = self.fact(Extracted)
        for file in extracted.files if extracted else ():
            found.setdefault(file.table, set()).update((file.resource, *file.others))
        for name, table in self.tables.items():
            if not table.get("parent") and name not in found:
                found[name] = self._of_files.get(name) or {str(table.get("resource") or name)}
        return found

    @cached_property
    def _of_files(self) -> dict[str, set[str]]:
        """By table, the resources that loader files name: those of tables that several resources write."""
        found: dict[str, set[str]] = {}
        for file in self.normalized.files if self.normalized else ():
            if named := file.by_resource:
                found.setdefault(file.table, set()).update(named)
        return found

    def root_of(self, table: str) -> str:
        """The table at the root of a nested one."""
        seen: set[str] = set()
        while (above := self.tables.get(table, {}).get("parent")) and table not in seen:
            seen.add(table)
            table = above
        return table

    def owners(self, table: str) -> set[str]:
        """The resources that a table is of; a nested one of those whose rows have something in it."""
        root = self.root_of(table)
        found = self.resources_of.get(root, set())
        return self._of_files.get(table, found) if table != root else found

    def whose(self, job: PlannedJob, table: str) -> set[str]:
        """The resources whose rows a job brings to a table; all of the table's where its files do not say."""
        named = [file.by_resource for file in job.files if file.table == table]
        return set().union(*named) if named and all(named) else self.owners(table)

    def tables_of(self, resource: str) -> list[str]:
        """The tables of a resource, those of the system apart, in the schema's order."""
        return self._by_resource.get(resource, [])

    @cached_property
    def _by_resource(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.tables:
            if not self.is_system(name):
                for resource in self.owners(name):
                    found.setdefault(resource, []).append(name)
        return found

    @cached_property
    def appended(self) -> set[str]:
        """Root tables of disposition ``merge`` whose rows are appended: the destination cannot merge."""
        found = {table for job in self.jobs.values() if isinstance(job, Copy) for table in job.tables}
        return {name for name in found if self.tables.get(name, {}).get("write_disposition") == "merge"}

    def row_counts(self, resource: str) -> dict[str, int]:
        """Rows that normalize made of a resource's items, by table; of shared files nobody knows."""
        normalized = self.normalized
        if normalized is None:
            return {}
        own = set(self.tables_of(resource))
        found = {name: rows for name, rows in normalized.row_counts.items() if name in own}
        for name in [name for name in found if len(self.owners(name)) > 1 or name in self._of_files]:
            files = [file.by_resource for file in normalized.files if file.table == name]
            if all(files):
                found[name] = sum(shares.get(resource, 0) for shares in files)
            else:
                del found[name]
        return found

    def is_system(self, table: str) -> bool:
        """Whether a table is one of headrace's own."""
        return self.root_of(table).lower().startswith("_dlt")

    def keeps_files(self, root: Mapping[str, Any]) -> bool:
        """Whether the destination keeps loader files as they are: those of a table are the table."""
        is_plain = root.get("table_format") in (None, "native", "hive", "parquet")
        return is_plain and self.destination_type.endswith(".filesystem")

    @cached_property
    def jobs(self) -> dict[str, PlannedJob]:
        """The jobs of its plan by id."""
        plan = self.fact(Planned)
        return {job.id: job for job in plan.jobs} if plan else {}

    @cached_property
    def done(self) -> dict[str, JobDone]:
        """Jobs whose effect is in the destination; the first report counts, a repeated one moved nothing."""
        found: dict[str, JobDone] = {}
        for fact in self.all(JobDone):
            known = found.get(fact.job_id)
            if known is None or (not known.rows and fact.rows):
                found[fact.job_id] = fact
        return found

    @cached_property
    def done_now(self) -> dict[str, JobDone]:
        """Of these, those that were done since the package was put back: runs that had ended told of the others."""
        before = self._done_before
        return {job_id: fact for job_id, fact in self.done.items() if job_id not in before}

    @cached_property
    def _done_before(self) -> set[str]:
        found: set[str] = set()
        done: set[str] = set()
        for fact in self.facts:
            if isinstance(fact, JobDone):
                done.add(fact.job_id)
            elif isinstance(fact, Reopened):
                found |= done
        return found

    @cached_property
    def told_before(self) -> set[str]:
        """Tables that runs have told which had ended when the package was put back."""
        jobs = (self.jobs[job_id] for job_id in self._done_before if job_id in self.jobs)
        return {table for job in jobs if not isinstance(job, Upload) for table in job.tables}

    @cached_property
    def failed(self) -> dict[str, JobFailed]:
        """Jobs that failed for good."""
        return {fact.job_id: fact for fact in self.all(JobFailed) if fact.job_id not in self.done}

    def failed_tables(self, resource: str | None = None) -> dict[str, JobFailed]:
        """Tables that lack rows, of a resource or at all, by the failure."""
        found: dict[str, JobFailed] = {}
        for job_id, failure in self.failed.items():
            job = self.jobs.get(job_id)
            for table in failure.tables or (job.tables if job else ()):
                if resource is None or resource in (self.whose(job, table) if job else self.owners(table)):
                    found.setdefault(table, failure)
        return found

    @cached_property
    def migrated(self) -> SchemaMigrated:
        """All changes that were made to tables, of all attempts."""
        applied: dict[str, Any] = {}
        altered: dict[str, Any] = {}
        for fact in self.all(SchemaMigrated):
            for total, part in ((applied, fact.applied), (altered, fact.altered)):
                for name, table in part.items():
                    known = total.setdefault(name, {**table, "columns": {}})
                    known["columns"] = {**known["columns"], **(table.get("columns") or {})}
        return SchemaMigrated(load_id=self.load_id, applied=applied, altered=altered)

    @cached_property
    def rejected(self) -> list[RejectedCount]:
        """What contracts and gates let go of the package's data."""
        normalized = self.normalized
        sealed = (self.fact(Extracted), normalized)
        found = add_counts(one for fact in sealed if fact is not None for one in fact.rejected)
        skipped = {path for fact in decisions(self.facts).values() for path in fact.files}
        if skipped and normalized is not None:
            found += skipped_counts(file for file in normalized.files if file.path in skipped)
        return found

    @cached_property
    def package_schema(self) -> PackageSchema:
        """The schema as the lineage of columns asks it."""
        from headrace.observers.lineage.columns_package import PackageSchema

        return PackageSchema(self.schema)

    @property
    def normalized(self) -> Normalized | None:
        """What normalize sealed."""
        return self.fact(Normalized)


def sealed_view(p: PipelineCore, package: Package) -> PackageView:
    """Look at a package that was just sealed, for what is read; where it goes is asked when it is there.

    Args:
        p: The pipeline.
        package: The package.
    """
    found = PackageView(package.load_id, tuple(package.journal.facts), _document(package))
    if p.destination is not None:
        found.destination_name, found.destination_type = p.destination.destination_name, p.destination.destination_type
    return found


def view_of(p: PipelineCore, package: Package, client: Any = None) -> PackageView:
    """Look at a package, on the pipeline's thread.

    Args:
        p: The pipeline.
        package: The package.
        client: An open client of its dataset, if there is one.
    """
    found = PackageView(package.load_id, tuple(package.journal.facts), _document(package))
    with contextlib.suppress(OSError):
        found.state_document = (package.path / STATE).read_bytes()
    destination = p.destination
    if destination is None:
        found.trouble = "the pipeline has no destination yet"
        return found
    found.destination_name, found.destination_type = destination.destination_name, destination.destination_type
    try:
        found.dataset_name = dataset_of(p, package.schema_name)
        found.location = destination.location(found.dataset_name, p._destinations.facts())
        found.case_sensitive = destination.capabilities().has_case_sensitive_identifiers
    except Exception as error:  # noqa: BLE001 - what is not configured cannot be named, and the run goes on
        found.trouble = f"{type(error).__name__}: {error}"
    found.type_of = _types(p, package.schema_name, client)
    if client is not None:
        found.present = dict(client.described)
    return found


def schema_view(p: PipelineCore, schema_name: str, dataset_name: str) -> PackageView:
    """Look at a schema and its dataset as at a package that brings nothing."""
    schema = p._schemas.find(schema_name)
    found = PackageView("", (), json.dumpb(schema.to_dict()) if schema is not None else None)
    destination = p.destination
    if destination is not None:
        found.destination_name, found.destination_type = destination.destination_name, destination.destination_type
        found.dataset_name = dataset_name
        with contextlib.suppress(Exception):  # what cannot be named is not told
            found.location = destination.location(dataset_name, p._destinations.facts())
    found.type_of = _types(p, schema_name, None)
    return found


def _types(p: PipelineCore, schema_name: str, client: Any) -> Callable[[Any], str] | None:
    """The destination's words for types; a client that was never entered knows them too."""
    destination = p.destination
    if client is None and destination is not None:
        try:
            schema = p._schemas.find(schema_name) or p._destinations.blank_schema(schema_name)
            client = destination.open(p._destinations.dataset_for(schema), schema, p._destinations.facts())
        except Exception:  # noqa: BLE001 - types are told in our words then
            return None
    words = getattr(getattr(client, "_dialect", None), "column_type", None)
    return words or (client.type_of if client is not None else None)


def dataset_of(p: PipelineCore, schema_name: str) -> str:
    """The name of the dataset of a schema at the destination."""
    live = p._schemas.find(schema_name)
    return p._destinations.dataset_for(live if live is not None else p._destinations.blank_schema(schema_name))


def _document(package: Package) -> bytes | None:
    for name in (NORMALIZED_SCHEMA, SCHEMA):
        with contextlib.suppress(OSError):
            return (package.path / name).read_bytes()
    return None
