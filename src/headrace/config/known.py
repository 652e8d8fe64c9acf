"""The configurations of the rooms, and how each is found.

The functions at the end know the sections; rooms call them and do not spell sections themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from headrace.config.hints import NotResolved, TSecretStrValue
from headrace.config.resolve import resolve_configuration
from headrace.config.runtime import RuntimeConfiguration as RuntimeConfiguration
from headrace.config.sections import DESTINATION, LOAD, NORMALIZE, PIPELINES, SOURCES
from headrace.config.spec import BaseConfiguration, CredentialsConfiguration, configspec

if TYPE_CHECKING:
    from headrace.typing import TReplaceStrategy
else:
    TReplaceStrategy = Literal["truncate-and-insert", "insert-from-staging", "staging-optimized"]

TPoolType = Literal["process", "thread", "none"]
TDestination = TypeVar("TDestination", bound="DestinationConfiguration")


@configspec
class PipelineConfiguration(BaseConfiguration):
    """Settings of a pipeline: section `pipelines.<pipeline name>`.

    `lock_timeout`: seconds to wait at most while another process runs the pipeline in the same working folder; 0 raises
    `PipelineLocked` at once. `max_state_size`: bytes that the state may take at the destination, compressed as it is
    stored there; 0 for no limit. The default is what the narrowest of the large warehouses puts into one value.
    `confirm_destructive`: a plan with destructive steps runs only with `allow_destructive=True`.
    `keep_states`: how many rows of state of this pipeline are kept at the destination at least; 0 keeps all.
    `keep_traces`: how many traces of runs are kept in the working folder; 0 keeps all.
    """

    pipeline_name: str | None = None
    pipelines_dir: str | None = None
    destination_type: Any | None = None
    destination_name: str | None = None
    staging_type: Any | None = None
    staging_name: str | None = None
    import_schema_path: str | None = None
    export_schema_path: str | None = None
    dataset_name: str | None = None
    dataset_name_layout: str | None = None
    pipeline_salt: TSecretStrValue | None = None
    restore_from_destination: bool = True
    enable_runtime_trace: bool = True
    use_single_dataset: bool = True
    full_refresh: bool | None = None
    dev_mode: bool = False
    progress: str | None = None
    runtime: RuntimeConfiguration = None  # type: ignore[assignment]
    refresh: Literal["drop_sources", "drop_resources", "drop_data"] | None = None
    lock_timeout: float = 0.0
    max_state_size: int = 16 * 2**20
    keep_states: int = 100
    keep_traces: int = 100
    confirm_destructive: bool = False

    def on_resolved(self) -> None:
        """The old name of `dev_mode` still counts."""
        if self.full_refresh is not None:
            self.dev_mode = self.full_refresh


@configspec
class ExtractConfiguration(BaseConfiguration):
    """How data is extracted: section `extract`, also under a source's own path. The poll interval is in seconds.

    With `checkpoint_rows` or `checkpoint_seconds` a long extract seals what was read so far, after so many rows of a
    resource or so many seconds.
    """

    __section__: ClassVar[str | None] = "extract"

    max_parallel_items: int = 20
    workers: int = 5
    futures_poll_interval: float = 0.01
    copy_on_fork: bool = False
    next_item_mode: Literal["round_robin", "fifo"] = "round_robin"
    checkpoint_rows: int | None = None
    checkpoint_seconds: float | None = None


@configspec
class PoolRunnerConfiguration(BaseConfiguration):
    """Workers of a step; `run_sleep` is in seconds."""

    pool_type: TPoolType = "none"
    start_method: str | None = None
    workers: int | None = None
    run_sleep: float = 0.1


@configspec
class ItemsNormalizerConfiguration(BaseConfiguration):
    """Which columns of dlt's are added to data of one kind."""

    add_dlt_id: bool = False
    add_dlt_load_id: bool = False


def _load_id_only() -> ItemsNormalizerConfiguration:
    return ItemsNormalizerConfiguration(add_dlt_load_id=True)


def _both() -> ItemsNormalizerConfiguration:
    return ItemsNormalizerConfiguration(add_dlt_id=True, add_dlt_load_id=True)


@configspec
class NormalizeConfiguration(PoolRunnerConfiguration):
    """How data is normalized: section `normalize`. `workers` None takes as many as the machine can use.

    With `keep_rejected`, items that schema contracts let go are kept in a table `<table>__rejected`.
    """

    pool_type: TPoolType = "thread"
    keep_rejected: bool = False
    json_normalizer: ItemsNormalizerConfiguration = dataclasses.field(default_factory=_both)
    parquet_normalizer: ItemsNormalizerConfiguration = dataclasses.field(default_factory=ItemsNormalizerConfiguration)
    model_normalizer: ItemsNormalizerConfiguration = dataclasses.field(default_factory=_load_id_only)


