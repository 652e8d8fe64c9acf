"""The parts of a pipeline that are not steps: how it is put together, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headrace.base.time import now
from headrace.bus.bus import Bus
from headrace.bus.observer import Run
from headrace.errors.pipeline import PipelineConfigMissing
from headrace.pipeline import current, names
from headrace.pipeline.destinations import Destinations
from headrace.pipeline.external import ExternalSchemas
from headrace.pipeline.folder import WorkingFolder
from headrace.pipeline.refreshing import package_info
from headrace.pipeline.schemas import SchemaStore
from headrace.pipeline.session import Session
from headrace.pipeline.settings import Settings
from headrace.pipeline.state import StateFile, TPipelineState
from headrace.pipeline.tracing import Tracer

if TYPE_CHECKING:
    from headrace.load.destination import Client, Destination
    from headrace.model.events import AnyEvent, Event
    from headrace.model.migrate import AnyChange
    from headrace.model.naming import NamingConvention
    from headrace.model.packages import LoadJobInfo, LoadPackageInfo
    from headrace.model.schema import Schema
    from headrace.model.trace import PipelineTrace
    from headrace.package.store import PackageStore
    from headrace.pipeline.pipeline import Pipeline
    from headrace.typing import TRefreshMode


class PipelineCore:
    """Name, working folder, destination, state, schemas and packages of a pipeline.

    Attributes:
        pipeline_name: The name: of the working folder, of the state at the destination.
        pipelines_dir: The folder of all working folders.
        working_dir: The working folder.
        pipeline_salt: Mixed into hashes that should differ from pipeline to pipeline.
        dev_mode: Every object starts from nothing, in a dataset of its own.
        refresh: What every run drops first, None for nothing.
        collector: Shows progress.
        bus: Tells observers what happens.
    """

    def __init__(
        self,
        pipeline_name: str | None = None,
        *,
        pipelines_dir: str | Path | None = None,
        pipeline_salt: str | None = None,
        destination: Any = None,
        staging: Any = None,
        dataset_name: str | None = None,
        import_schema_path: str | None = None,
        export_schema_path: str | None = None,
        dev_mode: bool = False,
        refresh: TRefreshMode | None = None,
        progress: Any = None,
        config: Any = None,
        must_attach: bool = False,
    ) -> None:
        from headrace.config.run_context import current as run_context
        from headrace.config.run_context import get_pipelines_dir

        self.pipeline_name = names.check_pipeline_name(pipeline_name or names.default_pipeline_name())
        self.pipelines_dir = str(pipelines_dir or get_pipelines_dir())
        self.pipeline_salt = pipeline_salt or names.default_salt(self.pipeline_name)
        self.dev_mode, self.refresh = dev_mode, refresh
        self.run_context = run_context()
        self._created_at = now()
        self._folder = WorkingFolder(Path(self.pipelines_dir), self.pipeline_name)
        self.working_dir = str(self._folder.path)
        self._settings = Settings(self.pipeline_name, config)
        self.bus = Bus(Run(pipeline=self))
        self._watchers: dict[str, Any] = {}  # by module: who watches because of a setting
        self._begin_afresh()
        external = ExternalSchemas(import_schema_path, export_schema_path, self._settings.external_schema_format)
        self._destinations = Destinations(self)
        self._schemas = SchemaStore(self._folder.schemas, external, self._destinations.prepare_schema)
        self._state = StateFile(self._folder.state_file)
        self._open(must_attach)
        self._destinations.set(destination, staging, dataset_name)
        self._save_props()
        self._set_collector(progress)

    def _begin_afresh(self) -> None:
        """What is remembered between steps and not kept on disk."""
        self._session = Session()
        self._tracer = Tracer(self._folder.runs, self.pipeline_name)
        self._store_made: PackageStore | None = None
        self._synced: tuple[str, str] | None = None
        # by load id: what a package's refresh wants, and the live schema of one sealed here, to save reading it back
        self._orders: dict[str, dict[str, Any] | None] = {}
        self._fresh: dict[str, tuple[Schema, str | None]] = {}
        # what a plan has promised of the changes of tables, by load id
        self._promised: dict[str, Callable[[list[AnyChange]], None]] = {}

    def _open(self, must_attach: bool) -> None:
        from headrace.pipeline.maintain import open_folder

        open_folder(self, must_attach)

    def _set_collector(self, progress: Any) -> None:
        from headrace.pipeline.watching import set_collector

        self.collector: Any = None
        set_collector(self, progress)

    # ---- packages -------------------------------------------------------------------------------------------------

    def list_extracted_load_packages(self) -> Sequence[str]:
        """Load ids of packages that wait to be normalized, oldest first."""
        return self._store.list("extracted")

    def list_normalized_load_packages(self) -> Sequence[str]:
        """Load ids of packages that wait to be loaded, oldest first."""
        return self._store.list("normalized")

    def list_completed_load_packages(self) -> Sequence[str]:
        """Load ids of packages that are loaded or were set aside, oldest first."""
        return self._store.list("loaded", "aborted")

    def get_load_package_info(self, load_id: str) -> LoadPackageInfo:
        """State, files and jobs of a package.

        Raises:
            LoadPackageNotFound: There is no such package.
        """
        return package_info(self, self._store.get(load_id))

    def get_load_package_state(self, load_id: str) -> dict[str, Any]:
        """The state document of a package.

        Raises:
            LoadPackageNotFound: There is no such package.
        """
        return current.read_package_document(self._store.get(load_id))

    def list_failed_jobs_in_package(self, load_id: str) -> Sequence[LoadJobInfo]:
        """Jobs of a package that failed for good."""
        return list(self.get_load_package_info(load_id).failed_jobs)

    # ---- state ----------------------------------------------------------------------------------------------------

    def set_local_state_val(self, key: str, value: Any) -> None:
        """Keep a value on this machine; it is never synced.

        Inside a step it is kept together with the state, when the step ends well.

        Raises:
            PipelineLocked: Another process works on this pipeline.
        """
        from headrace.pipeline.maintain import set_local_value

        set_local_value(self, key, value)

    def get_local_state_val(self, key: str) -> Any:
        """A value kept by `set_local_state_val`.

        Raises:
            KeyError: There is none of that name.
        """
        return self._state.local[key]

    @contextmanager
    def managed_state(self, *, extract_state: bool = False) -> Iterator[TPipelineState]:
        """Change the state: kept when the block ends well, rolled back when it raises.

        Args:
            extract_state: Also put it into a package, for the destination, if it changed.
        """
        from headrace.pipeline.maintain import managed_state

        with managed_state(cast("Pipeline", self), extract_state) as state:
            yield state

    # ---- observers ------------------------------------------------------------------------------------------------

    def observe(self, observer: Any) -> Any:
        """Tell an observer (or a function of an event) of everything that happens in this pipeline."""
        return self.bus.observe(observer)

    def on(self, *kinds: type[Event]) -> Callable[[Any], Any]:
        """Decorate a function to be told of some kinds of event: ``@pipeline.on(JobFailed)``."""
        return self.bus.on(*kinds)

    def guard(self, gate: Any) -> Any:
        """Ask a gate (or a function of a package) before anything is loaded, or made a column of; also a decorator.

        See `headrace.hooks` for what it may answer.
        """
        return self.bus.guard(gate)

    def _publish(self, event: Event) -> None:
        self.bus.publish(cast("AnyEvent", event))

    # ---- properties -----------------------------------------------------------------------------------------------

    @property
    def destination(self) -> Destination | None:
        """Where data is loaded to."""
        return self._destinations.destination

    @destination.setter
    def destination(self, destination: Any) -> None:
        self._destinations.set(destination, None, None)

    @property
    def staging(self) -> Destination | None:
        """The destination of files on their way."""
        return self._destinations.staging

    @property
    def dataset_name(self) -> str | None:
        """The dataset as it was named, before normalization."""
        return self._destinations.dataset_name

    @dataset_name.setter
    def dataset_name(self, name: str) -> None:
        self._destinations.set(None, None, name)

    @property
    def state(self) -> TPipelineState:
        """A copy of the state document."""
        return self._state.copy()

    @property
    def schemas(self) -> SchemaStore:
        """The schemas by name."""
        return self._schemas

    @property
    def schema_names(self) -> list[str]:
        """Names of the schemas, sorted."""
        return list(self._schemas)

    @property
    def default_schema_name(self) -> str | None:
        """The name of the first schema that was extracted."""
        return self._state.document.get("default_schema_name")

    @property
    def default_schema(self) -> Schema:
        """The first schema that was extracted.

        Raises:
            SchemaNotFoundError: There is none yet.
        """
        return self._schemas[self.default_schema_name or self._destinations.default_schema_name()]

    @property
    def naming(self) -> NamingConvention:
        """The naming convention of the default schema."""
        if self.default_schema_name is not None:
            return self.default_schema.naming
        return self._destinations.blank_schema().naming

    @property
    def first_run(self) -> bool:
        """Whether nothing was loaded yet."""
        return bool(self._state.local.get("first_run", True))

    @property
    def is_active(self) -> bool:
        """Whether this is the active pipeline."""
        return cast("Any", current.active()) is self

    @property
    def has_pending_data(self) -> bool:
        """Whether packages wait to be normalized or loaded."""
        return bool(self._store.list("extracted", "normalized"))

    @property
    def has_data(self) -> bool:
        """Whether anything was extracted or loaded yet."""
        return not self.first_run or bool(self.schema_names) or self.has_pending_data

    @property
    def last_trace(self) -> PipelineTrace | None:
        """The trace of the run that is going on or was last, None when there was none."""
        return self._tracer.last

    @property
    def last_run_context(self) -> dict[str, Any] | None:
        """Folders of the program that ran the pipeline last."""
        return self._state.local.get("last_run_context")

    @property
    def config(self) -> Any:
        """The settings of the pipeline."""
        return self._settings.pipeline

    @property
    def runtime_config(self) -> Any:
        """The settings of the process: logging, requests, signals."""
        return self._settings.runtime

    def _fresh_schema(self, load_id: str) -> Schema | None:
        """The live schema of a package that was sealed here, unless the schema has changed since."""
        schema, version_hash = self._fresh.get(load_id, (None, None))
        return schema if schema is not None and schema.stored_version_hash == version_hash else None

    @property
    def _store(self) -> PackageStore:
        if self._store_made is None:
            from headrace.package.store import PackageStore

            self._store_made = PackageStore(self._folder.packages, self._publish, behind=self._folder.behind)
        return self._store_made

    def _need_destination(self, step: str) -> Destination:
        destination = self.destination
        if destination is None:
            raise PipelineConfigMissing(self.pipeline_name, "destination", step)
        return destination

    # ---- names that plugins written for dlt use -------------------------------------------------------------------

    @property
    def _destination(self) -> Destination | None:
        return self.destination

    @property
    def _staging(self) -> Destination | None:
        return self.staging

    @property
    def _schema_storage(self) -> Any:
        return self._schemas

    def _get_state(self) -> Any:
        return self.state

    def _get_destination_clients(self, schema: Schema | None = None) -> tuple[Client, Client | None]:
        """Clients of the destination and of the staging destination, to be opened with ``with``."""
        from headrace.pipeline.reading import destination_clients

        return destination_clients(cast("Pipeline", self), schema)

    def _sql_job_client(self, schema: Schema, credentials: Any = None) -> Client:
        return self._get_destination_clients(schema)[0]

    def _fs_client(self, schema_name: str | None = None) -> Any:
        """The file client of the destination.

        Raises:
            FSClientNotAvailable: It keeps no files.
        """
        from headrace.pipeline.reading import fs_client

        return fs_client(cast("Pipeline", self), schema_name)

    def _inject_schema(self, schema: Schema) -> None:
        """Put a schema among those of the pipeline; the first one becomes the default."""
        from headrace.pipeline.maintain import note_schema

        self._schemas.put(schema)
        note_schema(self, schema.name)

    def _save_props(self) -> None:
        from headrace.errors.package import WorkingFolderUnusable
        from headrace.pipeline.maintain import save_props

        try:
            save_props(self)
        except WorkingFolderUnusable:
            raise
        except OSError as error:
            raise WorkingFolderUnusable(self.pipeline_name, self.working_dir, error) from error

    def _wipe_working_folder(self) -> None:
        from headrace.pipeline.maintain import wipe

        wipe(self)

    def __repr__(self) -> str:
        destination = getattr(self.destination, "destination_name", None)
        return (
            f"<headrace.pipeline(pipeline_name={self.pipeline_name!r}, destination={destination!r}, "
            f"dataset_name={self.dataset_name!r}, working_dir={self.working_dir!r})>"
        )
