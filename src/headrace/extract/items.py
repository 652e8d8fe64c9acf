"""What resources may yield besides plain data, and how any item is told apart by its type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Generic, TypeVar

from headrace.columns.arrow import is_arrow_like
from headrace.formats.sqlmodel import FORMAT as MODEL_FORMAT
from headrace.formats.sqlmodel import SqlModel

TItem = TypeVar("TItem")


class DataItemWithMeta(Generic[TItem]):
    """An item with an instruction on where it goes or what its table is like.

    Args:
        meta: `TableNameMeta`, `HintsMeta` or `ImportFileMeta`.
        data: The item or the page of items.
    """

    __slots__ = ("data", "meta")

    def __init__(self, meta: Any, data: TItem) -> None:
        self.meta = meta
        self.data = data


class TableNameMeta:
    """Send the item to this table."""

    __slots__ = ("table_name",)

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name


class HintsMeta:
    """Change the hints of the resource before the item is written.

    Args:
        hints: As made by `make_hints`.
        create_table_variant: Keep the hints for the table they name, instead of changing the resource.
    """

    __slots__ = ("create_table_variant", "hints")

    def __init__(self, hints: dict[str, Any] | None, create_table_variant: bool = False) -> None:
        self.hints = hints
        self.create_table_variant = create_table_variant


class ImportFileMeta(HintsMeta):
    """Load a finished file instead of items.

    Args:
        file_path: Local path.
        items_count: Rows in the file.
        file_format: One of the loader file formats.
        hints: As made by `make_hints`, or anything with columns.
    """

    __slots__ = ("file_format", "file_path", "items_count")

    def __init__(self, file_path: str, items_count: int, file_format: str, hints: dict[str, Any] | None = None) -> None:
        super().__init__(hints)
        self.file_path = file_path
        self.items_count = items_count
        self.file_format = file_format


class ModelMeta(ImportFileMeta):
    """Load the rows of a query that the destination runs itself.

    Args:
        model: The query.
        hints: As made by `make_hints`.
    """

    __slots__ = ("model",)

    def __init__(self, model: SqlModel, hints: dict[str, Any] | None = None) -> None:
        super().__init__("", 0, MODEL_FORMAT, hints)
        self.model = model


class MaterializedEmptyList(list[Any]):
    """No rows, and still a table: yielded to make the table from its declared columns."""


class CheckpointMark:
    """No data: the resource says that its state agrees with all it has yielded."""


PLAIN, ITERATOR, ASYNC_ITERATOR, AWAITABLE, CALLABLE, META, CHECKPOINT, QUERY = range(8)
"""Kinds of items: data; something to draw items from; a promise of an item; an item with a meta; a mark; a query."""

_kinds: dict[type, int] = {dict: PLAIN, list: PLAIN, str: PLAIN, int: PLAIN, tuple: PLAIN, type(None): PLAIN}


def kind_of(item: Any) -> int:
    """Which kind of item it is, by its type; known types cost one look-up."""
    kind = type(item)
    try:
        return _kinds[kind]
    except KeyError:
        return _kinds.setdefault(kind, _classify(kind))


def _classify(kind: type) -> int:
    if issubclass(kind, DataItemWithMeta):
        return META
    if kind is CheckpointMark:
        return CHECKPOINT
    # readers of record batches are iterators too, but they are one item of data
    if kind.__module__.partition(".")[0] in ("pyarrow", "polars", "pandas"):
        return PLAIN
    if hasattr(kind, "to_model"):
        return QUERY
    if issubclass(kind, AsyncIterator):
        return ASYNC_ITERATOR
    if issubclass(kind, Iterator):
        return ITERATOR
    if issubclass(kind, Awaitable):
        return AWAITABLE
    # documents with a __call__ of their own stay documents
    if issubclass(kind, (dict, list)) or hasattr(kind, "model_dump") or hasattr(kind, "__dataclass_fields__"):
        return PLAIN
    # hasattr would find the __call__ that makes every class callable
    return CALLABLE if any("__call__" in base.__dict__ for base in kind.__mro__) else PLAIN


def open_query(item: Any, meta: Any) -> tuple[Any, Any]:
    """What a query is taken for: a relation for its rows, as a stream of Arrow batches; a model for a file of its own.

    Returns:
        Item and meta.
    """
    if not isinstance(item, SqlModel):
        import pyarrow as pa

        return pa.RecordBatchReader.from_stream(item), meta
    hints = getattr(meta, "hints", None) or ({"columns": item.columns} if item.columns else None)
    return MaterializedEmptyList(), ModelMeta(item, hints)


def count_rows(item: Any) -> int:
    """How many rows an item stands for: the length of a page or frame, 1 for anything else."""
    if item is None:
        return 0
    if type(item) is dict:
        return 1
    if isinstance(item, list):
        return sum(map(count_rows, item)) if item and is_arrow_like(item[0]) else len(item)
    if is_arrow_like(item):
        rows = getattr(item, "num_rows", None)
        if rows is None:
            shape = getattr(item, "shape", None)
            rows = shape[0] if shape else 0
        return int(rows)
    return 1
