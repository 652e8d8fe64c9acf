"""Splitting batches by partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def groups_of(keys: Sequence[pa.Array]) -> Iterator[tuple[tuple[Any, ...], pa.Array]]:
    """Combinations of values of several arrays, NULL being a value, each with the rows that have it, in order."""
    codes = np.zeros(len(keys[0]), np.int64)
    for array in keys:
        encoded = pc.dictionary_encode(array, null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        own = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        _, codes = np.unique(codes * max(len(encoded.dictionary), 1) + own, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        rows = order[start:end]
        yield tuple(array[int(rows[0])].as_py() for array in keys), pa.array(rows)


def split_by_values(batch: pa.RecordBatch, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pa.RecordBatch]]:
    """A batch by the values of some columns, which are left out of the parts."""
    if not batch.num_rows:
        return
    rest = [name for name in batch.schema.names if name not in columns]
    inside = batch.select(rest)
    for values, rows in groups_of([batch.column(name) for name in columns]):
        yield values, inside.take(rows)
