"""Where a resource reads, told in full: locations for `DltResource.add_input`.

Each function takes what connects to the place, leaves the secrets out, and gives the fields that dlt's trace has with
those that a true name in lineage needs. ::

    @headrace.resource
    def orders(engine):
        headrace.current.resource().add_input(inputs.sql_tables(engine, "orders", schema="shop"), replace=True)
        ...

Built-in sources call them too. Nothing is opened or asked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.config.credentials import ConnectionStringCredentials
from headrace.errors.masking import without_secrets
from headrace.model.location import Location, TDataLocation, location_of_url, plain_params

__all__ = [
    "dataset",
    "dataset_tables",
    "documents",
    "files",
    "graphql",
    "rest_endpoint",
    "sql_tables",
    "topic",
    "vectors",
]


def sql_tables(
    credentials: Any,
    *tables: str,
    schema: str | None = None,
    columns: Mapping[str, str] | None = None,
    kind: str = "sql_database",
) -> TDataLocation:
    """Tables of a database.

    Args:
        credentials: A connection string, its parts as a mapping, `ConnectionStringCredentials`, or an ``Engine`` of
            SQLAlchemy.
        *tables: Their names, as the database spells them.
        schema: The schema of the tables; None for the default one, which an engine that was in use knows.
        columns: Of a single table: names to types, where they are known.
        kind: The kind of source.
    """
    default = None
    if hasattr(credentials, "dialect") and hasattr(credentials, "url"):
        default = getattr(credentials.dialect, "default_schema_name", None)
        credentials = credentials.url.render_as_string(hide_password=True)
    if not isinstance(credentials, ConnectionStringCredentials):
        credentials = ConnectionStringCredentials(credentials)
    place: Location = credentials.location()
    backend, port = place.scheme, f":{place.port}" if place.port else ""
    found: TDataLocation = {
        "kind": kind,
        "location": f"{backend}://{credentials.host}{port}" if credentials.host else f"{backend}://{place.database}",
    }
    if place.database:
        found["database"] = place.database
    if schema or default:
        found["db_schema"] = str(schema or default)
    found["tables"] = list(tables)
    if columns:
        found["columns"] = {str(name): str(type_) for name, type_ in columns.items()}
    if backend in ("sqlite", "duckdb"):
        return {**found, **_embedded(backend, place.database)}
    return {**found, **_server(place)}


def _embedded(backend: str, database: str) -> TDataLocation:
    """A database in a file: its absolute path is what tells it apart."""
    if not database or database.startswith((":memory:", "md:", "motherduck:", "file:")):
        return {"scheme": backend}
    return {"scheme": backend, "path": str(Path(database).expanduser().absolute())}


def _server(place: Location) -> TDataLocation:
    found: TDataLocation = {"scheme": place.scheme}
    if place.host:
        found["host"] = place.host
    if place.port:
        found["port"] = place.port
    if place.hosts:
        found["hosts"] = [list(pair) for pair in place.hosts]
    return found


def rest_endpoint(
    base_url: str,
    path: str = "",
    *,
    params: Mapping[str, Any] | None = None,
    entity: str | None = None,
    kind: str = "rest_api",
) -> TDataLocation:
    """An endpoint of an HTTP interface.

    Args:
        base_url: The address that paths are relative to.
        path: The path as a template: ``repos/{owner}/issues``. What differs from call to call is a variable of it.
        params: Constant values of variables, which select a part of the data.
        entity: Which of several things that the endpoint serves.
        kind: The kind of source.
    """
    place = location_of_url(base_url)
    found: TDataLocation = {"kind": kind, "location": without_secrets(base_url), "endpoints": [path]}
    found = {**found, **_server(place)}
    if place.path:
        found["path"] = place.path
    if params:
        found["params"] = {name: str(value) for name, value in plain_params(params, [path]).items()}
    if entity:
        found["entity"] = entity
    return found


def graphql(url: str, field: str, *, params: Mapping[str, Any] | None = None) -> TDataLocation:
    """A GraphQL interface.

    Args:
        url: The address of the endpoint.
        field: The field at the root of the query.
        params: Constant arguments of it.
    """
    return rest_endpoint(url, params=params, entity=field, kind="graphql")


def files(
    bucket_url: str,
    glob: str = "",
    *,
    files: Sequence[str] = (),
    account: str | None = None,
    file_format: str | None = None,
    kind: str = "filesystem",
) -> TDataLocation:
    """Files of a folder: local, in an object store, on a server (``sftp://host:port/path``).

    Args:
        bucket_url: A path, or the url of the folder.
        glob: The pattern of the files below it; the folder that all of them lie in is the dataset.
        files: Those that were read.
        account: The account of Azure storage, where the url does not say it.
        file_format: ``parquet``, ``csv``, ``jsonl``, …
        kind: The kind of source.
    """
    text = str(bucket_url)
    if "://" not in text and not text.startswith("file:"):
        text = Path(text).expanduser().absolute().as_uri()
    place = location_of_url(text)
    found: TDataLocation = {"kind": kind, "location": without_secrets(text)}
    if glob:
        found["glob"] = glob
    found = {**found, **_server(place), "path": place.path}
    if account or place.account:
        found["account"] = account or place.account
    if files:
        found["files"] = [without_secrets(str(one)) for one in files]
    if file_format:
        found["file_format"] = file_format
    return found


def documents(url: str, *collections: str, database: str = "", kind: str = "mongodb") -> TDataLocation:
    """Collections of a document store.

    Args:
        url: ``mongodb://host:27017/database``, ``mongodb://h1,h2,h3/database``, ``mongodb+srv://host``; the login in it
            is left out.
        *collections: Their names.
        database: The database, where the url does not name it.
        kind: The kind of source.
    """
    place = location_of_url(url)
    hosts = ",".join(f"{host}:{port}" if port else host for host, port in place.hosts or [(place.host, place.port)])
    found: TDataLocation = {"kind": kind, "location": f"{place.scheme}://{hosts}"}
    if database or place.database:
        found["database"] = database or place.database
    return {**found, "collections": list(collections), **_server(place)}


def vectors(url: str, *collections: str, scheme: str, kind: str = "vectors") -> TDataLocation:
    """Collections of a vector store.

    Args:
        url: Its address, or the folder of an embedded one.
        *collections: Their names.
        scheme: The store: ``qdrant``, ``weaviate``, ``lancedb``, ``milvus``.
        kind: The kind of source.
    """
    if "://" not in url:
        path = str(Path(url).expanduser().absolute())
        return {"kind": kind, "location": path, "collections": list(collections), "scheme": scheme, "path": path}
    place = location_of_url(url)
    found: TDataLocation = {"kind": kind, "location": without_secrets(url), "collections": list(collections)}
    if scheme == "lancedb":  # its address is a bucket
        return {**found, "scheme": scheme, "path": without_secrets(url)}
    return {**found, **_server(place), "scheme": scheme}


def topic(servers: Sequence[str], *topics: str, kind: str = "kafka") -> TDataLocation:
    """Topics of Kafka.

    Args:
        servers: The bootstrap servers, ``host:port``.
        *topics: Their names.
        kind: The kind of source.
    """
    place = location_of_url("kafka://" + ",".join(servers))
    return {"kind": kind, "location": "kafka://" + ",".join(servers), "tables": list(topics), **_server(place)}


def dataset(namespace: str, name: str, kind: str = "dataset") -> TDataLocation:
    """A dataset whose name in lineage is known: ``dataset("https://api.stripe.com", "/v1/charges")``.

    Args:
        namespace: By https://openlineage.io/docs/spec/naming.
        name: Within the namespace.
        kind: The kind of source.
    """
    return {"kind": kind, "location": namespace, "namespace": namespace, "name": name}


def dataset_tables(place: Location, *tables: str, dataset_name: str = "", kind: str = "dataset") -> TDataLocation:
    """Tables that headrace (or dlt) has loaded.

    Args:
        place: As `Destination.location` gives it for the dataset.
        *tables: Names of tables.
        dataset_name: The dataset's name.
        kind: The kind of source.
    """
    found: TDataLocation = {"kind": kind, "tables": list(tables), **_server(place)}
    for name in ("database", "path", "account", "region", "project"):
        if value := getattr(place, name):
            found[name] = value
    if place.schema or dataset_name:
        found["db_schema"] = place.schema or dataset_name
    return found
