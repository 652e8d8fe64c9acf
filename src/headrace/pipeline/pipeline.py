"""`Pipeline`: moves data from sources into tables. The steps are functions in modules beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.pipeline import current
from headrace.pipeline.core import PipelineCore
from headrace.pipeline.planapi import PlanApi

if TYPE_CHECKING:
    from headrace.dataset.dataset import Dataset
    from headrace.load.destination import Client
    from headrace.model.infos import ExtractInfo, LoadInfo, NormalizeInfo
    from headrace.model.rollback import RollbackInfo, UndoableLoad
    from headrace.model.schema import Schema
    from headrace.typing import (
        TColumnNames,
        TLoaderFileFormat,
        TRefreshMode,
        TSchemaContract,
        TTableFormat,
        TTableSchema,
        TWriteDispositionConfig,
    )


class Pipeline(PlanApi, PipelineCore):
    """Moves data from sources into tables of a destination. Made by `headrace.pipeline` and `headrace.attach`."""

    # ---- the steps ------------------------------------------------------------------------------------------------

    def run(
        self,
        data: Any = None,
        *,
        destination: Any = None,
        staging: Any = None,
        dataset_name: str | None = None,
        credentials: Any = None,
        table_name: str | None = None,
        write_disposition: TWriteDispositionConfig | None = None,
        columns: Any = None,
        primary_key: TColumnNames | None = None,
        schema: Schema | None = None,
        loader_file_format: TLoaderFileFormat | None = None,
        table_format: TTableFormat | None = None,
        schema_contract: TSchemaContract | None = None,
        refresh: TRefreshMode | None = None,
        allow_destructive: bool | None = None,
    ) -> LoadInfo | None:
        """Load data: finish what earlier runs left, then extract, normalize and load what is given.

        Args:
            data: Rows, a frame, a generator, a function, resources or sources, or a list of them; None only finishes
                what is pending. Or a plan, of which exactly what it says is done.
            destination: Where to, when `pipeline()` was given none: a name or a destination.
            staging: A destination for files on their way, from which ``destination`` loads them.
            dataset_name: The dataset (a schema, a folder) that tables go to.
            credentials: Of the destination.
            table_name: For data that has no name of its own.
            write_disposition: ``append``, ``replace``, ``merge`` or ``skip``, with a strategy if need be.
            columns: Hints of columns.
            primary_key: Columns that identify a row.
            schema: The schema to use instead of the source's.
            loader_file_format: The format of files between normalize and load.
            table_format: For lakes: ``iceberg``, ``delta``.
            schema_contract: What may change: tables, columns, data types.
            refresh: What to drop first: ``drop_sources``, ``drop_resources`` or ``drop_data``.
            allow_destructive: Of a plan: False refuses one with destructive steps; True runs it also where the setting
                ``confirm_destructive`` would refuse.

        Returns:
            What was loaded; None when no data was given and nothing was pending.

        Raises:
            PipelineConfigMissing: There is no destination.
            PipelineStepFailed: A step failed; ``step``, ``exception`` and ``load_id`` tell which and why.
            PipelineLocked: Another process works on this pipeline.
            PlanOutdated: Something has changed since the plan was made; nothing was loaded.
            PlanNotAllowed: The plan has destructive steps that were not allowed.
        """
        from headrace.pipeline.run import run

        hints = {
            "table_name": table_name,
            "write_disposition": write_disposition,
            "columns": columns,
            "primary_key": primary_key,
            "schema": schema,
            "loader_file_format": loader_file_format,
            "table_format": table_format,
            "schema_contract": schema_contract,
            "refresh": refresh,
        }
        return run(self, data, (destination, staging, dataset_name, credentials), hints, allow_destructive)

    def extract(
        self,
        data: Any,
        *,
        table_name: str | None = None,
        parent_table_name: str | None = None,
        write_disposition: TWriteDispositionConfig | None = None,
        columns: Any = None,
        primary_key: TColumnNames | None = None,
        schema: Schema | None = None,
        max_parallel_items: int | None = None,
        workers: int | None = None,
        table_format: TTableFormat | None = None,
        schema_contract: TSchemaContract | None = None,
        refresh: TRefreshMode | None = None,
        loader_file_format: TLoaderFileFormat | None = None,
    ) -> ExtractInfo:
        """Read data into a package of the working folder; needs no destination. Arguments are those of `run`.

        Args:
            data: As in `run`.
            parent_table_name: Makes the table nested in this one.
            max_parallel_items: How many items may wait for their results at once (``extract.max_parallel_items``).
            workers: Threads for deferred and parallelized work (``extract.workers``).

        Raises:
            PipelineStepFailed: The source, or a hint, failed. Nothing was kept, state included.
        """
        from headrace.pipeline.extracting import ExtractArgs, extract

        hints = {
            "table_name": table_name,
            "parent_table_name": parent_table_name,
            "write_disposition": write_disposition,
            "columns": columns,
            "primary_key": primary_key,
            "schema": schema,
            "table_format": table_format,
            "schema_contract": schema_contract,
            "file_format": loader_file_format,
        }
        return extract(self, data, ExtractArgs(hints, max_parallel_items, workers, refresh or self.refresh))

    def normalize(
        self, workers: int | None = None, loader_file_format: TLoaderFileFormat | None = None
    ) -> NormalizeInfo | None:
        """Turn extracted packages into loader files; the schema grows with what is new in the data.

        Args:
            workers: Threads; by default one a core, at most four.
            loader_file_format: For tables whose resource asks for none.

        Returns:
            What was normalized; None when nothing was ever extracted.

        Raises:
            PipelineConfigMissing: There is no destination: its naming and formats are needed.
            PipelineStepFailed: The data does not fit the schema's contract.
        """
        from headrace.pipeline.normalizing import normalize

        return normalize(self, workers, loader_file_format)

    def load(
        self,
        destination: Any = None,
        dataset_name: str | None = None,
        credentials: Any = None,
        *,
        workers: int | None = None,
        raise_on_failed_jobs: bool | None = None,
    ) -> LoadInfo | None:
        """Load normalized packages, oldest first, each once.

        Args:
            destination: Where to, when none was given before.
            dataset_name: The dataset.
            credentials: Of the destination.
            workers: Threads (``load.workers``).
            raise_on_failed_jobs: Stop at a job that fails for good, and set its package aside (the default); else load
                the rest of the package.

        Returns:
            What was loaded; None when nothing was ever extracted.

        Raises:
            PipelineConfigMissing: There is no destination.
            PipelineStepFailed: A job failed, or the destination cannot be reached.
        """
        from headrace.pipeline.loading import load

        self._destinations.set(destination, None, dataset_name, credentials)
        return load(self, workers, raise_on_failed_jobs)

    def sync_destination(self, destination: Any = None, staging: Any = None, dataset_name: str | None = None) -> None:
        """Take over state and schemas from the destination where they are newer than those of the working folder.

        Raises:
            PipelineStepFailed: The destination cannot be read, or holds the state of another pipeline.
        """
        from headrace.pipeline.sync import sync_destination

        self._destinations.set(destination, staging, dataset_name)
        sync_destination(self)

    def sync_schema(self, schema_name: str | None = None) -> dict[str, TTableSchema]:
        """Make the destination's tables follow a schema; returns the tables and columns that were added."""
        from headrace.pipeline.sync import sync_schema

        return sync_schema(self, schema_name)

    def replay_rejected(
        self,
        table: str | None = None,
        load_id: str | None = None,
        *,
        rule: str | None = None,
        schema_contract: TSchemaContract | None = None,
    ) -> LoadInfo | None:
        """Load items that schema contracts have let go, from the tables that keep them (``<table>__rejected``).

        Their records leave the table in the same package. Items that are refused again are there anew. The rules are
        those of the tables; a pydantic model of the resource is not asked.

        Args:
            table: Only items of this table (root or nested); None for all.
            load_id: Only items that this load has rejected.
            rule: Only items rejected by this rule, for example ``columns:discard_row``.
            schema_contract: The contract of the tables from now on, as in `run`; None leaves it as it is.

        Returns:
            What was loaded; None when there was nothing to replay.

        Raises:
            RejectedTableNotFound: Nothing is kept for the table.
            CannotReplayRejected: Items are in their table already and would be there twice, or the table is replaced
                by every load.
            PipelineStepFailed: A step failed. What was kept is kept.
        """
        from headrace.pipeline.replaying import Wanted, replay_rejected

        return replay_rejected(self, Wanted(table, load_id, rule), schema_contract)

    def retry_failed_jobs(self, load_id: str | None = None, *, force: bool = False) -> LoadInfo | None:
        """Load what failed for good, once more and once only: when the destination, or a file, is mended.

        Of packages that were loaded without some jobs (``load.raise_on_failed_jobs`` is false) these are loaded;
        packages that were set aside are loaded whole, and cursors that went back behind them go forward again.

        Args:
            load_id: The package; None for all that have failed jobs.
            force: Also where later loads have written the same tables, or may have extracted the same data.

        Returns:
            What was loaded; None when nothing has failed.

        Raises:
            CannotRetryJobs: It would write old rows over newer ones, or bring rows twice; or files are gone. With no
                ``load_id`` such packages are named in the log and left.
            LoadPackageNotFound: There is no such package.
            PipelineStepFailed: Jobs failed again, and ``load.raise_on_failed_jobs`` is true; or the destination is
                away: then the package waits for the next run.
        """
        from headrace.pipeline.reviving import retry_failed_jobs

        return retry_failed_jobs(self, load_id, None, force)

    def retry_job(self, load_id: str, job_id: str, *, force: bool = False) -> LoadInfo | None:
        """Load one job of a package that failed for good, as `retry_failed_jobs` does.

        Jobs that emptied its tables, or wait for that, go with it. A package that was set aside is loaded whole.

        Args:
            load_id: The package.
            job_id: The job, or one of its files: `list_failed_jobs_in_package(load_id)[0].job_file_info.job_id()`.
            force: See `retry_failed_jobs`.

        Returns:
            What was loaded.

        Raises:
            CannotRetryJobs: The package has no failed job of this id; or as for `retry_failed_jobs`.
        """
        from headrace.pipeline.reviving import retry_failed_jobs

        return retry_failed_jobs(self, load_id, job_id, force)

    # ---- maintenance ----------------------------------------------------------------------------------------------

    def drop(self, pipeline_name: str | None = None) -> Pipeline:
        """Delete state, schemas and packages of the working folder; the destination keeps its tables.

        Args:
            pipeline_name: Make a new pipeline of this name from the settings of this one instead.

        Returns:
            This pipeline, or the new one.
        """
        from headrace.pipeline.maintain import drop

        return drop(self, pipeline_name)

    def drop_pending_packages(self, with_partial_loads: bool = True) -> None:
        """Give up packages that are not loaded; cursors go back where nothing of a package was loaded.

        Args:
            with_partial_loads: Also give up packages of which some jobs are loaded.
        """
        from headrace.pipeline.maintain import drop_pending_packages

        drop_pending_packages(self, with_partial_loads)

    def abort_packages(self, load_id: str | None = None) -> list[str]:
        """Set pending packages aside: one, or all; their files stay to be looked at.

        Returns:
            Load ids of the packages that were set aside.
        """
        from headrace.pipeline.maintain import abort_packages

        return abort_packages(self, load_id)

    # ---- undo -----------------------------------------------------------------------------------------------------

    def rollback(self, load_id: str | None = None, cascade: bool = False) -> RollbackInfo:
        """Undo a load: data, columns, tables, schema, cursors and state are again what they were before it.

        Only loads of which enough was kept can be undone: ``load.keep_undo`` says how many. It is all or nothing,
        whatever dies, and the next run loads the same data again.

        Args:
            load_id: The load; None for the newest one.
            cascade: Also undo the loads of this pipeline that came later, newest first; else they are in the way.

        Returns:
            What was undone.

        Raises:
            RollbackRefused: Later loads of this pipeline are in the way.
            RollbackImpossible: Nothing was kept of the load, or others have changed the same tables since.
            RollbackNotSupported: The destination cannot undo loads.
            PipelineHasPendingDataException: Packages wait that build on it.
        """
        from headrace.pipeline.rollingback import rollback

        return rollback(self, load_id, cascade)

    def list_undoable_loads(self) -> list[UndoableLoad]:
        """Loads of this pipeline that can be undone, newest first, which is the order in which it can be done."""
        from headrace.pipeline.rollingback import list_undoable_loads

        return list_undoable_loads(self)

    def activate(self) -> None:
        """Make this the active pipeline of the thread: what `headrace.run` and settings refer to."""
        current.activate(self)

    def deactivate(self) -> None:
        """Leave the thread without an active pipeline.

        Raises:
            PipelineNotActive: This one is not active.
        """
        current.deactivate(self)

    # ---- access to the destination --------------------------------------------------------------------------------

    def dataset(self, schema: Schema | str | Sequence[Schema] | None = None) -> Dataset:
        """The tables of the pipeline, for reading.

        Args:
            schema: A schema, its name, or several schemas; by default the default schema, else all.
        """
        from headrace.pipeline.reading import dataset

        return dataset(self, schema)

    def sql_client(self, schema_name: str | None = None) -> Any:
        """A connection for SQL: ``with pipeline.sql_client() as client: client.execute_sql("SELECT 1")``.

        Raises:
            SqlClientNotAvailable: The destination speaks no SQL.
        """
        from headrace.pipeline.reading import sql_client

        return sql_client(self, schema_name)

    def destination_client(self, schema_name: str | None = None) -> Client:
        """A client of the destination; a context manager."""
        from headrace.pipeline.reading import destination_client

        return destination_client(self, schema_name)
