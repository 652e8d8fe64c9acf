"""Imported by the fork server: all of headrace, and what runs import on their way. Nothing here starts a thread."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

import headrace

DRIVERS = ["duckdb", "psycopg", "adbc_driver_postgresql.dbapi", "adbc_driver_sqlite.dbapi", "sqlalchemy"]
DRIVERS += ["sqlalchemy.dialects.sqlite.pysqlite", "fsspec.implementations.local", "deltalake"]
OTHERS = [
    "pyarrow.parquet",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pytz",
    "sqlglot",
    "concurrent.futures.thread",
    "pandas",
    "requests",
    "click",
]

_own = [module.name for module in pkgutil.walk_packages(headrace.__path__, "headrace.")]
for _name in [*(n for n in _own if not n.startswith("headrace.testing")), *DRIVERS, *OTHERS]:
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
