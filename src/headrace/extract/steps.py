"""Steps of a pipe: what happens to each item between the resource's function and the package."""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.errors.extract import InvalidStepFunctionArguments

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.extract.pipe import Pipe

StepFunction = Callable[..., Any]


class BaseItemTransform(ABC):
    """A step. Called with each item (or page) and its meta; returns an item, or None to drop it.

    Attributes:
        placement_affinity: Steps are ordered by it: negative ones come right behind the function, steps of 0 in the
            order in which they were added, then those above.
    """

    placement_affinity: ClassVar[float] = 0.0

    def bind(self, pipe: Pipe) -> Self:
        """Called once before items flow; returns the step that will be used."""
        return self

    @abstractmethod
    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the item that goes on, or None."""


class ItemTransform(BaseItemTransform):
    """A step made from a function of single items; pages (lists) are unrolled.

    Args:
        transform_f: Takes the item and, if it has such an argument, ``meta``.
    """

    def __init__(self, transform_f: StepFunction) -> None:
        self.f = transform_f
        self._takes_meta = takes_meta(transform_f)

    def bind(self, pipe: Pipe) -> Self:
        """Check that the function can be called with an item.

        Raises:
            InvalidStepFunctionArguments: It cannot.
        """
        check_step_function(pipe.name, self.f, self._takes_meta)
        return self

    def one(self, meta: Any) -> Callable[[Any], Any]:
        """The function as one of the item alone."""
        f = self.f
        return (lambda item: f(item, meta=meta)) if self._takes_meta else f


class MapItem(ItemTransform):
    """Replaces each item by what the function makes of it."""

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the new item; for a page, a page of the same length."""
        f = self.one(meta) if self._takes_meta else self.f
        if isinstance(item, list):
            return [f(i) for i in item]
        return f(item)


class FilterItem(ItemTransform):
    """Keeps items for which the function is true."""

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the item or None; for a page, a shorter page, or None when nothing of it is left."""
        f = self.one(meta) if self._takes_meta else self.f
        if isinstance(item, list):
            return [i for i in item if f(i)] or (None if item else item)
        return item if f(item) else None


class YieldMapItem(ItemTransform):
    """Replaces each item by all the items that the function yields."""

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        """Give an iterator over the new items."""
        f = self.one(meta) if self._takes_meta else self.f
        if isinstance(item, list):
            return (new for i in item for new in f(i))
        return iter(f(item))


class PlainStep(ItemTransform):
    """Hands items and pages to a function as they come."""

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give what the function gives."""
        return self.f(item, meta=meta) if self._takes_meta else self.f(item)


class MetricsItem(BaseItemTransform):
    """Lets a function look at each item or page and write metrics of the resource.

    Args:
        metrics_f: Takes the item or page, its meta and the dictionary of metrics.
    """

    def __init__(self, metrics_f: Callable[[Any, Any, dict[str, Any]], None]) -> None:
        self.f = metrics_f
        self.custom_metrics: dict[str, Any] = {}

    def bind(self, pipe: Pipe) -> Self:
        """Write into the metrics of the pipe's resource."""
        self.custom_metrics = pipe.custom_metrics
        return self

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the item as it came."""
        self.f(item, meta, self.custom_metrics)
        return item


class SelectTables(BaseItemTransform):
    """Drops items that go to other tables than the selected ones.

    Args:
        table_names: The tables to keep.
        name_of: Gives the table of an item without a mark.
    """

    def __init__(self, table_names: frozenset[str], name_of: Callable[[Any], str]) -> None:
        self.table_names = table_names
        self.name_of = name_of

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the item or page reduced to the selected tables, or None."""
        name = getattr(meta, "table_name", None)
        if name is not None:
            return item if name in self.table_names else None
        if isinstance(item, list):
            kept = [i for i in item if self.name_of(i) in self.table_names]
            return kept or None
        return item if self.name_of(item) in self.table_names else None


class LimitItem(BaseItemTransform):
    """Stops the pipe after a number of items or some time.

    Args:
        max_items: Yields of the function (pages count as one) that reach the end of the pipe, or rows with
            ``count_rows``.
        max_time: Seconds since the first item was asked for.
        count_rows: Count rows. A page is never cut, so that a few more rows may come.
    """

    placement_affinity: ClassVar[float] = 1.1

    def __init__(self, max_items: int | None, max_time: float | None = None, count_rows: bool = False) -> None:
        self.max_items = max_items if max_items is not None and max_items >= 0 else None
        self.max_time = max_time or None
        self.count_rows = bool(count_rows)
        self.count = 0
        self._started: float | None = None

    def bind(self, pipe: Pipe) -> Self:
        """Start counting anew."""
        self.count = 0
        self._started = time.monotonic() if self.max_time else None
        return self

    @property
    def exhausted(self) -> bool:
        """Whether no more items are wanted."""
        if self.max_items is not None and self.count >= self.max_items:
            return True
        return self._started is not None and time.monotonic() - self._started > (self.max_time or 0.0)

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the item, or None when the limit was reached before it."""
        if self.exhausted:
            return None
        if self.count_rows:
            from headrace.extract.items import count_rows

            self.count += count_rows(item)
        else:
            self.count += 1
        return item

    def limit(self, chunk_size: int) -> int | None:
        """The limit in rows for readers that read in chunks: pages times their size, or the rows themselves."""
        if self.max_items is None or self.count_rows:
            return self.max_items
        return self.max_items * chunk_size


def takes_meta(f: StepFunction) -> bool:
    """Whether the function has an argument called ``meta``.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(f):
        raise TypeError(f"a step must be a function of the item, and a {type(f).__name__} cannot be called")
    try:
        return "meta" in inspect.signature(f).parameters
    except ValueError:  # built-in functions without a signature
        return False


def check_step_function(pipe_name: str, f: StepFunction, with_meta: bool) -> None:
    """Check that a function can be called with an item.

    Raises:
        InvalidStepFunctionArguments: It needs more arguments, or takes none.
    """
    try:
        signature = inspect.signature(f)
    except ValueError:
        return
    try:
        if with_meta:
            signature.bind(None, meta=None)
        else:
            signature.bind(None)
    except TypeError as error:
        name = getattr(f, "__name__", type(f).__name__)
        raise InvalidStepFunctionArguments(pipe_name, name, signature, str(error)) from error
