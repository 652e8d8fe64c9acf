"""Write dispositions with options, as properties of tables and columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, get_args

from headrace.base.time import parse_iso
from headrace.errors import ValueErrorWithKnownValues
from headrace.model.tables import C_DLT_ID
from headrace.typing import TMergeStrategy, TReplaceStrategy, TWriteDisposition

VALIDITY_COLUMNS = ("_dlt_valid_from", "_dlt_valid_to")


def check_disposition(disposition: Mapping[str, Any]) -> None:
    """Check a write disposition in its dictionary form.

    Raises:
        ValueErrorWithKnownValues: The disposition or its strategy is unknown.
        ValueError: A timestamp cannot be read.
    """
    kind = disposition.get("disposition")
    if kind not in get_args(TWriteDisposition):
        raise ValueErrorWithKnownValues("write_disposition['disposition']", kind, get_args(TWriteDisposition))
    strategy = disposition.get("strategy")
    known = get_args(TMergeStrategy) if kind == "merge" else get_args(TReplaceStrategy)
    if strategy is not None and kind in ("merge", "replace") and strategy not in known:
        raise ValueErrorWithKnownValues("write_disposition['strategy']", strategy, sorted(known))
    for option in ("active_record_timestamp", "boundary_timestamp"):
        value = disposition.get(option)
        if value is not None and not isinstance(value, (dt.datetime, dt.date)):
            try:
                parse_iso(str(value))
            except ValueError as error:
                raise ValueError(f"write_disposition[{option!r}] is no ISO timestamp: {value!r}") from error


def apply_disposition(table: dict[str, Any], disposition: Any) -> None:
    """Write a disposition into a table, changing the table.

    Args:
        table: With its columns.
        disposition: A name, a dictionary, or None.
    """
    if not isinstance(disposition, Mapping):
        if disposition:
            table["write_disposition"] = disposition
        return
    table["write_disposition"] = disposition["disposition"]
    strategy = disposition.get("strategy")
    if disposition["disposition"] == "replace" and strategy:
        table["x-replace-strategy"] = strategy
    if disposition["disposition"] != "merge":
        return
    if strategy:
        table["x-merge-strategy"] = strategy
    if "deduplicated" in disposition:
        table["x-stage-data-deduplicated"] = disposition["deduplicated"]
    if strategy == "scd2":
        _apply_history(table, disposition)


def _apply_history(table: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Columns of a slowly changing dimension: validity from and to, and the version of the row."""
    if options.get("boundary_timestamp"):
        table["x-boundary-timestamp"] = options["boundary_timestamp"]
    valid_from, valid_to = options.get("validity_column_names") or VALIDITY_COLUMNS
    columns = table.setdefault("columns", {})
    columns[valid_from] = {"name": valid_from, "data_type": "timestamp", "nullable": True, "x-valid-from": True}
    columns[valid_to] = {
        "name": valid_to,
        "data_type": "timestamp",
        "nullable": True,
        "x-valid-to": True,
        "x-active-record-timestamp": options.get("active_record_timestamp"),
    }
    version = options.get("row_version_column_name") or C_DLT_ID
    columns[version] = {
        **columns.get(version, {"name": version}),
        "nullable": False,
        "x-row-version": True,
        # versions of a row may come back, so that they are unique no more
        "unique": False,
        "row_key": False,
    }
