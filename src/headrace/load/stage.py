"""The third room: a normalized package becomes rows of tables, once.

The order is fixed: ask whether it is done already; plan, and record the plan; bring the destination's tables up to the
schema; run the jobs; complete; commit; tidy. Killed anywhere, the next call goes on: what is done is known by the
journal, and where the journal was too late, by the destination.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

import msgspec

from headrace.base import failpoints, signals
from headrace.base.retry import RetryPolicy
from headrace.base.time import now
from headrace.errors.base import TransientException
from headrace.errors.destination import DestinationUndefinedEntity, LoadClientJobFailed, LoadPackageAborted
from headrace.errors.load import schema_update_error
from headrace.errors.outcome import DestinationException
from headrace.errors.package import LoadPackageNotCompleted
from headrace.load.converge import Meeting, state_claim
from headrace.load.destination import Client, Destination, LoadContext, PipelineFacts
from headrace.load.migration import Begin, ChangesMade, filled_tables, migrate
from headrace.load.plan import plan_jobs
from headrace.load.report import job_metrics, row_changes
from headrace.load.scheduler import Scheduler
from headrace.load.staging import Staging, StagingPlace
from headrace.load.undoing import undo_plan
from headrace.load.worker import Clients, Outcome
from headrace.model.capabilities import Capabilities
from headrace.model.changes import RowChanges
from headrace.model.events import (
    Aborted,
    DurableEvent,
    Extracted,
    JobDone,
    JobFailed,
    JobRetried,
    JobStarted,
    Normalized,
    Planned,
    Progress,
)
from headrace.model.jobs import PlannedJob
from headrace.model.metrics import LoadJobMetrics, LoadMetrics
from headrace.model.migrate import AnyChange
from headrace.model.schema import Schema
from headrace.model.tables import has_seen_data
from headrace.package.again import failed_jobs, finished_jobs
from headrace.package.decided import left_files, skipped_tables
from headrace.package.package import Package, Publish, ignore
from headrace.typing import TTableSchema

T = TypeVar("T")


class LoadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the load step (section ``load``) and of the destination.

    Attributes:
        workers: Threads at most; the destination may allow fewer.
        raise_on_failed_jobs: A job that fails for good ends the load and sets the package aside; else the rest goes on.
        raise_on_max_retries: After how many attempts at one job the load gives up for now.
        delete_completed_jobs: Delete the loader files of a loaded package.
        replace_strategy: ``destination.<name>.replace_strategy``.
        comments: Descriptions of tables and columns become comments at the destination.
        unstage: Delete the package's files in the staging place when it is loaded.
        unstage_older: Delete those of earlier loads of the same tables.
        parallelism_strategy: ``parallel``, ``table-sequential`` or ``sequential``; None leaves it to the destination.
        keep_undo: How many of the pipeline's loads the destination keeps undoable.
        retry: Waits between attempts.
    """

    workers: int = 20
    raise_on_failed_jobs: bool = True
    raise_on_max_retries: int = 5
    delete_completed_jobs: bool = False
    replace_strategy: str | None = None
    comments: bool = True
    unstage: bool = False
    unstage_older: bool = True
    parallelism_strategy: Literal["parallel", "table-sequential", "sequential"] | None = None
    keep_undo: int = 0
    retry: RetryPolicy = RetryPolicy()


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What loading a package came to.

    Attributes:
        load_id: The package.
        dataset_name: Where it went.
        started_at: When the step began.
        finished_at: When the package was committed.
        job_metrics: The fate of each loader file, by its job id as the field writes it: table, file id, format.
        row_changes: What the package did to each table, earlier runs included, as the destination told.
        schema_update: Partial tables that were made or changed at the destination.
        failed_jobs: Ids of jobs that failed for good and were passed over.
        rows: Rows moved in this call.
        already_complete: The destination had it all; only the commit was missing.
        schema_joined: The schema took in what other writers had stored or made.
        state: The pipeline's state that the package brought.
        state_joined: The same together with what another process of the pipeline wrote meanwhile.
    """

    load_id: str
    dataset_name: str
    started_at: dt.datetime
    finished_at: dt.datetime
    job_metrics: dict[str, LoadJobMetrics] = {}
    row_changes: dict[str, RowChanges] = {}
    schema_update: dict[str, Any] = {}
    failed_jobs: list[str] = []
    rows: int = 0
    already_complete: bool = False
    schema_joined: bool = False
    state: dict[str, Any] | None = None
    state_joined: dict[str, Any] | None = None

    def metrics(self) -> LoadMetrics:
        """The part of it that load infos keep for each package."""
        return {
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "job_metrics": self.job_metrics,
            "row_changes": self.row_changes,
            "dataset_name": self.dataset_name,
        }


def load(
    package: Package,
    destination: Destination,
    dataset_name: str,
    *,
    pipeline: PipelineFacts | None = None,
    settings: LoadSettings | None = None,
    publish: Publish = ignore,
    client: Client | None = None,
    schema: Schema | None = None,
    staging: Destination | None = None,
    approve: Begin | None = None,
) -> LoadResult:
    """Load a normalized package, once, however often it is called.

    Args:
        package: In the phase ``normalized``.
        destination: Where to.
        dataset_name: The dataset, normalized.
        pipeline: What the destination may need to know to find its files.
        settings: Of the step.
        publish: Takes progress; facts go the package's own way.
        client: An entered client of this dataset to work with on this thread; it is not closed here.
        schema: The package's schema if the caller has it, to save reading it.
        staging: A destination that holds files on their way.
        approve: Called with the changes of tables, before they are made; what it raises ends the load.

    Returns:
        What was done.

    Raises:
        LoadClientJobFailed: A job failed for good; the package is aborted.
        LoadClientJobRetry: A job was tried too often; the package stays as it is, for the next run.
        LoadPackageAborted: It was aborted before.
        LoadPackageNotCompleted: It is not normalized.
        SignalReceivedException: SIGINT or SIGTERM; the package stays as it is, for the next run.
    """
    if package.phase == "aborted" and (aborted := package.fact(Aborted)) is not None:
        raise LoadPackageAborted(package.load_id, aborted.reason)
    if package.phase not in ("normalized", "loaded"):
        raise LoadPackageNotCompleted(package.load_id, f"it is {package.phase}; normalize it first")
    frozen = schema or Schema.from_stored_schema(package.load_schema())
    with ExitStack() as stack:
        clients = Clients(lambda: destination.open(dataset_name, frozen, pipeline), client)
        stack.callback(clients.close)
        loading = Loading(package, destination, frozen, clients, settings or LoadSettings(), publish)
        loading.approve = approve
        if staging is not None:
            loading.stage_in(staging.open_staging(dataset_name, frozen, pipeline), staging.capabilities())
        return loading.run(dataset_name)


class Loading:
    """The load of one package, made of `load`'s arguments."""

    def __init__(
        self,
        package: Package,
        destination: Destination,
        schema: Schema,
        clients: Clients,
        settings: LoadSettings,
        publish: Publish,
    ) -> None:
        self.package = package
        self.destination_name = destination.destination_name
        self.capabilities = destination.capabilities()
        self.staged_formats: Collection[str] = ()
        if settings.parallelism_strategy:
            self.capabilities = msgspec.structs.replace(
                self.capabilities, loader_parallelism_strategy=settings.parallelism_strategy
            )
        self.schema = schema
        self.clients = clients
        self.settings = settings
        self.publish = publish
        self.approve: Begin | None = None
        self.started_at = now()
        self.again = package.was_loaded
        normalized = package.fact(Normalized)
        self.meeting = Meeting(schema, normalized.schema_update if normalized else {}, self.capabilities)
        self.context = LoadContext(
            load_id=package.load_id,
            path=package.path,
            schema=schema,
            created_at=package.created_at.timestamp(),
            renames=self.meeting.renames,
            # when it was loaded first, its state was written; later loads have brought newer ones
            state=None if self.again else state_claim(package, schema.state_table_name),
            undo=undo_plan(package, settings.keep_undo, self.capabilities),
        )

    def stage_in(self, place: StagingPlace, capabilities: Capabilities) -> None:
        """Let files go through a staging place."""
        self.context = msgspec.structs.replace(self.context, staging=place)
        self.staged_formats = self.capabilities.staged_formats(capabilities)

    def run(self, dataset_name: str) -> LoadResult:
        """Do what is left to do of it."""
        complete = self.package.phase == "loaded" or self._is_complete()
        update: dict[str, Any] = {}
        outcomes: dict[str, Outcome] = {}
        joined: dict[str, Any] | None = None
        jobs: list[PlannedJob] = []
        if not complete:
            jobs = self._plan()
            update = self._migrate(jobs)
            outcomes = self._run_jobs(jobs)
            failpoints.hit("complete.before")
            joined = self._trying(lambda client: client.complete(self.context))
            failpoints.hit("complete.after")
            if self.context.undo is not None:
                self._trying(lambda client: client.prune_undo(self.context))
        self._tidy_staging()
        failed = list(failed_jobs(self.package))
        if self.package.phase != "loaded":
            self.package.seal_loaded(len(failed))
        self.package.clean(self.settings.delete_completed_jobs)
        return LoadResult(
            load_id=self.package.load_id,
            dataset_name=dataset_name,
            started_at=self.started_at,
            finished_at=now(),
            job_metrics=job_metrics(self.package, jobs, outcomes, partial(self.staging.url_of, context=self.context)),
            row_changes=row_changes(self.package),
            schema_update=update,
            failed_jobs=failed,
            rows=sum(outcome.applied.rows for outcome in outcomes.values()),
            already_complete=complete,
            schema_joined=self.meeting.joined,
            state=self.context.state.document if self.context.state else None,
            state_joined=joined,
        )

    @cached_property
    def staging(self) -> Staging:
        """The staging place, and which of the plan's files go through it."""
        planned = self.package.fact(Planned)
        return Staging(self.context.staging, planned.jobs if planned else ())

    def _tidy_staging(self) -> None:
        own, older = self.settings.unstage, self.settings.unstage_older
        if self.context.staging is not None:
            self._trying(lambda client: self.staging.tidy(client, self.context, own=own, older=older))

    # ---- asking and preparing --------------------------------------------------------------------------------------

    def _trying(self, act: Callable[[Client], T]) -> T:
        """Talk to the destination; what is said to pass is tried again, on a new session."""

        def once() -> T:
            try:
                return act(self.clients.get())
            except Exception:
                self.clients.discard()
                raise

        return self.settings.retry.call(once, lambda error: isinstance(error, TransientException), signals.sleep)

    def _is_complete(self) -> bool:
        if self.again or (self.package.sealed_here and self.package.fact(Planned) is None):
            # the loads table knows nothing of jobs put back; nobody else has ever seen a package that is sealed here
            return False

        def ask(client: Client) -> bool:
            try:
                return client.is_complete(self.package.load_id)
            except DestinationUndefinedEntity:
                return False

        return self._trying(ask)

    def _plan(self) -> list[PlannedJob]:
        planned = self.package.fact(Planned)
        if planned is not None:
            return planned.jobs
        extracted = self.package.fact(Extracted)
        files = left_files(self.package)
        jobs = plan_jobs(
            files,
            self.schema,
            self.capabilities,
            ({file.table for file in extracted.files} if extracted else set()) - skipped_tables(self.package),
            replace_strategy=self.settings.replace_strategy,
            state_table=self.schema.state_table_name,
            staged_formats=self.staged_formats,
            apart=not self.settings.raise_on_failed_jobs,
        )
        self.package.record(Planned(load_id=self.package.load_id, jobs=jobs))
        return jobs

    def _wanted(self, jobs: list[PlannedJob]) -> dict[str, TTableSchema]:
        """Tables that must be there: those that saw data, those of jobs, and the system's."""
        left = finished_jobs(self.package) if self.again else frozenset()
        touched = {table for job in jobs for table in job.tables if job.id not in left}
        system = set(self.schema.dlt_table_names())
        return {
            name: table
            for name, table in self.schema.tables.items()
            # tables of jobs done long ago may have been dropped since, on purpose
            if name in system or name in touched or (has_seen_data(table) and not self.again)
        }

    def _change(self, client: Client, jobs: list[PlannedJob], begin: Begin | None = None) -> list[AnyChange]:
        wanted, filled, comments = self._wanted(jobs), filled_tables(jobs), self.settings.comments
        client.begin_undo(self.context)
        with client.exclusive():
            self.meeting.join_stored(client)
            how: Any = {"comments": comments, "settle": partial(self.meeting.settle, client), "begin": begin}
            return migrate(client, self.schema, wanted, filled, self.capabilities, **how)

    def _migrate(self, jobs: list[PlannedJob]) -> dict[str, Any]:
        failpoints.hit("migrate.before")
        made = ChangesMade(self.package)

        def begin(changes: list[AnyChange]) -> None:
            if self.approve is not None:
                self.approve(changes)
            made.begin(changes)

        try:
            changes = self._trying(partial(self._change, jobs=jobs, begin=begin))
        except DestinationException as error:
            raise schema_update_error(self.schema.name, self._wanted(jobs), error) from error
        failpoints.hit("migrate.after")
        return made.end(changes)

    # ---- the jobs --------------------------------------------------------------------------------------------------

    def _run_jobs(self, jobs: list[PlannedJob]) -> dict[str, Outcome]:
        journal = self.package.journal
        self.staging.check(self.destination_name, self.capabilities)
        done = finished_jobs(self.package)
        scheduler = Scheduler(
            jobs,
            self.context,
            self.clients,
            self._record,
            workers=min(self.settings.workers, self.capabilities.max_parallel_load_jobs or self.settings.workers),
            raise_on_failed=self.settings.raise_on_failed_jobs and not self.again,
            max_attempts=self.settings.raise_on_max_retries,
            policy=self.settings.retry,
            done=done,
            attempts={fact.job_id: fact.attempt for fact in journal.all(JobRetried)},
            staging=self.staging,
            started=self._tell_start,
        )
        self.publish(Progress(run_id=self.package.run_id, step="load", name="Jobs", inc=len(done), total=len(jobs)))
        try:
            scheduler.run()
        except LoadClientJobFailed as error:
            self.package.abort(f"job {error.job_id}: {error.failed_message}")
            raise
        return scheduler.outcomes

    def _tell_start(self, job: PlannedJob, attempt: int) -> None:
        where: Any = {"run_id": self.package.run_id, "load_id": self.package.load_id, "job_id": job.id}
        self.publish(JobStarted(**where, tables=job.tables, attempt=attempt))

    def _record(self, *facts: DurableEvent) -> None:
        # of a package loaded before, the destination's loads table says nothing new: what is done must stay known here
        self.package.record(*facts, sync=self.again)
        ended = sum(isinstance(fact, JobDone | JobFailed) for fact in facts)
        if ended:
            self.publish(Progress(run_id=self.package.run_id, step="load", name="Jobs", inc=ended))
