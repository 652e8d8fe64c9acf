"""What a user may set for normalize."""

from __future__ import annotations

from typing import NamedTuple

from headrace.formats.options import FileOptions


class NormalizeSettings(NamedTuple):
    """Settings of the normalize step.

    Attributes:
        workers: Threads; 0 takes one a core, at most four.
        loader_file_format: Wanted by the run; None takes the destination's preference.
        file_max_items: Rows of a loader file; None for no limit.
        file_max_bytes: Bytes of a loader file; None takes the destination's recommendation.
        arrow_load_id: Add ``_dlt_load_id`` to Arrow data (``normalize.parquet_normalizer.add_dlt_load_id``).
        arrow_row_id: Add ``_dlt_id`` to Arrow data (``normalize.parquet_normalizer.add_dlt_id``).
        keep_rejected: Keep items that contracts let go (``normalize.keep_rejected``).
        files: How loader files are written; compressed only for destinations that want text so.
    """

    workers: int = 0
    loader_file_format: str | None = None
    file_max_items: int | None = None
    file_max_bytes: int | None = None
    arrow_load_id: bool = False
    arrow_row_id: bool = False
    keep_rejected: bool = False
    files: FileOptions = FileOptions()
