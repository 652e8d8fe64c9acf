"""What column lineage must know of a resource, taken while it is at hand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.errors.base import HeadraceException
from headrace.extract.ownsteps import changes_items, step_name, through
from headrace.extract.steps import FilterItem, LimitItem, SelectTables
from headrace.formats.sqlmodel import SqlModel
from headrace.observers.lineage.columns_model import CursorFact, Declared, QueryFact, ResourceFact, StepFact
from headrace.observers.lineage.columns_paths import parse_path

if TYPE_CHECKING:
    from headrace.extract.pipe import Pipe
    from headrace.extract.resource import DltResource

logger = logging.getLogger("headrace")


def describe(resource: DltResource[Any]) -> ResourceFact:
    """Steps, cursor and declarations of a resource as plain data.

    Steps and transformers that are part of headrace hand values on as they are, or say themselves what they did.
    """
    pipe = resource._pipe
    above = list(pipe.chain())[1:]
    return ResourceFact(
        name=resource.name,
        steps=_steps(pipe),
        through=through(pipe),
        parents=[parent.name for parent in above],
        cursor=_cursor(resource.incremental, pipe),
        declared={k: Declared(**v) for k, v in resource.column_sources.items() if k},
        keep_others="" in resource.column_sources,
        queries=[fact for query in pipe.queries if (fact := _query(query)) is not None],
    )


def _query(query: Any) -> QueryFact | None:
    """What a relation reads; None for a model, whose text is in the package, and for a query without a text."""
    if isinstance(query, SqlModel):
        return None
    try:
        fact = QueryFact(str(SqlModel(query.to_sql(), query.destination_dialect)))
    except (HeadraceException, AttributeError) as error:
        logger.debug("lineage of a relation: %s", error)
        return None
    dataset = getattr(query, "_dataset", None)
    try:
        if dataset is not None:
            fact.place = dataset.destination.location(dataset.dataset_name, dataset._facts)
            fact.destination = dataset.destination.destination_name
    except (HeadraceException, AttributeError) as error:
        logger.debug("the place of a relation: %s", error)
    return fact


def _steps(pipe: Pipe) -> list[StepFact]:
    steps = []
    for step in pipe.steps[1:]:
        if isinstance(step, FilterItem):
            steps.append(StepFact("filter", f"filter {step_name(step.f)}()"))
        elif isinstance(step, LimitItem):
            steps.append(StepFact("limit", _limit(step)))
        elif isinstance(step, SelectTables):
            steps.append(StepFact("filter", "only items of the tables " + ", ".join(sorted(step.table_names))))
        elif changes_items(step):
            steps.append(StepFact("map", step_name(step)))
    return steps


def _limit(step: LimitItem) -> str:
    parts = [] if step.max_items is None else [f"{step.max_items} {'rows' if step.count_rows else 'pages'}"]
    parts += [f"{step.max_time:g} s"] if step.max_time else []
    return f"limit {', '.join(parts)}".strip()


def _cursor(wrapper: Any, pipe: Pipe) -> CursorFact | None:
    found = wrapper.incremental if wrapper is not None else None
    path = getattr(found, "cursor_path", None)
    if not path:
        return None
    from headrace.extract.incremental.cursor import compile_cursor

    steps = compile_cursor(path).steps
    place = [s if isinstance(s, str) else None for s in steps] if steps is not None else parse_path(path)
    function = getattr(found, "last_value_func", None)
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    before = pipe.steps[1:]
    before = before[: next((at for at, step in enumerate(before) if step is wrapper), 0)]
    after = [step_name(step) for step in before if changes_items(step)]
    return CursorFact(place, getattr(found, "row_order", None) or "", name or "", after)
