"""Where extract puts rows.

Documents are shredded, frames taken as they are; both end as Arrow in the package's spool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from headrace.base.ids import file_stem, new_file_id
from headrace.columns.arrow import to_tables
from headrace.columns.frame import to_batches
from headrace.columns.keys import item_hash
from headrace.columns.kinds import UnknownValueType
from headrace.columns.shape import ShapeBook, TableKey
from headrace.columns.shred import UNLIMITED, as_documents, shred
from headrace.errors.columns import FileImportNotFound, InvalidDataItem
from headrace.extract.arrow_sink import ArrowTable
from headrace.extract.rejects import Rejections
from headrace.formats.spool import SpoolWriter
from headrace.formats.sqlmodel import FORMAT as MODEL_FORMAT
from headrace.formats.sqlmodel import SqlModel
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import SpoolFile
from headrace.model.judging import ColumnJudge
from headrace.model.rawnames import RawNames
from headrace.model.rowkeys import is_version_in_row_id
from headrace.model.schema import Schema
from headrace.model.shape import ChainShape, later

FRAME_BYTES = 8 * 1024 * 1024
FIRST_FRAME_ROWS = 100  # rows may be wide: the first frame tells
MAX_FRAME_ROWS = 2_000  # shredding is fastest where a frame's values stay in the processor's cache
SPOOL_BYTES = 16 * 1024 * 1024  # a file is what one thread of normalize takes
MOST_OPEN = 64  # files of one table that are open at once; each resource has its own


class Sink(Protocol):
    """What the extract stage hands items to."""

    @property
    def rejections(self) -> Rejections:
        """Takes what contracts let go."""

    def write_rows(self, table: str, rows: list[Any], *, resource: str, max_nesting: int | None) -> None:
        """Take items of any kind for a root table."""

    def write_arrow(self, table: str, item: Any, *, resource: str) -> None:
        """Take a frame for a root table."""

    def write_empty(self, table: str, *, resource: str) -> None:
        """Note that a table is to be made, or emptied on replace, though no row came."""

    def import_file(self, table: str, path: str, *, file_format: str, rows: int, resource: str) -> None:
        """Take a file of rows as it is."""

    def write_model(self, table: str, model: SqlModel, *, resource: str) -> None:
        """Take a query whose rows the destination brings into a table."""


class SpoolSink:
    """Writes a package's spool.

    Args:
        root: The package folder; files go into its ``spool`` folder.
        schema: The schema being filled; asked for JSON columns and names, given columns of Arrow tables.
        capabilities: Of the destination, its defaults when none is known yet.
        compress: Compress spool files.
        keep_rejected: Keep items that contracts let go, of tables that do not say themselves.

    Attributes:
        rejections: What contracts let go while the data was read.
        declared: Columns whose type hints fix, by table.
        judge: Asks gates about the columns of frames.
    """

    def __init__(
        self,
        root: Path,
        schema: Schema,
        capabilities: Capabilities,
        compress: bool = False,
        keep_rejected: bool = False,
    ) -> None:
        self.root, self.schema, self.capabilities = root, schema, capabilities
        self.rejections = Rejections(schema, self, keep_rejected)
        self.compress = compress
        self.names = RawNames(schema)
        # resources that share a table have files of their own: what is told of one is true of it alone
        self._rows: dict[tuple[str, str], _RowTable] = {}
        self._arrow: dict[tuple[str, str], ArrowTable] = {}
        self._open: dict[str, dict[str, Callable[[], None]]] = {}
        self._last: SpoolWriter | None = None
        self._files: list[SpoolFile] = []
        self.row_counts: dict[str, int] = {}
        self.declared: dict[str, set[str]] = {}
        self.judge: ColumnJudge | None = None

    def write_rows(self, table: str, rows: list[Any], *, resource: str, max_nesting: int | None) -> None:
        """Take items of any kind for a root table."""
        known = self._rows.get((table, resource))
        if known is None:
            known = self._rows[table, resource] = _RowTable(self, table, resource, max_nesting)
        known.write(rows)
        self.row_counts[table] = self.row_counts.get(table, 0) + len(rows)

    def write_arrow(self, table: str, item: Any, *, resource: str) -> None:
        """Take a frame for a root table."""
        known = self._arrow.get((table, resource)) or self._arrow_table(table, resource)
        rows = sum(known.write(part) for part in self._tables(table, item, resource))
        self.row_counts[table] = self.row_counts.get(table, 0) + rows

    def _arrow_table(self, table: str, resource: str) -> ArrowTable:
        declared = self.declared.get(table, ())
        made = ArrowTable(self.root, table, resource, self.schema, self.capabilities, declared, self.rejections)
        made.judge = self.judge
        made.opened = partial(self.opened, table, resource, made.close_file)
        # what the first has made of the table is new to it, and to all
        made.is_new = next((known.is_new for (name, _), known in self._arrow.items() if name == table), made.is_new)
        self._arrow[table, resource] = made
        return made

    def opened(self, table: str, resource: str, close: Callable[[], None]) -> None:
        """Note that a file is opened: where very many share a table, another one's is closed, and begun anew later."""
        found = self._open.setdefault(table, {})
        found.pop(resource, None)
        if len(found) >= MOST_OPEN:
            found.pop(next(iter(found)))()
        found[resource] = close

    def _tables(self, table: str, item: Any, resource: str) -> Iterator[pa.Table]:
        try:
            yield from to_tables(item)
        except (ValueError, pa.ArrowException) as error:
            # of a frame that Arrow does not take: mixed columns, two columns of one name
            raise InvalidDataItem(resource, table, "", None, str(error)) from error

    def write_empty(self, table: str, *, resource: str) -> None:
        """Note that a table is to be made, or emptied on replace, though no row came."""
        if all((f.table, f.resource) != (table, resource) for f in self._files):
            self._files.append(SpoolFile(path="", table=table, resource=resource, kind="empty"))
            self.row_counts.setdefault(table, 0)

    def import_file(self, table: str, path: str, *, file_format: str, rows: int, resource: str) -> None:
        """Take a file of rows as it is; it is not copied until load."""
        try:
            size = Path(path).stat().st_size
        except FileNotFoundError as error:
            raise FileImportNotFound(str(path), table_name=table) from error
        self._files.append(
            SpoolFile(path=path, table=table, resource=resource, kind="file", rows=rows, size=size, format=file_format)
        )
        self.row_counts[table] = self.row_counts.get(table, 0) + rows

    def write_model(self, table: str, model: SqlModel, *, resource: str) -> None:
        """Take a query whose rows the destination brings into a table; how many they are is known when it ran."""
        name = self.schema.naming.normalize_identifier(tb.C_DLT_LOAD_ID)
        load_id: Any = {"name": name, "data_type": "text", "nullable": False}
        partial = tb.partial_of(self.schema.tables[table], {name: load_id})
        self.schema.update_table(partial, normalize_identifiers=False)
        self.schema.tables[table].setdefault("x-normalizer", {})["seen-data"] = True
        path = f"models/{file_stem(table)}.{new_file_id()}.{MODEL_FORMAT}"
        (self.root / "models").mkdir(exist_ok=True)
        text = str(model)
        (self.root / path).write_text(text)
        self._files.append(
            SpoolFile(path=path, table=table, resource=resource, kind="file", size=len(text), format=MODEL_FORMAT)
        )
        self.row_counts.setdefault(table, 0)

    def finish(self, before: dict[str, dict[TableKey, int]] | None = None) -> list[SpoolFile]:
        """Write what is buffered and close all files; gives them in the order of writing.

        Args:
            before: Rows of the package by root table and raw table that lie in files of other sinks; added to.
        """
        before = {} if before is None else before
        tables: dict[str, list[_RowTable]] = {}
        for (table, _), rows in self._rows.items():
            tables.setdefault(table, []).append(rows)
        for table, found in tables.items():
            for rows in found:
                self._files += rows.finish(before.setdefault(table, {}))
            self._close_last()
        for frames in self._arrow.values():
            self._files += frames.finish()
        return self._files

    def last_of(self, table: str) -> SpoolWriter:
        """The file for rows of a table whose resource has no file open, when there will be no more of them.

        Hundreds of resources of a few rows would have a file each, to be opened, synced and deleted.
        """
        if self._last is not None and self._last.size >= SPOOL_BYTES:
            self._close_last()
        if self._last is None:
            self._last = self.new_file(table)
        return self._last

    def new_file(self, table: str) -> SpoolWriter:
        """Begin a file."""
        return SpoolWriter(self.root / "spool" / f"{file_stem(table)}.{new_file_id()}.arrow", self.compress)

    def _close_last(self) -> None:
        if self._last is not None:
            self._last.close()
        self._last = None

    def abandon(self) -> None:
        """Close all files after an error; the package is thrown away."""
        self._close_last()
        for rows in self._rows.values():
            rows.close()
        for frames in self._arrow.values():
            frames.close()


