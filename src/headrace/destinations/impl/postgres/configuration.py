"""Settings of PostgreSQL: which database, and how to connect."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Optional

from headrace.config.credentials import ConnectionStringCredentials
from headrace.config.hints import TSecretStrValue
from headrace.config.known import DwhWithStagingConfiguration
from headrace.config.spec import configspec
from headrace.errors.specs import InvalidConnectionString

DRIVER = "postgresql"


@configspec
class PostgresCredentials(ConnectionStringCredentials):
    """Which database, and how to connect.

    Given as a url (``postgresql://user:password@host:5432/database?sslmode=require``), as a mapping of these fields, or
    field by field in the configuration.

    Attributes:
        database: The database.
        username: The user.
        password: Their password; left out where the server asks for none, or where ``~/.pgpass`` has it.
        host: The server, or the folder of its socket.
        port: The server's port.
        connect_timeout: Seconds to wait for the connection.
        client_encoding: The encoding of statements and values; UTF-8 unless given.
        query: Other options of libpq: ``sslmode``, ``sslrootcert``, ``application_name``, ``options``, …
    """

    drivername: str = DRIVER
    database: str = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    password: Optional[TSecretStrValue] = None  # noqa: UP045 (the hint is read at run time)
    host: str = None  # type: ignore[assignment]
    port: int = 5432
    connect_timeout: int = 15
    client_encoding: Optional[str] = None  # noqa: UP045

    __config_gen_annotations__: ClassVar[list[str]] = ["port", "connect_timeout"]

    def parse_native_representation(self, native_value: Any) -> None:
        """Read a url; ``postgres://`` and ``postgresql+driver://`` mean the same."""
        super().parse_native_representation(native_value)
        if self.drivername.partition("+")[0] not in (DRIVER, "postgres"):
            raise InvalidConnectionString(type(self), native_value, DRIVER)
        self.drivername = DRIVER
        self._take_from_query()

    def _take_from_query(self) -> None:
        """Options of the url that are fields here."""
        left = dict(self.query or {})
        for name, kind in (("host", str), ("port", int), ("connect_timeout", int), ("client_encoding", str)):
            if name in left:
                setattr(self, name, kind(left.pop(name)))
        for name, field in (("user", "username"), ("password", "password"), ("dbname", "database")):
            if name in left:
                setattr(self, field, left.pop(name))
        self.query = left

    def on_resolved(self) -> None:
        """Options that came in a mapping are fields as well."""
        super().on_resolved()
        self._take_from_query()

    def get_query(self) -> dict[str, Any]:
        """The options of the connection."""
        query = super().get_query()
        query["connect_timeout"] = self.connect_timeout
        if self.client_encoding:
            query["client_encoding"] = self.client_encoding
        return query

    def connection_arguments(self) -> dict[str, Any]:
        """What libpq is given."""
        found = {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.username,
            "password": self.password,
            "application_name": "headrace",
            # a server that is gone without a word is noticed within two minutes instead of two hours
            "keepalives_idle": 60,
            "keepalives_interval": 10,
            "keepalives_count": 6,
            **self.get_query(),
        }
        return {name: value for name, value in found.items() if value is not None}


@configspec
class PostgresClientConfiguration(DwhWithStagingConfiguration):
    """Settings of the PostgreSQL destination.

    Attributes:
        credentials: Which database.
        create_indexes: Make unique indexes for ``unique`` hints, which ``_dlt_id`` has.
        csv_format: How csv files are written: ``delimiter`` and ``include_header``.
        nul_characters: What becomes of the character NUL, which PostgreSQL cannot store in text: ``remove`` takes it
            out and warns, ``error`` refuses the load.
    """

    credentials: PostgresCredentials = None  # type: ignore[assignment]
    create_indexes: bool = True
    csv_format: Optional[dict[str, Any]] = None  # noqa: UP045
    nul_characters: Literal["remove", "error"] = "remove"
