"""SQLite: rows go through a scratch database that ADBC writes, or through ``executemany``.

ADBC writes Arrow three times as fast as Python's ``sqlite3`` module, but it brings a SQLite of its own, and two copies
of SQLite in one process must never open one file (https://sqlite.org/howtocorrupt.html, 2.2.1: they undo each other's
locks). Nor could it take part in the transaction. So it writes a file that nobody else has open; that is attached to
the session and copied inside SQLite, in the transaction of the job.
"""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from headrace.destinations.impl.sqlalchemy.bulk import Insert
from headrace.destinations.impl.sqlalchemy.bulk.values import as_text, converted

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient

logger = logging.getLogger("headrace")

SCRATCH_FROM = 20_000
"""Rows from which the scratch database pays: it costs some ten milliseconds."""
_MOST = 6  # in one transaction, which is their life: SQLite attaches ten databases
_EXACT = 15


def _ingest() -> Any | None:
    try:
        from adbc_driver_sqlite import dbapi
    except ImportError:
        return None
    return dbapi


def insert(session: SqlalchemyClient, work: Insert) -> int:
    """Append the rows; returns how many."""
    check = Digits(work)
    batches = (check.look(batch) for batch in work.batches)
    names = session.own_dialect.columns([column["name"] for column in work.columns])
    driver = _ingest() if work.rows >= SCRATCH_FROM and session.scratches < _MOST else None
    if driver is not None:
        return _by_scratch(session, work, batches, names, driver)
    marks = ", ".join("?" for _ in work.columns)
    sql = f"INSERT INTO {work.target} ({names}) VALUES ({marks})"
    rows = 0
    for batch in batches:
        values = [column.to_pylist() for column in converted(batch, as_text)]
        with session.translated(session.doing) as connection:
            connection.exec_driver_sql(sql, list(zip(*values, strict=True))).close()
        rows += batch.num_rows
    return rows


def _by_scratch(
    session: SqlalchemyClient, work: Insert, batches: Iterator[pa.RecordBatch], names: str, driver: Any
) -> int:
    handle, path = tempfile.mkstemp(prefix="scratch-", suffix=".db", dir=work.folder)
    os.close(handle)
    session.later(Path(path))
    rows = _write_scratch(path, batches, driver)
    if rows:
        session.scratches += 1
        name = f"_hr_scratch_{session.scratches}"
        session.run(f"ATTACH {session.dialect.text(path)} AS {name}")
        session.later(f"DETACH {name}")
        session.run(f"INSERT INTO {work.target} ({names}) SELECT * FROM {name}.incoming ORDER BY rowid")
    return rows


def _write_scratch(path: str, batches: Iterator[pa.RecordBatch], driver: Any) -> int:
    rows = 0

    def texts(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal rows
        rows += batch.num_rows
        columns = converted(batch, as_text)
        return pa.RecordBatch.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])

    with driver.connect(path, autocommit=True) as connection, connection.cursor() as cursor:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            cursor.execute(f"PRAGMA {pragma}")
            cursor.fetchall()
        found = map(texts, batches)
        first = next(found, None)
        if first is not None:
            reader = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], found))
            cursor.adbc_ingest("incoming", reader, mode="create")
    return rows


class Digits:
    """Looks for decimals of which SQLite keeps no more than 15 digits, and says so once."""

    def __init__(self, work: Insert) -> None:
        self._table = work.table
        self._columns = [
            (i, column["name"])
            for i, column in enumerate(work.columns)
            if pt.is_decimal(work.schema.field(i).type) and column.get("data_type") == "decimal"
        ]

    def look(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch as it is."""
        for i, name in list(self._columns):
            if _has_more_digits(batch.column(i)):
                self._columns.remove((i, name))
                logger.warning(
                    "table `%s`: values of column `%s` have more than %d digits, and SQLite rounds what is beyond; "
                    "declare its `data_type` as text to keep them",
                    self._table,
                    name,
                    _EXACT,
                )
        return batch


def _has_more_digits(values: pa.Array) -> bool:
    size = pc.max(pc.abs(values)).as_py()
    if size is None or size.scaleb(max(values.type.scale, 0)) < 10**_EXACT:
        return False
    digits = pc.replace_substring_regex(values.cast(pa.string()), r"E.*$|^-?0+\.?0*|[-.]", "")
    trimmed = pc.utf8_rtrim(digits, "0")
    return bool(pc.any(pc.greater(pc.utf8_length(trimmed), _EXACT)).as_py())
