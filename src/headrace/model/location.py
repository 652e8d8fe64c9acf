"""Where data is, in parts: what a destination writes to, and what a resource reads.

The parts come from structured configuration and hold no secret. They are not an identity yet: lineage makes names of
them (`headrace.observers.lineage.naming`), by the rules of each kind of store.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from typing_extensions import NotRequired, TypedDict

from headrace.errors.masking import HIDDEN, names_a_secret, without_secrets


class Location(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where tables, files or answers are.

    Attributes:
        scheme: The kind of store: ``postgres``, ``mysql``, ``duckdb``, ``sqlite``, ``file``, ``s3``, ``https``, …
        host: Server, bucket, or what else stands for one; empty for a local file or memory.
        port: None for the usual one of the kind.
        hosts: All servers with their ports, where there are several; ``host`` is the first then.
        database: Database or catalog.
        schema: Schema, dataset, keyspace.
        path: Path of a file, or in a bucket; absolute for local files.
        table_path: For tables that are folders of files: the folder of a table within ``path``, with ``{table_name}``
            in the place of its name.
        account: Account of a cloud service: Snowflake's, that of Azure storage.
        region: Region of a cloud service.
        project: Project or instance of a cloud service.
        file_format: Of the files that tables are made of.
        catalogs: By table format: the catalog that its tables are registered in (``type``, ``name``, ``uri``,
            ``warehouse``).
        private: It lives in this process only.
        owner: For what is private: whose it is, to tell it apart.
        casefold: ``upper`` or ``lower`` where the store spells names so, whatever they are given as.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    hosts: list[tuple[str, int | None]] = []
    database: str = ""
    schema: str = ""
    path: str = ""
    table_path: str = ""
    account: str = ""
    region: str = ""
    project: str = ""
    file_format: str = ""
    catalogs: dict[str, dict[str, str]] = {}
    private: bool = False
    owner: str = ""
    casefold: str = ""


class TDataLocation(TypedDict, total=False):
    """Where a resource reads, as `DltResource.add_input` takes it.

    The first part are dlt's fields, and those of its built-in sources. The second one are ours: they are needed for a
    true name of the data, and optional; without them the name is made of ``location`` as far as that goes.

    Attributes:
        kind: ``sql_database``, ``filesystem``, ``rest_api``, ``dataset``, or a word of your own; the name of the source
            unless given.
        resource_name: Filled in when the data is extracted.
        location: The place for people, without secrets: ``postgresql://example.com:5432``, ``s3://bucket/path``.
        version: Version of the contents as a whole.
        database: The database.
        db_schema: The schema within it.
        tables: Tables that are read.
        columns: Of a single table: names to types, as the database has them.
        glob: Pattern of the files that are read.
        endpoints: Templates of paths that are read.
        namespace: With ``name``: the dataset's name in lineage, where the source knows it best.
        name: See ``namespace``.
        scheme: The kind of store, see `Location`.
        host: The server.
        port: Its port.
        hosts: Several servers: pairs of host and port.
        path: Path of a file or a folder.
        account: Account of a cloud service.
        region: Region of a cloud service.
        project: Project of a cloud service.
        files: Files that were read.
        params: Constant parameters that select a part of the data: path parameters of an endpoint.
        entity: Which of several things that one endpoint serves.
        collections: Collections of a document or vector store.
        file_format: ``parquet``, ``csv``, ``json``, …
    """

    kind: str
    resource_name: str
    location: NotRequired[str]
    version: NotRequired[str]
    database: NotRequired[str]
    db_schema: NotRequired[str]
    tables: NotRequired[list[str]]
    glob: NotRequired[str]
    endpoints: NotRequired[list[str]]

    namespace: NotRequired[str]
    name: NotRequired[str]
    scheme: NotRequired[str]
    host: NotRequired[str]
    port: NotRequired[int]
    hosts: NotRequired[list[Any]]
    path: NotRequired[str]
    account: NotRequired[str]
    region: NotRequired[str]
    project: NotRequired[str]
    files: NotRequired[list[str]]
    params: NotRequired[dict[str, Any]]
    columns: NotRequired[dict[str, str]]
    entity: NotRequired[str]
    collections: NotRequired[list[str]]
    file_format: NotRequired[str]


class ResourceInputs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a resource of a package was read from.

    Attributes:
        source: The source's name.
        resource: The resource whose rows are in the package.
        locations: What it declared, and what the resources declared whose items it took; each with ``resource_name``,
            who declared it.
        code: The user's functions that its items went through; None where that does not say how columns came to be
            (somebody declared it, a query did it), and in packages that did not note it.
    """

    source: str
    resource: str
    locations: list[dict[str, Any]]
    code: list[str] | None = None


