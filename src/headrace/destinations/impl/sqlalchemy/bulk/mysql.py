"""MySQL and MariaDB: LOAD DATA LOCAL of a text file, or INSERT of many rows where the server or driver refuses that.

The file is written from Arrow without a Python object for a value, in the server's own default format: tab, backslash,
``\\N`` for NULL. LOCAL turns errors into warnings (https://dev.mysql.com/doc/refman/8.4/en/load-data.html), so every
statement is asked for warnings, and any of them fails the job.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from headrace.destinations.impl.sqlalchemy.bulk import Insert, generic
from headrace.destinations.impl.sqlalchemy.bulk.values import as_text, converted
from headrace.errors.destination import DatabaseTerminalException

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient

_BYTES = 64 * 1024 * 1024
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0"))
# the server or the driver does not take files: 1148, 3948, 2061, 2068, 4166
_REFUSALS = {1148, 3948, 3950, 2061, 2068, 4166}


class Refused(Exception):
    """LOAD DATA LOCAL is switched off."""


def insert(session: SqlalchemyClient, work: Insert) -> int:
    """Append the rows; returns how many."""
    if not session.facts.get("local_infile", _may_load(session)):
        session.facts["local_infile"] = False
        return generic.insert(session, work)
    session.facts["local_infile"] = True
    rows, batches = 0, work.batches
    first = next(batches, None)
    while first is not None:
        handle, path = tempfile.mkstemp(prefix="rows-", suffix=".tsv", dir=work.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                loaded, first = _write(file, first, batches)
            _load(session, work, path, loaded)
        finally:
            Path(path).unlink(missing_ok=True)
        rows += loaded
    return rows


def _may_load(session: SqlalchemyClient) -> bool:
    """Whether both sides agree to it."""
    found = session.fetch("SELECT @@local_infile")
    if not found or not int(found[0][0]):
        return False
    driver = session.driver_connection
    flag = getattr(driver, "_local_infile", None)  # PyMySQL; others tell by refusing
    return flag is not False and type(driver).__module__.startswith(("pymysql", "MySQLdb"))


def _write(
    file: BinaryIO, first: pa.RecordBatch, batches: Iterator[pa.RecordBatch]
) -> tuple[int, pa.RecordBatch | None]:
    """Write batches until the file is large; returns the rows and the batch that comes next."""
    rows, batch = 0, first
    while batch is not None and file.tell() < _BYTES:
        file.write(lines_of(batch))
        rows += batch.num_rows
        batch = next(batches, None)
    return rows, batch


def lines_of(batch: pa.RecordBatch) -> memoryview:
    """The rows of a batch as lines for LOAD DATA."""
    fields = converted(batch, _field)
    lines = pc.binary_join_element_wise(
        *fields, pa.scalar("\t", pa.large_string()), null_handling="replace", null_replacement="\\N"
    )
    ended = pc.binary_join_element_wise(lines, pa.scalar("\n", pa.large_string()), pa.scalar("", pa.large_string()))
    if not len(ended):
        return memoryview(b"")
    offsets = ended.buffers()[1]
    ends = pa.Array.from_buffers(pa.int64(), len(ended) + 1, [None, offsets], offset=ended.offset)
    return memoryview(ended.buffers()[2])[ends[0].as_py() : ends[-1].as_py()]


def _field(array: pa.Array) -> pa.Array:
    kind = array.type
    if pt.is_boolean(kind):
        return array.cast(pa.int8()).cast(pa.large_string())
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind):
        return pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.large_string())
    text = as_text(array).cast(pa.large_string())
    if pt.is_string(kind) or pt.is_large_string(kind) or str(kind).startswith("string"):
        for plain, escaped in _ESCAPES:
            text = pc.replace_substring(text, plain, escaped)
    return text


def _load(session: SqlalchemyClient, work: Insert, path: str, rows: int) -> None:
    dialect = session.own_dialect
    named = [
        (dialect.quote(column["name"]), pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind))
        for column, kind in zip(work.columns, _kinds(work.schema), strict=True)
    ]
    listed = ", ".join(f"@b{i}" if is_hex else name for i, (name, is_hex) in enumerate(named))
    sets = ", ".join(f"{name} = UNHEX(@b{i})" for i, (name, is_hex) in enumerate(named) if is_hex)
    sql = (
        f"LOAD DATA LOCAL INFILE {dialect.text(path)} INTO TABLE {work.target} CHARACTER SET utf8mb4 "
        f"FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({listed})"
        + (f" SET {sets}" if sets else "")
    )
    loaded = session.run(sql)
    warnings = session.fetch("SHOW WARNINGS LIMIT 3")
    if warnings or loaded != rows:
        told = "; ".join(str(row[2]) for row in warnings) or f"{loaded} of {rows} rows went in"
        error = DatabaseTerminalException(ValueError(told))
        error.what = f"{session.backend} would have changed or left out values at {session.doing}."
        error.why = told
        error.fix = (
            "a value does not fit its column: declare a wider `data_type` in `columns` of the resource, or change the "
            "column in the database"
        )
        raise error


def _kinds(schema: pa.Schema) -> list[pa.DataType]:
    return [f.type.value_type if pt.is_dictionary(f.type) else f.type for f in schema]
