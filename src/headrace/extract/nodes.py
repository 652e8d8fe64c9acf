"""Pipes made ready to run: arguments found, steps bound, transformers hung below the pipes they take items from."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.columns.arrow import is_arrow_like
from headrace.errors.extract import PipeGenInvalid, PipeNotBoundToData
from headrace.extract.cursor import IncrementalResourceWrapper
from headrace.extract.pipe import Pipe
from headrace.extract.state import pipe_scope
from headrace.extract.steps import BaseItemTransform, LimitItem

if TYPE_CHECKING:
    from headrace.extract.checkpoint import Tree

Out = Callable[[Any, Any], None]


def _nowhere(item: Any, meta: Any) -> None:
    return None


class Node:
    """A pipe that runs.

    Attributes:
        steps: Called one after another with item and meta; of a transformer, the first is its function.
        children: Nodes of the transformers that take these items.
        out: Where finished items go.
        emits: Whether items are wanted for themselves, and not only for transformers.
        tree: Of a node without a parent: seals what it and the nodes below have read; None without checkpoints.
    """

    __slots__ = (
        "children",
        "emits",
        "gen",
        "incremental",
        "limit",
        "out",
        "parallel",
        "pipe",
        "plain",
        "steps",
        "tree",
    )

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.steps: list[Callable[..., Any]] = []
        self.children: list[Node] = []
        self.out: Out = _nowhere
        self.emits = False
        self.gen: Any = None
        self.parallel = pipe.parallelized
        self.incremental: IncrementalResourceWrapper | None = pipe.incremental
        self.limit: LimitItem | None = None
        self.plain = False
        self.tree: Tree | None = None

    def prepare(self) -> None:
        """Find the arguments of the function and bind the steps.

        Raises:
            ParametrizedResourceUnbound: The function needs arguments.
            ConfigFieldMissingException: A setting is missing.
        """
        pipe, function = self.pipe, self.pipe.function
        pipe.custom_metrics.clear()
        with pipe_scope(pipe):
            found = function.resolve(pipe.name, self.incremental) if function is not None else pipe.gen
            bound = [_bind(step, pipe) for step in pipe.steps[1:]]
        self.steps = [step for step in bound if not _is_idle(step)]
        if function is not None and function.is_transformer:
            self.steps.insert(
                0, _transformer_step(found, function.takes_meta, self.parallel and not function.is_generator())
            )
        else:
            self.gen = found
            self.limit = pipe.limit
        self.plain = not self.steps and not self.children and self.emits

    def wants_no_more(self) -> bool:
        """Whether the data may be closed: the limit is reached, or the rows have run out of the incremental's range."""
        if self.limit is not None and self.limit.exhausted:
            return True
        return self.incremental is not None and self.incremental.can_close()

    @property
    def may_end_early(self) -> bool:
        """Whether asking for an item too many must be avoided."""
        return self.limit is not None or self.incremental is not None

    def open(self) -> tuple[Any, bool]:
        """Call the function; gives the iterator, and whether it is an async one.

        Raises:
            PipeGenInvalid: What it returned cannot be iterated.
        """
        function = self.pipe.function
        data = self.gen() if function is not None else self.gen
        if isinstance(data, AsyncIterable):
            return aiter_of(data), True
        if isinstance(data, Awaitable) or is_arrow_like(data) or isinstance(data, dict):
            return iter((data,)), False
        if isinstance(data, Iterator):
            return data, False
        if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
            return iter(data), False
        raise PipeGenInvalid(self.pipe.name, data)


def aiter_of(data: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """`aiter`, which Python 3.9 has not; async iterators are given back as they are."""
    return data.__aiter__()


def make_nodes(pipes: Sequence[Pipe]) -> list[Node]:
    """Make nodes of the wanted pipes and of all they take items from, roots first.

    Raises:
        PipeNotBoundToData: A transformer takes items from nothing.
    """
    known: dict[int, Node] = {}

    def node_of(pipe: Pipe) -> Node:
        node = known.get(id(pipe))
        if node is None:
            node = Node(pipe)
            if pipe.parent is not None:
                node_of(pipe.parent).children.append(node)
            known[id(pipe)] = node
        return node

    for pipe in pipes:
        if not pipe.is_data_bound:
            raise PipeNotBoundToData(pipe.name, pipe.has_parent)
        node_of(pipe).emits = True
    return list(known.values())


def _bind(step: Any, pipe: Pipe) -> Any:
    return step.bind(pipe) if isinstance(step, BaseItemTransform) else step


def _is_idle(step: Any) -> bool:
    return isinstance(step, IncrementalResourceWrapper) and step.active is None


def _transformer_step(f: Callable[..., Any], with_meta: bool, deferred: bool) -> Callable[[Any, Any], Any]:
    """The function of a transformer as a step; a deferred one is handed on to the thread pool."""
    if deferred and with_meta:
        return lambda item, meta: partial(f, item, meta=meta)
    if deferred:
        return lambda item, meta: partial(f, item)
    if with_meta:
        return lambda item, meta: f(item, meta=meta)
    return lambda item, meta: f(item)
