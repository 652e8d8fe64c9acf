"""Data frames and Arrow data of every make, as Arrow tables.

Whether an item is a frame is decided by the module of its type, so that nothing is imported for users who have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_FRAMES = {
    "pyarrow": frozenset({"Table", "RecordBatch", "RecordBatchReader"}),
    "pandas": frozenset({"DataFrame"}),
    "polars": frozenset({"DataFrame", "LazyFrame"}),
}
_known: dict[type, str | None] = {}


def frame_library(item: Any) -> str | None:
    """``"pyarrow"``, ``"pandas"`` or ``"polars"`` for a frame of that library, None for any other item."""
    kind = type(item)
    try:
        return _known[kind]
    except KeyError:
        found = None
        for base in kind.__mro__:
            library = base.__module__.partition(".")[0]
            if base.__name__ in _FRAMES.get(library, ()):
                found = library
                break
        _known[kind] = found
        return found


def is_arrow_like(item: Any) -> bool:
    """Whether the item is a table already: Arrow table, batch or reader, pandas or polars frame."""
    return frame_library(item) is not None


def is_arrow_schema(value: Any) -> bool:
    """Whether a value is an Arrow schema; pyarrow is not loaded for that."""
    return type(value).__module__.partition(".")[0] == "pyarrow" and type(value).__name__ == "Schema"


def to_tables(item: Any) -> Iterator[pa.Table]:
    """Give a frame as Arrow tables, without copying where the library allows it.

    A record batch reader gives a table a batch, so that it is never held whole. The index of a pandas frame is kept
    only when it has a name, as pandas itself does in its own Arrow conversion.
    """
    import pyarrow as pa

    from headrace.errors.columns import UnsupportedArrowTypeException

    library = frame_library(item)
    if library == "pandas":
        named = any(name is not None for name in item.index.names)
        yield pa.Table.from_pandas(item, preserve_index=named).replace_schema_metadata(None)
    elif library == "polars":
        frame = item.collect() if hasattr(item, "collect") else item
        odd = next((name for name, kind in frame.schema.items() if str(kind) == "Object"), None)
        if odd is not None:
            # polars would give the addresses of the objects as binary values
            raise UnsupportedArrowTypeException("Object (of polars)", odd, "")
        yield frame.to_arrow()
    elif isinstance(item, pa.RecordBatch):
        yield pa.Table.from_batches([item])
    elif isinstance(item, pa.RecordBatchReader):
        for batch in item:
            yield pa.Table.from_batches([batch])
    elif isinstance(item, pa.Table):
        yield item
    else:
        raise TypeError(f"{type(item).__name__} is no Arrow table, record batch, reader or data frame")
