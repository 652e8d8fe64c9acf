"""`pipeline`, `attach` and `run`: how users come to a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import TypeVar

from headrace import runtime_logging
from headrace.errors.pipeline import CannotRestorePipelineException
from headrace.pipeline import current, names
from headrace.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from headrace.config.known import PipelineConfiguration
    from headrace.model.infos import LoadInfo
    from headrace.model.schema import Schema
    from headrace.typing import (
        TLoaderFileFormat,
        TRefreshMode,
        TSchemaContract,
        TTableFormat,
        TWriteDispositionConfig,
    )

TPipeline = TypeVar("TPipeline", bound=Pipeline, default=Pipeline)


def pipeline(
    pipeline_name: str | None = None,
    pipelines_dir: str | Path | None = None,
    pipeline_salt: str | None = None,
    destination: Any = None,
    staging: Any = None,
    dataset_name: str | None = None,
    import_schema_path: str | None = None,
    export_schema_path: str | None = None,
    full_refresh: bool | None = None,
    dev_mode: bool = False,
    refresh: TRefreshMode | None = None,
    progress: Any = None,
    _impl_cls: type[TPipeline] = Pipeline,  # type: ignore[assignment]
) -> TPipeline:
    """Make a pipeline and activate it; with no argument at all, give the active one.

    What is not given here is looked up in the configuration, in the section ``pipelines.<pipeline_name>``.

    Args:
        pipeline_name: Name of the working folder and of the state at the destination; by default made of the script's.
        pipelines_dir: Folder of the working folders.
        pipeline_salt: Mixed into hashes that should differ from pipeline to pipeline.
        destination: Where to: a name (``"duckdb"``), a configured name, or a destination.
        staging: A destination for files on their way.
        dataset_name: The dataset (a schema, a folder) for the tables; by default ``<pipeline_name>_dataset``.
        import_schema_path: Folder of schema files that people edit.
        export_schema_path: Folder that gets a copy of each changed schema.
        full_refresh: The old name of ``dev_mode``.
        dev_mode: Start from nothing each time, in a dataset with the time in its name.
        refresh: What every run drops first: ``drop_sources``, ``drop_resources`` or ``drop_data``.
        progress: A display: ``"log"``, ``"tqdm"``, ``"rich"``, … or a collector.

    Raises:
        InvalidPipelineName: The name cannot be that of a folder.
        UnknownDestinationModule: There is no such destination.
    """
    given = {
        "pipelines_dir": pipelines_dir,
        "pipeline_salt": pipeline_salt,
        "destination": destination,
        "staging": staging,
        "dataset_name": dataset_name,
        "import_schema_path": import_schema_path,
        "export_schema_path": export_schema_path,
        "dev_mode": (full_refresh if full_refresh is not None else dev_mode) or None,
        "refresh": refresh,
        "progress": progress,
    }
    active = current.active()
    if active is not None and pipeline_name is None and all(value is None for value in given.values()):
        return cast(TPipeline, active)
    name = names.check_pipeline_name(pipeline_name or names.default_pipeline_name())
    made = _impl_cls(name, **_settled(name, given))
    made.activate()
    return made


def attach(
    pipeline_name: str | None = None,
    pipelines_dir: str | Path | None = None,
    pipeline_salt: str | None = None,
    destination: Any = None,
    staging: Any = None,
    progress: Any = None,
    dataset_name: str | None = None,
) -> Pipeline:
    """Go on with a pipeline that ran before: by its working folder, or else by its state at the destination.

    Args:
        pipeline_name: The pipeline; by default made of the script's name.
        pipelines_dir: Folder of the working folders.
        pipeline_salt: As in `pipeline`.
        destination: As in `pipeline`; by default that of the last run.
        staging: As in `pipeline`.
        progress: As in `pipeline`.
        dataset_name: As in `pipeline`; by default that of the last run.

    Raises:
        CannotRestorePipelineException: There is neither a working folder nor a state at the destination.
    """
    name = names.check_pipeline_name(pipeline_name or names.default_pipeline_name())
    given = {
        "pipelines_dir": pipelines_dir,
        "pipeline_salt": pipeline_salt,
        "destination": destination,
        "staging": staging,
        "dataset_name": dataset_name,
        "progress": progress,
    }
    settled = {**_settled(name, given), "dev_mode": False}
    try:
        made = Pipeline(name, **settled, must_attach=True)
    except CannotRestorePipelineException:
        if settled["destination"] is None:
            raise
        made = _restored(name, settled)
    made.activate()
    return made


def _restored(name: str, settled: dict[str, Any]) -> Pipeline:
    """A pipeline whose working folder is filled from the destination, or no folder at all."""
    made = Pipeline(name, **settled)
    error: BaseException | None = None
    try:
        made.sync_destination()
    except Exception as failure:  # noqa: BLE001 - it becomes the cause of the one raised below
        error = failure
    if error is None and made.default_schema_name is not None:
        return made
    made._folder.remove()
    raise CannotRestorePipelineException(
        name, made.pipelines_dir, f"there is no working folder, and no state of it in the dataset `{made.dataset_name}`"
    ) from error


def _settled(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the class: what was given, else what the configuration says."""
    from headrace.config.known import pipeline_settings

    config = pipeline_settings(name)
    found: dict[str, Any] = dict(given)
    for key in ("pipelines_dir", "dataset_name", "import_schema_path", "export_schema_path", "refresh", "progress"):
        if found.get(key) is None:
            found[key] = getattr(config, key)
    if found.get("pipeline_salt") is None:
        found["pipeline_salt"] = config.pipeline_salt
    for role in ("destination", "staging"):
        if found.get(role) is None:
            found[role] = _configured(config, role)
    found["dev_mode"] = bool(found.get("dev_mode") or config.dev_mode)
    runtime_logging.initialize(*_log_settings(config))
    return {**found, "config": config}


def _configured(config: PipelineConfiguration, role: str) -> Any:
    """The destination that the configuration names for a role."""
    kind, named = getattr(config, f"{role}_type"), getattr(config, f"{role}_name")
    if kind is None:
        return named
    if named is None or not isinstance(kind, str):
        return kind
    from headrace.destinations.reference import resolve_destination

    return resolve_destination(kind, destination_name=named)


def _log_settings(config: PipelineConfiguration) -> tuple[str | None, str | None]:
    """Level and format, None for what nobody has set."""
    runtime = config.runtime
    given = () if runtime is None else runtime.__resolved_fields_set__ or ()
    level = getattr(runtime, "log_level", None) if "log_level" in given else None
    log_format = getattr(runtime, "log_format", None) if "log_format" in given else None
    return level, log_format


def run(
    data: Any,
    *,
    destination: Any = None,
    staging: Any = None,
    dataset_name: str | None = None,
    table_name: str | None = None,
    write_disposition: TWriteDispositionConfig | None = None,
    columns: Any = None,
    schema: Schema | None = None,
    loader_file_format: TLoaderFileFormat | None = None,
    table_format: TTableFormat | None = None,
    schema_contract: TSchemaContract | None = None,
    refresh: TRefreshMode | None = None,
) -> LoadInfo | None:
    """Load data with the active pipeline, or with one of default settings; see `Pipeline.run`."""
    return pipeline().run(
        data,
        destination=destination,
        staging=staging,
        dataset_name=dataset_name,
        table_name=table_name,
        write_disposition=write_disposition,
        columns=columns,
        schema=schema,
        loader_file_format=loader_file_format,
        table_format=table_format,
        schema_contract=schema_contract,
        refresh=refresh,
    )
