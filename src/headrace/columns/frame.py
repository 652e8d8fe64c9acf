"""What the shredder makes: the tables of one batch of documents, tied together by row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Path = tuple[str, ...]
Indices = npt.NDArray[np.int32]


class RawColumn(NamedTuple):
    """Values of one kind at one path of one raw table.

    Attributes:
        path: Keys from the row's document down to the value.
        kind: What the values are, see `columns.kinds`.
        values: As long as the table; null where the row has no value of this kind.
        first: The first row that has one.
    """

    path: Path
    kind: str
    values: pa.Array
    first: int


class RawTable(NamedTuple):
    """One table of a frame, under the keys its documents came with.

    Attributes:
        path: Keys from the root document down to the list that holds the rows; empty for the root.
        above: Index of the parent table in the frame; -1 for the root.
        rows: How many rows.
        parent: For each row the row of the parent table that holds it; None for the root.
        position: For each row its place in its list; None for the root.
        columns: In the order of the keys.
        nulls: Paths at which only None was seen.
        form: What the list holds: empty for documents, ``values`` for none, ``mixed`` for both.
        made: How many of the columns, the first ones, hold elements of the list that are no documents.
        inner: The list is an element of a list.
    """

    path: Path
    above: int
    rows: int
    parent: Indices | None
    position: Indices | None
    columns: list[RawColumn]
    nulls: list[Path]
    form: str = ""
    made: int = 0
    inner: bool = False


Frame = list[RawTable]
"""Parents before children; the root first."""


_META = b"headrace"
PARENT, POSITION, ROWS = "#parent", "#position", "#rows"


class TableHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a spooled batch says of itself, as JSON in its schema's metadata.

    Two batches with equal heads have equal columns, so a plan made for one serves the other.
    """

    path: list[str]
    above: int
    columns: list[tuple[list[str], str]] = []
    form: str = ""


_heads = msgspec.json.Encoder()
_decode_head = msgspec.json.Decoder(TableHead).decode
_schemas: dict[tuple[object, ...], pa.Schema] = {}


def to_batches(frame: Frame) -> list[pa.RecordBatch]:
    """One record batch a table, in the frame's order, ready to be spooled."""
    return [_to_batch(table) for table in frame]


def _to_batch(table: RawTable) -> pa.RecordBatch:
    arrays: list[pa.Array] = []
    if table.parent is not None:
        arrays = [pa.array(table.parent), pa.array(table.position)]
    elif not table.columns:
        arrays = [pa.nulls(table.rows)]
    arrays += [c.values for c in table.columns]
    key = (table.path, table.above, table.form, tuple([(c.path, c.kind, c.values.type) for c in table.columns]))
    schema = _schemas.get(key)
    if schema is None:
        if len(_schemas) > 10_000:
            _schemas.clear()
        schema = _schemas[key] = _schema_of(table, arrays)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _schema_of(table: RawTable, arrays: list[pa.Array]) -> pa.Schema:
    names = [PARENT, POSITION] if table.parent is not None else [] if table.columns else [ROWS]
    names += [str(i) for i in range(len(table.columns))]
    head = TableHead(list(table.path), table.above, [(list(c.path), c.kind) for c in table.columns], table.form)
    fields = [pa.field(n, a.type) for n, a in zip(names, arrays, strict=True)]
    return pa.schema(fields, metadata={_META: _heads.encode(head)})


def head_bytes(batch: pa.RecordBatch) -> bytes:
    """The head of a spooled batch, undecoded: a key for plans."""
    found: bytes = batch.schema.metadata[_META]
    return found


def read_head(raw: bytes) -> TableHead:
    """Decode a head."""
    return _decode_head(raw)


def group_frames(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Put spooled batches back together into frames: a new one starts at each root table."""
    frame: list[pa.RecordBatch] = []
    for batch in batches:
        if frame and is_root(batch):
            yield frame
            frame = []
        frame.append(batch)
    if frame:
        yield frame


def is_root(batch: pa.RecordBatch) -> bool:
    """Whether the batch holds rows of a root table."""
    return bool(batch.schema.names[0] != PARENT)
