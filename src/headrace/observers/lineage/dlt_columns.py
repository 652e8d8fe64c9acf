"""Column lineage of what dlt wrote, as far as it is certain.

dlt keeps no record of the names that its columns had in the data, and its naming convention cannot be undone:
`createdAt` and `created_at` become the same column. What a table of a database had is known, since it was reflected:
those columns are matched. Of other sources nothing is said but what the engine itself has put there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from headrace.observers.lineage.dlt_facts import Seen
from headrace.observers.lineage.facts import FieldRef, Input, Output, Transformation

_ENGINE = (
    "_dlt_id",
    "_dlt_load_id",
    "_dlt_parent_id",
    "_dlt_root_id",
    "_dlt_list_idx",
    "_dlt_valid_from",
    "_dlt_valid_to",
)


def describe(
    made: Output,
    table: Mapping[str, Any],
    inputs: list[Input],
    seen: Seen | None,
    normalize: Callable[[str], str],
    none_read: bool,
) -> int:
    """Put the column lineage that is known into an output.

    Args:
        made: The output; changed.
        table: Its table in the schema.
        inputs: Of the run.
        seen: What could be seen of the resource; None when it was not at hand.
        normalize: The naming convention of the schema.
        none_read: Where there are no inputs: nothing was read, and the job made the rows; else nobody knows.

    Returns:
        The number of columns that nothing can be said of.
    """
    names = [str(column["name"]) for column in table["columns"].values() if column.get("data_type")]
    generated = [name for name in names if name in _ENGINE]
    made.columns = {name: [] for name in generated}
    if not inputs:
        if none_read:
            made.columns = {name: [] for name in names}  # the job itself made the rows
            return 0
        return len(names) - len(generated)
    known = _reflected(names, inputs, seen, normalize) if not table.get("parent") else {}
    made.columns = {
        name: made.columns[name] if name in made.columns else known[name]
        for name in names
        if name in {**made.columns, **known}
    }
    made.indirect = _indirect(table, inputs, seen, known)
    return len([name for name in names if name not in made.columns])


def _reflected(
    names: list[str], inputs: list[Input], seen: Seen | None, normalize: Callable[[str], str]
) -> dict[str, list[FieldRef]]:
    if seen is None or not seen.plain_sql or len(inputs) != 1:
        return {}
    raw: dict[str, list[str]] = {}
    for column in seen.columns:
        raw.setdefault(normalize(column), []).append(column)
    # two columns of one normalized name: dlt keeps one of them, and nobody knows which
    sure = {name: found[0] for name, found in raw.items() if len(found) == 1 and name in names}
    through = ", ".join(f"{name}()" for name in seen.changes)
    how = (
        Transformation("DIRECT", "TRANSFORMATION", f"after {through}")
        if through
        else Transformation("DIRECT", "IDENTITY")
    )
    source = inputs[0].id
    return {name: [FieldRef(dataset=source, field=column, transformations=[how])] for name, column in sure.items()}


def _indirect(
    table: Mapping[str, Any], inputs: list[Input], seen: Seen | None, known: Mapping[str, list[FieldRef]]
) -> list[FieldRef]:
    """Cursor and keys, where the column of the source is certain."""
    if seen is None or len(inputs) != 1:
        return []
    found: list[FieldRef] = []
    source = inputs[0].id
    if seen.cursor and seen.cursor.isidentifier():
        how = Transformation("INDIRECT", "FILTER", "incremental cursor")
        found.append(FieldRef(dataset=source, field=seen.cursor, transformations=[how]))
    if table.get("write_disposition") == "merge":
        keys = [c["name"] for c in table["columns"].values() if c.get("primary_key") or c.get("merge_key")]
        how = Transformation("INDIRECT", "JOIN", "key of the merge")
        found += [
            FieldRef(dataset=ref.dataset, field=ref.field, transformations=[how])
            for key in keys
            for ref in known.get(key, [])
        ]
    return found
