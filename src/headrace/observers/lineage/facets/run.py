"""Facets of runs."""

from __future__ import annotations

from typing import Any

from headrace.base.version import VERSION
from headrace.observers.lineage.facets.base import Facet, facet, instant, own
from headrace.observers.lineage.facts import Parent, Run, RunRef

MAX_MESSAGE = 4_000
"""Characters of an error message that are told."""

SOURCE = "HEADRACE"
_CUT = " […]"


def run_facets(run: Run, state: str) -> dict[str, Facet]:
    """All run facets of an event.

    Args:
        run: The run.
        state: The event's type: only the last event of a run that went wrong has an error.
    """
    found: dict[str, Facet] = {"processing_engine": engine(run.engine)}
    if run.parent is not None:
        found["parent"] = parent_facet(run.parent)
    if run.nominal is not None:
        start, end = run.nominal
        found["nominalTime"] = facet(
            "nominalTime", nominalStartTime=instant(start), nominalEndTime=instant(end) if end else None
        )
    if run.parameters:
        found["executionParameters"] = facet(
            "executionParameters",
            parameters=[{"key": key, "value": value} for key, value in dict(run.parameters).items()],
        )
    if run.tags:
        found["tags"] = facet("run.tags", tags=[{"key": k, "value": v, "source": SOURCE} for k, v in run.tags])
    if run.environment:
        found["environmentVariables"] = facet(
            "environmentVariables", environmentVariables=[{"name": n, "value": v} for n, v in run.environment]
        )
    if run.depends_on:
        found["jobDependencies"] = facet("jobDependencies", upstream=[_dependency(ref) for ref in run.depends_on])
    if run.tests:
        found["test"] = facet("test", tests=run.tests)
    if run.external_query is not None:
        query, source = run.external_query
        found["externalQuery"] = facet("externalQuery", externalQueryId=query, source=source)
    return found | _troubles(run, state) | {key: own(key, value) for key, value in run.custom.items()}


def _troubles(run: Run, state: str) -> dict[str, Facet]:
    found: dict[str, Facet] = {}
    if run.failure is not None and state in ("FAIL", "ABORT"):
        found["errorMessage"] = facet(
            "errorMessage",
            message=capped(run.failure.message),
            programmingLanguage="PYTHON",
            stackTrace=run.failure.trace,
        )
    if run.lineage_errors:
        errors: list[dict[str, Any]] = [
            {"errorMessage": capped(message), "task": task, "taskNumber": number}
            for number, (task, message) in enumerate(run.lineage_errors, 1)
        ]
        total = max(len(errors), len(run.inputs) + len(run.outputs))
        found["extractionError"] = facet("extractionError", totalTasks=total, failedTasks=len(errors), errors=errors)
    return found


def capped(message: str) -> str:
    """A message that is not too long: its beginning, where an error says what it is."""
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - len(_CUT)] + _CUT


def engine(ran: tuple[str, str] | None = None) -> Facet:
    """What ran (name and version), and by which code it is told."""
    name, version = ran or ("headrace", VERSION)
    return facet("processing_engine", name=name, version=version, openlineageAdapterVersion=VERSION)


def parent_facet(parent: Parent) -> Facet:
    """The run around a run, and the one at the top, which is always there."""
    return facet("parent", **pointer(parent), root=pointer(parent.root))


def pointer(ref: RunRef) -> dict[str, Any]:
    """A run and its job, as the parent facet and ``OPENLINEAGE_CONTEXT`` spell them."""
    run: dict[str, Any] = {"runId": ref.run_id}
    job: dict[str, Any] = {"namespace": ref.job.namespace, "name": ref.job.name}
    for place, key in ((run, "run"), (job, "job")):
        if ref.facets.get(key):
            place["facets"] = ref.facets[key]
    return {"run": run, "job": job}


def _dependency(ref: RunRef) -> dict[str, Any]:
    return {
        "job": {"namespace": ref.job.namespace, "name": ref.job.name},
        "run": {"runId": ref.run_id},
        "dependency_type": "DIRECT_INVOCATION" if ref.facets.get("continues") else "IMPLICIT_DEPENDENCY",
    }
