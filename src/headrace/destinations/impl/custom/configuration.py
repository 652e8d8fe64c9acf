"""Settings of destinations that are functions."""

from __future__ import annotations

from typing import Any, Optional

from headrace.config.known import DestinationConfiguration
from headrace.config.spec import configspec


@configspec
class CustomDestinationClientConfiguration(DestinationConfiguration):
    """Settings of a function that takes rows; arguments of the function with defaults are settings as well.

    Attributes:
        destination_callable: The function, or where it is: ``module.function``.
        loader_file_format: Of the files that rows travel in: ``typed-jsonl`` and None give rows as dictionaries,
            ``parquet`` gives record batches.
        batch_size: Rows of a call; 0 calls the function with the path of each file.
        skip_dlt_columns_and_tables: Keep back tables and columns that headrace adds.
        lineage_location: Where the function sends rows to, as a url, for lineage: ``https://crm.example.com/contacts``.
            ``{table_name}`` in it is the table; without it the table is a part of what is there. Without a location
            lineage names no output.
        max_table_nesting: How deep nested tables may go; deeper data stays in its row. None leaves it to the source.
    """

    destination_callable: Optional[Any] = None  # noqa: UP045 (the hint is read at run time)
    loader_file_format: Optional[str] = None  # noqa: UP045 (the hint is read at run time)
    batch_size: int = 10
    skip_dlt_columns_and_tables: bool = True
    lineage_location: Optional[str] = None  # noqa: UP045 (the hint is read at run time)
    max_table_nesting: Optional[int] = 0  # noqa: UP045
