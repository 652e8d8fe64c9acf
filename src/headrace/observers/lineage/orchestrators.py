"""The task that is running around us, asked of the orchestrator itself.

None of them is imported: whoever runs us has loaded it. Run ids of Airflow come from its own macros
(https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/macros.html), so that they are those of the
events it sends. Dagster and Prefect send none; a run of theirs is told under its own id, so that runs of one flow still
stand together.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from headrace.errors.masking import without_secrets
from headrace.observers.lineage.facts import Parent, RunRef
from headrace.observers.lineage.parent import ref_of

logger = logging.getLogger("headrace")


def places() -> list[tuple[str, Callable[[], Parent | None]]]:
    """Who may be asked, with a name for the log."""
    known = {"airflow": _airflow, "dagster": _dagster, "prefect": _prefect}
    return [(f"the running task of {name}", ask) for name, ask in known.items() if sys.modules.get(name)]


def _airflow() -> Parent | None:
    task = _airflow_task()
    if task is None:
        return None
    try:
        macros: Any = importlib.import_module("airflow.providers.openlineage.plugins.macros")
    except ImportError:
        # without the provider Airflow tells nothing of its tasks: there is no run to be part of
        return None
    ref = ref_of(macros.lineage_run_id(task), macros.lineage_job_namespace(), macros.lineage_job_name(task))
    return Parent(run_id=ref.run_id, job=ref.job, root=_airflow_root(macros, task, ref))


def _airflow_root(macros: Any, task: Any, ref: RunRef) -> RunRef:
    """The run of the DAG, or of what has triggered it; older providers do not tell it."""
    if not hasattr(macros, "lineage_root_run_id"):
        return ref
    try:
        run_id, space = macros.lineage_root_run_id(task), macros.lineage_root_job_namespace(task)
        return ref_of(run_id, space, macros.lineage_root_job_name(task))
    except Exception as error:  # noqa: BLE001 - the task itself is known: better that than nothing
        logger.info("lineage: what started the task of Airflow cannot be told: %s", without_secrets(str(error)))
        return ref


def _airflow_task() -> Any:
    """The task instance, None outside of tasks. Airflow 3 has the function in its SDK, Airflow 2 with operators."""
    for module in ("airflow.sdk", "airflow.operators.python"):
        try:
            get: Any = importlib.import_module(module).get_current_context
        except (ImportError, AttributeError):
            continue
        try:
            context = get()
        except Exception:  # noqa: BLE001 - `AirflowException` in 2, `RuntimeError` in 3: there is no task
            return None
        return context.get("ti") or context.get("task_instance") if context else None
    return None


def _dagster() -> Parent | None:
    dagster = sys.modules["dagster"]
    context: Any = None
    for name in ("OpExecutionContext", "AssetExecutionContext"):
        kind = getattr(dagster, name, None)
        if kind is None:
            continue
        try:
            context = kind.get()
        except Exception:  # noqa: BLE001 - `DagsterInvariantViolationError`: nothing is running
            continue
        if context is not None:
            break
    if context is None or not getattr(context, "run_id", None):
        return None
    return _same(ref_of(context.run_id, _namespace("dagster"), context.job_name))


def _prefect() -> Parent | None:
    runtime: Any = importlib.import_module("prefect.runtime")
    run_id, name = runtime.flow_run.id, runtime.flow_run.flow_name
    if not run_id or not name:
        return None
    return _same(ref_of(run_id, _namespace("prefect"), name))


def _namespace(default: str) -> str:
    return os.environ.get("OPENLINEAGE_NAMESPACE") or default


def _same(ref: RunRef) -> Parent:
    return Parent(run_id=ref.run_id, job=ref.job, root=ref)
