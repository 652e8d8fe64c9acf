"""What is told of a load package with each of its runs, and which checks of it went how."""

from __future__ import annotations

from typing import Any

from headrace.errors.masking import without_secrets
from headrace.model.events import Aborted, Extracted, JobRetried, Loaded, Normalized, Reopened
from headrace.observers.lineage.effects import MOST_QUERIES, queries_of
from headrace.observers.lineage.facets.run import capped
from headrace.observers.lineage.opened import OpenPackage
from headrace.observers.lineage.view import PackageView

MOST_JOBS = 20
"""Failed jobs that are told one by one."""

CONTRACT, GATE = "schema_contract", "gate"


def load_package(package: OpenPackage, view: PackageView | None, resource: str) -> dict[str, Any]:
    """The facet ``headrace_loadPackage``."""
    found: dict[str, Any] = {"loadId": package.load_id, "schemaName": package.schema_name, "state": _state(view)}
    if view is None:
        return found
    found |= {
        "schemaVersion": view.schema.get("version"),
        "schemaHash": view.schema.get("version_hash"),
        "destination": view.destination_name or None,
        "datasetName": view.dataset_name or None,
    }
    own = set(view.tables_of(resource))
    if view.normalized is not None:
        found["rowCounts"] = view.row_counts(resource)
    jobs = {job_id: job for job_id, job in view.jobs.items() if own & set(job.tables)}
    if jobs:
        found["jobs"] = {
            "total": len(jobs),
            "done": sum(job_id in view.done for job_id in jobs),
            "failed": sum(job_id in view.failed for job_id in jobs),
            "retries": sum(fact.job_id in jobs for fact in view.all(JobRetried)),
        }
    if queries := queries_of(view, own):
        found["externalQueries"] = queries[-MOST_QUERIES:]
    failed = [fact for job_id, fact in view.failed.items() if own & set(fact.tables) or job_id in jobs]
    if failed:
        found["failedJobs"] = [
            {"jobId": fact.job_id, "tables": fact.tables, "message": capped(without_secrets(fact.message))}
            for fact in failed[:MOST_JOBS]
        ]
    return found


def _state(view: PackageView | None) -> str:
    names = {Loaded: "loaded", Aborted: "aborted", Normalized: "normalized", Extracted: "extracted"}
    if view is None:
        return "new"
    for fact in reversed(view.facts):
        for kind, name in names.items():
            if isinstance(fact, kind):
                return name
        if isinstance(fact, Reopened):
            return "reopened"
    return "new"


def tests_of(view: PackageView, resource: str) -> list[dict[str, Any]]:
    """Checks of the run: what schema contracts and gates have let go, by rule and column."""
    own = set(view.tables_of(resource))
    found = []
    for one in view.rejected:
        if one.resource != resource and one.table not in own:
            continue
        by_gate = one.rule.startswith(f"{GATE}:")
        kind, rule = (GATE, one.rule.partition(":")[2]) if by_gate else (CONTRACT, one.rule)
        name = f"{kind}.{one.table}" + (f".{one.column}" if one.column else "")
        found.append(
            {
                "name": f"{name}.{rule}",
                "status": "fail" if one.count else "pass",
                "severity": "warn",
                "type": kind,
                "expected": "0 let go",
                "actual": f"{one.count} let go",
                "params": {"table": one.table, "rule": one.rule, **({"column": one.column} if one.column else {})},
            }
        )
    return found
