"""``headrace pipeline show``: tables at the destination with their counts, and some rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.attaching import attach, name_argument, pipelines_dir_option
from headrace.cli.base import Command, current_output, verbose_option
from headrace.cli.failures import CliError
from headrace.cli.output import cell_text, paint, terminal_width, width_of
from headrace.cli.pipelines import destination_of

if TYPE_CHECKING:
    from headrace.cli.output import Output
    from headrace.dataset.dataset import Dataset

SAMPLED = 5
"""Tables of which a sample is shown when no table is named."""
_USEFUL = 12
"""Characters that a column of a sample should have at least."""


@click.command(cls=Command)
@name_argument
@click.argument("table", required=False)
@click.option("--limit", type=click.IntRange(0), default=3, show_default=True, help="Rows of a sample.")
@click.option("--schema", "schema_name", help="Tables of this schema; of all without it.")
@pipelines_dir_option
@verbose_option
def show(name: str, table: str | None, limit: int, schema_name: str | None) -> None:
    """Show the tables at the destination: their rows are counted, and some are shown.

    Without TABLE the first five tables are sampled; -v samples all, and adds the columns and tables of the engine.
    """
    out, p = current_output(), attach(name)
    data = p.dataset(schema_name)
    with data:
        counts = _counts(data, bool(out.verbose))
        if table is not None and table not in data.tables:
            raise CliError(f"Pipeline `{name}` has no table `{table}`.", fix=f"it has: {', '.join(data.tables)}")
        sampled = [table] if table else list(counts)[: None if out.verbose else SAMPLED]
        samples = {one: _sample(data, one, limit, bool(out.verbose)) for one in sampled if limit and counts.get(one, 1)}
    document = {
        "pipeline_name": name,
        "dataset_name": p.dataset_name,
        "tables": [{"table_name": one, "row_count": n} for one, n in counts.items()],
        "samples": {
            one: [dict(zip(columns, row, strict=True)) for row in rows] for one, (columns, rows) in samples.items()
        },
    }

    def tell() -> None:
        out.text(destination_of(p))
        if table is None:
            out.text("")
            out.table(("table", "rows"), [(one, f"{n:,}") for one, n in counts.items()], right="rows")
        for one, (columns, rows) in samples.items():
            _tell_sample(out, one, columns, rows)

    out.result(document, tell)


def _counts(data: Dataset, own: bool) -> dict[str, int]:
    found = data.row_counts(dlt_tables=own).fetchall()
    return {str(row[0]): int(row[1]) for row in found}


def _sample(data: Dataset, table: str, limit: int, own: bool) -> tuple[list[str], list[Sequence[Any]]]:
    relation = data.table(table)
    columns = [c for c in relation.columns if own or not c.startswith("_dlt_")]
    rows: list[Sequence[Any]] = list(relation.select(*columns).limit(limit).fetchall()) if columns else []
    return columns, rows


def _tell_sample(out: Output, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    shown = _fitting(columns, rows)
    more = len(columns) - shown
    out.text("", paint(table, "head") + (paint(f"  and {more} more columns", "dim") if more else ""))
    numbers = [c for i, c in enumerate(columns) if all(_is_number(row[i]) for row in rows)]
    out.table(columns[:shown], [row[:shown] for row in rows], indent="  ", right=" ".join(numbers))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _fitting(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """How many columns have room to be read on the terminal."""
    width = terminal_width()
    if width is None:
        return len(columns)
    room, at = width - 2, 0
    for at, name in enumerate(columns):
        needed = max([width_of(name), *(width_of(cell_text(row[at])) for row in rows)])
        room -= min(needed, max(_USEFUL, width_of(name))) + 2
        if room < -2:
            return max(at, 1)
    return at + 1
