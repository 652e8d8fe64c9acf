"""Checkpoints: what was read so far is sealed while the rest is still being read.

A resource without a parent and the transformers below it are a `Tree`: they have one position in the data, and their
rows are sealed together with it. A checkpoint of one tree says nothing of the others. It is made only where rows and
state agree:

* with a cursor whose rows come in order, between two values of the cursor, so that no row of a value is left out and
  none is read again; a page that goes on beyond the last value is cut in two;
* where a resource yields `mark.checkpoint`;
* at the end of a tree whose next run begins where this one ends, while others are still being read.

Rows of all other trees are kept, unsealed, until the extract is complete: should it fail, their data is read again.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.extract.state import peek_resource_state
from headrace.model.schema import Schema

if TYPE_CHECKING:
    from headrace.extract.incremental import Incremental
    from headrace.extract.iterate import Flow
    from headrace.extract.nodes import Node
    from headrace.extract.sink import SpoolSink
    from headrace.extract.stage import SourceExtractResult
    from headrace.extract.writer import ResourceWriter

logger = logging.getLogger("headrace")

States = dict[str, dict[str, Any]]


class Checkpoint(NamedTuple):
    """What is sealed.

    Attributes:
        source: Name of the source.
        sink: Holds the rows.
        states: The state of the resources, by name, as of these rows.
        result: Counts of these rows.
    """

    source: str
    sink: SpoolSink
    states: States
    result: SourceExtractResult


class CheckpointPlan(NamedTuple):
    """When checkpoints are made, and by whom.

    Attributes:
        rows: After so many rows of a tree; None for no such limit.
        seconds: After so long; None for no such limit.
        new_sink: Makes a sink for the rows of one tree.
        seal: Makes a checkpoint durable.
    """

    rows: int | None
    seconds: float | None
    new_sink: Callable[[], SpoolSink]
    seal: Callable[[Checkpoint], None]


class Tree:
    """A resource with its transformers, sealed part by part.

    Args:
        flow: What reads them.
        nodes: The root first.
        writers: Of those whose items are wanted.
        source: Name of the source, the key of its state.
        schema: Says what becomes of the tables.
        plan: When to seal.
        count: Makes the result of the writers' rows.
    """

    def __init__(
        self,
        flow: Flow,
        nodes: Sequence[Node],
        writers: Sequence[ResourceWriter],
        source: str,
        schema: Schema,
        plan: CheckpointPlan,
        count: Callable[[Sequence[ResourceWriter]], SourceExtractResult],
    ) -> None:
        self._flow = flow
        self.nodes, self.writers, self.source, self.schema, self.plan = nodes, writers, source, schema, plan
        self._count = count
        self._since = time.monotonic()
        self._marked = False
        self._held = False  # no parts are sealed any more
        self._ready: States | None = None
        self._cursor = _active(nodes[0])
        self._steps: dict[str, Any] = {}
        self._set_out()
        if self._cursor is not None:
            self._stand_before_cursor(nodes[0])

    def _set_out(self) -> None:
        self.sink = self.plan.new_sink()
        for writer in self.writers:
            writer.begin_anew(self.sink)

    def _stand_before_cursor(self, root: Node) -> None:
        from headrace.extract.incremental.order import watch_order

        assert self._cursor is not None
        watch_order(self._cursor)
        at = next(i for i, step in enumerate(root.steps) if step is root.incremental)
        step = root.steps[at]
        root.steps[at] = lambda item, meta: self._at_cursor(step, item, meta)

    # ---- places where rows and state may agree ----

    def after_item(self) -> None:
        """The root has given an item, and its function stands still."""
        if self._cursor is not None and self._is_due() and self._may_cut(self._why_not_here()):
            self._flow.settle(self.nodes)
            # what the function writes to the state from here on belongs to the next item
            self._ready = self._own_states()

    def _at_cursor(self, step: Any, item: Any, meta: Any) -> Any:
        """An item comes to the cursor: what lies beyond the last value belongs to the next part."""
        ready, self._ready = self._ready, None
        if ready is None or self._cursor is None:
            return step(item, meta)
        from headrace.extract.incremental.order import cut

        parts = cut(self._cursor, item)
        if parts is None:
            return step(item, meta)
        first, rest = parts
        if first is None:
            self._cut(ready, part=True)
            return step(rest, meta)
        root = self.nodes[0]
        # two items of one would count twice for a limit, and threads would draw them out of turn
        return step(item, meta) if root.limit or root.parallel else self._in_two(step, first, rest, meta, ready)

    def _in_two(self, step: Any, first: Any, rest: Any, meta: Any, ready: States) -> Iterator[Any]:
        yield step(first, meta)
        self._flow.settle(self.nodes)
        self._cut(ready, part=True)
        yield step(rest, meta)

    def at_mark(self) -> None:
        """The root's function says that state and rows agree; a cursor knows better."""
        self._marked = True
        if self._cursor is None and self._is_due() and self._may_cut(self._why_not_here()):
            self._flow.settle(self.nodes)
            self._cut(self._own_states(), part=True)

    def at_end(self) -> None:
        """All of the root's data was read."""
        self._held = False
        if not self._is_due() or self._why_not_at_all():
            return
        self._flow.settle(self.nodes)
        for node in self.nodes:
            if node.incremental is not None:
                node.incremental.finish(node.pipe)
        self._cut(self._own_states(), part=False)

    # ---- rules ----

    def _is_due(self) -> bool:
        if self._held:
            return False
        plan = self.plan
        rows = sum(writer.unsealed_rows for writer in self.writers)
        if plan.rows is not None and rows >= plan.rows:
            return True
        return plan.seconds is not None and rows > 0 and time.monotonic() - self._since >= plan.seconds

    def _why_not_at_all(self) -> str:
        """Why the rows cannot be sealed before the extract is complete; empty when they can."""
        from headrace.extract.incremental.order import keeps_state

        if self._cursor is not None:
            return "" if keeps_state(self._cursor) else "its range is fixed by end_value and leaves no state"
        return "" if self._marked else "it has no cursor, and no state that it marks with `mark.checkpoint`"

    def _why_not_here(self) -> str:
        """Why the rows cannot be sealed before the root's data was read to the end."""
        from headrace.extract.incremental.order import why_unordered

        below = next((n.pipe.name for n in self.nodes[1:] if _active(n) is not None), None)
        if below is not None:
            return f"its transformer `{below}` has a cursor of its own"
        return self._why_not_at_all() or (why_unordered(self._cursor) if self._cursor is not None else "")

    def _why_not_tables(self, part: bool) -> str:
        """Why tables that were written cannot take the rows in parts."""
        from headrace.extract.incremental.order import passes_again

        again = self._cursor is not None and passes_again(self._cursor)
        for name in self.sink.row_counts:
            table = self.schema.tables.get(name, {})
            disposition, columns = table.get("write_disposition"), table.get("columns", {}).values()
            if disposition == "replace":
                return f"table `{name}` is replaced as a whole"
            if disposition != "merge":
                if again:
                    return f"table `{name}` is not merged, and some rows pass the cursor in every run"
            elif part and (strategy := self.schema.merge_strategy(name)) in ("scd2", "cdc"):
                return f"table `{name}` is loaded as complete snapshots ({strategy})"
            elif part and any(column.get("merge_key") or column.get("dedup_sort") for column in columns):
                return f"table `{name}` is merged by a merge_key or dedup_sort, which must see all rows at once"
        return ""

    def _may_cut(self, reason: str) -> bool:
        if reason:
            self._held = True
            logger.warning(
                "Resource `%s` makes no checkpoints: %s. Its rows stay unsealed for now; should the extract fail, they "
                "are read again.",
                *(self.nodes[0].pipe.name, reason),
            )
        return not reason

    # ---- sealing ----

    def _own_states(self) -> States:
        """What resources keep in their state themselves."""
        return {node.pipe.name: self._own_state(node) for node in self.nodes}

    def _own_state(self, node: Node) -> dict[str, Any]:
        found = peek_resource_state(self.source, node.pipe.name)
        return copy.deepcopy({key: value for key, value in found.items() if key != "incremental"})

    def _with_cursors(self, states: States) -> States:
        """The same, with how far cursors are now: they do not move between an item and the next."""
        from headrace.extract.incremental.order import document_so_far, keeps_state

        for node in self.nodes:
            # a document is replaced in the run, never changed in depth
            found: Mapping[str, Any] = peek_resource_state(self.source, node.pipe.name).get("incremental", {})
            documents = {path: dict(document) for path, document in found.items()}
            cursor = _active(node)
            if cursor is not None and keeps_state(cursor):
                documents[str(cursor.cursor_path)] = document_so_far(cursor)
            if documents:
                states[node.pipe.name]["incremental"] = documents
        return states

    def _cut(self, states: States, part: bool) -> None:
        for writer in self.writers:
            writer.flush_all()
        if not self._may_cut(self._why_not_tables(part)):
            return
        self.plan.seal(Checkpoint(self.source, self.sink, self._with_cursors(states), self._count(self.writers)))
        self._since = time.monotonic()
        self._set_out()


def _active(node: Node) -> Incremental[Any] | None:
    return node.incremental.active if node.incremental is not None else None


def plant(
    flow: Flow,
    writers: Mapping[int, ResourceWriter],
    source: str,
    schema: Schema,
    plan: CheckpointPlan,
    count: Callable[[Sequence[ResourceWriter]], SourceExtractResult],
) -> None:
    """Let each tree of a flow make checkpoints; call it once the flow is prepared.

    Args:
        flow: What is read.
        writers: By the id of their node.
        source, schema, plan, count: See `Tree`.
    """
    for root in flow.nodes:
        if root.pipe.parent is None:
            nodes = _below(root)
            own = [writers[id(node)] for node in nodes if id(node) in writers]
            root.tree = Tree(flow, nodes, own, source, schema, plan, count)


def _below(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in _below(child))]
