"""The names of datasets, store by store: parts in, namespace and name out.

Official ones follow https://openlineage.io/docs/spec/naming; the others what OpenLineage's own tools emit, or our own
conventions (docs/lineage/naming.md has all of them in a table, made from here).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headrace.observers.lineage.facts import DatasetId

PORTS: dict[str, int] = {
    "postgres": 5432,
    "mysql": 3306,
    "mssql": 1433,
    "sqlserver": 1433,
    "oracle": 1521,
    "db2": 50000,
    "crate": 5432,
    "teradata": 1025,
    "hive": 10000,
    "oceanbase": 2881,
    "cassandra": 9042,
    "milvus": 19530,
    "redshift": 5439,
    "trino": 443,
    "clickhouse": 8123,
    "dremio": 31010,
    "spark": 10000,
    "mongodb": 27017,
    "sftp": 22,
    "ftp": 21,
    "kafka": 9092,
    "hdfs": 8020,
    "qdrant": 6333,
    "weaviate": 8080,
    "cockroachdb": 26257,
}
"""Ports that are meant where none is given."""
_HTTP = {"http": 80, "https": 443}
LOCAL = "localhost"
Hosts = Sequence[tuple[str, "int | None"]]


def authority(host: str, port: int | None = None, default: int | None = None, hosts: Hosts = ()) -> str:
    """``host:port`` as it stands in a namespace: host in lower case, IPv6 in brackets; several are joined by commas.

    A folder of a socket is the machine itself. Without a port and a usual one there is only the host.
    """
    found = hosts or [(host, port)]
    return ",".join(_one_host(name, number or default) for name, number in found)


def _one_host(host: str, port: int | None) -> str:
    name = LOCAL if not host or host.startswith("/") else host.lower()
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    return f"{name}:{port}" if port else name


def dotted(*parts: str) -> str:
    """The parts that are known, joined by dots."""
    return ".".join(part for part in parts if part)


# ---- databases -------------------------------------------------------------------------------------------------------


def server(
    scheme: str, host: str, port: int | None, *parts: str, hosts: Hosts = (), default: int | None = None
) -> DatasetId:
    """``{scheme}://{host}:{port}`` and the parts of the name: the form of most databases."""
    return DatasetId(f"{scheme}://{authority(host, port, default or PORTS.get(scheme), hosts)}", dotted(*parts))


def postgres(
    host: str, database: str, schema: str, table: str, port: int | None = None, hosts: Hosts = ()
) -> DatasetId:
    """PostgreSQL; several hosts as OpenLineage's Java client has them."""
    return server("postgres", host, port, database, schema, table, hosts=hosts)


def mysql(host: str, database: str, table: str, port: int | None = None) -> DatasetId:
    """MySQL and MariaDB."""
    return server("mysql", host, port, database, table)


