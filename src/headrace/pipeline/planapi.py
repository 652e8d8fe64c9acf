"""The part of `Pipeline` that is about plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from headrace.pipeline.pipeline import Pipeline
    from headrace.pipeline.plans import Plan


class PlanApi:
    """Making and finding plans; they are run by `Pipeline.run`."""

    def plan(self, data: Any = None, **hints: Any) -> Plan:
        """Say what `run` would do, and do nothing: no table, row, cursor or schema changes.

        The data is read, and kept with the plan in the working folder; the destination is only asked what is there.
        ``pipeline.run(plan)`` then does exactly what the plan says, also in another process (`get_plan`).

        Args:
            data: As in `run`; None plans what is pending.
            **hints: Arguments of `run`, destination and dataset included.

        Returns:
            The plan; print it.

        Raises:
            PipelineStepFailed: As `run` would.
            PipelineLocked: Another process works on this pipeline.
        """
        from headrace.pipeline.planning import plan

        return plan(cast("Pipeline", self), data, hints)

    def list_plans(self) -> list[str]:
        """Ids of plans that were neither run nor discarded, oldest first."""
        from headrace.pipeline.plans import listed

        return listed(cast("Pipeline", self))

    def get_plan(self, plan_id: str) -> Plan:
        """A plan that was made before, maybe by another process.

        Raises:
            PlanNotFound: There is none of this id.
        """
        from headrace.pipeline.plans import read

        return read(cast("Pipeline", self), plan_id)
