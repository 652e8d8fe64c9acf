"""Hands a recorded run to a Sentry client."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.scope import use_scope
from sentry_sdk.utils import event_from_exception

from headrace.observers import facts
from headrace.observers.facts import Piece, instant
from headrace.observers.sentry import masked
from headrace.observers.sentry_record import Record, Step

_TAGS = ("load_id", "step", "resource", "table", "job_id", "job_kind")


def send(record: Record, ended: float, error: BaseException | None, client: Any, own: bool) -> None:
    """Send events and the transaction of a run, and wait a little until they are gone.

    Args:
        record: The run.
        ended: When it was over, in unix seconds.
        error: What ended it; None when it went well.
        client: The client.
        own: It is ours, not the application's.
    """
    parent = None if own else sentry_sdk.get_current_span()
    scope = sentry_sdk.Scope(client=client) if own else sentry_sdk.get_current_scope().fork()
    scope.add_event_processor(masked)
    with use_scope(scope):
        for name, value in record.facts.items():
            scope.set_tag(name, value)
        for crumb in record.crumbs:
            said = {"category": f"headrace.{crumb.category}", "level": crumb.level, "message": crumb.message}
            scope.add_breadcrumb({**said, "timestamp": instant(crumb.at), "data": crumb.data})
        transaction = _transaction(record, scope, parent)
        scope.span = transaction
        sent = _failures(record, error, scope, client)
        sent += _finish(transaction, record, ended, error)
        if sent:
            client.flush(timeout=facts.FLUSH_SECONDS)


def _transaction(record: Record, scope: Any, parent: Any) -> Any:
    more: dict[str, Any] = {}
    if parent is not None:
        # what the application traces around the run is its parent
        more = {"trace_id": parent.trace_id, "parent_span_id": parent.span_id, "parent_sampled": parent.sampled}
    return scope.start_transaction(
        op="headrace.run",
        name=record.facts["pipeline_name"],
        source="task",
        start_timestamp=instant(record.started),
        **more,
    )


def _finish(transaction: Any, record: Record, ended: float, error: BaseException | None) -> int:
    for step in record.steps:
        _step(transaction, step, ended)
    if record.load_ids:
        transaction.set_tag("load_id", record.load_ids[-1])
        transaction.set_data("load_ids", record.load_ids)
    if record.untold:
        transaction.set_data("headrace.spans_left_out", record.untold)
    if facts.is_interrupt(error):
        transaction.set_status("cancelled")
    else:
        transaction.set_status("ok" if error is None else "internal_error")
    return int(transaction.finish(end_timestamp=instant(ended)) is not None)


def _step(transaction: Any, step: Step, ended: float) -> None:
    span = transaction.start_child(op=f"headrace.{step.name}", name=step.name, start_timestamp=instant(step.started))
    for piece in step.pieces:
        child = span.start_child(op=f"headrace.{piece.kind}", name=piece.name, start_timestamp=instant(piece.started))
        for name, value in piece.facts.items():
            child.set_data(name, value)
        child.set_status("ok" if piece.error is None else "internal_error")
        if piece.error is not None:
            child.set_data("error", piece.error)
        child.finish(end_timestamp=instant(piece.ended))
    span.set_status("ok" if step.error is None else "internal_error")
    span.finish(end_timestamp=instant(step.ended or ended))


# ---- what went wrong -------------------------------------------------------------------------------------------------


def _failures(record: Record, error: BaseException | None, scope: Any, client: Any) -> int:
    """Send one event for the error of the run, and one for each failure that the run survived."""
    fault = error is not None and not facts.is_interrupt(error)
    raised = facts.blamed(error) if fault else {}
    sent = _exception(error, raised, record, scope, client) if error is not None and fault else 0
    told = {raised.get("load_id")} if fault else set()
    for job in record.failed:
        # a job that failed ended the run, or its package was set aside for it: told with that
        if job.facts["load_id"] not in told and not any(p.load_id == job.facts["load_id"] for p in record.parked):
            sent += _job(job, record, scope)
    for event in record.parked:
        if event.load_id not in told:
            sent += _parked(event.load_id, event.reason, record, scope)
    return sent


def _exception(error: BaseException, raised: dict[str, str], record: Record, scope: Any, client: Any) -> int:
    options = {**client.options, "include_local_variables": False}
    event, hint = event_from_exception(error, client_options=options, mechanism={"type": "headrace", "handled": False})
    failed = next((job.facts for job in record.failed if job.facts["job_id"] == raised.get("job_id")), {})
    tags = {name: str(value) for name in _TAGS if (value := raised.get(name, failed.get(name)))}
    # Sentry's own grouping goes by the stack; two pipelines that share code are two problems
    event["fingerprint"] = ["{{ default }}", record.facts["pipeline_name"], tags.get("step", "run")]
    event["tags"] = tags
    event["transaction"] = record.facts["pipeline_name"]
    return int(scope.capture_event(event, hint=hint) is not None)


def _job(job: Piece, record: Record, scope: Any) -> int:
    tags = {name: str(job.facts[name]) for name in _TAGS if name in job.facts}
    text = f"{job.name} failed and was left out of package {job.facts['load_id']}: {job.error}"
    return _event(text, "job failed", job.facts.get("table", job.facts["job_id"]), tags, record, scope)


def _parked(load_id: str, reason: str, record: Record, scope: Any) -> int:
    job = next((job.facts for job in record.failed if job.facts["load_id"] == load_id), {})
    tags = {name: str(job[name]) for name in _TAGS if name in job} | {"load_id": load_id}
    text = f"package {load_id} was set aside and is not loaded: {reason}"
    return _event(text, "package set aside", job.get("table", ""), tags, record, scope)


def _event(text: str, what: str, which: str, tags: dict[str, str], record: Record, scope: Any) -> int:
    name = record.facts["pipeline_name"]
    event: dict[str, Any] = {
        "level": "error",
        "logger": "headrace",
        "message": text,
        "tags": tags,
        "fingerprint": ["headrace", what, name, which],
        "transaction": name,
    }
    return int(scope.capture_event(event) is not None)
