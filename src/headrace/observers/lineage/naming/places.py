"""From a location to a dataset: identity, hierarchy, source, other names, kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headrace.errors.masking import without_known, without_secrets
from headrace.model.location import Location
from headrace.observers.lineage.facts import Dataset, DatasetId
from headrace.observers.lineage.naming import stores

Maker = Callable[[Location, str], Dataset]

ALIASES: dict[str, str] = {
    "postgresql": "postgres",
    "mariadb": "mysql",
    "sqlserver": "mssql",
    "gcs": "gs",
    "s3a": "s3",
    "s3n": "s3",
    "abfs": "abfss",
    "az": "abfss",
    "adl": "abfss",
    "azure": "abfss",
    "ch": "clickhouse",
    "ssh": "sftp",
    "clickhousedb": "clickhouse",
    "databricks": "unitycatalog",
    "awsathena": "athena",
    "ibm_db_sa": "db2",
    "motherduck": "duckdb",
    "cratedb": "crate",
    "http": "https",
}
"""Other words for a kind of store. ``http`` is named by its own scheme nevertheless."""


def kind_of(scheme: str) -> str:
    """The kind of store behind a scheme, without a driver: ``postgresql+psycopg2`` is ``postgres``."""
    plain = scheme.lower() if scheme.lower() == "mongodb+srv" else scheme.lower().partition("+")[0]
    return ALIASES.get(plain, plain)


def dataset(place: Location, table: str) -> Dataset:
    """The dataset of a table, file, topic or endpoint at a location.

    Args:
        place: Where.
        table: The table, collection or endpoint; empty for a location that is a dataset itself (a folder of files).
    """
    fold = {"upper": str.upper, "lower": str.lower}.get(place.casefold)
    if fold is not None:
        place, table = msgspec.structs.replace(place, schema=fold(place.schema)), fold(table)
    if place.private:
        return _private(place, table)
    return MAKERS.get(kind_of(place.scheme), _generic)(place, table)


def _levels(*levels: tuple[str, str]) -> list[tuple[str, str]]:
    return [level for level in levels if level[1]]


def _uri(found: DatasetId, *more: str) -> str:
    """Where it is as a URI: the namespace, and what says more than that without being the table."""
    space = found.namespace
    if space == "file":
        return "file://" + "/".join(more)
    if "://" not in space and not space.startswith("arn:"):
        space += "://"
    tail = "/".join(part.strip("/") for part in more if part)
    return f"{space}{'' if space.endswith('/') or not tail else '/'}{tail}"


def _table(found: DatasetId, levels: list[tuple[str, str]], *uri: str, **more: Any) -> Dataset:
    return Dataset(id=found, hierarchy=levels, source_uri=_uri(found, *uri), type="TABLE", **more)


def _three(place: Location, table: str) -> Dataset:
    """Databases with a database, schemas and tables."""
    kind, database = kind_of(place.scheme), place.database
    found = stores.server(kind, place.host, place.port, database, place.schema, table, hosts=place.hosts)
    return _table(found, _levels(("DATABASE", database), ("SCHEMA", place.schema), ("TABLE", table)), database)


def _two(place: Location, table: str) -> Dataset:
    """Databases whose schemas are their databases."""
    kind, database = kind_of(place.scheme), place.schema or place.database
    found = stores.server(kind, place.host, place.port, database, table, hosts=place.hosts)
    return _table(found, _levels(("DATABASE", database), ("TABLE", table)), database)


def _documents(place: Location, table: str) -> Dataset:
    database, kind = place.schema or place.database, kind_of(place.scheme)
    if kind == "milvus":
        database = database or "default"
    if kind == "mongodb+srv":
        found = stores.mongodb_srv(place.host, database, table)
    elif kind == "mongodb":
        found = stores.mongodb(place.host, database, table, place.port, place.hosts)
    else:
        found = stores.server(kind, place.host, place.port, database, table)
    level = "KEYSPACE" if kind == "cassandra" else "DATABASE"
    leaf = "TABLE" if kind == "cassandra" else "COLLECTION"
    return _table(found, _levels((level, database), (leaf, table)), database)


def _mssql(place: Location, table: str) -> Dataset:
    made = _three(place, table)
    # OpenLineage's JDBC code calls all kinds of SQL Server so
    other = stores.server("sqlserver", place.host, place.port, place.database, place.schema, table)
    made.symlinks = [(other.namespace, other.name, "TABLE")]
    return made


def _synapse(place: Location, table: str) -> Dataset:
    found = stores.synapse(place.host, place.schema, table, place.port)
    levels = _levels(("DATABASE", place.database), ("SCHEMA", place.schema), ("TABLE", table))
    return _table(found, levels, place.database)


def _redshift(place: Location, table: str) -> Dataset:
    found = stores.redshift(place.host, place.database, place.schema, table, place.port)
    levels = _levels(("DATABASE", place.database), ("SCHEMA", place.schema), ("TABLE", table))
    whole = stores.server("redshift", place.host, place.port, place.database, place.schema, table)
    links = [(whole.namespace, whole.name, "TABLE")] if whole != found else []  # as dbt-ol has it
    return _table(found, levels, place.database, symlinks=links)


def _snowflake(place: Location, table: str) -> Dataset:
    database, _, inner = place.database.partition("/")  # SQLAlchemy's urls have the schema behind the database
    schema = place.schema or inner
    found = stores.snowflake(place.account or place.host, database, schema, table)
    return _table(found, _levels(("DATABASE", database), ("SCHEMA", schema), ("TABLE", table)), database)


def _bigquery(place: Location, table: str) -> Dataset:
    project, data = place.project or place.host or place.database, place.schema
    found = stores.bigquery(project, data, table)
    return _table(found, _levels(("PROJECT", project), ("DATASET", data), ("TABLE", table)), project)


def _athena(place: Location, table: str) -> Dataset:
    region = place.region or (place.host.split(".")[1] if place.host.count(".") > 1 else "")
    catalog = place.database or "AwsDataCatalog"
    found = stores.athena(region, catalog, place.schema, table)
    links: list[tuple[str, str, str]] = []
    if place.account:
        other = stores.glue(region, place.account, place.schema, table)
        links.append((other.namespace, other.name, "TABLE"))
    if place.path:
        links.append(_link(files(place.path, table), "LOCATION"))
    levels = _levels(("CATALOG", catalog), ("DATABASE", place.schema), ("TABLE", table))
    return _table(found, levels, catalog, symlinks=links)


def _glue(place: Location, table: str) -> Dataset:
    found = stores.glue(place.region, place.account, place.schema or place.database, table)
    return _table(found, _levels(("DATABASE", place.schema or place.database), ("TABLE", table)))


def _databricks(place: Location, table: str) -> Dataset:
    parts = (place.database, place.schema, table)
    found = stores.databricks(place.host, *parts, port=place.port if place.port != 443 else None)
    other = DatasetId(f"databricks://{place.host.lower()}", found.name)  # as dbt-ol has it
    levels = _levels(("CATALOG", parts[0]), ("SCHEMA", parts[1]), ("TABLE", table))
    return _table(found, levels, place.database, symlinks=[(other.namespace, other.name, "TABLE")])


def _trino(place: Location, table: str) -> Dataset:
    catalog, _, inner = place.database.partition("/")
    schema = place.schema or inner
    found = stores.server(kind_of(place.scheme), place.host, place.port, catalog, schema, table)
    return _table(found, _levels(("CATALOG", catalog), ("SCHEMA", schema), ("TABLE", table)), catalog)


def _spanner(place: Location, table: str) -> Dataset:
    instance = place.host or place.account
    found = stores.spanner(place.project, instance, place.database, place.schema, table)
    levels = _levels(("INSTANCE", instance), ("DATABASE", place.database), ("SCHEMA", place.schema), ("TABLE", table))
    return _table(found, levels, place.database)


def _cosmos(place: Location, table: str) -> Dataset:
    found = stores.cosmos(place.host, place.database, table)
    return _table(found, _levels(("DATABASE", place.database), ("COLLECTION", table)))


def _kusto(place: Location, table: str) -> Dataset:
    found = stores.kusto(place.host, place.database, table)
    return _table(found, _levels(("DATABASE", place.database), ("TABLE", table)), place.database)


def _duckdb(place: Location, table: str) -> Dataset:
    path = place.path or f"md:{place.database}"
    found = stores.duckdb(path, place.database, place.schema, table)
    levels = _levels(("DATABASE", place.database), ("SCHEMA", place.schema), ("TABLE", table))
    return _table(found, levels)


def _sqlite(place: Location, table: str) -> Dataset:
    found = stores.sqlite(place.path, table)
    made = _table(found, _levels(("DATABASE", place.path.rpartition("/")[2]), ("SCHEMA", "main"), ("TABLE", table)))
    # the file alone would be one other name of all its tables, and catalogs would take them for one
    made.symlinks = [("file", f"{place.path}#main.{table}", "LOCATION")]
    return made


def _lancedb(place: Location, table: str) -> Dataset:
    uri = place.path or stores.authority(place.host, place.port)
    return _table(stores.lancedb(uri, table), _levels(("COLLECTION", table)))


def _vectors(place: Location, table: str) -> Dataset:
    found = stores.server(kind_of(place.scheme), place.host, place.port, table)
    return _table(found, _levels(("COLLECTION", table)))


def _generic(place: Location, table: str) -> Dataset:
    if place.path and not place.database:
        found = stores.bucket(kind_of(place.scheme), stores.authority(place.host, place.port), _path(place, table))
        return Dataset(id=found, source_uri=_uri(found), type="FILE")
    return _three(place, table)


def _private(place: Location, table: str) -> Dataset:
    schema = place.schema or stores.key_of(place.path)
    found = stores.memory(place.owner, place.database, schema, table)
    levels = _levels(("SCHEMA", schema), ("TABLE", table))
    return Dataset(id=found, hierarchy=levels, source_uri="inmemory:///", type="JOB_OUTPUT", subtype="TEMPORARY")


# ---- files -----------------------------------------------------------------------------------------------------------

_FORMATS = {"jsonl": "json", "typed-jsonl": "json", "ndjson": "json", "insert_values": "text", "arrow": "arrow"}


def file_format(name: str) -> str:
    """A format as the storage facet calls it."""
    return _FORMATS.get(name, name)


def _path(place: Location, table: str) -> str:
    inner = place.table_path.replace("{table_name}", table) if place.table_path else table
    path = f"{place.path.rstrip('/')}/{inner}" if inner else place.path
    if "=" not in path:
        return path
    # what is hidden of a folder (`token=…`) must not take all that is in it along, which would be one dataset then
    return "/".join(map(without_secrets, without_known(path).split("/")))


def _bucket(place: Location, table: str) -> Dataset:
    kind, path = kind_of(place.scheme), _path(place, table)
    if kind in ("abfss", "wasbs"):
        found = (stores.abfss if kind == "abfss" else stores.wasbs)(place.host, place.account, path)
    elif kind in ("sftp", "ftp"):
        found = stores.sftp(place.host, path, place.port, kind)
    elif kind == "hdfs":
        found = stores.hdfs(place.host, path, place.port)
    elif kind == "dbfs":
        found = stores.dbfs(place.host, path)
    else:
        found = stores.bucket(kind, place.host, path)
    made = Dataset(id=found, source_uri=_uri(found, stores.key_of(place.path)), type="FILE")
    made.hierarchy = _folders(
        ("BUCKET", place.host) if kind not in ("sftp", "ftp", "hdfs") else ("HOST", place.host), path
    )
    made.storage = _storage(kind, place.file_format)
    return made


def _file(place: Location, table: str) -> Dataset:
    path = _path(place, table)
    found = stores.file(path, place.host)
    made = Dataset(id=found, source_uri=_uri(found, place.path), type="FILE")
    made.hierarchy = _folders(("HOST", place.host), path)
    made.storage = _storage("file", place.file_format)
    return made


def _folders(top: tuple[str, str], path: str) -> list[tuple[str, str]]:
    """The place itself, and the folder in it."""
    return _levels(top, ("DIRECTORY", stores.key_of(path)))


def _storage(layer: str, name: str) -> dict[str, Any]:
    found = {"storageLayer": layer}
    if name:
        found["fileFormat"] = file_format(name)
    return found


def _link(found: DatasetId, kind: str) -> tuple[str, str, str]:
    return (found.namespace, found.name, kind)


def files(url: str, table: str = "") -> DatasetId:
    """The name of a folder by its url."""
    from headrace.model.location import location_of_url

    return dataset(location_of_url(url), table).id


# ---- interfaces ------------------------------------------------------------------------------------------------------


def _api(place: Location, table: str) -> Dataset:
    """An endpoint: ``table`` is the template of the path below that of the location, ``database`` the entity."""
    path = _path(place, table.lstrip("/")) if table else place.path
    found = stores.api(place.host, path, place.port, place.scheme.lower().partition("+")[0], place.database)
    levels = _levels(
        ("HOST", place.host.lower()), ("ENDPOINT", found.name.partition("#")[0]), ("ENTITY", place.database)
    )
    made = Dataset(id=found, source_uri=_uri(found, place.path), type="API_ENDPOINT", hierarchy=levels)
    made.subtype = "GRAPHQL" if place.database and "graphql" in path.lower() else "REST"
    return made


def _topic(place: Location, table: str) -> Dataset:
    if kind_of(place.scheme) == "pubsub":
        found = stores.pubsub(place.project, table)
    else:
        servers = [stores.authority(h, p, stores.PORTS["kafka"]) for h, p in place.hosts or [(place.host, place.port)]]
        found = stores.kafka(servers, table)
    return Dataset(id=found, source_uri=_uri(found, place.project), type="TOPIC", hierarchy=[("TOPIC", table)])


MAKERS: dict[str, Maker] = {
    **dict.fromkeys(("postgres", "db2", "crate", "oracle", "fabric-warehouse", "dremio"), _three),
    **dict.fromkeys(("mysql", "teradata", "hive", "oceanbase", "clickhouse", "spark"), _two),
    **dict.fromkeys(("cassandra", "milvus", "mongodb", "mongodb+srv"), _documents),
    **dict.fromkeys(("s3", "gs", "abfss", "wasbs", "hdfs", "dbfs", "sftp", "ftp", "hf", "gdrive"), _bucket),
    **dict.fromkeys(("qdrant", "weaviate"), _vectors),
    **dict.fromkeys(("kafka", "pubsub"), _topic),
    "mssql": _mssql,
    "synapse": _synapse,
    "redshift": _redshift,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "athena": _athena,
    "glue": _glue,
    "unitycatalog": _databricks,
    "trino": _trino,
    "spanner": _spanner,
    "azurecosmos": _cosmos,
    "azurekusto": _kusto,
    "duckdb": _duckdb,
    "sqlite": _sqlite,
    "lancedb": _lancedb,
    "file": _file,
    "https": _api,
}
"""By kind of store: what makes a dataset of a location. Other kinds are named like databases."""
