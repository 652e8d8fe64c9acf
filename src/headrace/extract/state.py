"""What is current while sources are made and read: the source, its resource, its state.

Everything lives in context variables, so it is seen in functions that the engine runs in its own threads and on its
event loop, and not in threads a user starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base import logs
from headrace.errors.extract import (
    CurrentSourceNotAvailable,
    CurrentSourceSchemaNotAvailable,
    PipelineStateNotAvailable,
    ResourceNameNotAvailable,
    SourceSectionNotAvailable,
)

if TYPE_CHECKING:
    from headrace.extract.pipe import Pipe
    from headrace.extract.resource import DltResource
    from headrace.extract.source import DltSource
    from headrace.model.schema import Schema

StateDict = dict[str, Any]


class SourceScope(NamedTuple):
    """Where state and settings of the current source are found.

    Attributes:
        name: The source's name: the key of its state, the name of its schema.
        section: The part of the configuration it reads: ``sources.<section>``.
        schema: Its schema.
        source: The source object; None while the source function itself runs.
        shares_section: Resources read the configuration of this section, and not of their own.
    """

    name: str
    section: str
    schema: Schema
    source: DltSource[Any] | None = None
    shares_section: bool = True


_state: ContextVar[StateDict | None] = ContextVar("headrace_state", default=None)
_scope: ContextVar[SourceScope | None] = ContextVar("headrace_source_scope", default=None)
_pipe: ContextVar[Pipe | None] = ContextVar("headrace_pipe", default=None)
_ambient: Callable[[], StateDict | None] | None = None


def _log_fields() -> dict[str, str]:
    """What log lines are told; asked for when a line is written, since the resource changes with every item."""
    pipe, scope = _pipe.get(), _scope.get()
    found = {} if scope is None else {"schema_name": scope.name}
    return found if pipe is None else {**found, "resource_name": pipe.name}


logs.add_source(_log_fields)


def set_ambient_state(provider: Callable[[], StateDict | None] | None) -> None:
    """Tell where state comes from when no step is running: the active pipeline. Changes to it are not kept.

    Args:
        provider: Gives the state document of the active pipeline, or None when there is none.
    """
    global _ambient
    _ambient = provider


@contextmanager
def state_scope(state: StateDict) -> Iterator[StateDict]:
    """Make a pipeline state document the one that sources read and write."""
    token = _state.set(state)
    try:
        yield state
    finally:
        _state.reset(token)


@contextmanager
def source_scope(scope: SourceScope) -> Iterator[SourceScope]:
    """Make a source the current one."""
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)


@contextmanager
def pipe_scope(pipe: Pipe | None) -> Iterator[None]:
    """Make a pipe, and with it a resource, the current one."""
    token = _pipe.set(pipe)
    try:
        yield
    finally:
        _pipe.reset(token)


def has_state() -> bool:
    """Whether a step has opened a state document."""
    return _state.get() is not None


def ambient_state() -> StateDict | None:
    """The state of the active pipeline, if there is one."""
    return _ambient() if _ambient is not None else None


def pipeline_state(source_state_key: str | None = None) -> StateDict:
    """The whole state document.

    Raises:
        PipelineStateNotAvailable: No source is being read and no pipeline is active.
    """
    state = _state.get()
    if state is None:
        state = ambient_state()
    if state is None:
        raise PipelineStateNotAvailable(source_state_key)
    return state


def source_state(key: str | None = None) -> StateDict:
    """The state of the current source, or of the one with the given key; a dictionary to read and write.

    Raises:
        SourceSectionNotAvailable: There is no current source, and no key was given.
        PipelineStateNotAvailable: No source is being read and no pipeline is active.
    """
    if key is None:
        scope = _scope.get()
        if scope is None:
            raise SourceSectionNotAvailable()
        key = scope.name
    found: StateDict = pipeline_state(key).setdefault("sources", {}).setdefault(key, {})
    return found


def resource_state(resource_name: str | None = None, source_state_: StateDict | None = None) -> StateDict:
    """The state of the current resource, or of a named one in the current source; a dictionary to read and write.

    Raises:
        ResourceNameNotAvailable: There is no current resource, and no name was given.
        SourceSectionNotAvailable: There is no current source.
    """
    state = source_state() if source_state_ is None else source_state_
    if resource_name is None:
        resource_name = current_pipe().name
    found: StateDict = state.setdefault("resources", {}).setdefault(resource_name, {})
    return found


def reset_resource_state(resource_name: str, source_state_: StateDict | None = None) -> None:
    """Forget the state of a resource, its incrementals included."""
    state = source_state() if source_state_ is None else source_state_
    resources = state.get("resources")
    if resources is not None:
        resources.pop(resource_name, None)


def peek_resource_state(source_name: str, resource_name: str) -> StateDict:
    """A copy-free look at a resource's state that creates nothing in the state document; {} when there is none."""
    state = _state.get()
    if state is None:
        state = ambient_state() or {}
    found: StateDict = state.get("sources", {}).get(source_name, {}).get("resources", {}).get(resource_name, {})
    return found


def current_source() -> DltSource[Any]:
    """The source that is being read.

    Raises:
        CurrentSourceNotAvailable: None is.
    """
    scope = _scope.get()
    if scope is None or scope.source is None:
        raise CurrentSourceNotAvailable()
    return scope.source


def source_schema() -> Schema:
    """The schema of the source that is being made or read; write to it to change it.

    Raises:
        CurrentSourceSchemaNotAvailable: There is no current source.
    """
    scope = _scope.get()
    if scope is None:
        raise CurrentSourceSchemaNotAvailable()
    return scope.schema


def current_scope() -> SourceScope | None:
    """The current source with its section, or None."""
    return _scope.get()


def current_pipe() -> Pipe:
    """The pipe that is being run.

    Raises:
        ResourceNameNotAvailable: None is.
    """
    pipe = _pipe.get()
    if pipe is None:
        raise ResourceNameNotAvailable()
    return pipe


def resource_name() -> str:
    """The name of the resource whose function runs.

    Raises:
        ResourceNameNotAvailable: None does.
    """
    return current_pipe().name


def current_resource() -> DltResource[Any]:
    """The resource whose function runs.

    Raises:
        CurrentSourceNotAvailable: No source is being read.
        ResourceNameNotAvailable: No resource is.
    """
    return current_source().resources.with_pipe(current_pipe())


def resource_metrics() -> StateDict:
    """Custom metrics of the current resource; what is written here shows in the extract info.

    Raises:
        CurrentSourceNotAvailable: No source is being read.
    """
    return current_resource().custom_metrics
