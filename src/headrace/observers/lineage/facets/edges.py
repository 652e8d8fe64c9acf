"""Edges: column lineage of a dataset, and the explicit lineage of a job. Both say the same in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from headrace.observers.lineage.facets.base import Facet, facet
from headrace.observers.lineage.facts import FieldRef, Input, Output, Transformation

BUDGET = 5_000
"""Column edges of a run at most, unless the setting ``lineage.column_budget`` says otherwise."""


def column_lineage(output: Output) -> Facet:
    """The facet ``columnLineage``: columns with the fields they came from; what the whole table depends on apart."""
    fields = {column: {"inputFields": [_input_field(ref) for ref in refs]} for column, refs in output.columns.items()}
    whole = [_input_field(ref) for ref in output.indirect if ref.field]
    return facet("columnLineage", fields=fields, dataset=whole or None)


def _input_field(ref: FieldRef) -> dict[str, Any]:
    return {
        "namespace": ref.dataset.namespace,
        "name": ref.dataset.name,
        "field": ref.field,
        "transformations": [_transformation(one) for one in ref.transformations],
    }


def _transformation(one: Transformation) -> dict[str, Any]:
    # all four are required by the schema
    return {
        "type": one.type,
        "subtype": one.subtype,
        "description": one.description,
        "masking": one.masking,
    }


def explicit_lineage(
    inputs: Sequence[Input], outputs: Sequence[Output], columns: bool = True, known: bool = True
) -> Facet | None:
    """The job facet ``lineage``: for each output what it was made from, instead of all inputs times all outputs.

    Args:
        inputs: Of the run.
        outputs: Of the run.
        columns: Tell the columns too.
        known: The inputs are all there are; else a table may have any, and that there are none is not said.

    Returns:
        None where there is no output, or nothing is known.
    """
    if not outputs or not (inputs or known):
        return None
    return facet("job.lineage", entries=[_entry(output, inputs, columns) for output in outputs])


def _entry(output: Output, inputs: Sequence[Input], columns: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "DATASET",
        "namespace": output.id.namespace,
        "name": output.id.name,
        "inputs": _table_inputs(output, inputs),
    }
    if columns and output.columns:
        entry["fields"] = {column: {"inputs": _column_inputs(refs)} for column, refs in output.columns.items()}
    return entry


def _table_inputs(output: Output, inputs: Sequence[Input]) -> list[dict[str, Any]]:
    """The inputs of a table: those its columns name; all of the run where columns tell nothing."""
    named = {ref.dataset for refs in output.columns.values() for ref in refs}
    named |= {ref.dataset for ref in output.indirect}
    own = [one for one in inputs if not named or one.id in named]
    found: list[dict[str, Any]] = [
        {"type": "DATASET", "namespace": one.id.namespace, "name": one.id.name} for one in own
    ]
    if not found:
        # nobody knows of a source: the job itself made the rows
        return [{"type": "JOB"}]
    for ref in output.indirect:
        told = _explicit(ref)
        if ref.field:
            found.append(told)
        else:
            found = [told if _same(one, told) else one for one in found]
    return found


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return "field" not in one and (one.get("namespace"), one.get("name")) == (other["namespace"], other["name"])


def _column_inputs(refs: Sequence[FieldRef]) -> list[dict[str, Any]]:
    return [_explicit(ref) for ref in refs] or [{"type": "JOB"}]


def _explicit(ref: FieldRef) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "DATASET", "namespace": ref.dataset.namespace, "name": ref.dataset.name}
    if ref.field:
        found["field"] = ref.field
    if ref.transformations:
        found["transformations"] = [
            {"type": one.type, "subtype": one.subtype, **({"masking": True} if one.masking else {})}
            for one in ref.transformations
        ]
    return found


def within_budget(outputs: Sequence[Output], budget: int) -> tuple[list[Output], int]:
    """Keep column edges within a budget: tables with the fewest go first, a table has all of its edges or none.

    Returns:
        The outputs in their order, and how many edges were left out.
    """
    sizes = [sum(map(len, output.columns.values())) for output in outputs]
    left, kept = budget, set()
    for index in sorted(range(len(outputs)), key=sizes.__getitem__):
        if sizes[index] > left:
            break
        left -= sizes[index]
        kept.add(index)
    cut = sum(size for index, size in enumerate(sizes) if index not in kept)
    if not cut:
        return list(outputs), 0
    return [
        output if index in kept else msgspec.structs.replace(output, columns={}) for index, output in enumerate(outputs)
    ], cut
