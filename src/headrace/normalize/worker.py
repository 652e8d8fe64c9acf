"""The task of normalize: spool files of one table into loader files, the schema frozen.

Tasks share nothing, so any may run anywhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from headrace.base.files import link_or_copy
from headrace.base.logs import log_context
from headrace.columns.apply import FrameNormalizer, Origin
from headrace.columns.coerce import arrow_type
from headrace.columns.frame import group_frames
from headrace.columns.keys import key_ids, random_ids
from headrace.errors.normalize import NormalizeJobFailed
from headrace.formats.spool import SpoolReader, read_spool
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.evolve import ChainTarget
from headrace.model.jobs import LoadFile, SpoolFile
from headrace.model.rejected import RejectedCount, as_counts
from headrace.model.rowkeys import decide_row_keys
from headrace.model.schema import Schema
from headrace.normalize.settings import NormalizeSettings
from headrace.normalize.writers import TableWriters
from headrace.typing import TColumnSchema


class FileRows(NamedTuple):
    """What became of the rows of one spool file."""

    rows: dict[str, int]
    rejected: list[RejectedCount]


class Made(NamedTuple):
    """What became of spool files that were normalized together: loader files, new variants, the rows of each."""

    files: list[LoadFile]
    variants: dict[str, dict[str, TColumnSchema]]
    of: list[FileRows]


class Task(NamedTuple):
    """One spool file to be normalized.

    Attributes:
        root: The package folder.
        number: The file's place among the package's files: part of the seed of its ids.
        chain: Targets of its raw tables; None for Arrow files.
        file_format: Of the loader files.
        max_bytes: Of a loader file.
        rejected: The table that keeps items which the contract lets go; empty to keep none.
        owner: The resource, where the loader files are to name it.
    """

    root: Path
    load_id: str
    seed: int
    number: int
    file: SpoolFile
    chain: ChainTarget | None
    schema: Schema
    capabilities: Capabilities
    settings: NormalizeSettings
    file_format: str
    max_bytes: int
    rejected: str = ""
    owner: str = ""


def normalize_files(tasks: Sequence[Task]) -> Made:
    """Normalize spool files of one table, of one kind, one after the other into the same loader files.

    Raises:
        NormalizeJobFailed: A file could not be normalized; its cause is chained.
    """
    first, of = tasks[0], list[FileRows]()
    writers, rows = _writers(first), None
    with SpoolReader() as reader:
        for task in tasks:
            with _at_work(task):
                writers.owner = task.owner
                if task.chain is None:
                    of.append(_arrow_file(task, writers, alone=len(tasks) == 1))
                else:
                    rows = rows or _RowFiles(task, task.chain, writers, reader)
                    of.append(rows.add(task))
    with _at_work(tasks[-1]):
        return Made(writers.finish(), rows.variants if rows is not None else {}, of)


@contextlib.contextmanager
def _at_work(task: Task) -> Iterator[None]:
    """Let logs and errors say which file it is."""
    try:
        with log_context(table_name=task.file.table, resource_name=task.file.resource or ""):
            yield
    except Exception as error:
        raise NormalizeJobFailed(task.load_id, task.file.path, str(error)) from error


def _writers(task: Task) -> TableWriters:
    options = task.settings.files
    if options.compress and not task.capabilities.compresses_text:
        options = options._replace(compress=False)
    limit = task.settings.file_max_items
    return TableWriters(task.root, task.file_format, task.max_bytes, limit, options, task.schema)


class _RowFiles:
    """Files of documents: what is found out for the columns of one serves the others too."""

    def __init__(self, task: Task, chain: ChainTarget, writers: TableWriters, reader: SpoolReader) -> None:
        self._fields = _fields(chain, task.schema, task.capabilities)
        self._writers, self._reader = writers, reader
        self._normalizer = FrameNormalizer(
            chain, task.schema, task.capabilities, task.load_id, _seed(task), _origin(task)
        )
        self.variants = self._normalizer.variants

    def add(self, task: Task) -> FileRows:
        normalizer, fields = self._normalizer, self._fields
        normalizer.begin(_seed(task), _origin(task))
        rows: dict[str, int] = {}
        for frame in group_frames(self._reader.read(task.root / task.file.path, task.file.at, task.file.size)):
            for batch in normalizer.apply(frame):
                self._writers.write(batch.table, fields.get(batch.table, {}), batch.columns, batch.rows)
                rows[batch.table] = rows.get(batch.table, 0) + batch.rows
        return FileRows(rows, as_counts(normalizer.losses.reasons, task.file.resource))


def _seed(task: Task) -> tuple[int, ...]:
    return task.seed & (1 << 63) - 1, task.number


def _origin(task: Task) -> Origin:
    return Origin(task.file.resource, task.file.start, task.rejected)


def _fields(chain: ChainTarget, schema: Schema, capabilities: Capabilities) -> dict[str, dict[str, pa.DataType]]:
    """For each table the columns that the chain's data may fill, in the table's order."""
    used: dict[str, set[str]] = {}
    for target in chain.tables.values():
        names = {c.name for c in target.columns.values() if c.name}
        used.setdefault(target.name, set()).update(names, target.keys.names())
    return {
        table: {
            name: arrow_type(column, capabilities)
            for name, column in schema.tables[table]["columns"].items()
            if name in names and tb.is_complete_column(column)
        }
        for table, names in used.items()
        if table in schema.tables
    }


def _arrow_file(task: Task, writers: TableWriters, alone: bool) -> FileRows:
    """Arrow data is in its final form since extract: a link does, unless ids or another format are wanted, or small
    files become one.
    """
    table, extra = task.file.table, _added_columns(task)
    rows = FileRows({table: task.file.rows}, [])
    source = task.root / task.file.path
    if alone and not extra and task.file_format == "arrow":
        target = task.root / "files" / source.name
        link_or_copy(source, target)
        with pa.OSFile(str(target)) as opened, pa.ipc.open_stream(opened) as stream:
            names = stream.schema.names
        made = LoadFile(
            id=source.name.split(".")[-2],
            table=table,
            path=f"files/{source.name}",
            format="arrow",
            rows=task.file.rows,
            size=task.file.size,
            columns=names,
            resource=task.owner,
        )
        writers.files.append(made)
        return rows
    for number, batch in enumerate(read_spool(source)):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        if tb.C_DLT_LOAD_ID in extra:
            columns[tb.C_DLT_LOAD_ID] = pa.repeat(pa.scalar(task.load_id, pa.string()), batch.num_rows)
        if tb.C_DLT_ID in extra and tb.C_DLT_ID not in columns:
            columns[tb.C_DLT_ID] = _row_ids(task, columns, batch.num_rows, number)
        writers.write(table, {}, columns, batch.num_rows)
    return rows


def _row_ids(task: Task, columns: dict[str, Any], rows: int, number: int) -> pa.Array:
    """Ids for the rows of a batch: of their key where the merge knows them by it, else random."""
    name = task.file.table
    keys = decide_row_keys(task.schema, name, None, name)
    if keys.row_id == "key_hash" and keys.key_columns and all(k in columns for k in keys.key_columns):
        return key_ids({k: columns[k].to_pylist() for k in keys.key_columns}, rows)
    return random_ids(rows, (*_seed(task), number))


def _added_columns(task: Task) -> list[str]:
    columns: Any = task.schema.tables[task.file.table]["columns"]
    wanted = []
    if task.settings.arrow_load_id:
        wanted.append(tb.C_DLT_LOAD_ID)
    if task.settings.arrow_row_id:
        wanted.append(tb.C_DLT_ID)
    # a table that rows have reached before has these columns and wants them filled
    return [n for n in (tb.C_DLT_LOAD_ID, tb.C_DLT_ID) if n in wanted or n in columns]
