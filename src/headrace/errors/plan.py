"""Errors of plans."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors.base import PipelineException, TerminalException

__all__ = ["PlanNotAllowed", "PlanNotFound", "PlanOutdated"]


class PlanNotFound(PipelineException, KeyError):
    """The pipeline keeps no plan of this id."""

    def __init__(self, pipeline_name: str, plan_id: str, known: Sequence[str] = ()) -> None:
        self.plan_id, self.known = plan_id, list(known)
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` has no plan `{plan_id}`.",
            why="it was run or discarded, gave way to newer ones, or was made in another working folder",
            fix=f"use one of: {', '.join(known)}" if known else "make a new one with `pipeline.plan(data)`",
        )


class PlanOutdated(PipelineException, TerminalException):
    """What a plan says would not be what happens: something has changed since it was made. Nothing was loaded.

    Args:
        pipeline_name: The pipeline.
        plan_id: The plan.
        changed: What is not as it was, a sentence each.
    """

    def __init__(self, pipeline_name: str, plan_id: str, changed: Sequence[str]) -> None:
        self.plan_id, self.changed = plan_id, list(changed)
        super().__init__(
            pipeline_name,
            f"Plan `{plan_id}` of pipeline `{pipeline_name}` is outdated. Nothing of it was loaded.",
            why="; ".join(changed),
            fix="plan anew with `pipeline.plan(data)`, look at it, and run that",
        )


class PlanNotAllowed(PipelineException, TerminalException):
    """The plan has destructive steps, and the setting wants them confirmed."""

    def __init__(self, pipeline_name: str, plan_id: str, steps: Sequence[str]) -> None:
        self.plan_id, self.steps = plan_id, list(steps)
        super().__init__(
            pipeline_name,
            f"Plan `{plan_id}` of pipeline `{pipeline_name}` has destructive steps. Nothing was loaded.",
            why="; ".join(steps),
            fix="look at them, then `pipeline.run(plan, allow_destructive=True)`; or set "
            f"`pipelines.{pipeline_name}.confirm_destructive` to false",
        )
