"""Write dispositions with options, as properties of tables and columns."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, get_args

from headrace.base.time import parse_iso
from headrace.errors import ValueErrorWithKnownValues
from headrace.model.tables import C_DLT_ID
from headrace.typing import TMergeStrategy, TReplaceStrategy, TWriteDisposition

logger = logging.getLogger("headrace")

VALIDITY_COLUMNS = ("_dlt_valid_from", "_dlt_valid_to")

# options of the merge disposition and the strategies that take them; those of dlt 1.31
MERGE_OPTIONS: dict[str, tuple[str, ...]] = {
    "deduplicated": ("delete-insert", "upsert", "insert-only", "cdc", "scd2"),
    "source_filter": ("delete-insert", "scd2", "upsert", "cdc"),
    "destination_scope": ("delete-insert", "scd2", "cdc"),
    "skip_unchanged_rows": ("upsert", "cdc"),
    "row_version_column_name": ("scd2", "upsert", "cdc"),
    "validity_column_names": ("scd2",),
    "active_record_timestamp": ("scd2",),
    "boundary_timestamp": ("scd2",),
}
# the table's properties that keep them
MERGE_HINTS = {
    "deduplicated": "x-stage-data-deduplicated",
    "source_filter": "x-merge-source-filter",
    "destination_scope": "x-merge-destination-scope",
    "skip_unchanged_rows": "x-merge-skip-unchanged-rows",
    "boundary_timestamp": "x-boundary-timestamp",
}
# conditions, and what they may name in braces
_CONDITIONS = {"source_filter": "staging_table", "destination_scope": "table"}


def check_disposition(disposition: Mapping[str, Any]) -> None:
    """Check a write disposition in its dictionary form.

    Raises:
        ValueErrorWithKnownValues: The disposition, its strategy or one of its options is unknown.
        ValueError: The strategy does not take an option, or an option's value cannot be used.
    """
    kind = disposition.get("disposition")
    if kind not in get_args(TWriteDisposition):
        raise ValueErrorWithKnownValues("write_disposition['disposition']", kind, get_args(TWriteDisposition))
    strategy = disposition.get("strategy")
    known = get_args(TMergeStrategy) if kind == "merge" else get_args(TReplaceStrategy)
    if strategy is not None and kind in ("merge", "replace") and strategy not in known:
        raise ValueErrorWithKnownValues("write_disposition['strategy']", strategy, sorted(known))
    _check_options(str(kind), strategy, [name for name in disposition if name not in ("disposition", "strategy")])
    compared = disposition.get("skip_unchanged_rows") or strategy not in ("upsert", "cdc")
    if disposition.get("row_version_column_name") and not compared:
        logger.warning("`row_version_column_name` has no effect without `skip_unchanged_rows`; set that to True")
    for option, place in _CONDITIONS.items():
        if disposition.get(option) is not None:
            _check_condition(option, disposition[option], place)
    for option in ("active_record_timestamp", "boundary_timestamp"):
        value = disposition.get(option)
        if value is not None and not isinstance(value, (dt.datetime, dt.date)):
            try:
                parse_iso(str(value))
            except ValueError as error:
                raise ValueError(f"write_disposition[{option!r}] is no ISO timestamp: {value!r}") from error


def _check_options(kind: str, strategy: str | None, options: Sequence[str]) -> None:
    for option in options:
        if option not in MERGE_OPTIONS:
            raise ValueErrorWithKnownValues("an option of write_disposition", option, list(MERGE_OPTIONS))
        if kind != "merge":
            raise ValueError(f"write_disposition[{option!r}] goes with the disposition `merge`, not with `{kind}`")
        takers = MERGE_OPTIONS[option]
        if strategy is not None and strategy not in takers:
            names = ", ".join(f"`{taker}`" for taker in takers)
            raise ValueError(
                f"write_disposition[{option!r}] goes with the merge strategies {names}, not with `{strategy}`; "
                "use one of these, or leave the option out"
            )


def _check_condition(option: str, value: Any, place: str) -> None:
    name = f"write_disposition[{option!r}]"
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be an SQL condition, and this is {value!r}")
    try:
        marks = {field for _, field, _, _ in Formatter().parse(value) if field is not None}
    except ValueError as error:
        raise ValueError(f"{name} has a lone brace; write a literal one as `{{{{` or `}}}}`: {value!r}") from error
    if strange := marks - {place}:
        raise ValueError(
            f"{name} names {', '.join(f'`{{{mark}}}`' for mark in sorted(strange))}, and only `{{{place}}}` is known; "
            "write a literal brace as `{{` or `}}`"
        )


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
    for option, hint in MERGE_HINTS.items():
        # None is kept where there is something to take back: see `forget_options`
        if option in disposition and (option != "boundary_timestamp" or strategy == "scd2"):
            table[hint] = disposition[option]
    if strategy == "scd2":
        _apply_history(table, disposition)
    elif (version := disposition.get("row_version_column_name")) and disposition.get("skip_unchanged_rows"):
        _apply_version(table, version)


def forget_options(stored: dict[str, Any], disposition: Any) -> None:
    """Take out of a stored table the hints of options that its disposition names no more.

    A disposition given as a dictionary says it all: a filter that was taken out of the code must not go on leaving out
    rows. A plain name leaves the options as they are, as it leaves the strategy.

    Args:
        stored: The table in the schema.
        disposition: As the resource has it now.
    """
    if not isinstance(disposition, Mapping) or disposition.get("disposition") != "merge":
        return
    for option, hint in MERGE_HINTS.items():
        if option not in disposition:
            stored.pop(hint, None)
    if "row_version_column_name" not in disposition:
        for column in stored.get("columns", {}).values():
            # the version in the row id belongs to scd2, and goes with it
            if column.get("x-row-version") and column.get("row_key") is None:
                column.pop("x-row-version", None)


def _apply_version(table: dict[str, Any], version: str) -> None:
    """The column that tells whether a record has changed (`upsert`, `cdc`)."""
    columns = table.setdefault("columns", {})
    columns[version] = {**columns.get(version, {"name": version}), "nullable": False, "x-row-version": True}


def _apply_history(table: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Columns of a slowly changing dimension: validity from and to, and the version of the row."""
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
