"""Where data can be loaded to; each name is a factory: ``headrace.destinations.duckdb("my.duckdb")``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

FACTORIES = {
    "destination": "headrace.destinations.impl.custom.factory:destination",
    "duckdb": "headrace.destinations.impl.duckdb.factory:duckdb",
    "dummy": "headrace.destinations.impl.dummy.factory:dummy",
    "filesystem": "headrace.destinations.impl.filesystem.factory:filesystem",
    "postgres": "headrace.destinations.impl.postgres.factory:postgres",
    "sqlalchemy": "headrace.destinations.impl.sqlalchemy.factory:sqlalchemy",
}
"""Short name of each kind of destination, and where its factory is."""

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        **FACTORIES,
        "Destination": "headrace.load.destination:Destination",
    },
)

__all__ = ["FACTORIES", "Destination", "destination", "duckdb", "dummy", "filesystem", "postgres", "sqlalchemy"]

if TYPE_CHECKING:
    from headrace.destinations.impl.custom.factory import destination as destination
    from headrace.destinations.impl.duckdb.factory import duckdb as duckdb
    from headrace.destinations.impl.dummy.factory import dummy as dummy
    from headrace.destinations.impl.filesystem.factory import filesystem as filesystem
    from headrace.destinations.impl.postgres.factory import postgres as postgres
    from headrace.destinations.impl.sqlalchemy.factory import sqlalchemy as sqlalchemy
    from headrace.load.destination import Destination as Destination
