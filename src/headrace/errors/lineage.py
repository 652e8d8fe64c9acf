"""Errors of lineage that people ask for by hand; while pipelines run, lineage raises nothing."""

from __future__ import annotations

from headrace.errors.base import HeadraceException


class NoReceiver(HeadraceException):
    """Events shall be sent, and nothing says where to."""

    def __init__(self) -> None:
        super().__init__(
            "Lineage events cannot be sent: no receiver is configured.",
            fix="set `lineage.url`, `lineage.transport` or `lineage.path`, or OPENLINEAGE_URL",
        )


class NoStoredEvents(HeadraceException):
    """There is nothing of a pipeline that could be sent."""

    def __init__(self, pipeline: str, pipelines_dir: str) -> None:
        self.pipeline, self.pipelines_dir = pipeline, pipelines_dir
        super().__init__(
            f"There are no lineage events of a pipeline `{pipeline}` in `{pipelines_dir}`.",
            fix="look at the name; events are kept from the first run on that has lineage switched on",
        )