@configspec
class LoadConfiguration(PoolRunnerConfiguration):
    """How packages are loaded: section `load`.

    `keep_undo`: how many of a pipeline's loads the destination keeps undoable; 0 keeps nothing.
    `keep_packages`, `keep_packages_days`, `keep_packages_bytes`: how many packages stay in the working folder once they
    are loaded, how old, how large together; None sets no limit. Packages with failures only go by
    `keep_failed_packages_days`. The newest one stays, and those that may be undone.
    """

    pool_type: TPoolType = "thread"
    workers: int = 20
    parallelism_strategy: Literal["parallel", "table-sequential", "sequential"] | None = None
    raise_on_failed_jobs: bool = True
    raise_on_max_retries: int = 5
    truncate_staging_dataset: bool = False
    start_new_jobs_on_signal: bool = False
    auto_abort_on_terminal_error: bool = False
    delete_completed_jobs: bool = False
    comments: bool = True
    keep_undo: int = 0
    keep_packages: int | None = None
    keep_packages_days: float | None = None
    keep_packages_bytes: int | None = None
    keep_failed_packages_days: float | None = None

    @property
    def keeps_all_packages(self) -> bool:
        """Whether no package is ever deleted."""
        limits = (self.keep_packages, self.keep_packages_days, self.keep_packages_bytes, self.keep_failed_packages_days)
        return all(limit is None for limit in limits)


LoaderConfiguration = LoadConfiguration


@configspec
class SchemaConfiguration(BaseConfiguration):
    """How names are made: section `schema`, also under `sources.<schema name>`."""

    __section__: ClassVar[str | None] = "schema"

    naming: Any | None = None
    json_normalizer: dict[str, Any] | None = None
    allow_identifier_change_on_table_with_data: bool | None = None
    use_break_path_on_normalize: bool | None = None


@configspec
class DataWriterConfiguration(BaseConfiguration):
    """How files are written and cut: section `data_writer`. Sizes are in rows and in bytes."""

    __section__: ClassVar[str | None] = "data_writer"

    buffer_max_items: int = 5000
    file_max_items: int | None = None
    file_max_bytes: int | None = None
    disable_compression: bool = False


BufferedDataWriterConfiguration = DataWriterConfiguration


@configspec
class CsvFormatConfiguration(BaseConfiguration):
    """How CSV files are written: section `data_writer`."""

    __section__: ClassVar[str | None] = "data_writer"

    delimiter: str = ","
    include_header: bool = True
    quoting: Literal["quote_all", "quote_needed", "quote_minimal", "quote_none"] = "quote_needed"
    lineterminator: str = "\n"
    encoding: str = "utf-8"
    encoding_errors: str = "strict"
    on_error_continue: bool = False


@configspec
class ParquetFormatConfiguration(BaseConfiguration):
    """How Parquet files are written: section `data_writer`."""

    __section__: ClassVar[str | None] = "data_writer"

    flavor: str | None = None
    version: str | None = "2.4"
    compression: Literal["none", "snappy", "gzip", "brotli", "lz4", "zstd"] | None = "snappy"
    data_page_size: int | None = None
    timestamp_timezone: str | None = None
    row_group_size: int | None = None
    coerce_timestamps: Literal["s", "ms", "us", "ns"] | None = None
    allow_truncated_timestamps: bool = False
    use_compliant_nested_type: bool = True
    write_page_index: bool = False
    use_content_defined_chunking: bool = False
    supports_dictionary_encoding: bool = True
    arrow_concat_promote_options: Literal["none", "default", "permissive"] = "none"


@configspec
class DestinationConfiguration(BaseConfiguration):
    """Base of all configurations of destinations: section `destination.<destination name>`."""

    destination_type: Annotated[str | None, NotResolved()] = None
    credentials: CredentialsConfiguration | None = None
    destination_name: str | None = None
    environment: str | None = None

    def data_location(self) -> str:
        """Where the data is, without anything secret."""
        return str(self.credentials) if self.credentials else ""

    def fingerprint(self) -> str:
        """A hash of where the data is; empty when that is unknown."""
        from headrace.base.strings import digest128

        location = self.data_location()
        return digest128(location) if location else ""

    def __str__(self) -> str:
        return self.data_location() or repr(self)

    @classmethod
    def credentials_type(cls, config: DestinationConfiguration | None = None) -> type[CredentialsConfiguration] | None:
        """The class of the credentials."""
        from headrace.config.fields import fields_of

        specs = next((f.specs for f in fields_of(cls) if f.name == "credentials"), ())
        return specs[0] if specs else None  # type: ignore[return-value]


