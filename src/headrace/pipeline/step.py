"""What is around every step: the lock, recovery, the active pipeline, events, the trace, rollback, errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.base.logs import log_context
from headrace.config.current import pipeline_name_scope
from headrace.errors.masking import clean
from headrace.errors.pipeline import PipelineStepFailed
from headrace.model.events import RunEnded, RunStarted, StepEnded, StepStarted
from headrace.pipeline import current
from headrace.pipeline.columngates import tell_violation
from headrace.pipeline.recovery import recover
from headrace.pipeline.refreshing import package_info
from headrace.pipeline.watching import watch

if TYPE_CHECKING:
    from headrace.model.infos import LoadPackageInfo, StepInfo
    from headrace.model.trace import TPipelineStep
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


class StepRun:
    """What a step came to, as far as it got.

    Attributes:
        load_id: The package that is being worked on.
        info: What the step hands back.
        partial: Some jobs of the package are at the destination, others are not.
    """

    def __init__(self) -> None:
        self.load_id: str | None = None
        self.info: StepInfo | None = None
        self.partial = False


class StepParts:
    """What a step collects for its info, package by package.

    Attributes:
        metrics: By load id.
        loads_ids: In the order of work.
        load_packages: The same packages, told.
    """

    def __init__(self, p: Pipeline) -> None:
        self._pipeline = p
        self.metrics: dict[str, list[Any]] = {}
        self.loads_ids: list[str] = []
        self.load_packages: list[LoadPackageInfo] = []

    def add(self, package: Package) -> None:
        """Tell a package as it is now."""
        self.loads_ids.append(package.load_id)
        self.load_packages.append(package_info(self._pipeline, package))


@contextmanager
def working(p: Pipeline) -> Iterator[None]:
    """Hold the working folder, and recover it first; inside another hold of the same pipeline nothing is done.

    Raises:
        PipelineLocked: Somebody else holds it.
    """
    with p._folder.hold(p._settings.pipeline.lock_timeout) as outermost:
        if not outermost:
            yield
            return
        p._state.refresh()
        p._schemas.refresh()
        current.activate(p)
        with current.running(p), pipeline_name_scope(p.pipeline_name), _run(p):
            recover(p)
            if "_undoing" in p._state.local:
                from headrace.pipeline.rollingback import settle

                settle(p)
            yield


@contextmanager
def _run(p: Pipeline) -> Iterator[None]:
    """The outermost bracket of events and trace."""
    watch(p)
    run_id = p._tracer.begin()
    with log_context(pipeline_name=p.pipeline_name, run_id=run_id):
        yield from _told(p, run_id)


def _told(p: Pipeline, run_id: str) -> Iterator[None]:
    p._store.run_id = p.bus.run.run_id = run_id
    p.bus.run.trace = p._tracer.current
    p._publish(RunStarted(run_id=run_id, pipeline_name=p.pipeline_name))
    text: str | None = None
    try:
        yield
    except BaseException as error:
        text, p.bus.run.error = str(error) or type(error).__name__, error
        raise
    finally:
        p._session.close()
        settings = p._settings.pipeline
        p.bus.run.trace = p._tracer.end(settings.enable_runtime_trace, settings.keep_traces)
        try:
            p._publish(RunEnded(run_id=run_id, pipeline_name=p.pipeline_name, error=text))
        finally:
            p.bus.close()
            p.bus.run.error = None  # its frames hold the data of the run


@contextmanager
def step(p: Pipeline, name: TPipelineStep) -> Iterator[StepRun]:
    """Run a block as a step of the pipeline.

    Yields:
        Where the block notes what it works on and what came of it.

    Raises:
        PipelineStepFailed: The block raised; state and schemas are again what they were before it.
    """
    with working(p), log_context(step=name):
        run, outer = StepRun(), p.bus.run.step
        if name != "sync":
            p._tracer.begin_step(name)
        p.bus.run.step = name
        p._publish(StepStarted(run_id=p._tracer.run_id, step=name))
        try:
            yield run
        except PipelineStepFailed as inner:
            _end(p, name, run, inner)
            raise
        except Exception as error:
            rollback(p)
            clean(error)
            tell_violation(p, name, run.load_id, error)
            failure = PipelineStepFailed(p, name, run.load_id, error, run.info, is_package_partially_loaded=run.partial)
            failure.__cause__ = error  # trace and observers tell the whole chain
            _end(p, name, run, failure)
            raise failure from error
        except BaseException as error:
            # an interrupt: it goes on as what it is
            rollback(p)
            clean(error)
            _end(p, name, run, error)
            raise
        else:
            _end(p, name, run, None)
        finally:
            p.bus.run.step = outer


def _end(p: Pipeline, name: TPipelineStep, run: StepRun, error: BaseException | None) -> None:
    # the field's traces have four steps: sync is told by events, and by the error of the run it belongs to
    if name != "sync":
        p._tracer.end_step(name, run.info, error)
    p.bus.run.error = error
    p._publish(StepEnded(run_id=p._tracer.run_id, step=name, error=str(error) if error else None))
    p.bus.run.error = None


def rollback(p: Pipeline) -> None:
    """Throw away what is not saved: state, schemas."""
    p._state.reload()
    p._schemas.discard()
    p._fresh.clear()


def as_any(value: Any) -> Any:
    """The value, for calls that check its type themselves."""
    return value
