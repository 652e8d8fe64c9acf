"""The run that a run is part of: found around us, and handed on to what we start.

Where it is looked for, the first that can be read wins: `parent` around the run, the setting ``lineage.parent``,
``OPENLINEAGE_CONTEXT`` (https://github.com/OpenLineage/OpenLineage/pull/4682), ``OPENLINEAGE_PARENT_ID`` with
``OPENLINEAGE_ROOT_PARENT_ID`` (as dbt-ol and Airflow's macros write them), a task of Airflow, Dagster or Prefect that
is running in this process. Orchestrators are only asked when their package is loaded already.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from headrace.errors.masking import without_secrets
from headrace.observers.lineage.facets.run import pointer
from headrace.observers.lineage.facts import JobId, Parent, RunRef

logger = logging.getLogger("headrace")

CONTEXT, PARENT_ID, ROOT_PARENT_ID = "OPENLINEAGE_CONTEXT", "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"

_given: ContextVar[Parent | None] = ContextVar("headrace_lineage_parent", default=None)
_complained: set[str] = set()


@contextmanager
def parent(
    run_id: str | Parent | RunRef,
    job: str = "",
    namespace: str = "default",
    root: RunRef | None = None,
) -> Iterator[Parent]:
    """Inside, runs of pipelines are part of this run::

        with headrace.lineage.parent("0195f6de-…", job="nightly.ingest", namespace="airflow-prod"):
            pipeline.run(source)

    Args:
        run_id: Of the run around, a UUID.
        job: The name of its job.
        namespace: The namespace of its job.
        root: The run at the top; the same one when there is nothing above it.

    Raises:
        ValueError: The run id is no UUID, or the job has no name.
    """
    if isinstance(run_id, Parent):
        made = run_id
    else:
        ref = run_id if isinstance(run_id, RunRef) else RunRef(run_id=_uuid(run_id), job=_job(namespace, job))
        made = Parent(run_id=ref.run_id, job=ref.job, facets=ref.facets, root=root or ref)
    token = _given.set(made)
    try:
        yield made
    finally:
        _given.reset(token)


def find_parent(setting: str | None = None) -> Parent | None:
    """The run around this place, None when there is none. What cannot be read is logged once and passed over.

    Args:
        setting: ``lineage.parent``.
    """
    if (found := _given.get()) is not None:
        return found
    places: list[tuple[str, Callable[[], Parent | None]]] = [
        ("the setting `lineage.parent`", lambda: _from_text(setting)),
        (f"the variable {CONTEXT}", lambda: from_context(os.environ.get(CONTEXT))),
        (f"the variable {PARENT_ID}", lambda: _from_ids(os.environ)),
        *_orchestrators(),
    ]
    for where, look in places:
        try:
            found = look()
        except Exception as error:  # noqa: BLE001 - somebody else's variables and code
            _complain(where, error)
            continue
        if found is not None:
            return found
    return None


def _orchestrators() -> list[tuple[str, Callable[[], Parent | None]]]:
    import sys

    if not {"airflow", "dagster", "prefect"} & sys.modules.keys():
        return []
    from headrace.observers.lineage import orchestrators

    return orchestrators.places()


def _complain(where: str, error: Exception) -> None:
    text = without_secrets(f"{type(error).__name__}: {error}")
    if (key := f"{where} {text}") not in _complained:
        _complained.add(key)
        logger.warning("lineage: the run around this one, from %s, cannot be read and is left out: %s", where, text)


# ---- reading -------------------------------------------------------------------------------------------------------


def _from_text(text: str | None) -> Parent | None:
    if not text:
        return None
    return from_context(text) if text.lstrip().startswith("{") else _with_root(from_id(text), None)


def from_context(text: str | None) -> Parent | None:
    """The parent of an ``OPENLINEAGE_CONTEXT``; None when there is none in it.

    Raises:
        ValueError: It is no JSON, or something of it is missing or malformed.
    """
    if not text:
        return None
    document = json.loads(text)
    if isinstance(document, dict) and document.get("parent") is None:
        return None
    try:
        told = document["parent"]
        # the page of dbt-ol has `root` beside `parent`, its code within
        root = told.get("root") or document.get("root")
        return _with_root(_ref(told), _ref(root) if root else None)
    except (KeyError, TypeError, AttributeError) as error:
        wanted = '{"parent": {"run": {"runId": …}, "job": {"namespace": …, "name": …}, "root": {…}}}'
        raise ValueError(f"it should be {wanted}") from error


def _ref(told: dict[str, Any]) -> RunRef:
    run, job = told["run"], told["job"]
    facets = {key: place["facets"] for key, place in (("run", run), ("job", job)) if place.get("facets")}
    return RunRef(run_id=_uuid(run["runId"]), job=_job(job["namespace"], job["name"]), facets=facets)


def _from_ids(environ: Any) -> Parent | None:
    text = environ.get(PARENT_ID)
    if not text:
        return None
    root = environ.get(ROOT_PARENT_ID)
    return _with_root(from_id(text), from_id(root) if root else None)


def from_id(text: str) -> RunRef:
    """A run by ``namespace/job/run id``. A job's name may have slashes in it, a namespace may not.

    Raises:
        ValueError: It is not of that form.
    """
    rest, slash, run_id = text.strip().rpartition("/")
    namespace, second, name = rest.partition("/")
    if not slash or not second:
        raise ValueError("it should be `namespace/job/run id`")
    return RunRef(run_id=_uuid(run_id), job=_job(namespace, name))


def _with_root(ref: RunRef, root: RunRef | None) -> Parent:
    return Parent(run_id=ref.run_id, job=ref.job, facets=ref.facets, root=root or _plain(ref))


def _plain(ref: RunRef) -> RunRef:
    return RunRef(run_id=ref.run_id, job=ref.job)


def ref_of(run_id: Any, namespace: Any, name: Any) -> RunRef:
    """A run by what somebody else's code says of it.

    Raises:
        ValueError: The id is no UUID, or the job has no name: events with such a run would be refused.
    """
    if namespace is None or name is None:
        raise ValueError("a job has a namespace and a name")
    return RunRef(run_id=_uuid(run_id), job=_job(namespace, name))


def _uuid(text: Any) -> str:
    try:
        return str(UUID(str(text)))
    except ValueError:
        raise ValueError(f"the id of a run is a UUID, not {str(text)!r}") from None


def _job(namespace: Any, name: Any) -> JobId:
    if not str(namespace).strip() or not str(name).strip():
        raise ValueError("a job has a namespace and a name")
    return JobId(str(namespace), str(name))


# ---- handing on ----------------------------------------------------------------------------------------------------


def below(ref: RunRef, above: Parent | None) -> Parent:
    """What runs that ``ref`` starts have as their parent; the root stays what it was."""
    return Parent(run_id=ref.run_id, job=ref.job, facets=ref.facets, root=above.root if above else _plain(ref))


def variables(found: Parent) -> dict[str, str]:
    """The variables by which a process that is started knows the run it is part of."""
    context = {"parent": {**pointer(found), "root": pointer(found.root)}}
    return {
        CONTEXT: json.dumps(context, separators=(",", ":")),
        PARENT_ID: _id(found),
        ROOT_PARENT_ID: _id(found.root),
    }


def _id(ref: RunRef) -> str:
    return f"{ref.job.namespace}/{ref.job.name}/{ref.run_id}"
