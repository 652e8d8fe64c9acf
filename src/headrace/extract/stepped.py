"""Adding steps to a resource."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from headrace.extract.cursor import IncrementalResourceWrapper, ensure_incremental, incremental_class
from headrace.extract.hinted import DltResourceHints
from headrace.extract.hints import TResourceHints
from headrace.extract.models import ModelValidator, model_contract
from headrace.extract.steps import (
    BaseItemTransform,
    FilterItem,
    LimitItem,
    MapItem,
    MetricsItem,
    PlainStep,
    SelectTables,
    YieldMapItem,
)

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.extract.pipe import Pipe

_logger = logging.getLogger("headrace")


class WithSteps(DltResourceHints):
    """The part of a resource that knows the steps of its pipe; some of them follow from hints."""

    _pipe: Pipe

    @property
    def name(self) -> str:
        """The name; state, settings and by default the table are known by it."""
        return self._pipe.name

    @property
    def is_transformer(self) -> bool:
        """Whether it takes items of another resource."""
        function = self._pipe.function
        return self._pipe.has_parent or (function is not None and function.is_transformer)

    @property
    def incremental(self) -> IncrementalResourceWrapper | None:
        """The cursor: an attribute look-up on it gives those of the incremental in force."""
        return self._pipe.incremental

    @property
    def limit(self) -> LimitItem | None:
        """The limit of items, if one was set."""
        return self._pipe.limit

    @property
    def validator(self) -> ModelValidator | None:
        """The step that validates items with a pydantic model."""
        return next(iter(self._pipe.of_type(ModelValidator)), None)

    @validator.setter
    def validator(self, step: ModelValidator | None) -> None:
        self._pipe.remove_type(ModelValidator)
        if step is not None:
            self._pipe.append_step(step)

    def add_map(self, item_map: Callable[..., Any], insert_at: int | None = None) -> Self:
        """Replace each item by what a function makes of it; pages are unrolled.

        Args:
            item_map: Takes the item, and the mark of the item if it has an argument ``meta``.
            insert_at: Index among the steps, from 1; by default behind those added before.
        """
        return self._add(MapItem(item_map), insert_at)

    def add_yield_map(self, item_map: Callable[..., Iterator[Any]], insert_at: int | None = None) -> Self:
        """Replace each item by the items that a function yields for it; see `add_map`."""
        return self._add(YieldMapItem(item_map), insert_at)

    def add_filter(self, item_filter: Callable[..., bool], insert_at: int | None = None) -> Self:
        """Keep the items for which a function is true; see `add_map`."""
        return self._add(FilterItem(item_filter), insert_at)

    def add_metrics(self, metrics_f: Callable[[Any, Any, dict[str, Any]], None], insert_at: int | None = None) -> Self:
        """Let a function see each item or page, its mark, and the dictionary of custom metrics to write to."""
        return self._add(MetricsItem(metrics_f), insert_at)

    def add_step(self, item_transform: Any, insert_at: int | None = None) -> Self:
        """Add a step that gets items and pages as they come: a function, an `ItemTransform`, or an incremental."""
        if isinstance(item_transform, BaseItemTransform):
            return self._add(item_transform, insert_at)
        if "ncremental" in type(item_transform).__name__ and isinstance(item_transform, incremental_class()):
            self.set_incremental(item_transform)
            return self
        return self._add(PlainStep(item_transform), insert_at)

    def add_limit(
        self, max_items: int | None = None, max_time: float | None = None, count_rows: bool | None = False
    ) -> Self:
        """Stop after a number of items or some time; replaces an earlier limit.

        Args:
            max_items: Yields, with pages as one each; 0 for nothing, None or negative for all.
            max_time: Seconds.
            count_rows: Count rows instead; the page that reaches the limit is kept whole.
        """
        if self.is_transformer:
            _logger.warning(
                "add_limit on transformer %s has no effect: set the limit on the resource it takes items from",
                self.name,
            )
            return self
        self._pipe.remove_type(LimitItem)
        return self._add(LimitItem(max_items, max_time, bool(count_rows)), None)

    def select_tables(self, *table_names: str) -> Self:
        """Keep only items that go to the given tables."""
        named = self.table_name
        name_of = named if callable(named) else lambda item: named
        return self._add(SelectTables(frozenset(table_names), name_of), None)

    def _add(self, step: Any, insert_at: int | None) -> Self:
        if insert_at is None:
            self._pipe.append_step(step)
        else:
            self._pipe.insert_step(step, insert_at)
        return self

    # ---- incremental and validation follow the hints ----

    def set_incremental(self, new_incremental: Any) -> Any:
        """Set or, with None, remove the incremental; it wins over arguments. Gives it back."""
        if new_incremental is None or new_incremental is incremental_class().EMPTY:
            self._hints.pop("incremental", None)
        else:
            self._hints["incremental"] = ensure_incremental(new_incremental)
        self._version += 1
        self._sync_incremental()
        return new_incremental

    def _sync_incremental(self) -> None:
        hint = self._hints.get("incremental")
        if hint is not None and hint is incremental_class().EMPTY:
            del self._hints["incremental"]
            hint = None
        step = self._pipe.incremental
        if step is None and hint is not None:
            step = IncrementalResourceWrapper()
            self._pipe.append_step(step)
        if step is not None:
            step.hint, step.primary_key = hint, self._hints.get("primary_key")
            if hint is None and step.argument is None:
                self._pipe.remove_type(IncrementalResourceWrapper)

    def _set_hints(self, hints: TResourceHints, changed: Any) -> None:
        super()._set_hints(hints, changed)
        validator = changed.get("validator")
        if validator is not None:
            self.validator = validator
        self._sync_incremental()

    def _renew_validator(self) -> None:
        present = self.validator
        if present is not None:
            self.validator = ModelValidator(present.model, model_contract(present.model, self.schema_contract))
