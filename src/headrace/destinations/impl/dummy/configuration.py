"""Settings of the destination that keeps nothing: what goes wrong, and how often."""

from __future__ import annotations

from typing import Optional

from headrace.config.known import DestinationConfiguration
from headrace.config.spec import configspec


@configspec
class DummyClientConfiguration(DestinationConfiguration):
    """What becomes of jobs. Probabilities are from 0 to 1; they are asked in the order in which they stand here.

    A job that none of them decides on is asked again after a tenth of a second, until `timeout` is over.

    Attributes:
        loader_file_format: Of the loader files that normalize writes.
        fail_schema_update: Changes of tables are refused for good.
        fail_schema_update_transiently: Changes of tables fail, and may be tried again.
        exception_prob: A job fails in an unforeseen way, and is tried again.
        timeout: Seconds after which an undecided job fails for good.
        completed_prob: A job succeeds.
        retry_prob: A job fails, and is tried again.
        fail_table_names: Jobs of these tables fail for good; when given, all others succeed.
        fail_prob: A job fails for good.
        fail_terminally_in_init: Jobs fail for good before they begin.
        fail_transiently_in_init: Jobs fail in an unforeseen way before they begin.
        truncate_tables_on_staging_destination_before_load: Without effect; there is nothing to truncate.
    """

    loader_file_format: str = "jsonl"
    fail_schema_update: bool = False
    fail_schema_update_transiently: bool = False
    fail_prob: float = 0.0
    retry_prob: float = 0.0
    completed_prob: float = 0.0
    exception_prob: float = 0.0
    timeout: float = 10.0
    fail_terminally_in_init: bool = False
    fail_transiently_in_init: bool = False
    truncate_tables_on_staging_destination_before_load: bool = True
    fail_table_names: Optional[list[str]] = None  # noqa: UP045 (the hint is read at run time)