@configspec
class DwhConfiguration(DestinationConfiguration):
    """Destinations with datasets and tables."""

    dataset_name: Annotated[str | None, NotResolved()] = None
    default_schema_name: Annotated[str | None, NotResolved()] = None
    replace_strategy: TReplaceStrategy | None = None
    staging_dataset_name_layout: str = "%s_staging"
    enable_dataset_name_normalization: bool = True
    info_tables_query_threshold: int = 1000


@configspec
class StagingConfiguration(DwhConfiguration):
    """Destinations that can hold files for another destination."""

    as_staging_destination: bool = False
    bucket_url: str = None  # type: ignore[assignment]
    layout: str = "{table_name}/{load_id}.{file_id}.{ext}"
    warn_unsafe_layout_separators: bool = True


@configspec
class DwhWithStagingConfiguration(DwhConfiguration):
    """Destinations that can load files from another one."""

    staging_config: Annotated[StagingConfiguration | None, NotResolved()] = None
    truncate_tables_on_staging_destination_before_load: bool = True


DestinationClientConfiguration = DestinationConfiguration
DestinationClientDwhConfiguration = DwhConfiguration
DestinationClientStagingConfiguration = StagingConfiguration
DestinationClientDwhWithStagingConfiguration = DwhWithStagingConfiguration


def runtime_settings() -> RuntimeConfiguration:
    """The settings of `runtime`."""
    return resolve_configuration(RuntimeConfiguration())


def pipeline_settings(pipeline_name: str, given: Mapping[str, Any] | None = None) -> PipelineConfiguration:
    """The settings of a pipeline.

    Args:
        pipeline_name: The pipeline; its name also is the outermost section of the lookups.
        given: Fields that are known already and not looked up.
    """
    from headrace.config.current import pipeline_name_scope

    with pipeline_name_scope(pipeline_name):
        return resolve_configuration(
            PipelineConfiguration(),
            sections=(PIPELINES, pipeline_name),
            explicit_value={"pipeline_name": pipeline_name, **(given or {})},
        )


def extract_settings(section: str | None = None, name: str | None = None) -> ExtractConfiguration:
    """The settings of extraction, for one source when it is given.

    Args:
        section: The source's section.
        name: The source's name.
    """
    sections = (SOURCES, section, name) if section and name else ()
    return resolve_configuration(ExtractConfiguration(), sections=sections)


def normalize_settings() -> NormalizeConfiguration:
    """The settings of `normalize`."""
    return resolve_configuration(NormalizeConfiguration(), sections=(NORMALIZE,))


def load_settings() -> LoadConfiguration:
    """The settings of `load`."""
    return resolve_configuration(LoadConfiguration(), sections=(LOAD,))


def schema_settings(schema_name: str) -> SchemaConfiguration:
    """The settings of names, for one schema."""
    return resolve_configuration(SchemaConfiguration(), sections=(SOURCES, schema_name))


def data_writer_settings(*sections: str) -> DataWriterConfiguration:
    """The settings of written files.

    Args:
        sections: Path of who writes: ``("normalize",)``, or a source's.
    """
    return resolve_configuration(DataWriterConfiguration(), sections=sections)


def csv_settings(*sections: str) -> CsvFormatConfiguration:
    """The settings of CSV files, for a step or a source."""
    return resolve_configuration(CsvFormatConfiguration(), sections=sections)


def parquet_settings(*sections: str) -> ParquetFormatConfiguration:
    """The settings of Parquet files, for a step or a source."""
    return resolve_configuration(ParquetFormatConfiguration(), sections=sections)


def destination_settings(
    config: TDestination, destination_name: str, given: Mapping[str, Any] | None = None, accept_partial: bool = False
) -> TDestination:
    """The settings of a destination.

    Args:
        config: An instance of the destination's configuration class.
        destination_name: Name of the destination, or its type when it has none: the section after `destination`.
        given: Fields that are known already and not looked up.
        accept_partial: Return an incomplete configuration instead of raising.
    """
    return resolve_configuration(
        config, sections=(DESTINATION, destination_name), explicit_value=given, accept_partial=accept_partial
    )


def named_destination_type(name: str) -> str | None:
    """The type of a named destination: ``destination.<name>.destination_type``; None if unknown."""
    from headrace.config.current import get_pipeline_name
    from headrace.config.lookup import Lookup

    found = Lookup(get_pipeline_name()).find("destination_type", False, ((DESTINATION, name),))
    return None if found is None else str(found.value)