def mssql(host: str, database: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Microsoft SQL Server."""
    return server("mssql", host, port, database, schema, table)


def synapse(host: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Azure Synapse."""
    return server("sqlserver", host, port, schema, table)


def fabric_warehouse(endpoint: str, database: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Warehouse of Microsoft Fabric."""
    return server("fabric-warehouse", endpoint, port, database, schema, table)


def oracle(host: str, service: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Oracle; ``service`` is the service's name or the SID."""
    return server("oracle", host, port, service, schema, table)


def redshift_host(host: str) -> str:
    """``cluster.region`` out of a host like ``cluster.abc.eu-west-1.redshift.amazonaws.com``; other hosts as they are.

    Serverless hosts are ``workgroup.account.region.redshift-serverless.amazonaws.com``.
    """
    labels = host.lower().split(".")
    if len(labels) >= 5 and labels[3].startswith("redshift"):
        return f"{labels[0]}.{labels[2]}"
    return host.lower()


def redshift(host: str, database: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Amazon Redshift; the host is the whole one, or ``cluster.region``."""
    return server("redshift", redshift_host(host), port, database, schema, table)


def snowflake_account(account: str) -> str:
    """An account as namespaces have it: ``org-account``, else ``locator.region.cloud``.

    A locator alone lies in AWS's us-west-1, as the helper of OpenLineage has it; one with a region lies in AWS.
    """
    name = account.strip().removeprefix("https://").rstrip("/")
    name = re.sub(r"(\.privatelink)?\.snowflakecomputing\.com$", "", name, flags=re.IGNORECASE)
    first, *rest = name.split(".")
    if not rest:
        return first if "-" in first or "_" in first else f"{first}.us-west-1.aws"
    if "-" in first or len(rest) > 1:
        return name
    return f"{name}.aws"


def snowflake(account: str, database: str, schema: str, table: str) -> DatasetId:
    """Snowflake; identifiers as the store has them: upper case unless they were quoted."""
    return DatasetId(f"snowflake://{snowflake_account(account)}", dotted(database, schema, table))


def bigquery(project: str, dataset: str, table: str) -> DatasetId:
    """Google BigQuery: one namespace for all."""
    return DatasetId("bigquery", dotted(project, dataset, table))


def athena(region: str, catalog: str, database: str, table: str) -> DatasetId:
    """Amazon Athena."""
    return DatasetId(f"awsathena://athena.{region}.amazonaws.com", dotted(catalog or "AwsDataCatalog", database, table))


def glue(region: str, account: str, database: str, table: str) -> DatasetId:
    """AWS Glue's catalog."""
    return DatasetId(f"arn:aws:glue:{region}:{account}", f"table/{database}/{table}")


def databricks(host: str, catalog: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Databricks with Unity Catalog."""
    return server("unitycatalog", host, port, catalog, schema, table)


def trino(host: str, catalog: str, schema: str, table: str, port: int | None = None) -> DatasetId:
    """Trino."""
    return server("trino", host, port, catalog, schema, table)


def spanner(project: str, instance: str, database: str, schema: str, table: str) -> DatasetId:
    """Google Spanner; the default schema has no name."""
    return DatasetId(f"spanner://{project}:{instance}", dotted(database, schema, table))


def cosmos(host: str, database: str, collection: str) -> DatasetId:
    """Azure Cosmos DB."""
    return DatasetId(f"azurecosmos://{host.lower()}/dbs/{database}", f"colls/{collection}")


def kusto(cluster: str, database: str, table: str) -> DatasetId:
    """Azure Data Explorer."""
    name = cluster.lower().removesuffix(".kusto.windows.net")
    return DatasetId(f"azurekusto://{name}.kusto.windows.net", f"{database}/{table}")


def clickhouse(host: str, database: str, table: str, port: int | None = None) -> DatasetId:
    """ClickHouse, as dbt-ol and the JDBC code name it."""
    return server("clickhouse", host, port, database, table)


def duckdb(path: str, catalog: str, schema: str, table: str) -> DatasetId:
    """DuckDB, by the absolute path of its file; MotherDuck by ``md:database``."""
    return DatasetId(f"duckdb://{path}", dotted(catalog, schema, table))


def sqlite(path: str, table: str, schema: str = "main") -> DatasetId:
    """SQLite, by the absolute path of its file."""
    return DatasetId(f"sqlite://{path}", dotted(schema, table))


def mongodb(host: str, database: str, collection: str, port: int | None = None, hosts: Hosts = ()) -> DatasetId:
    """MongoDB; members of a replica set in order."""
    members = sorted((name.lower(), number or PORTS["mongodb"]) for name, number in hosts)
    return server("mongodb", host, port, database, collection, hosts=members)


def mongodb_srv(host: str, database: str, collection: str) -> DatasetId:
    """MongoDB whose members are found in DNS."""
    return DatasetId(f"mongodb+srv://{host.lower()}", dotted(database, collection))


def lancedb(uri: str, table: str) -> DatasetId:
    """LanceDB, by its folder or address."""
    return DatasetId(f"lancedb://{uri.rstrip('/') if len(uri) > 1 else uri}", table)


# ---- files -----------------------------------------------------------------------------------------------------------


def key_of(path: str) -> str:
    """A path in a bucket: no slash at either end."""
    return re.sub("/{2,}", "/", path).strip("/")


def bucket(scheme: str, name: str, path: str) -> DatasetId:
    """An object store: ``{scheme}://{bucket}`` and the key; the root of a bucket is called ``/``."""
    return DatasetId(f"{scheme}://{name}", key_of(path) or "/")


def s3(name: str, path: str) -> DatasetId:
    """Amazon S3 and what speaks like it."""
    return bucket("s3", name, path)


def gcs(name: str, path: str) -> DatasetId:
    """Google Cloud Storage."""
    return bucket("gs", name, path)


def abfss(container: str, account: str, path: str) -> DatasetId:
    """Azure Data Lake Storage."""
    return bucket("abfss", f"{container}@{account}.dfs.core.windows.net", path)


def wasbs(container: str, account: str, path: str) -> DatasetId:
    """Azure Blob Storage, as the table of OpenLineage has it."""
    return bucket("wasbs", f"{container}@{account}.dfs.core.windows.net", path)


def hdfs(namenode: str, path: str, port: int | None = None) -> DatasetId:
    """Hadoop; a name service without a port is one of high availability."""
    return DatasetId(f"hdfs://{_one_host(namenode, port)}", "/" + key_of(path))


def dbfs(workspace: str, path: str) -> DatasetId:
    """Databricks' file system."""
    return DatasetId(f"dbfs://{workspace}", path)


def file(path: str, host: str = "") -> DatasetId:
    """A file or folder of this machine by its absolute path, or of another one."""
    found = path if path == "/" else path.rstrip("/")
    return DatasetId(f"file://{host.lower()}" if host else "file", found)


def sftp(host: str, path: str, port: int | None = None, scheme: str = "sftp") -> DatasetId:
    """A file server, by host, port and absolute path."""
    return DatasetId(f"{scheme}://{authority(host, port, PORTS.get(scheme))}", "/" + key_of(path))


# ---- streams, interfaces, memory -------------------------------------------------------------------------------------


def kafka(servers: Sequence[str], topic: str) -> DatasetId:
    """Kafka, by the first of its servers in order."""
    host, _, port = sorted(servers)[0].rpartition(":") if ":" in sorted(servers)[0] else (sorted(servers)[0], "", "")
    return DatasetId(f"kafka://{authority(host, int(port) if port else None, PORTS['kafka'])}", topic)


def pubsub(project: str, resource: str, kind: str = "topic") -> DatasetId:
    """Google Pub/Sub: ``kind`` is ``topic`` or ``subscription``."""
    return DatasetId("pubsub", f"{kind}:{project}:{resource}")


def api(host: str, path: str, port: int | None = None, scheme: str = "https", entity: str = "") -> DatasetId:
    """An HTTP interface: the host, and the template of the path; ``entity`` where one endpoint serves several things.

    The usual port is left out, and so are query and fragment.
    """
    shown = port if port != _HTTP.get(scheme) else None
    name = "/" + key_of(re.split(r"[?#]", path, maxsplit=1)[0])
    return DatasetId(f"{scheme}://{_one_host(host, shown)}", f"{name}#{entity}" if entity else name)


def graphql(host: str, field: str, path: str = "/graphql", port: int | None = None) -> DatasetId:
    """A GraphQL interface, by the field at the root of the query."""
    return api(host, path, port, entity=field)


def soap(endpoint: str, operation: str) -> DatasetId:
    """A SOAP interface: the endpoint's address, and the operation."""
    return DatasetId(endpoint.split("?", 1)[0], operation)


def memory(*parts: str) -> DatasetId:
    """What lives in a process only."""
    return DatasetId("inmemory://", dotted(*parts))


def generic(scheme: str, host: str, port: int | None, *parts: Any) -> DatasetId:
    """A store that nobody has a rule for: the form of most databases."""
    return server(scheme, host, port, *(str(part) for part in parts if part))
