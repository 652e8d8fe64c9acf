"""Where data can be loaded to; each name is a factory: ``headrace.destinations.duckdb("my.duckdb")``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

FACTORIES = {
    "duckdb": "headrace.destinations.impl.duckdb.factory:duckdb",
    "filesystem": "headrace.destinations.impl.filesystem.factory:filesystem",
    "postgres": "headrace.destinations.impl.postgres.factory:postgres",
}
"""Short name of each kind of destination, and where its factory is."""

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        **FACTORIES,
        "Destination": "headrace.load.destination:Destination",
        "destination": "headrace.destinations.custom:destination",
    },
)

__all__ = ["FACTORIES", "Destination", "destination", "duckdb", "filesystem", "postgres"]

if TYPE_CHECKING:
    from headrace.destinations.impl.duckdb.factory import duckdb as duckdb
    from headrace.destinations.impl.filesystem.factory import filesystem as filesystem
    from headrace.destinations.impl.postgres.factory import postgres as postgres
    from headrace.load.destination import Destination as Destination
