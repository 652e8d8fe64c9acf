"""Tools around a pipeline: dropping resources with their tables and state, and telling what is worth another try."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from headrace.errors.load import SchemaUpdateError
from headrace.errors.pipeline import PipelineHasPendingDataException, PipelineNeverRan, PipelineStepFailed
from headrace.errors.verdict import causes, verdict
from headrace.model.tables import group_tables_by_resource, has_seen_data

if TYPE_CHECKING:
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline

__all__ = ["pipeline_drop", "retry_load", "retry_schema_update"]


def retry_load(retry_on_pipeline_steps: Sequence[str] = ("load",)) -> Callable[[BaseException], bool]:
    """A predicate for `tenacity.retry_if_exception`: whether a failed run is worth another try.

    Args:
        retry_on_pipeline_steps: Steps whose failures may pass: ``sync``, ``extract``, ``normalize``, ``load``, ``run``.

    Returns:
        A function that says no to errors of other steps, to errors that will not pass (of web requests too: a status
        404 will not, 503 may), and to anything that is not the failure of a step.
    """
    steps = frozenset(retry_on_pipeline_steps)

    def worth(error: BaseException) -> bool:
        if not isinstance(error, PipelineStepFailed):
            return False
        return error.step in steps and verdict(error.exception) != "terminal"

    return worth


def retry_schema_update() -> Callable[[BaseException], bool]:
    """A predicate for `tenacity.retry_if_exception`: whether a load failed while it changed tables.

    Others may have made the same table or column at that moment; another try makes only what is still missing. Where
    the destination refused for good, the package was set aside: let the loop be around `Pipeline.run`, which then
    extracts the data again.

    Returns:
        A function that says yes to a failed load that came from a `SchemaUpdateError`, and no to anything else.
    """

    def worth(error: BaseException) -> bool:
        if not isinstance(error, PipelineStepFailed) or error.step != "load":
            return False
        return any(isinstance(one, SchemaUpdateError) for one in causes(error.exception))

    return worth


class DropInfo(TypedDict):
    """What a drop is going to do."""

    tables: list[str]
    tables_with_data: list[str]
    resource_states: list[str]
    state_paths: list[str]
    resource_names: list[str]
    schema_name: str
    drop_all: bool
    resource_pattern: re.Pattern[str] | None
    warnings: list[str]


class pipeline_drop:
    """Drop tables of resources at the destination, in the schema, and their state; call the object to do it.

    Args:
        pipeline: The pipeline.
        resources: Names, or patterns that begin with ``re:``.
        schema_name: The schema; the default one when None.
        state_paths: JSONPaths of what to remove from the source's state.
        drop_all: All resources.
        state_only: Leave the tables alone.

    Attributes:
        info: What is going to be dropped.
        is_empty: Whether nothing matches.

    Raises:
        PipelineNeverRan: There is no schema.
        PipelineHasPendingDataException: Packages wait to be loaded.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        resources: Iterable[str] | str = (),
        schema_name: str | None = None,
        state_paths: Any = (),
        drop_all: bool = False,
        state_only: bool = False,
    ) -> None:
        if pipeline.default_schema_name is None:
            raise PipelineNeverRan(pipeline.pipeline_name, pipeline.pipelines_dir)
        if pipeline.has_pending_data:
            raise PipelineHasPendingDataException(pipeline.pipeline_name, pipeline.pipelines_dir)
        self.pipeline = pipeline
        self.schema: Schema = pipeline.schemas[schema_name or pipeline.default_schema_name]
        names = [resources] if isinstance(resources, str) else [str(name) for name in resources]
        self._names, self._pattern = names, _pattern(names, drop_all)
        self.info: DropInfo = {
            "tables": [],
            "tables_with_data": [],
            "resource_states": [],
            "state_paths": [],
            "resource_names": [],
            "schema_name": self.schema.name,
            "drop_all": drop_all,
            "resource_pattern": self._pattern,
            "warnings": [],
        }
        self._find_tables(state_only)
        self._find_state(state_paths)
        self.drop_tables, self.drop_state = bool(self.info["tables"]), self._touches_state()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to drop."""
        return not (self.drop_tables or self.drop_state)

    def _touches_state(self) -> bool:
        return bool(self.info["resource_states"] or self.info["state_paths"])

    def _find_tables(self, state_only: bool) -> None:
        if self._pattern is None or state_only:
            return
        tables = {table["name"]: table for table in self.schema.data_tables(include_incomplete=True)}
        groups = group_tables_by_resource(tables, self._pattern)
        self.info["resource_names"] = sorted(groups)
        for group in groups.values():
            # nested tables go before those they are nested in
            found = [table["name"] for table in reversed(group)]
            self.info["tables"] += found
            self.info["tables_with_data"] += [name for name in found if has_seen_data(tables[name])]
        if self._names and not groups:
            known = sorted(group_tables_by_resource(tables))
            self.info["warnings"].append(
                f"no table of schema {self.schema.name} belongs to {', '.join(self._names)}; its resources are: "
                f"{', '.join(known)}"
            )

    def _find_state(self, state_paths: Any) -> None:
        state = self.pipeline._state.document.get("sources", {}).get(self.schema.name, {})
        if self._pattern is not None:
            resources = state.get("resources", {})
            self.info["resource_states"] = [name for name in resources if self._pattern.match(name)]
        paths = [state_paths] if isinstance(state_paths, str) or hasattr(state_paths, "find") else list(state_paths)
        for path in map(_json_path, paths):
            found = [f"{self.schema.name}.{_dotted(match)}" for match in path.find(state)]
            self.info["state_paths"] += found
            if not found:
                self.info["warnings"].append(f"the path {path} matches nothing in the state of {self.schema.name}")
        self._paths = [_json_path(path) for path in paths]

    def __call__(self) -> None:
        """Do it: by a package of its own that drops the tables and carries the new state to the destination.

        Raises:
            PipelineStepFailed: The destination refused; nothing is forgotten here then, and the next run tries again.
        """
        if self.is_empty:
            return
        from headrace.pipeline.extracting import extract_state_alone
        from headrace.pipeline.step import step

        p = self.pipeline
        with step(p, "extract") as run:
            schema = p._schemas[self.schema.name]
            self._forget(p._state.document)
            if self.info["tables"]:
                schema.drop_tables(self.info["tables"])
            refresh = {"mode": "drop", "dropped_tables": self.info["tables_with_data"], "erase_history": True}
            run.load_id = extract_state_alone(p, schema, refresh if self.info["tables"] else None)
        p.normalize()
        p.load()

    def _forget(self, document: dict[str, Any]) -> None:
        state = document.get("sources", {}).get(self.schema.name, {})
        for name in self.info["resource_states"]:
            state.get("resources", {}).pop(name, None)
        for path in self._paths:
            path.filter(lambda _: True, state)


def _pattern(names: Sequence[str], drop_all: bool) -> re.Pattern[str] | None:
    if drop_all:
        return re.compile(".*")
    parts = [f"({name[3:]})" if name.startswith("re:") else f"(^{re.escape(name)}$)" for name in names]
    return re.compile("|".join(parts)) if parts else None


def _dotted(match: Any) -> str:
    """Where a match is; jsonpath-ng's own text for it depends on its version."""
    parts: list[str] = []
    while match.context is not None:
        parts.append(str(match.path))
        match = match.context
    return ".".join(reversed(parts))


def _json_path(path: Any) -> Any:
    if not isinstance(path, str):
        return path
    from jsonpath_ng.parser import parse

    return parse(path)
