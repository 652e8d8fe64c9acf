"""Settings of a pipeline, each section resolved when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from headrace.config.known import (
        DataWriterConfiguration,
        ExtractConfiguration,
        LoadConfiguration,
        NormalizeConfiguration,
        PipelineConfiguration,
        RuntimeConfiguration,
    )
    from headrace.config.retries import RetriesConfiguration
    from headrace.formats.options import FileOptions

T = TypeVar("T")


class Settings:
    """What the configuration says about a pipeline and its steps.

    Args:
        pipeline_name: Its name is the outermost section of lookups.
        pipeline: Settings that are resolved already.
    """

    def __init__(self, pipeline_name: str, pipeline: PipelineConfiguration | None = None) -> None:
        self._name, self._given = pipeline_name, pipeline
        self._sections: dict[str, bool] = {}
        # by section, what a step was told last: for those who watch
        self.used: dict[str, Any] = {}

    @cached_property
    def pipeline(self) -> PipelineConfiguration:
        """Section ``pipelines.<name>``."""
        from headrace.config.known import pipeline_settings

        return self._given if self._given is not None else pipeline_settings(self._name)

    @cached_property
    def runtime(self) -> RuntimeConfiguration:
        """Section ``runtime``."""
        found = self.pipeline.runtime
        if found is not None:
            return found
        from headrace.config.known import runtime_settings

        return self._here(runtime_settings)

    def has_section(self, name: str) -> bool:
        """Whether something may be set in the section ``<name>`` or ``runtime.<name>``: a quick look, once a name."""
        if name not in self._sections:
            from headrace.config.lookup import Lookup

            self._sections[name] = Lookup(self._name).may_have_section(name)
        return self._sections[name]

    def extract(self) -> ExtractConfiguration:
        """Section ``extract``."""
        from headrace.config.known import extract_settings

        return self._noted("extract", extract_settings)

    def normalize(self) -> NormalizeConfiguration:
        """Section ``normalize``."""
        from headrace.config.known import normalize_settings

        return self._noted("normalize", normalize_settings)

    def load(self) -> LoadConfiguration:
        """Section ``load``."""
        from headrace.config.known import load_settings

        return self._noted("load", load_settings)

    def retries(self) -> RetriesConfiguration:
        """Section ``retries``."""
        from headrace.config.retries import retries_settings

        return self._here(retries_settings)

    def writer(self) -> DataWriterConfiguration:
        """Section ``data_writer``, also under ``normalize``."""
        from headrace.config.known import data_writer_settings

        return self._here(lambda: data_writer_settings("normalize"))

    def file_options(self) -> FileOptions:
        """How loader files are written: also section ``data_writer``."""
        from headrace.config.known import csv_settings, parquet_settings
        from headrace.formats.options import CsvOptions, FileOptions, ParquetOptions

        def options() -> FileOptions:
            csv, parquet = csv_settings("normalize"), parquet_settings("normalize")
            return FileOptions(
                compress=not self.writer().disable_compression,
                csv=CsvOptions(**{name: csv[name] for name in CsvOptions._fields}),
                parquet=ParquetOptions(**{name: parquet[name] for name in ParquetOptions._fields}),
            )

        return self._here(options)

    def naming_of(self, schema_name: str) -> Any:
        """The naming convention that the configuration asks for a schema, None when it asks for none."""
        from headrace.config.known import schema_settings

        return self._here(lambda: schema_settings(schema_name))

    @property
    def external_schema_format(self) -> str | None:
        """``schemas.external_schema_format``: ``yaml`` or ``json``."""
        return self._value(("schemas",), "external_schema_format")

    def of_destination(self, name: str, key: str) -> str | None:
        """A plain setting of a destination that the steps need, as text."""
        return self._value(("destination", name), key) or self._value(("destination",), key)

    def _value(self, sections: tuple[str, ...], key: str) -> str | None:
        from headrace.config.lookup import Lookup

        found = Lookup(self._name).find(key, False, (sections,))
        return None if found is None or found.value is None else str(found.value)

    def _noted(self, section: str, resolve: Callable[[], T]) -> T:
        found = self.used[section] = self._here(resolve)
        return found

    def _here(self, resolve: Callable[[], T]) -> T:
        from headrace.config.current import pipeline_name_scope

        with pipeline_name_scope(self._name):
            return resolve()
