"""What a tracker is told, as plain data that does not depend on the clock: the same under dlt and headrace.

`SCENARIOS` are run by ``record.py`` under dlt 1.31 and by the tests under headrace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

Call = dict[str, Any]


class Recorder:
    """A tracker, as dlt's protocol wants it: notes each call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._ids: list[str] = []

    def on_start_trace(self, trace: Any, step: str, pipeline: Any) -> None:
        self._note("on_start_trace", trace, pipeline, step=step)

    def on_start_trace_step(self, trace: Any, step: str, pipeline: Any) -> None:
        self._note("on_start_trace_step", trace, pipeline, step=step)

    def on_end_trace_step(self, trace: Any, step: Any, pipeline: Any, step_info: Any, send_state: bool) -> None:
        told = {
            "step": step.step,
            "finished": step.finished_at is not None,
            "span_id": bool(step.span_id),
            "failed": step.step_exception is not None,
            "exceptions": _exceptions(step.exception_traces),
            "info": _info(step.step_info),
            "info_is_given": step.step_info is step_info,
            "is_last_of_trace": trace.steps[-1] is step or trace.steps[-1] == step,
            "send_state": send_state,
        }
        self._note("on_end_trace_step", trace, pipeline, **told)

    def on_end_trace(self, trace: Any, pipeline: Any, send_state: bool) -> None:
        self._note("on_end_trace", trace, pipeline, send_state=send_state)

    def _note(self, method: str, trace: Any, pipeline: Any, **told: Any) -> None:
        if trace.transaction_id not in self._ids:
            self._ids.append(trace.transaction_id)
        self.calls.append(
            {
                "method": method,
                **told,
                "trace": {
                    "number": self._ids.index(trace.transaction_id),
                    "pipeline": trace.pipeline_name,
                    "steps": [step.step for step in trace.steps],
                    "finished": trace.finished_at is not None,
                    "engine_version": trace.engine_version,
                },
                "pipeline": pipeline.pipeline_name,
            }
        )


def _exceptions(traces: Any) -> Any:
    """Of the chain of errors whether it is there, and the type of the innermost one."""
    return None if traces is None else traces[-1]["exception_type"].rpartition(".")[2]


def _info(info: Any) -> Any:
    if info is None:
        return None
    packages = [(p.state, sorted(k for k, jobs in p.jobs.items() if jobs)) for p in info.load_packages]
    return {"type": type(info).__name__, "loads": len(info.loads_ids), "packages": packages}


# ---- what is run -----------------------------------------------------------------------------------------------------


def _run(p: Any, dlt: Any) -> None:
    p.run([{"id": 1, "items": [{"n": 1}]}], table_name="docs")


def _run_twice(p: Any, dlt: Any) -> None:
    p.run([{"id": 1}], table_name="docs")
    p.run([{"id": 2}], table_name="docs")


def _single_steps(p: Any, dlt: Any) -> None:
    p.extract([{"id": 1}], table_name="docs")
    p.normalize()
    p.load()


def _steps_after_a_run(p: Any, dlt: Any) -> None:
    p.run([{"id": 1}], table_name="docs")
    p.extract([{"id": 2}], table_name="docs")
    p.normalize()
    p.load()


def _extract_fails(p: Any, dlt: Any) -> None:
    def rows() -> Any:
        yield {"id": 1}
        raise ValueError("no more")

    with contextlib.suppress(Exception):
        p.run(dlt.resource(rows, name="docs"))


def _extract_alone_fails(p: Any, dlt: Any) -> None:
    def rows() -> Any:
        yield {"id": 1}
        raise ValueError("no more")

    with contextlib.suppress(Exception):
        p.extract(dlt.resource(rows, name="docs"))


def _normalize_fails(p: Any, dlt: Any) -> None:
    p.run([{"id": 1}], table_name="docs")
    with contextlib.suppress(Exception):
        p.run([{"id": 1, "new": 2}], table_name="docs", schema_contract={"columns": "freeze"})


def _load_fails(p: Any, dlt: Any) -> None:
    p.extract([{"id": 1}], table_name="docs")
    p.normalize()
    with contextlib.suppress(Exception):
        p.load(credentials="/nowhere/at/all/x.duckdb")


def _nothing_to_do(p: Any, dlt: Any) -> None:
    p.run([{"id": 1}], table_name="docs")
    p.normalize()
    p.load()
    p.run()


def _a_pending_package(p: Any, dlt: Any) -> None:
    p.extract([{"id": 1}], table_name="docs")
    p.run()


def _switched_off(p: Any, dlt: Any) -> None:
    p.config.enable_runtime_trace = False
    p.run([{"id": 1}], table_name="docs")


def _sync(p: Any, dlt: Any) -> None:
    p.run([{"id": 1}], table_name="docs")
    p.sync_destination()


SCENARIOS: dict[str, Callable[[Any, Any], None]] = {
    "run": _run,
    "run_twice": _run_twice,
    "single_steps": _single_steps,
    "steps_after_a_run": _steps_after_a_run,
    "extract_fails": _extract_fails,
    "extract_alone_fails": _extract_alone_fails,
    "normalize_fails": _normalize_fails,
    "load_fails": _load_fails,
    "nothing_to_do": _nothing_to_do,
    "a_pending_package": _a_pending_package,
    "switched_off": _switched_off,
    "sync": _sync,
}


def last_trace(p: Any) -> Any:
    """The steps of the pipeline's last trace, and what failed in it."""
    trace = p.last_trace
    return None if trace is None else [[step.step, step.step_exception is not None] for step in trace.steps]


def record(dlt: Any, modules: list[Any], name: str, folder: str, collector: Any = None) -> dict[str, Any]:
    """Run a scenario with a recorder among the tracking modules, and as a collector if that is given."""
    recorder = Recorder()
    p = dlt.pipeline(
        "tracked",
        pipelines_dir=f"{folder}/pipelines",
        destination=dlt.destinations.duckdb(f"{folder}/tracked.duckdb"),
        dataset_name="data",
        progress=collector,
    )
    modules.append(recorder)
    try:
        SCENARIOS[name](p, dlt)
    finally:
        modules.remove(recorder)
    return {"calls": recorder.calls, "last_trace": last_trace(p)}


def recording_collector(base: type[Any]) -> Any:
    """A collector, derived from the engine's base, that notes what it is called with."""

    class Collecting(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.calls: list[Any] = []
            self.recorder = Recorder()
            for method in ("on_start_trace", "on_start_trace_step", "on_end_trace_step", "on_end_trace"):
                setattr(self, method, getattr(self.recorder, method))

        def update(
            self,
            name: str,
            inc: int = 1,
            total: int | None = None,
            inc_total: int | None = None,
            message: str | None = None,
            label: str | None = None,
        ) -> None:
            self.calls.append(["update", name, inc, total, label or None])

        def _start(self, step: str) -> None:
            self.calls.append(["_start", step.split()[0]])

        def _stop(self) -> None:
            self.calls.append(["_stop"])

        def __deepcopy__(self, memo: Any) -> Any:
            return self

    return Collecting()
