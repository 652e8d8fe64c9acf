"""The loop that moves items through pipes.

Order of items: with ``round_robin`` each resource gives one item in turn, with ``fifo`` one is read to its end before
the next. When all resources are plain generators and ``chunk`` is above 1, a turn is that many items instead of one,
which costs much less and changes only how the items of *different* resources interleave; the order within a resource
is always the order of its yields. What a transformer or `add_yield_map` makes of an item is read to its end at once.
Items that are computed in threads or on the event loop come when they are done.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from headrace.errors.extract import InvalidResourceReturnsResource
from headrace.extract.failing import CLEAR, fail, step_name
from headrace.extract.items import (
    ASYNC_ITERATOR,
    AWAITABLE,
    CALLABLE,
    CHECKPOINT,
    ITERATOR,
    META,
    QUERY,
    MaterializedEmptyList,
    kind_of,
    open_query,
)
from headrace.extract.nodes import Node, make_nodes
from headrace.extract.parallel import END, Workers
from headrace.extract.pipe import Pipe
from headrace.extract.state import _pipe

_SYNC, _THREAD, _ASYNC = range(3)


class _Feed:
    """Something to draw items from: the data of a pipe, or what one of its steps gave."""

    __slots__ = ("flying", "index", "iterator", "meta", "mode", "node", "root")

    def __init__(self, node: Node, index: int = 0, meta: Any = None, iterator: Any = None, mode: int = _SYNC) -> None:
        self.node, self.index, self.meta = node, index, meta
        self.iterator, self.mode = iterator, mode
        self.root = iterator is None
        self.flying = False


class Flow:
    """Pipes in motion.

    Args:
        pipes: Those whose items are wanted; the ones they take items from run too.
        max_parallel_items: How many items may be computed outside the main thread at a time.
        workers: Threads for deferred functions and parallelized resources.
        next_item_mode: ``round_robin`` or ``fifo``.
        chunk: Items a turn, see the module's text; 1 for exact turns.
        poll: Seconds between looks at running items while waiting for them.
        copy_on_fork: Give each transformer a copy of its own of each item.
    """

    def __init__(
        self,
        pipes: Sequence[Pipe],
        *,
        max_parallel_items: int = 20,
        workers: int = 5,
        next_item_mode: str = "round_robin",
        chunk: int = 1,
        poll: float = 0.1,
        copy_on_fork: bool = False,
    ) -> None:
        self.nodes = make_nodes(pipes)
        self._room = max(1, max_parallel_items)
        self._fifo = next_item_mode == "fifo"
        self._chunk = chunk
        self._poll = max(poll, 0.1)
        self._copy_on_fork = copy_on_fork
        self._workers = Workers(workers)
        self._pending: dict[Future[Any], tuple[_Feed, bool]] = {}
        self._roots: deque[_Feed] = deque()
        self._spawned: deque[_Feed] = deque()
        self._ended: list[Node] = []
        self.on_end: Callable[[Node], None] | None = None

    def prepare(self) -> None:
        """Find arguments and bind steps of all pipes, before anything is read."""
        for node in self.nodes:
            node.prepare()
        self._roots.extend(_Feed(node) for node in self.nodes if node.pipe.parent is None)
        if any(feed.node.parallel for feed in self._roots):
            self._chunk = 1
        elif len(self._roots) > 1 and not self._fifo:
            self._chunk = min(self._chunk, 100)

    def run(self) -> None:
        """Move all items to where they go, and tell the incrementals that all were seen."""
        for _ in self.turns():
            pass

    def turns(self) -> Iterator[None]:
        """The same, a turn at a time. Threads and generators are closed at the end, early or not."""
        try:
            while self._roots or self._spawned or self._pending:
                while (future := self._workers.finished(0)) is not None:
                    self._land(future)
                feed = self._next_feed()
                if feed is not None:
                    self._turn(feed)
                elif self._pending:
                    self._wait()
                if self._ended:
                    self._seal_ended()
                yield
            for node in self.nodes:
                if node.incremental is not None:
                    node.incremental.finish(node.pipe)
        finally:
            self.close()

    def close(self) -> None:
        """Stop what runs in threads, then close generators so that their clean-up code runs."""
        feeds = [*self._roots, *self._spawned]
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        self._roots.clear()
        self._spawned.clear()
        self._workers.close([feed.iterator for feed in feeds if feed.mode == _ASYNC])
        for feed in feeds:
            if feed.mode != _ASYNC:
                _close(feed.iterator)

    # ---- checkpoints ----

    def settle(self, nodes: Sequence[Node]) -> None:
        """Take all items that are on their way through some nodes to where they go."""
        while True:
            feed = next((f for f in self._spawned if f.node in nodes and not f.flying), None)
            if feed is not None:
                self._turn(feed)
            elif any(f.node in nodes for f, _ in self._pending.values()):
                self._wait()
            elif not any(f.node in nodes for f in self._spawned):
                return

    def _seal_ended(self) -> None:
        """Data that was read to its end need not wait for that of other resources."""
        ended, self._ended = self._ended, []
        for node in ended:
            if self.on_end is not None:
                self.on_end(node)
            if node.tree is not None and self._roots:
                node.tree.at_end()

    # ---- turns ----

    def _next_feed(self) -> _Feed | None:
        """Whose turn it is; None when all wait for items that are being computed."""
        found = self._idle(self._spawned)
        # feeds made by steps go first once there are many, so that they do not pile up
        if found is None and len(self._spawned) < self._room:
            if self._fifo:
                found = self._roots[0] if self._roots and not self._roots[0].flying else None
            else:
                found = self._idle(self._roots)
        return found

    def _idle(self, feeds: deque[_Feed]) -> _Feed | None:
        for _ in range(len(feeds)):
            feed = feeds[0]
            feeds.rotate(-1)
            if not feed.flying:
                return feed
        return None

    def _turn(self, feed: _Feed) -> None:
        node = feed.node
        token = _pipe.set(node.pipe)
        try:
            if feed.root and node.wants_no_more():
                self._end(feed, close=True)
                return
            if feed.iterator is None:
                self._open(feed)
            if feed.mode != _SYNC:
                self._launch(feed)
            elif node.plain and feed.root and self._chunk > 1 and not self._pending:
                self._drain_plain(feed)
            else:
                self._drain(feed)
        finally:
            _pipe.reset(token)

    def _open(self, feed: _Feed) -> None:
        node = feed.node
        try:
            feed.iterator, is_async = node.open()
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            fail(node, node.pipe.function, "function", error)
        feed.mode = _ASYNC if is_async else _THREAD if node.parallel else _SYNC

    def _drain_plain(self, feed: _Feed) -> None:
        """Hand on runs of documents as pages: a pipe without steps has nothing to do with single ones."""
        rows: list[Any] = []
        other: Any = END
        iterator, node = feed.iterator, feed.node
        try:
            for item in iterator:
                if type(item) is dict:
                    rows.append(item)
                    if len(rows) < self._chunk:
                        continue
                    other = None
                    break
                other = item
                break
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            fail(node, node.pipe.gen, "generator", error)
        if rows:
            node.out(rows, None)
        if other is END:
            self._end(feed)
        elif other is not None:
            self._run(node, 0, other, None)

    def _drain(self, feed: _Feed) -> None:
        node, index, iterator = feed.node, feed.index, feed.iterator
        for _ in range(self._chunk):
            try:
                item = next(iterator, END)
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                fail(node, node.pipe.gen, "generator", error)
            if item is END:
                self._end(feed)
                return
            self._run(node, index, item, feed.meta)
            if feed.root and node.tree is not None:
                node.tree.after_item()
            if feed.root and node.may_end_early and node.wants_no_more():
                self._end(feed, close=True)
                return
            if self._pending:
                return

    def _end(self, feed: _Feed, close: bool = False) -> None:
        feeds = self._roots if feed.root else self._spawned
        feeds.remove(feed)
        if feed.root:
            self._ended.append(feed.node)
        if close and feed.iterator is not None:
            if feed.mode == _ASYNC:
                self._workers.close_async(feed.iterator)
            else:
                _close(feed.iterator)

    # ---- items ----

    def _run(self, node: Node, index: int, item: Any, meta: Any) -> None:
        """Take an item through the steps from an index on, and to where it goes."""
        steps = node.steps
        count = len(steps)
        while True:
            kind = type(item)
            if kind is not dict and kind is not list:
                if item is None:
                    return
                special = kind_of(item)
                if special == META:
                    item, meta = item.data, item.meta
                    continue
                if special:
                    self._draw(node, index, item, meta, special)
                    return
                if kind is MaterializedEmptyList:
                    index = count
            if index >= count:
                break
            try:
                item = steps[index](item, meta)
            except CLEAR:
                raise
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                fail(node, step_name(node, index), "transform", error)
            index += 1
        for child in node.children:
            token = _pipe.set(child.pipe)
            try:
                self._run(child, 0, copy.deepcopy(item) if self._copy_on_fork else item, meta)
            finally:
                _pipe.reset(token)
        if node.emits:
            node.out(item, meta)

    def _draw(self, node: Node, index: int, item: Any, meta: Any, kind: int) -> None:
        """Something that is no data yet: draw items from it now, or have it computed elsewhere."""
        if kind == ITERATOR:
            if node.parallel:
                self._spawned.append(_Feed(node, index, meta, item, _THREAD))
                return
            while True:
                try:
                    new = next(item, END)
                except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                    fail(node, node.pipe.gen, "generator", error)
                if new is END:
                    return
                self._run(node, index, new, meta)
        elif kind == ASYNC_ITERATOR:
            self._spawned.append(_Feed(node, index, meta, item, _ASYNC))
        elif kind == AWAITABLE:
            self._make_room()
            self._pending[self._workers.schedule(item)] = (_Feed(node, index, meta, item), False)
        elif kind == CALLABLE:
            if hasattr(item, "_pipe"):
                raise InvalidResourceReturnsResource(node.pipe.name, item, type(item))
            self._make_room()
            self._pending[self._workers.call(item)] = (_Feed(node, index, meta, item), False)
        elif kind == QUERY:
            node.pipe.note_query(item)
            self._run(node, index, *open_query(item, meta))
        elif kind == CHECKPOINT and node.tree is not None:
            node.tree.at_mark()

    # ---- items computed elsewhere ----

    def _launch(self, feed: _Feed) -> None:
        """Have the next item of a feed computed."""
        self._make_room()
        fetch = self._workers.fetch if feed.mode == _THREAD else self._workers.fetch_async
        feed.flying = True
        self._pending[fetch(feed.iterator)] = (feed, True)

    def _make_room(self) -> None:
        while len(self._pending) >= self._room:
            self._wait()

    def _wait(self) -> None:
        # with a timeout, so that signals are seen while waiting
        future = self._workers.finished(self._poll)
        if future is not None:
            self._land(future)

    def _land(self, future: Future[Any]) -> None:
        """Take an item that was computed elsewhere on its way."""
        found = self._pending.pop(future, None)
        if found is None:
            return
        feed, is_fetch = found
        node = feed.node
        token = _pipe.set(node.pipe)
        try:
            error = future.exception()
            if error is not None:
                fail(
                    node, feed.iterator if not is_fetch else node.pipe.gen, "generator" if is_fetch else "future", error
                )
            self._landed(feed, is_fetch, future.result())
        finally:
            _pipe.reset(token)

    def _landed(self, feed: _Feed, is_fetch: bool, item: Any) -> None:
        node = feed.node
        if not is_fetch:
            self._run(node, feed.index, item, feed.meta)
            return
        feed.flying = False
        if item is END:
            self._end(feed)
            return
        if not node.may_end_early and (node.tree is None or kind_of(item) != CHECKPOINT):
            # the next item is fetched while this one is worked on
            self._launch(feed)
        self._run(node, feed.index, item, feed.meta)
        if feed.root and node.tree is not None and not feed.flying:
            node.tree.after_item()


def _close(iterator: Any) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
