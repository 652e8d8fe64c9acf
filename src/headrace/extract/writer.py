"""From a pipe to the sink: which table an item goes to, and runs of single items gathered into pages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.columns.arrow import is_arrow_like, to_tables
from headrace.extract.declare import Declarations
from headrace.extract.items import (
    HintsMeta,
    ImportFileMeta,
    MaterializedEmptyList,
    ModelMeta,
    TableNameMeta,
    count_rows,
)
from headrace.extract.models import ModelLoss, json_path
from headrace.extract.resource import DltResource
from headrace.model.events import Progress
from headrace.model.rawnames import RawNames
from headrace.model.rejected import REJECTED_OF, RejectedItem, is_sensitive
from headrace.model.schema import Schema

if TYPE_CHECKING:
    from headrace.extract.sink import Sink

CHUNK_ROWS = 100
_QUIET_ROWS, _QUIET_SECONDS = 10_000, 0.2


class ResourceWriter:
    """Takes the items of one resource.

    Args:
        resource: Its hints may change while items come.
        schema: Gets the tables.
        sink: Gets the rows.
        max_nesting: Levels of nested tables, None for no limit.
        publish: Gets the progress.
    """

    def __init__(
        self,
        resource: DltResource[Any],
        schema: Schema,
        sink: Sink,
        max_nesting: int | None,
        publish: Callable[[Any], None],
    ) -> None:
        self.resource, self.sink, self.publish = resource, sink, publish
        self.max_nesting = max_nesting if resource.max_table_nesting is None else resource.max_table_nesting
        self.rows = 0
        self.table_rows: dict[str, int] = {}
        self.wrote = False
        self._declarations = Declarations(
            schema, resource, getattr(sink, "capabilities", None), getattr(sink, "declared", None)
        )
        self._names = RawNames(schema)
        self._buffer: list[Any] = []
        self._marked: dict[str, list[Any]] = {}
        self._static_name = ""
        self._static_known = False
        self._hints_seen: Any = None
        self._shown_rows, self._shown_at = 0, time.monotonic()
        self._look_at_hints()

    def _look_at_hints(self) -> None:
        self._dynamic_hints = self.resource.has_other_dynamic_hints or callable(self.resource.nested_hints)
        self._dynamic = self.resource.has_dynamic_table_name or self._dynamic_hints
        self._static_known = False
        self._hints_version = self.resource._version
        self._declarations.forget()
        self._listen()

    def _listen(self) -> None:
        """Hear of what the resource's pydantic model lets go."""
        validator = self.resource.validator
        if validator is not None:
            columns = self.resource.columns
            validator.report = self._let_go
            validator.sensitive = frozenset(
                name for name, column in ({} if callable(columns) else columns or {}).items() if is_sensitive(column)
            )

    def _let_go(self, losses: list[ModelLoss], meta: Any) -> None:
        rejections, name = self.sink.rejections, self.resource.name
        for loss in losses:
            root = self._declarations.name_of(loss.item, meta)
            keys = [str(part) for part in itertools.takewhile(lambda part: isinstance(part, str), loss.place)]
            column = self._names.column(keys) if keys else ""
            rejections.count(name, root, column, loss.rule, 1)
            if rejections.keeps(root):
                place = (json_path(loss.place), root, column, loss.rule, name, loss.position)
                rejections.put(root, name, [RejectedItem(loss.item, *place, loss.rule.endswith("discard_value"))])

    def __call__(self, item: Any, meta: Any) -> None:
        """Take an item or a page, with its mark."""
        if self.resource._version != self._hints_version:
            # the function itself has changed the hints of its resource
            self.flush_all()
            self._look_at_hints()
        if meta is None and not self._dynamic:
            if type(item) is dict:
                buffer = self._buffer
                buffer.append(item)
                if len(buffer) >= CHUNK_ROWS:
                    self.flush()
            else:
                self._take_static(item)
        else:
            self._take_marked(item, meta)

    # ---- items of the one table of the resource ----

    def _take_static(self, item: Any) -> None:
        if isinstance(item, list):
            self.flush()
            self._write(self._table(), item)
        elif is_arrow_like(item):
            self.flush()
            self._write_frame(self._table(), item)
        else:
            self._buffer.append(item)
            if len(self._buffer) >= CHUNK_ROWS:
                self.flush()

    def _table(self) -> str:
        if not self._static_known:
            self._static_name = self._declarations.declare(None, None)
            self._static_known = True
        return self._static_name

    def flush(self) -> None:
        """Hand on the gathered items."""
        if self._buffer:
            rows, self._buffer = self._buffer, []
            self._write(self._table(), rows)

    def flush_all(self) -> None:
        """Hand on all that was gathered, for every table."""
        self.flush()
        marked, self._marked = self._marked, {}
        for name, rows in marked.items():
            self._take_one(rows, TableNameMeta(name))

    # ---- items with a mark, or with hints that depend on them ----

    def _take_marked(self, item: Any, meta: Any) -> None:
        if type(meta) is TableNameMeta and type(item) is dict and not self._dynamic_hints:
            rows = self._marked.setdefault(meta.table_name, [])
            rows.append(item)
            if len(rows) >= CHUNK_ROWS:
                self._take_one(self._marked.pop(meta.table_name), meta)
            return
        self.flush_all()
        if isinstance(meta, HintsMeta):
            self._merge_hints(meta)
            if isinstance(meta, ImportFileMeta):
                self._import(item, meta)
                return
            if not meta.create_table_variant:
                meta = None
        elif not isinstance(meta, TableNameMeta):
            meta = None
        if meta is not None or not self._dynamic or not isinstance(item, list):
            self._take_one(item, meta)
        elif isinstance(item, MaterializedEmptyList):
            self._write(self._declarations.declare(None, None), item)
        elif self._dynamic_hints:
            for row in item:
                self._take_one(row, None)
        else:
            self._take_by_table(item)

    def _take_one(self, item: Any, meta: Any) -> None:
        sample = item[0] if isinstance(item, list) and item else item
        table = self._declarations.declare(sample, meta)
        if is_arrow_like(item):
            self._write_frame(table, item)
        else:
            self._write(table, item if isinstance(item, list) else [item])

    def _take_by_table(self, page: list[Any]) -> None:
        """Split a page by the name that the function gives for each row; rows of a table stay in order."""
        name_of = self.resource.table_name
        parts: dict[Any, list[Any]] = {}
        for row in page:
            parts.setdefault(name_of(row), []).append(row)
        for rows in parts.values():
            self._take_one(rows, None)

    def _merge_hints(self, meta: HintsMeta) -> None:
        if meta.hints and meta.hints is not self._hints_seen:
            self._hints_seen = meta.hints
            self.resource.merge_hints(meta.hints, meta.create_table_variant)
            self._look_at_hints()

    def _import(self, item: Any, meta: ImportFileMeta) -> None:
        table = self._declarations.declare(item, None)
        if table not in self._declarations.refused:
            name = self.resource.name
            if isinstance(meta, ModelMeta):
                self.sink.write_model(table, meta.model, resource=name)
            else:
                self.sink.import_file(
                    table, meta.file_path, file_format=meta.file_format, rows=meta.items_count, resource=name
                )
            self._count(table, meta.items_count)
        else:
            rule = self._declarations.refused[table]
            self.sink.rejections.count(self.resource.name, table, "", rule, meta.items_count)

    @property
    def unsealed_rows(self) -> int:
        """Rows since the start or the last checkpoint."""
        return self.rows + len(self._buffer)

    def begin_anew(self, sink: Sink) -> None:
        """Write to another sink, and count from 0: what was written so far is sealed."""
        self.sink, self.rows, self.table_rows, self.wrote = sink, 0, {}, False

    # ---- into the sink ----

    def _write(self, table: str, rows: list[Any]) -> None:
        refused = self._declarations.refused.get(table)
        if not rows:
            if isinstance(rows, MaterializedEmptyList) and refused is None:
                self.write_empty(table)
            return
        if is_arrow_like(rows[0]):
            for frame in rows:
                self._write_frame(table, frame)
            return
        if refused is not None:
            self.sink.rejections.rows(table, rows, refused, self.resource.name, self.max_nesting)
            return
        self.sink.write_rows(table, rows, resource=self.resource.name, max_nesting=self.max_nesting)
        self._count(table, len(rows))

    def _write_frame(self, table: str, frame: Any) -> None:
        refused = self._declarations.refused.get(table)
        if refused is not None:
            self.sink.rejections.frame(table, frame, refused, self.resource.name)
            return
        # readers and lazy frames do not know their length: they are read part by part
        parts = [frame] if hasattr(frame, "num_rows") or hasattr(frame, "shape") else to_tables(frame)
        for part in parts:
            self.sink.write_arrow(table, part, resource=self.resource.name)
            self._count(table, count_rows(part))

    def write_empty(self, table: str) -> None:
        """Make, or on replace empty, a table though no row came."""
        self.sink.write_empty(table, resource=self.resource.name)
        self._count(table, 0)

    def empty_replaced(self, schema: Schema) -> None:
        """Empty the tables of a ``replace`` resource that got no rows in this run."""
        resource = self.resource
        disposition = resource.write_disposition
        if isinstance(disposition, dict):
            disposition = disposition["disposition"]
        for table in schema.data_tables(seen_data_only=True):
            if table.get("resource") != resource.name or table.get("parent") or table["name"] in self.table_rows:
                continue
            if REJECTED_OF in table:
                continue  # what was let go before is no row of the resource
            wanted = table.get("write_disposition") if callable(disposition) else disposition
            if wanted == "replace":
                if table.get("write_disposition") != "replace":
                    table["write_disposition"] = "replace"
                self.write_empty(table["name"])

    def _count(self, table: str, rows: int) -> None:
        self.wrote = True
        self.rows += rows
        self.table_rows[table] = self.table_rows.get(table, 0) + rows
        self._shown_rows += rows
        if self._shown_rows >= _QUIET_ROWS or time.monotonic() - self._shown_at >= _QUIET_SECONDS:
            self.show_progress(table)

    def show_progress(self, table: str | None = None) -> None:
        """Publish how many rows came since the last time."""
        if self._shown_rows:
            self.publish(Progress(step="extract", name=table or self.resource.name, inc=self._shown_rows))
        self._shown_rows, self._shown_at = 0, time.monotonic()