class _RowTable:
    """The documents of one root table: buffer, shred, spool."""

    def __init__(self, sink: SpoolSink, table: str, resource: str, max_nesting: int | None) -> None:
        self.sink, self.table, self.resource = sink, table, resource
        self.max_nesting = UNLIMITED if max_nesting is None else max_nesting
        cap = sink.capabilities.max_table_nesting
        if cap is not None:
            self.max_nesting = cap
        self.versioned = table in sink.schema.tables and is_version_in_row_id(sink.schema, table)
        self.buffer: list[Any] = []
        self.target = FIRST_FRAME_ROWS
        self.files: list[SpoolFile] = []
        self.writer: SpoolWriter | None = None
        self.book = ShapeBook()
        self.rows_in_file = self.start = self.at = 0
        self.shared = False  # the open file is not this one's alone

    def write(self, rows: list[Any]) -> None:
        self.buffer += rows
        if len(self.buffer) >= self.target:
            self._drain()

    def _drain(self, last: bool = False) -> None:
        buffer, at = self.buffer, 0
        while len(buffer) - at >= self.target or (last and at < len(buffer)):
            part = buffer[at : at + self.target] if at or len(buffer) > self.target else buffer
            at += len(part)
            self._frame(part, last)
        self.buffer = buffer[at:]

    def _frame(self, rows: list[Any], last: bool) -> None:
        try:
            documents = as_documents(rows)
        except UnknownValueType as error:
            raise InvalidDataItem(self.resource, self.table, *_find(rows, error.value_type)) from error
        if self.versioned:
            documents = [{**d, tb.C_DLT_ID: item_hash(d)} for d in documents]
        try:
            frame = shred(documents, self.max_nesting, self._keep_json)
        except UnknownValueType as error:
            raise InvalidDataItem(self.resource, self.table, *_find(documents, error.value_type)) from error
        except pa.ArrowException as error:
            raise InvalidDataItem(self.resource, self.table, "", None, str(error)) from error
        except RecursionError as error:
            reason = "a document of the batch contains itself, or is nested deeper than Python can follow"
            raise InvalidDataItem(self.resource, self.table, "", None, reason) from error
        self.book.observe(frame)
        writer = self.writer or self._open(last)
        size = 0
        for batch in to_batches(frame):
            writer.write(batch)
            size += batch.nbytes
        self.rows_in_file += len(documents)
        # wide rows come in small frames: memory is bounded by bytes, not by rows
        self.target = max(1, min(MAX_FRAME_ROWS, FRAME_BYTES * len(documents) // max(size, 1)))
        if writer.size - self.at >= SPOOL_BYTES:
            self.close_file()

    def _keep_json(self, table_path: tuple[str, ...], column_path: tuple[str, ...]) -> bool:
        names, schema = self.sink.names, self.sink.schema
        name = names.column(column_path)
        table = schema.tables.get(names.table(self.table, table_path))
        column = table.get("columns", {}).get(name) if table else None
        if column is not None and "data_type" in column:
            return column["data_type"] == "json"
        return schema.preferred_type(name) == "json"

    def _open(self, last: bool) -> SpoolWriter:
        self.shared = last
        if last:
            self.writer = self.sink.last_of(self.table)
        else:
            self.sink.opened(self.table, self.resource, self.close_file)
            self.writer = self.sink.new_file(self.table)
        self.at = self.writer.size
        return self.writer

    def close_file(self) -> None:
        """Close the open file, if there is one; rows that come later begin another."""
        if self.writer is None:
            return
        size = self.writer.size - self.at
        if not self.shared:
            self.writer.close()
        self.files.append(
            SpoolFile(
                path=str(self.writer.path.relative_to(self.sink.root)),
                table=self.table,
                resource=self.resource,
                rows=self.rows_in_file,
                size=size,
                at=self.at,
                shape=self.book.to_dict(),
                start=self.start,
            )
        )
        self.writer, self.start, self.rows_in_file = None, self.start + self.rows_in_file, 0
        self.book = ShapeBook(self.book.rows)

    def finish(self, before: dict[TableKey, int]) -> list[SpoolFile]:
        """Close and give the files, numbering first rows behind those of other resources' files, which are added."""
        self._drain(last=True)
        self.close_file()
        files = self.files
        if before:
            files = [msgspec.structs.replace(f, shape=later(ChainShape.from_dict(f.shape), before)) for f in files]
        for key, rows in self.book.rows.items():
            before[key] = before.get(key, 0) + rows
        return files

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _find(documents: list[Any], value_type: type) -> tuple[str, int | None, str]:
    """Where a value of a type is: path and row, for the error."""

    def walk(value: Any, path: str) -> str | None:
        if type(value) is value_type:
            return path
        if isinstance(value, dict):
            children = [(f"{path}.{k}" if path else str(k), v) for k, v in value.items()]
        elif isinstance(value, (list, tuple)):
            children = [(f"{path}[{i}]", v) for i, v in enumerate(value)]
        else:
            return None
        return next((found for p, v in children if (found := walk(v, p)) is not None), None)

    name = f"{value_type.__module__}.{value_type.__qualname__}"
    for row, document in enumerate(documents):
        found = walk(document, "")
        if found is not None:
            return found, row, f"a value of type {name} has no column type"
    return "", None, f"a value of type {name} has no column type"
