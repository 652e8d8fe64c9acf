"""Credentials written as a connection string: ``driver://username:password@host:port/database?option=value``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, quote, quote_plus, unquote

from headrace.config.hints import TSecretStrValue
from headrace.config.spec import CredentialsConfiguration, configspec
from headrace.errors.specs import InvalidConnectionString

if TYPE_CHECKING:
    from headrace.model.location import Location

_URL = re.compile(
    r"""
    (?P<drivername>[\w.+-]+)://
    (?:(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@)?
    (?:\[(?P<ipv6>[^/\]]+)\]|(?P<host>[^/:?]+))?
    (?::(?P<port>[^/?]*))?
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<query>.*))?
    """,
    re.VERBOSE | re.DOTALL,
)


class Url(NamedTuple):
    """A connection string taken apart; texts are decoded."""

    drivername: str
    username: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: Mapping[str, str | tuple[str, ...]] = {}

    def render(self, hide_password: bool = True) -> str:
        """The connection string, its parts encoded."""
        text = [self.drivername, "://"]
        if self.username is not None or self.password is not None:
            text.append(_encoded(self.username or ""))
            if self.password is not None:
                text.append(":***" if hide_password else ":" + _encoded(self.password))
            text.append("@")
        if self.host is not None:
            text.append(f"[{self.host}]" if ":" in self.host else self.host)
        if self.port is not None:
            text.append(f":{self.port}")
        if self.database is not None:
            text.append("/" + self.database)
        if self.query:
            pairs = [
                f"{quote_plus(k)}={'***' if hide_password and _is_secret(k) else quote_plus(str(v))}"
                for k, values in self.query.items()
                for v in (values if isinstance(values, (tuple, list)) else (values,))
            ]
            text.append("?" + "&".join(pairs))
        return "".join(text)

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        return self.render()


def parse_url(text: str) -> Url:
    """Take a connection string apart.

    Raises:
        ValueError: It is none; the text of the error holds nothing of it.
    """
    match = _URL.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a connection string")
    port = match["port"]
    if port and not port.isdigit():
        raise ValueError("the port of a connection string is a number")
    if "@" in (match["host"] or "") or (match["password"] and "@" in (match["database"] or "")):
        # the rest of a password would be taken for the host, and told in every error
        raise ValueError("an @ in the password of a connection string is written %40")
    query = {k: v[0] if len(v) == 1 else tuple(v) for k, v in parse_qs(match["query"] or "", True).items()}
    return Url(
        match["drivername"],
        _decoded(match["username"]),
        _decoded(match["password"]),
        match["ipv6"] or match["host"],
        int(port) if port else None,
        match["database"] or None,
        query,
    )


def _with_port(text: str, port: Any) -> tuple[str, int | None]:
    """A host of the options, which may have its port with it."""
    name, colon, own = text.rpartition(":")
    if colon and own.isdigit() and not text.startswith("/") and ":" not in name:
        return name, int(own)
    return text, int(port) if str(port).isdigit() else None


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("password", "passwd", "pwd", "secret", "token", "key", "credential"))


@configspec
class ConnectionStringCredentials(CredentialsConfiguration):
    """Parts of a connection string; it can be given whole, in parts, or whole with parts completed from elsewhere."""

    drivername: str = None  # type: ignore[assignment]
    database: str | None = None
    password: TSecretStrValue | None = None
    username: str | None = None
    host: str | None = None
    port: int | None = None
    query: dict[str, Any] | None = None

    __config_gen_annotations__: ClassVar[list[str]] = ["database", "port", "username", "password", "host"]

    def __init__(self, connection_string: Any = None) -> None:
        """Take a connection string apart, or the parts as a mapping."""
        super().__init__()
        self._apply_init_value(connection_string)

    def parse_native_representation(self, native_value: Any) -> None:
        """Read a connection string.

        Raises:
            InvalidConnectionString: It is none.
        """
        if not isinstance(native_value, str):
            raise InvalidConnectionString(type(self), native_value, self.drivername)
        try:
            url: Url | None = parse_url(native_value)
        except ValueError:
            url = None
        if url is None:
            raise InvalidConnectionString(type(self), native_value, self.drivername)
        for name, value in url._asdict().items():
            if value is not None and name != "query":
                setattr(self, name, value)
        self.query = dict(url.query)

    def on_resolved(self) -> None:
        """A password given with blanks around it was copied with them."""
        if self.password:
            self.password = self.password.strip()

    def to_url(self) -> Url:
        """The parts, decoded, for those who render or change them."""
        return Url(self.drivername, self.username, self.password, self.host, self.port, self.database, self.get_query())

    def get_query(self) -> dict[str, Any]:
        """The options of the connection."""
        return {k: v for k, v in (self.query or {}).items() if v is not None}

    def to_native_representation(self) -> str:
        """The connection string with the password."""
        return self.to_url().render(hide_password=False)

    def data_location(self) -> str:
        """Where the data is: host and port, without user, password and options."""
        return Url(self.drivername, None, None, self.host, self.port, self.database).render()

    def location(self, schema: str = "") -> Location:
        """Where the data is, in parts.

        Args:
            schema: A schema of the database.
        """
        from headrace.model.location import Location  # loads msgspec, which looking up a setting does not need

        query = self.query or {}
        given = self.host or query.get("host") or ""
        texts = given.split(",") if isinstance(given, str) else list(given)
        hosts = [(name.strip(), self.port) for name in texts]
        if not self.host:  # libpq: host=h1:5432&host=h2
            hosts = [_with_port(name, query.get("port") or self.port) for name, _ in hosts]
        return Location(
            scheme=(self.drivername or "").partition("+")[0],
            host=hosts[0][0],
            port=hosts[0][1],
            hosts=hosts if len(hosts) > 1 else [],
            database=self.database or str(query.get("service_name") or query.get("sid") or ""),
            schema=schema,
        )

    def __str__(self) -> str:
        return self.to_url()._replace(query={}).render()
