"""Which functions of the user the items of a pipe went through: what changes them is not ours to explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.extract.cursor import IncrementalResourceWrapper
from headrace.extract.models import ModelValidator
from headrace.extract.steps import FilterItem, ItemTransform, LimitItem, MetricsItem, SelectTables

if TYPE_CHECKING:
    from headrace.extract.pipe import Pipe

_OURS = "headrace."
_UNCHANGED = (FilterItem, LimitItem, SelectTables, IncrementalResourceWrapper, MetricsItem)


def changes_items(step: Any) -> bool:
    """Whether a step behind a resource's function may make other items of them; ours hand values on as they are."""
    return isinstance(step, ModelValidator) or not (isinstance(step, _UNCHANGED) or is_ours(step))


def step_name(step: Any) -> str:
    """What its author calls a step."""
    if isinstance(step, ModelValidator):
        return step.model.__name__
    f = step.f if isinstance(step, ItemTransform) else step
    f = getattr(f, "func", f)  # of functools.partial
    return str(getattr(f, "__name__", type(f).__name__))


def is_ours(step: Any) -> bool:
    """Whether a function is part of headrace."""
    f = step.f if isinstance(step, ItemTransform) else step
    f = getattr(f, "func", f)
    return str(getattr(f, "__module__", None) or type(f).__module__).startswith(_OURS)


def maps_of(pipe: Pipe) -> list[str]:
    """Names of the steps that may change the items of a pipe."""
    return [step_name(step) for step in pipe.steps[1:] if changes_items(step)]


def transformer_of(pipe: Pipe) -> list[str]:
    """The function that makes a pipe's items of another one's; none if there is no other or the function is ours."""
    function = pipe.function
    if pipe.parent is None or function is None or is_ours(function.f):
        return []
    return [function.__name__]


def through(pipe: Pipe) -> list[str]:
    """Functions that made a pipe's items of those of the pipes above it, in the order in which items go through."""
    above = list(pipe.chain())[1:]
    found = [name for parent in reversed(above) for name in maps_of(parent)]
    return found + [name for one in [*reversed(above), pipe] for name in transformer_of(one)]
