"""A pipe: the data of a resource, or the function that makes it, and the steps that items go through."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.extract.cursor import IncrementalResourceWrapper
from headrace.extract.functions import ResourceFunction
from headrace.extract.steps import BaseItemTransform, LimitItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.extract.resource import DltResource

TStep = TypeVar("TStep")
_MOST_QUERIES = 16


class Pipe:
    """Data and steps of one resource.

    Args:
        name: The resource's name.
        steps: The data (an iterable, an iterator, an async iterator, an awaitable or a `ResourceFunction`), then the
            steps. Of a transformer, the first is its function.
        parent: The pipe whose items a transformer takes.

    Attributes:
        resource: The resource of a pipe that a transformer takes items from.
        queries: Queries that were read, for lineage; the first few of a kind.
    """

    def __init__(self, name: str, steps: Sequence[Any] = (), parent: Pipe | None = None) -> None:
        self.name = name
        self._steps: list[Any] = []
        self.parent = parent
        self.parallelized = False
        self.custom_metrics: dict[str, Any] = {}
        self.inputs: list[dict[str, Any]] = []
        self.queries: list[Any] = []
        self.resource: DltResource[Any] | None = None
        for step in steps:
            self.append_step(step)

    @property
    def gen(self) -> Any:
        """The data, or the function that makes it."""
        return self._steps[0] if self._steps else None

    @property
    def function(self) -> ResourceFunction | None:
        """The function that makes the data, if it is one."""
        return self.gen if isinstance(self.gen, ResourceFunction) else None

    @property
    def steps(self) -> list[Any]:
        """Data and steps, in the order in which items go through them."""
        return self._steps

    @property
    def is_empty(self) -> bool:
        """Whether there is no data, not even a function."""
        return not self._steps

    @property
    def has_parent(self) -> bool:
        """Whether items come from another pipe."""
        return self.parent is not None

    @property
    def is_data_bound(self) -> bool:
        """Whether items can flow: the first pipe of the chain has data."""
        if self.is_empty:
            return False
        if self.parent is not None:
            return self.parent.is_data_bound
        function = self.function
        return function is None or not function.is_transformer

    def note_query(self, query: Any) -> None:
        """Remember a query whose rows are items of the resource."""
        if len(self.queries) < _MOST_QUERIES:
            self.queries.append(query)

    def append_step(self, step: Any) -> Pipe:
        """Add a step behind those of the same or a lower affinity."""
        if not self._steps:
            self._steps.append(step)
            return self
        affinity = _affinity(step)
        at = len(self._steps)
        while at > 1 and _affinity(self._steps[at - 1]) > affinity:
            at -= 1
        self._steps.insert(at, step)
        return self

    def insert_step(self, step: Any, index: int) -> Pipe:
        """Put a step at an index; that of the data is 0."""
        if index == 0:
            raise ValueError("step 0 is the data of the resource; new steps go behind it, from index 1 on")
        self._steps.insert(index, step)
        return self

    def remove_step(self, index: int) -> None:
        """Take out the step at an index."""
        if index == 0:
            raise ValueError("step 0 is the data of the resource and cannot be removed")
        del self._steps[index]

    def replace_gen(self, gen: Any) -> None:
        """Put other data in place."""
        if self._steps:
            self._steps[0] = gen
        else:
            self._steps.append(gen)

    def of_type(self, kind: type[TStep]) -> list[TStep]:
        """All steps of a class."""
        return [s for s in self._steps[1:] if isinstance(s, kind)]

    def remove_type(self, kind: type[Any]) -> None:
        """Take out all steps of a class."""
        self._steps[1:] = [s for s in self._steps[1:] if not isinstance(s, kind)]

    @property
    def incremental(self) -> IncrementalResourceWrapper | None:
        """The place of the incremental, if there is one."""
        return next(iter(self.of_type(IncrementalResourceWrapper)), None)

    @property
    def limit(self) -> LimitItem | None:
        """The limit, if there is one."""
        return next(iter(self.of_type(LimitItem)), None)

    def chain(self) -> Iterator[Pipe]:
        """This pipe and those it takes items from, itself first."""
        pipe: Pipe | None = self
        while pipe is not None:
            yield pipe
            pipe = pipe.parent

    def clone(self, new_name: str | None = None) -> Pipe:
        """A copy with steps of its own and the same parent. Generators and iterators are shared: they run only once."""
        new = Pipe(new_name or self.name, parent=self.parent)
        new._steps = [_copy_step(s) for s in self._steps]
        new.parallelized = self.parallelized
        new.inputs = list(self.inputs)
        new.resource = self.resource
        return new

    @property
    def exhausted(self) -> bool:
        """Whether the data is a generator that was read to its end."""
        gen = self.gen
        if inspect.isgenerator(gen):
            return inspect.getgeneratorstate(gen) == inspect.GEN_CLOSED
        if inspect.isasyncgen(gen):
            return gen.ag_frame is None
        return False

    def __repr__(self) -> str:
        parent = f" from {self.parent.name}" if self.parent is not None else ""
        return f"Pipe {self.name}{parent} [steps: {len(self._steps)}]"


def clone_pipes(pipes: Sequence[Pipe], seen: dict[int, Pipe] | None = None) -> list[Pipe]:
    """Copy pipes with their parents; pipes that share a parent share its copy.

    Args:
        pipes: What to copy.
        seen: Copies made so far by the identity of the original; extended.

    Returns:
        The copies, in the same order.
    """
    copies = {} if seen is None else seen

    def copy_of(pipe: Pipe) -> Pipe:
        known = copies.get(id(pipe))
        if known is None:
            known = copies[id(pipe)] = pipe.clone()
            if pipe.parent is not None:
                known.parent = copy_of(pipe.parent)
        return known

    return [copy_of(p) for p in pipes]


def _affinity(step: Any) -> float:
    return float(getattr(step, "placement_affinity", 0.0))


def _copy_step(step: Any) -> Any:
    if isinstance(step, (IncrementalResourceWrapper, ResourceFunction)):
        return step.copy()
    if isinstance(step, LimitItem):
        return copy.copy(step)
    return step


__all__ = ["BaseItemTransform", "Pipe", "clone_pipes"]
