"""Checkpoints of an extract: packages that are sealed while the rest of the data is still being read.

Each is a package of its own: load id, rows, schema, and the state in which only the resources that were sealed have
moved on. Load ids follow the order of sealing, so that the newest sealed package tells where a failed extract goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.base.time import now
from headrace.model.state import bump_state_version
from headrace.pipeline.recovery import recover
from headrace.pipeline.state import without_local
from headrace.pipeline.work import Work, move_files, new_sink, put_state_row, seal_work

if TYPE_CHECKING:
    from headrace.extract.checkpoint import Checkpoint, CheckpointPlan
    from headrace.extract.sink import SpoolSink
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


class Checkpoints:
    """Makes the checkpoints of one extract.

    Args:
        p: The pipeline.
        rows: After so many rows of a resource.
        seconds: After so long.

    Attributes:
        name: Tells its packages from those of other extracts.
        sealed: What was sealed, oldest first.
    """

    def __init__(self, p: Pipeline, rows: int | None, seconds: float | None) -> None:
        self._pipeline, self._rows, self._seconds = p, rows, seconds
        self._since = now()
        self.name = self._since.isoformat()
        self._sources: dict[str, Any] = dict((p._state.before() or {}).get("sources", {}))
        self.sealed: list[Work] = []

    def sources(self) -> dict[str, Any]:
        """State by source, as it was sealed last."""
        return self._sources

    def plan(self, work: Work) -> CheckpointPlan | None:
        """When the resources of a package are sealed; None when never before the end."""
        if self._rows is None and self._seconds is None:
            return None
        from headrace.extract.checkpoint import CheckpointPlan

        return CheckpointPlan(
            self._rows, self._seconds, lambda: self._new_sink(work), lambda found: self._seal(work, found)
        )

    def _new_sink(self, work: Work) -> SpoolSink:
        sink = new_sink(self._pipeline, work.package, work.schema)
        if hasattr(work.sink, "declared"):
            sink.judge = work.sink.judge
            sink.declared = work.sink.declared  # what hints say of types holds for all rows of a table
        work.more_sinks.append(sink)
        return sink

    def _seal(self, work: Work, found: Checkpoint) -> None:
        p = self._pipeline
        work.more_sinks.remove(found.sink)
        package = p._store.create(work.schema.name, pipeline_name=p.pipeline_name)
        part = Work(package, work.schema, new_sink(p, package, work.schema))
        part.extract = work.extract = self.name
        part.known_columns = work.known_columns
        part.more_sinks, part.files = [found.sink], found.sink.finish()
        move_files(part.files, work.package, package)
        part.sources = [(found.result, self._since, now())]
        state = self._state_with(found)
        self._put_state_row(part, state)
        before, self._sources = self._sources, state["sources"]
        seal_work(p, part, state, before)
        self.sealed.append(part)
        self._since = now()
        logger.info(
            "pipeline `%s`: checkpoint: %d rows of %s are sealed in package %s",
            *(p.pipeline_name, sum(part.row_counts().values()), ", ".join(found.states), part.package.load_id),
        )

    def _state_with(self, found: Checkpoint) -> dict[str, Any]:
        """The state as sealed last, in which the resources of the checkpoint have moved on."""
        source = dict(self._sources.get(found.source) or {})
        resources = dict(source.get("resources") or {})
        for name, state in found.states.items():
            if state:
                resources[name] = state
            else:
                resources.pop(name, None)
        if resources:
            source["resources"] = resources
        sources = {**self._sources, found.source: source}
        return {**without_local(self._pipeline._state.document), "sources": sources}

    def _put_state_row(self, part: Work, state: dict[str, Any]) -> None:
        p = self._pipeline
        p._destinations.to_state(state)
        _, content, _ = bump_state_version(state)  # type: ignore[arg-type]
        for key in ("_state_version", "_version_hash"):
            p._state.document[key] = state[key]
        put_state_row(p, part, state, str(content))
        part.files += part.sink.finish()

    def catch_up(self) -> None:
        """After an error: the state is that of the last checkpoint."""
        if not self.sealed:
            return
        from headrace.pipeline.step import rollback

        p = self._pipeline
        rollback(p)
        recover(p)
        logger.warning(
            "pipeline `%s`: the extract failed, but its %d checkpoints are kept: the next run loads them and goes on "
            "behind them",
            *(p.pipeline_name, len(self.sealed)),
        )
