"""Settings that every destination has, under ``destination.<name>``."""

from __future__ import annotations

from typing import Any, Optional

from headrace.config.spec import BaseConfiguration, configspec


@configspec
class DestinationClientConfiguration(BaseConfiguration):
    """Settings of a destination.

    Attributes:
        destination_type: The kind of destination, for named ones.
        destination_name: The name it is configured under.
        environment: A word of the user's own to tell installations apart (``prod``).
        replace_strategy: How ``replace`` is done; None takes the destination's first.
        staging_dataset_name_layout: Name of the staging dataset; ``%s`` is the dataset's.
        enable_dataset_name_normalization: Whether dataset names follow the naming convention.
        info_tables_query_threshold: How many tables one query may ask for; kept for configuration files of dlt.
    """

    destination_type: Optional[str] = None  # noqa: UP045 (the hint is read at run time)
    credentials: Any = None
    destination_name: Optional[str] = None  # noqa: UP045
    environment: Optional[str] = None  # noqa: UP045
    replace_strategy: Optional[str] = None  # noqa: UP045
    staging_dataset_name_layout: str = "%s_staging"
    enable_dataset_name_normalization: bool = True
    info_tables_query_threshold: int = 1000
