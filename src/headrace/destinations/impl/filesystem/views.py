"""The query that shows files of several formats as one table with the columns of its schema."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headrace.errors.destination import DestinationTerminalException
from headrace.typing import TColumnSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from headrace.destinations.impl.filesystem.session import FilesystemSqlClient

_FORMATS = {"jsonl": "jsonl", "parquet": "parquet", "csv": "csv", "json": "jsonl", "ndjson": "jsonl"}
_CSV_BUFFER = 32_000_000  # bytes; DuckDB's default


def select_files(session: FilesystemSqlClient, columns: TTableSchemaColumns, paths: Sequence[str]) -> str:
    """The query for a table.

    Args:
        session: Open; asked for the columns of files that tell them.
        columns: Of the table.
        paths: Its files; those of unknown formats are passed over.

    Raises:
        DestinationTerminalException: Two columns differ only in upper and lower case.
    """
    _refuse_names_alike(columns)
    by_format: dict[str, list[str]] = {}
    for path in paths:
        parts = posixpath.basename(path).lower().split(".")
        found = next((_FORMATS[part] for part in reversed(parts) if part in _FORMATS), None)
        if found is not None:
            by_format.setdefault(found, []).append(path)
    selects = [_SELECTS[name](session, columns, chosen) for name, chosen in sorted(by_format.items())]
    return " UNION ALL BY NAME ".join(selects) or _nothing(session, columns)


def _refuse_names_alike(columns: TTableSchemaColumns) -> None:
    """DuckDB takes `Id` and `id` for one column and would show the values of one as those of both."""
    seen: dict[str, str] = {}
    for name in columns:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise DestinationTerminalException(
                f"The columns `{other}` and `{name}` cannot be told apart by DuckDB, which reads the files.",
                why="their names differ only in upper and lower case",
                fix="read the files themselves (`pipeline._fs_client().list_table_files(table)`), or load with a "
                "naming convention in which case does not matter, such as `snake_case`",
            )


def _kind(session: FilesystemSqlClient, column: TColumnSchema) -> str:
    return session.dialect.column_type(column)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _list(paths: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, paths)) + "]"


def _nothing(session: FilesystemSqlClient, columns: TTableSchemaColumns) -> str:
    nulls = ", ".join(f"NULL::{_kind(session, c)} AS {session.dialect.quote(n)}" for n, c in columns.items())
    return f"SELECT {nulls or 'NULL AS nothing'} WHERE FALSE"


def _parquet(session: FilesystemSqlClient, columns: TTableSchemaColumns, paths: Sequence[str]) -> str:
    scan = f"read_parquet({_list(paths)}, union_by_name = true)"
    return _casted(session, columns, scan, lambda name, kind: f"{name}::{kind}")


def _csv(session: FilesystemSqlClient, columns: TTableSchemaColumns, paths: Sequence[str]) -> str:
    scan = f"read_csv({_list(paths)}, union_by_name = true, all_varchar = true, allow_quoted_nulls = false"
    # DuckDB's own limit is 2 MB a line; as long as its buffer, a line takes no more memory than that
    scan += f", max_line_size = {_CSV_BUFFER}, buffer_size = {_CSV_BUFFER}"
    with session.translated("reading the headers of CSV files") as connection:
        found = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}, header = true)").fetchall()]
    if set(found) & set(columns):
        scan = f"{scan}, header = true)"
    else:  # without a header the order of the columns is all that is known
        scan = f"{scan}, header = false, names = {_list(list(columns))})"

    def cast(name: str, kind: str) -> str:
        return f"unhex({name})" if kind == "BLOB" else f"{name}::{kind}"

    return _casted(session, columns, scan, cast)


def _casted(
    session: FilesystemSqlClient, columns: TTableSchemaColumns, scan: str, cast: Callable[[str, str], str]
) -> str:
    """Columns as the schema has them; null where no file has one, and behind them what only files have."""
    quote = session.dialect.quote
    with session.translated("reading what is in the files") as connection:
        present = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()]
    parts = []
    for name, column in columns.items():
        kind = _kind(session, column)
        value = cast(quote(name), kind) if name in present else f"NULL::{kind}"
        parts.append(f"{value} AS {quote(name)}")
    parts += [quote(name) for name in present if name not in columns]
    return f"SELECT {', '.join(parts) or '*'} FROM {scan}"


def _jsonl(session: FilesystemSqlClient, columns: TTableSchemaColumns, paths: Sequence[str]) -> str:
    """JSON lines: binary values are in base64, and of first storage version's files only the content tells gzip."""
    read, shown = [], []
    for name, column in columns.items():
        kind, quoted = _kind(session, column), session.dialect.quote(name)
        read.append(f"{_text(name)}: {_text('VARCHAR' if kind == 'BLOB' else kind)}")
        shown.append(f"from_base64({quoted}) AS {quoted}" if kind == "BLOB" else quoted)
    packed = [path for path in paths if path.endswith(".gz") or session.is_packed(path)]
    plain = [path for path in paths if path not in packed]
    parts = []
    for chosen, compression in ((plain, "uncompressed"), (packed, "gzip")):
        if chosen:
            options = f"format = 'newline_delimited', columns = {{{', '.join(read)}}}, compression = '{compression}'"
            parts.append(f"SELECT {', '.join(shown)} FROM read_json({_list(chosen)}, {options})")
    return " UNION ALL BY NAME ".join(parts)


_SELECTS: dict[str, Callable[[FilesystemSqlClient, TTableSchemaColumns, Sequence[str]], str]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
