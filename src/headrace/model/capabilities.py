"""What a destination can do, as facts that the rooms before it plan by."""

from __future__ import annotations

from typing import Literal

import msgspec

from headrace.typing import TLoaderFileFormat, TMergeStrategy, TReplaceStrategy

# SQL, which no staging place has to hold
_ROWLESS = {"model"}

Idempotency = Literal["transaction", "object", "commit", "server", "upsert", "none"]


class TableFormatFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What tables of a format (``delta``, ``iceberg``) can do at a destination.

    Attributes:
        loader_file_format: What normalize writes for them.
        supported_merge_strategies: The first one is the default.
    """

    loader_file_format: TLoaderFileFormat = "arrow"
    supported_merge_strategies: tuple[TMergeStrategy, ...] = ()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a destination; field names are the field's own where it has one.

    Attributes:
        sqlglot_dialect: Dialect name for SQL, None when the destination speaks none.
        preferred_loader_file_format: What normalize writes when nobody asked for anything else.
        supported_loader_file_formats: All that can be loaded.
        preferred_staging_file_format: What normalize writes when files go through a staging place.
        supported_staging_file_formats: All that can be loaded from a staging place; none: it loads from none.
        table_formats: What tables of a format can do, where that differs from other tables.
        compresses_text: Whether JSON lines and CSV are packed with gzip, unless the user turns that off.
        max_identifier_length: Characters in a table name.
        max_column_identifier_length: Characters in a column name.
        naming_convention: Short name of the convention it wants, None for the schema's.
        has_case_sensitive_identifiers: Whether two names may differ in case alone.
        decimal_precision: Default (precision, scale) of ``decimal``.
        wei_precision: Default (precision, scale) of ``wei``.
        timestamp_precision: Default digits of seconds.
        max_timestamp_precision: The most digits of seconds it can hold.
        max_table_nesting: How deep nested tables may go; None leaves it to the source, 0 means none.
        idempotency: By what means a job is applied once.
        recommended_file_size: Bytes of a loader file.
        max_parallel_load_jobs: None leaves it to ``load.workers``.
        supports_undo: Whether it can keep what loads change, so that they can be undone (`load.keep_undo`).
        max_files_per_job: How many loader files one job may append at most; small ones share a job up to that.
    """

    sqlglot_dialect: str | None = None
    preferred_loader_file_format: TLoaderFileFormat = "arrow"
    supported_loader_file_formats: tuple[str, ...] = ("arrow", "parquet")
    preferred_staging_file_format: TLoaderFileFormat | None = None
    supported_staging_file_formats: tuple[TLoaderFileFormat, ...] = ()
    supported_table_formats: tuple[str, ...] = ()
    table_formats: dict[str, TableFormatFacts] = {}
    compresses_text: bool = False
    max_identifier_length: int = 65536
    max_column_identifier_length: int = 65536
    max_query_length: int = 32 * 1024 * 1024
    naming_convention: str | None = None
    has_case_sensitive_identifiers: bool = False
    decimal_precision: tuple[int, int] = (38, 9)
    wei_precision: tuple[int, int] = (38, 0)
    timestamp_precision: int = 6
    max_timestamp_precision: int = 9
    supports_ddl_transactions: bool = True
    supports_transactions: bool = True
    supports_naive_datetime: bool = True
    supports_undo: bool = False
    supported_merge_strategies: tuple[TMergeStrategy, ...] = ()
    supported_replace_strategies: tuple[TReplaceStrategy, ...] = ()
    max_table_nesting: int | None = None
    idempotency: Idempotency = "none"
    recommended_file_size: int | None = 64 * 1024 * 1024
    max_parallel_load_jobs: int | None = None
    max_files_per_job: int = 64
    loader_parallelism_strategy: Literal["parallel", "table-sequential", "sequential"] = "parallel"

    @property
    def needs_staging(self) -> bool:
        """Whether files come in only through a staging place."""
        return bool(self.supported_staging_file_formats) and not set(self.supported_loader_file_formats) - _ROWLESS

    def staged_formats(self, staging: Capabilities) -> tuple[TLoaderFileFormat, ...]:
        """Formats that a staging place can hold and this destination can load from there."""
        return tuple(f for f in self.supported_staging_file_formats if f in staging.supported_loader_file_formats)

    def through(self, staging: Capabilities) -> Capabilities:
        """The facts as they are for files that go through a staging place.

        What carries no rows (SQL models) goes to the destination directly, as ever.
        """
        formats = self.staged_formats(staging)
        preferred = self.preferred_staging_file_format
        direct = tuple(f for f in self.supported_loader_file_formats if f in _ROWLESS)
        return msgspec.structs.replace(
            self,
            preferred_loader_file_format=preferred if preferred in formats else formats[0],
            supported_loader_file_formats=(*formats, *direct),
            compresses_text=staging.compresses_text,
        )

    def for_format(self, table_format: str | None) -> Capabilities:
        """The facts as they are for tables of a format; None stands for the destination's own tables."""
        facts = self.table_formats.get(table_format or "")
        if facts is None:
            return self
        return msgspec.structs.replace(
            self,
            preferred_loader_file_format=facts.loader_file_format,
            supported_loader_file_formats=(facts.loader_file_format,),
            supported_merge_strategies=facts.supported_merge_strategies,
        )
