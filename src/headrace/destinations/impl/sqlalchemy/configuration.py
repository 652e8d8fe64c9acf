"""Settings of the SQLAlchemy destination: which database, and how to connect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

import msgspec

from headrace.base.lazy import need
from headrace.config.credentials import ConnectionStringCredentials
from headrace.config.known import DwhConfiguration
from headrace.config.spec import configspec
from headrace.errors.base import MissingDependencyException
from headrace.load.destination import PipelineFacts
from headrace.model.location import Location

MEMORY = ":memory:"
_PACKAGES = {"MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary"}
"""Where the package of a driver has another name than its module."""
_EXTRAS = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql"}


def sqlalchemy(backend: str = "") -> Any:
    """The library.

    Raises:
        MissingDependencyException: It is not installed.
    """
    return need("sqlalchemy", "the SQLAlchemy destination", _EXTRAS.get(backend, "sqlalchemy"))


@configspec
class SqlalchemyCredentials(ConnectionStringCredentials):
    """Which database.

    Given as a url (``sqlite:///my.db``, ``mysql+pymysql://user:password@host/database``), its parts, a mapping of them,
    a SQLAlchemy url, or an ``Engine``. An engine stays the caller's: it is never disposed of here.

    Attributes:
        engine_kwargs: More arguments for ``sqlalchemy.create_engine``.
    """

    engine_kwargs: Optional[dict[str, Any]] = None  # noqa: UP045 (the hint is read at run time)

    def parse_native_representation(self, native_value: Any) -> None:
        """Read a url or an engine."""
        if isinstance(native_value, os.PathLike):
            native_value = f"sqlite:///{os.fspath(native_value)}"
        if hasattr(native_value, "dialect") and hasattr(native_value, "connect"):
            self.__dict__["_engine"] = native_value
            native_value = native_value.url
        if hasattr(native_value, "render_as_string"):
            native_value = native_value.render_as_string(hide_password=False)
        super().parse_native_representation(native_value)
        if self.given_engine is not None:
            self.resolve()

    @property
    def given_engine(self) -> Any | None:
        """The engine that was given, if one was."""
        return self.__dict__.get("_engine")

    def location(self, schema: str = "") -> Location:
        """Where the data is; of ODBC also what its own connection string says."""
        found = super().location(schema)
        odbc = (self.query or {}).get("odbc_connect")
        if found.host or not isinstance(odbc, str):
            return found
        parts = {
            key.strip().lower(): value.strip(" {}") for key, _, value in (p.partition("=") for p in odbc.split(";"))
        }
        server = (parts.get("server") or parts.get("address") or parts.get("host") or "").removeprefix("tcp:")
        host, _, port = server.partition(",")
        number = int(port) if port.strip().isdigit() else found.port
        database = found.database or parts.get("database", "")
        return msgspec.structs.replace(found, host=host.partition("\\")[0], port=number, database=database)

    @property
    def backend(self) -> str:
        """The dialect's name without the driver."""
        return (self.drivername or "").partition("+")[0]


@configspec
class SqlalchemyClientConfiguration(DwhConfiguration):
    """Settings of the SQLAlchemy destination.

    Attributes:
        credentials: Which database.
        create_unique_indexes: Enforce ``unique`` hints (``_dlt_id``) by constraints. Loading gets slower.
        create_primary_keys: Give new tables their ``primary_key`` as the primary key. Loading gets slower.
        engine_kwargs: More arguments for ``sqlalchemy.create_engine``.
        lock_timeout: Seconds to wait at most for other writers: for the file (SQLite), for tables (MySQL).
    """

    credentials: SqlalchemyCredentials = None  # type: ignore[assignment]
    create_unique_indexes: bool = False
    create_primary_keys: bool = False
    engine_kwargs: Optional[dict[str, Any]] = None  # noqa: UP045
    lock_timeout: float = 60.0


def missing_driver(credentials: SqlalchemyCredentials, error: Exception) -> MissingDependencyException:
    """The error of a driver, or a dialect, that a url asks for and that is not installed."""
    extra = _EXTRAS.get(credentials.backend)
    ours = extra and credentials.drivername in ("sqlite", "mysql+pymysql", "mariadb+pymysql")
    wanted = f"headrace[{extra}]" if ours else _package(credentials, getattr(error, "name", None))
    caller = f"the SQLAlchemy destination with `{credentials.drivername}`"
    hint = "" if ours or not extra else "or have the url ask for the driver of the extra: `mysql+pymysql://…`"
    return MissingDependencyException(caller, [wanted], hint)


def _package(credentials: SqlalchemyCredentials, module: str | None) -> str:
    """What to install: dialects that do not come with SQLAlchemy are mostly named after their database."""
    if module:
        return _PACKAGES.get(module, module)
    return f"sqlalchemy-{credentials.backend}" if credentials.backend else credentials.drivername


def sqlite_path(database: str | None, pipeline: PipelineFacts | None) -> str:
    """The main file of a SQLite database: an absolute path, or ``:memory:``.

    Args:
        database: As the url has it; nothing is a database in memory.
        pipeline: Whose local folder relative paths refer to.
    """
    if not database or database == MEMORY:
        return MEMORY
    if database.startswith("file:"):
        return database
    return str((Path(pipeline.local_dir if pipeline else "") / Path(database).expanduser()).absolute())


def dataset_path(main: str, dataset_name: str) -> str:
    """The file of a dataset: beside the main one, as the field names it; ``main`` is in the main file itself."""
    if main == MEMORY or dataset_name == "main":
        return main
    path = Path(main)
    return str(path.with_name(f"{path.stem}__{dataset_name}.db"))
