"""Facts become events: pure functions. The events are plain dicts below 1 MB each.

Secrets are hidden by the sink, once for each event that goes anywhere (`delivery.masks`); events of plans and datasets,
which are also printed, come without them from here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from headrace.observers.lineage.delivery.masks import masked
from headrace.observers.lineage.encoding import encoded
from headrace.observers.lineage.facets.base import EVENTS, PRODUCER, deleted, facet, instant
from headrace.observers.lineage.facets.dataset import dataset_facets, input_dataset, output_dataset
from headrace.observers.lineage.facets.edges import BUDGET, explicit_lineage, within_budget
from headrace.observers.lineage.facets.job import job_facets
from headrace.observers.lineage.facets.run import run_facets
from headrace.observers.lineage.facts import Dataset, Input, Invocation, Job, Output, Run

EventType = Literal["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER"]
Event = dict[str, Any]

TERMINAL = ("COMPLETE", "FAIL", "ABORT")
MAX_BYTES = 950_000
"""Of an event as JSON: brokers refuse messages of 1 MB (Kafka, Event Hubs)."""

_FEW = 400
"""Edges and fields that are far from `MAX_BYTES`, however long their names are."""


def run_event(run: Run, state: EventType, at: dt.datetime, budget: int = BUDGET) -> Event:
    """The event that a run has reached a state.

    Outputs are told as written in the last event of a run, and as planned before. An invocation tells no datasets.

    Args:
        run: The run, with everything that is known of it by now.
        state: ``START``, ``RUNNING``, ``COMPLETE``, ``FAIL``, ``ABORT`` or ``OTHER``.
        at: When it got there.
        budget: Column edges at most.
    """
    ended = state in TERMINAL
    outputs = [one for one in run.outputs if one.written or not ended]
    outputs, cut = within_budget(outputs, budget)
    run = msgspec.structs.replace(run, outputs=outputs)
    if cut:
        run.lineage_errors = [*run.lineage_errors, _cut(f"{cut} column edges over the budget of {budget}")]
    return _fitting(lambda run, told: _run_event(run, state, at, told), run)


def _run_event(run: Run, state: EventType, at: dt.datetime, told: _Told) -> Event:
    datasets = not isinstance(run, Invocation)
    ended = state in TERMINAL
    event: Event = {"eventType": state, "eventTime": instant(at), "producer": PRODUCER}
    event["schemaURL"] = f"{EVENTS}/RunEvent"
    event["run"] = {"runId": run.run_id, "facets": run_facets(run, state)}
    known = not run.unknown_inputs
    event["job"] = _job(run.job, run.inputs if datasets else (), run.outputs if datasets else (), told.explicit, known)
    if datasets:
        bare = state == "START"
        event["inputs"] = [input_dataset(told.of(one), identity_only=bare) for one in run.inputs]
        event["outputs"] = [output_dataset(told.of(one), written=ended, columns=told.columns) for one in run.outputs]
    else:
        event["inputs"], event["outputs"] = [], []
    return event


def job_event(job: Job, inputs: Sequence[Input], outputs: Sequence[Output], at: dt.datetime) -> Event:
    """The event that a job, once it runs, reads and writes these datasets: declared, not run."""
    event: Event = {}
    for told in _LEVELS:
        event = {"eventTime": instant(at), "producer": PRODUCER, "schemaURL": f"{EVENTS}/JobEvent"}
        event["job"] = _job(job, inputs, outputs, told.explicit)
        event["inputs"] = [input_dataset(told.of(one)) for one in inputs]
        event["outputs"] = [output_dataset(told.of(one), written=False, columns=told.columns) for one in outputs]
        if len(encoded(event)) <= MAX_BYTES:
            break
    return masked(event)


def dataset_event(dataset: Dataset, at: dt.datetime, change: str | None = None) -> Event:
    """The event that something is true of a dataset, or happened to it, outside of all runs.

    Args:
        dataset: It.
        at: Since when.
        change: ``DROP``, ``ALTER``, ``TRUNCATE``, …: what happened. What is dropped has no lineage any more.
    """
    event: Event = {"eventTime": instant(at), "producer": PRODUCER, "schemaURL": f"{EVENTS}/DatasetEvent"}
    facets = dataset_facets(dataset)
    if dataset.version and "version" not in facets:
        facets["version"] = facet("version", **dataset.version)
    if change is not None:
        facets["lifecycleStateChange"] = facet("lifecycleStateChange", lifecycleStateChange=change)
    if change == "DROP":
        facets["lineage"] = deleted("dataset.lineage")
    event["dataset"] = {"namespace": dataset.id.namespace, "name": dataset.id.name, "facets": facets}
    return masked(event)


def _job(
    job: Job, inputs: Sequence[Input], outputs: Sequence[Output], columns: bool, known: bool = True
) -> dict[str, Any]:
    facets = job_facets(job)
    if (lineage := explicit_lineage(inputs, outputs, columns, known)) is not None:
        facets["lineage"] = lineage
    return {"namespace": job.id.namespace, "name": job.id.name, "facets": facets}


def _bare(dataset: Any) -> Any:
    """The dataset without fields and what is said of them."""
    less: dict[str, Any] = {"fields": []}
    if isinstance(dataset, Output):
        kept = [one for one in dataset.assertions if "column" not in one]
        metrics = {**dataset.metrics, "columnMetrics": {}} if dataset.metrics else dataset.metrics
        less |= {"assertions": kept, "metrics": metrics, "schema_change": None}
    return msgspec.structs.replace(dataset, **less)


# ---- size ----------------------------------------------------------------------------------------------------------


class _Told(NamedTuple):
    """How much of datasets is told.

    Attributes:
        left_out: What is not, in words.
        explicit: Edges of columns in the job's facet `lineage`.
        columns: … and in `columnLineage`.
        fields: Columns, and what is said of them.
        names: Nothing but names and counts of rows.
    """

    left_out: str = ""
    explicit: bool = True
    columns: bool = True
    fields: bool = True
    names: bool = False

    def of(self, dataset: Any) -> Any:
        """The dataset as it is told."""
        if not self.names:
            return dataset if self.fields else _bare(dataset)
        known = {"id": dataset.id, "rows": dataset.rows, "bytes": dataset.bytes, "files": dataset.files}
        if isinstance(dataset, Output):
            known |= {"table": dataset.table, "written": dataset.written}
        return type(dataset)(**known)


_LEVELS = (
    _Told(),
    _Told("column edges in the facet `lineage`; `columnLineage` has them", explicit=False),
    _Told("column edges", explicit=False, columns=False),
    _Told("column edges and fields", explicit=False, columns=False, fields=False),
    _Told("all of datasets but their names and rows", explicit=False, columns=False, fields=False, names=True),
)


def _fitting(make: Callable[[Run, _Told], Event], run: Run) -> Event:
    """The event with as much in it as fits: columns' edges go first, then fields; edges of tables always stay."""
    event: Event = {}
    for level in _LEVELS:
        told = run
        if level.left_out:
            told = msgspec.structs.replace(
                run, lineage_errors=[*run.lineage_errors, _cut(f"{level.left_out}: the event would be too large")]
            )
        event = make(told, level)
        if _surely_small(told) or len(encoded(event)) <= MAX_BYTES:
            break
    return event


def _surely_small(run: Run) -> bool:
    """Whether it need not be measured: encoding most events only to see that they are small would cost a lot."""
    edges = sum(len(refs) + 1 for output in run.outputs for refs in output.columns.values())
    fields = sum(len(one.fields) for one in (*run.inputs, *run.outputs))
    return edges + fields + 10 * (len(run.inputs) + len(run.outputs)) < _FEW


def _cut(what: str) -> tuple[str, str]:
    return "columnLineage", f"Left out: {what}. Edges of tables are complete."
