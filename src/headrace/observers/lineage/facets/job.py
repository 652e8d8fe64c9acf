"""Facets of jobs, but for the explicit lineage (`edges`)."""

from __future__ import annotations

from headrace.observers.lineage.facets.base import Facet, facet
from headrace.observers.lineage.facts import Job

INTEGRATION = "HEADRACE"


def job_facets(job: Job) -> dict[str, Facet]:
    """All of them that something is known for."""
    found: dict[str, Facet] = {"jobType": job_type(job.kind, job.integration)}
    if job.description:
        found["documentation"] = facet("job.documentation", description=job.description, contentType="text/markdown")
    if job.owners:
        found["ownership"] = facet("job.ownership", owners=[{"name": n, "type": t} for n, t in job.owners])
    if job.tags:
        found["tags"] = facet("job.tags", tags=[{"key": k, "value": v, "source": INTEGRATION} for k, v in job.tags])
    if job.code:
        found["sourceCodeLocation"] = facet("sourceCodeLocation", **{"type": "git", **job.code})
    if job.source_code is not None:
        language, text = job.source_code
        found["sourceCode"] = facet("sourceCode", language=language, sourceCode=text)
    if job.sql is not None:
        query, dialect = job.sql
        found["sql"] = facet("sql", query=query, dialect=dialect or None)
    return found


def job_type(kind: str, integration: str = "") -> Facet:
    """What kind of job it is, and how its events add up."""
    pattern = {"eventTrigger": "EVENT_BASED", "eventContentMode": "ACCUMULATIVE"}
    return facet(
        "jobType", processingType="BATCH", integration=integration or INTEGRATION, jobType=kind, emissionPattern=pattern
    )