def plain_location(location: Mapping[str, Any]) -> dict[str, Any]:
    """A location as plain data that can be kept and shown: other values as text, secrets hidden."""
    found = {str(key): HIDDEN if names_a_secret(str(key)) else _plain(value) for key, value in location.items()}
    for name, made in (("params", plain_params), ("columns", _as_told)):
        if isinstance(location.get(name), Mapping):
            found[name] = made(location[name], location.get("endpoints") or ())
    return found


def plain_params(params: Mapping[str, Any], endpoints: Iterable[Any] = ()) -> dict[str, Any]:
    """Parameters as plain data; those that are called like a secret are hidden, whatever their value looks like.

    Args:
        params: Names to values.
        endpoints: Templates of paths. A variable of one (``countries/{code}``) is no key to the interface, though in a
            query (``?code=…``) it may be one.
    """
    paths = " ".join([endpoints] if isinstance(endpoints, str) else map(str, endpoints))
    return {str(name): _param(str(name), value, f"{{{name}}}" in paths) for name, value in params.items()}


def _param(name: str, value: Any, is_in_path: bool) -> Any:
    query = f"?{name}=value"
    if names_a_secret(name) or (not is_in_path and without_secrets(query) != query):
        return HIDDEN
    return _plain(value)


def _as_told(columns: Mapping[str, Any], _: Any) -> dict[str, Any]:
    """Names of columns and their types: one that is called `password` has a type like others."""
    return {str(name): _plain(value) for name, value in columns.items()}


def path_of_text(location: Mapping[str, Any]) -> dict[str, str]:
    """The field ``path`` of a place whose text is a relative path, seen from where the program is now.

    Empty for all others: urls, absolute paths, and words that only people understand.
    """
    text = location.get("location")
    if not isinstance(text, str) or not text or "://" in text or location.get("path") or location.get("scheme"):
        return {}
    path = Path(text.removeprefix("file:")).expanduser()
    if Path(text).is_absolute() or not (location.get("kind") == "filesystem" or os.path.exists(path)):  # noqa: PTH110
        return {}  # `Path.exists` raises for what cannot be a path at all
    return {"path": str(path.absolute())}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return plain_location(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [_plain(one) for one in value]
    return without_secrets(str(value))


def location_of_url(url: str, **parts: Any) -> Location:
    """A url, or a path, as a location; user, password and query are left out.

    Args:
        url: ``s3://bucket/path``, ``postgresql://host:5432/database``, ``https://host/path``, ``/a/path``, …
        **parts: What is known better than the url says it.
    """
    if "://" not in url:
        path = url.removeprefix("file:")
        found: dict[str, Any] = {"scheme": "file", "path": path}
    else:
        scheme, _, rest = url.partition("://")
        netloc, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
        user, _, hosts = netloc.rpartition("@")
        found = {"scheme": scheme.lower(), **_hosts(hosts), "path": slash + unquote(path)}
        _of_scheme(found, user)
    return Location(**{**found, **{name: value for name, value in parts.items() if value not in (None, "", [])}})


_PATHS = ("file", "sftp", "ftp", "http", "https", "sqlite", "duckdb", "lancedb", "memory")
_BUCKETS = {"s3", "s3a", "s3n", "gs", "gcs", "az", "adl", "abfs", "abfss", "azure", "wasb", "wasbs", "hdfs", "dbfs"}


def _of_scheme(found: dict[str, Any], user: str) -> None:
    """Give the parts of a url their meaning."""
    kind = found["scheme"].partition("+")[0]
    if kind in ("abfs", "abfss", "wasb", "wasbs", "az", "adl", "azure"):
        account = found["host"].partition(".")[0]
        if user:  # container@account.dfs.core.windows.net
            found.update(host=user, account=account)
    elif kind in ("sqlite", "duckdb"):
        # sqlite:///x.db is relative, sqlite:////x.db absolute
        path = (
            found["path"][1:] if found["path"].startswith("/") and not found["host"] else found["host"] + found["path"]
        )
        found.update(host="", port=None, path=path or ":memory:")
    elif kind == "file" and found["host"] == "localhost":
        found["host"] = ""
    elif kind not in _BUCKETS and kind not in _PATHS:
        found.update(database=found["path"].strip("/"), path="")


def _hosts(text: str) -> dict[str, Any]:
    """Host and port; several of them where there are commas."""
    pairs = [_host(one) for one in text.split(",")]
    found: dict[str, Any] = {"host": pairs[0][0], "port": pairs[0][1]}
    return {**found, "hosts": pairs} if len(pairs) > 1 else found


def _host(text: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", text)
    if match is None:
        return text, None
    return match[1].strip("[]"), int(match[2]) if match[2] else None
