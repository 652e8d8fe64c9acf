"""What `run` repeats by itself: steps that failed and may yet succeed (settings of section ``retries``).

Only the step that failed is repeated: packages keep what earlier steps have done. Data is read again only where it can
be: a generator that was begun is gone.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.base import signals
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.verdict import verdict
from headrace.model.events import StepRetried
from headrace.pipeline.loading import loaded_part, merge_infos

if TYPE_CHECKING:
    from headrace.config.retries import RetriesConfiguration
    from headrace.model.infos import LoadInfo
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
T = TypeVar("T")


class Retries:
    """Repeats steps of one run. The settings are looked up when the first step fails.

    Args:
        p: The pipeline.
    """

    def __init__(self, p: Pipeline) -> None:
        self._pipeline = p

    @cached_property
    def _settings(self) -> RetriesConfiguration:
        return self._pipeline._settings.retries()

    def __call__(self, act: Callable[[], T], data: Any = None) -> T:
        """Do a step, and do it again while that may help.

        Args:
            act: Calls the step.
            data: What the step reads, if it reads data.

        Raises:
            PipelineStepFailed: The last error.
        """
        failures = 0
        while True:
            try:
                return act()
            except PipelineStepFailed as error:
                failures += 1
                if failures >= self._settings.attempts or not self._worth(error, data):
                    raise
                self._wait(error, failures)

    def load(self, act: Callable[[], LoadInfo | None]) -> LoadInfo | None:
        """Do the step load as above; what an attempt that failed had loaded is told with the last one."""
        before: LoadInfo | None = None

        def once() -> LoadInfo | None:
            nonlocal before
            try:
                info = act()
            except PipelineStepFailed as error:
                before = _joined(before, loaded_part(error.step_info))
                raise
            return _joined(before, info)

        return self(once)

    def _worth(self, error: PipelineStepFailed, data: Any) -> bool:
        p = self._pipeline
        if error.step not in self._settings.steps or verdict(error.exception) == "terminal":
            return False
        if error.step in ("normalize", "load") and error.load_id is not None:
            # a package that was set aside is gone from the queue: another try would pass without its data
            return error.load_id in p._store.list("extracted", "normalized")
        if error.step == "extract" and (gone := consumed(data)) is not None:
            logger.warning(
                "pipeline `%s`: the step `extract` is NOT repeated, for %s cannot be read a second time; give `run` "
                "the function (or a resource made of it) instead of what it returned",
                *(p.pipeline_name, gone),
            )
            return False
        return True

    def _wait(self, error: PipelineStepFailed, failures: int) -> None:
        p, found = self._pipeline, self._settings
        seconds = found.policy().wait(failures)
        logger.warning(
            "pipeline `%s`: the step `%s` failed and is repeated in %.1f s (try %d of %d, `retries.attempts`): %s",
            *(p.pipeline_name, error.step, seconds, failures + 1, found.attempts, error),
        )
        p._publish(
            StepRetried(run_id=p._tracer.run_id, step=error.step, attempt=failures, wait=seconds, error=str(error))
        )
        signals.sleep(seconds)


def _joined(first: LoadInfo | None, second: LoadInfo | None) -> LoadInfo | None:
    return merge_infos(first, second) if second is not None else first


def consumed(data: Any) -> str | None:
    """What in the data was begun and cannot be read from its start again; None when all of it can."""
    for one in _parts(data):
        if inspect.isgenerator(one):
            if inspect.getgeneratorstate(one) != inspect.GEN_CREATED:
                return f"the generator `{one.__name__}`"
        elif inspect.isasyncgen(one):
            if one.ag_frame is None or one.ag_running or getattr(one, "ag_suspended", True):
                return f"the generator `{one.__name__}`"
        elif hasattr(type(one), "__next__"):
            return f"an object of the type `{type(one).__name__}`, which is read once,"
    return None


def _parts(data: Any) -> Iterable[Any]:
    """What is read: the data itself, or what its resources and their parents take it from."""
    resources = getattr(data, "resources", None)
    if resources is not None and hasattr(resources, "selected"):
        data = list(resources.selected.values())
    if isinstance(data, (list, tuple)):
        # of a list the first element decides: rows are no sources
        first = data[0] if data else None
        if first is None or isinstance(first, (Mapping, str, int, float)):
            return
        for one in data:
            yield from _parts(one)
        return
    pipe = getattr(data, "_pipe", None)
    if pipe is None:
        yield data
        return
    for link in pipe.chain():
        yield link.gen
