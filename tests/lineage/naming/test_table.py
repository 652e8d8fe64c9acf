"""The page of names, row by row, against the code; and against the helpers of OpenLineage's client."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.model.location import Location, location_of_url
from headrace.observers.lineage.naming import inputs
from headrace.observers.lineage.naming.places import MAKERS, dataset, kind_of
from headrace.sources import inputs as declare

PAGE = Path(__file__).parents[3] / "docs" / "lineage" / "naming.md"
HOST = "db.example.com"
SHOP = {"host": HOST, "database": "shop", "schema": "raw"}


def at(scheme: str, **parts: object) -> Location:
    return Location(scheme=scheme, **parts)  # type: ignore[arg-type]


OF_LOCATIONS: dict[str, tuple[Location, str]] = {
    "PostgreSQL": (at("postgresql", **SHOP), "users"),
    "PostgreSQL, several hosts": (
        at("postgres", **{**SHOP, "host": "h1", "hosts": [("h1", None), ("h2", 5433)]}),
        "users",
    ),
    "MySQL": (at("mysql", host="DB.Example.com", schema="raw"), "users"),
    "MariaDB": (at("mariadb", host=HOST, port=3307, database="raw"), "users"),
    "SQL Server": (at("mssql", host=HOST, database="shop", schema="dbo"), "users"),
    "Azure Synapse": (at("synapse", host="ws.sql.azuresynapse.net", database="shop", schema="raw"), "users"),
    "Fabric Warehouse": (
        at("fabric-warehouse", **{**SHOP, "host": "x.datawarehouse.fabric.microsoft.com"}),
        "users",
    ),
    "Oracle": (at("oracle", host=HOST, database="ORCL", schema="raw", casefold="upper"), "users"),
    "DB2": (at("db2", host=HOST, database="SHOP", schema="raw", casefold="upper"), "users"),
    "CrateDB": (at("crate", host=HOST, database="crate", schema="doc"), "users"),
    "Teradata": (at("teradata", host=HOST, database="raw"), "users"),
    "Hive": (at("hive", host=HOST, database="raw"), "users"),
    "OceanBase": (at("oceanbase", host=HOST, database="raw"), "users"),
    "Cassandra": (at("cassandra", host=HOST, schema="raw"), "users"),
    "Redshift": (
        at("redshift", **{**SHOP, "host": "dw.abc123.eu-west-1.redshift.amazonaws.com"}),
        "users",
    ),
    "Snowflake": (at("snowflake", account="acme-prod", database="SHOP", schema="raw", casefold="upper"), "users"),
    "Snowflake, account locator": (
        at("snowflake", account="xy12345.eu-west-1", database="SHOP", schema="RAW"),
        "USERS",
    ),
    "BigQuery": (at("bigquery", project="acme", schema="raw"), "users"),
    "Athena": (at("athena", region="eu-west-1", schema="raw"), "users"),
    "Glue": (at("glue", region="eu-west-1", account="123456789012", schema="raw"), "users"),
    "Databricks, Unity Catalog": (
        at("databricks", host="adb-1.azuredatabricks.net", port=443, database="main", schema="raw"),
        "users",
    ),
    "Trino": (at("trino", host=HOST, database="hive", schema="raw"), "users"),
    "Spanner": (at("spanner", project="acme", host="prod", database="shop", schema="raw"), "users"),
    "Cosmos DB": (at("azurecosmos", host="acme.documents.azure.com", database="shop"), "users"),
    "Azure Data Explorer": (at("azurekusto", host="acme", database="shop"), "users"),
    "ClickHouse": (at("clickhouse", host=HOST, database="raw"), "users"),
    "Dremio": (at("dremio", host=HOST, database="lake", schema="raw"), "users"),
    "DuckDB": (at("duckdb", path="/data/wh.duckdb", database="wh", schema="raw"), "users"),
    "MotherDuck": (at("duckdb", path="md:wh", database="wh", schema="raw"), "users"),
    "SQLite": (at("sqlite", path="/data/shop.db", schema="main"), "users"),
    "MongoDB": (at("mongodb", hosts=[("h2", None), ("H1", None)], database="shop"), "users"),
    "MongoDB, by DNS": (at("mongodb+srv", host="cluster.example.com", database="shop"), "users"),
    "Milvus": (at("milvus", host=HOST, database="default"), "docs"),
    "Qdrant": (at("qdrant", host=HOST), "docs"),
    "Weaviate": (at("weaviate", host=HOST), "Docs"),
    "LanceDB": (at("lancedb", path="/data/lance/"), "docs"),
    "S3": (at("s3a", host="lake", path="/raw/"), "users"),
    "Google Cloud Storage": (at("gcs", host="lake", path="/raw"), "users"),
    "Azure storage (abfss, az, adl)": (at("az", host="lake", account="acme", path="raw"), "users"),
    "Azure storage (wasbs)": (at("wasbs", host="lake", account="acme", path="raw"), "users"),
    "HDFS": (at("hdfs", host="nn.example.com", port=8020, path="/raw"), "users"),
    "DBFS": (at("dbfs", host="acme", path="/raw"), "users"),
    "Local files": (at("file", path="/data/raw", table_path="{table_name}"), "users"),
    "Files of another machine": (at("file", host="NAS", path="/data/raw"), "users"),
    "SFTP": (at("sftp", host="files.example.com", path="/in"), "orders"),
    "Kafka": (at("kafka", hosts=[("b2.example.com", 9092), ("b1.example.com", None)]), "orders"),
    "Pub/Sub": (at("pubsub", project="acme"), "orders"),
    "REST": (location_of_url("https://me:secret@API.github.com:443/?a=1"), "repos/{owner}/{repo}/events"),
    "REST, one of several things": (
        at("https", host="sheets.googleapis.com", path="/v4", database="Sheet1"),
        "/spreadsheets/{id}",
    ),
    "GraphQL": (at("https", host="api.example.com", path="/graphql", database="issues"), ""),
    "In memory": (at("duckdb", private=True, owner="loader", database="memory", schema="raw"), "users"),
}


def rows() -> list[tuple[str, ...]]:
    text = PAGE.read_text(encoding="utf-8").partition("## Every store")[2].partition("\n## ")[0]
    cells = [tuple(cell.strip().strip("`") for cell in line.strip("|\n").split("|")) for line in text.splitlines()]
    return [row for row in cells if len(row) == 6 and not set(row[0]) <= {"-"} and row[0] != "Store"]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_row_of_the_page_is_what_the_code_says(row: tuple[str, ...]) -> None:
    store, namespace, name, rule, made_namespace, made_name = row
    place, table = OF_LOCATIONS[store]
    found = dataset(place, table).id
    assert (found.namespace, found.name) == (made_namespace, made_name)
    assert rule in ("O", "T", "H")
    if store != "PostgreSQL, several hosts" and store != "MongoDB":  # lists are longer than the form
        assert re.fullmatch(_pattern(namespace), made_namespace), namespace
    if not made_name.startswith(("/repos", "/v4")):  # a template is full of braces itself
        assert re.fullmatch(_pattern(name), made_name), name


def _pattern(form: str) -> str:
    """A form with placeholders as a pattern; a template in it may be any text."""
    return "".join(".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", form))


def test_the_page_leaves_no_store_out_and_names_none_that_is_not_there() -> None:
    assert {row[0] for row in rows()} == set(OF_LOCATIONS)
    shown = {kind_of(place.scheme) for place, _ in OF_LOCATIONS.values() if not place.private}
    # words for the same forms, and file systems that are named like buckets
    assert set(MAKERS) - shown == {"spark", "ftp", "hf", "gdrive"}


def test_every_dataset_has_a_hierarchy_that_ends_with_it_and_a_uri_without_it() -> None:
    for store, (place, table) in OF_LOCATIONS.items():
        made = dataset(place, table)
        assert made.type in ("TABLE", "FILE", "API_ENDPOINT", "TOPIC", "JOB_OUTPUT"), store
        assert made.source_uri and re.match(r"[a-z][a-z0-9+.-]*:(//|aws:).+", made.source_uri), store
        if made.type == "TABLE":
            leaf = table.upper() if place.casefold else table
            assert made.hierarchy[-1][1] == leaf, store
            assert all(name for _, name in made.hierarchy), store


def test_the_names_are_those_of_the_clients_own_helpers() -> None:
    naming = pytest.importorskip("openlineage.client.naming.dataset")
    port = {"host": HOST, "port": "5432"}
    three = {"database": "shop", "schema": "raw", "table": "users"}
    ours = {name: dataset(*found).id for name, found in OF_LOCATIONS.items()}
    theirs = {
        "PostgreSQL": naming.Postgres(**port, **three),
        "MySQL": naming.MySQL(HOST, "3306", "raw", "users"),
        "Azure Synapse": naming.AzureSynapse("ws.sql.azuresynapse.net", "1433", "raw", "users"),
        "Oracle": naming.Oracle(HOST, "1521", "ORCL", "RAW", "USERS"),
        "DB2": naming.DB2(HOST, "50000", "SHOP", "RAW", "USERS"),
        "CrateDB": naming.CrateDB(HOST, "5432", "crate", "doc", "users"),
        "Teradata": naming.Teradata(HOST, "1025", "raw", "users"),
        "Hive": naming.Hive(HOST, "10000", "raw", "users"),
        "OceanBase": naming.OceanBase(HOST, "2881", "raw", "users"),
        "Cassandra": naming.Cassandra(HOST, "9042", "raw", "users"),
        "Redshift": naming.Redshift("dw", "eu-west-1", "5439", "shop", "raw", "users"),
        "Snowflake": naming.Snowflake("acme", "prod", "SHOP", "RAW", "USERS"),
        "BigQuery": naming.BigQuery("acme", "raw", "users"),
        "Athena": naming.Athena("eu-west-1", "AwsDataCatalog", "raw", "users"),
        "Glue": naming.AWSGlue("eu-west-1", "123456789012", "raw", "users"),
        "Trino": naming.Trino(HOST, "443", "hive", "raw", "users"),
        "Cosmos DB": naming.AzureCosmosDB("acme.documents.azure.com", "shop", "users"),
        "Azure Data Explorer": naming.AzureDataExplorer("acme", "shop", "users"),
        "S3": naming.S3("lake", "raw/users"),
        "Google Cloud Storage": naming.GCS("lake", "raw/users"),
        "Azure storage (abfss, az, adl)": naming.ABFSS("lake", "acme", "raw/users"),
        "Azure storage (wasbs)": naming.WASBS("lake", "acme", "raw/users"),
        "HDFS": naming.HDFS("nn.example.com", "8020", "/raw/users"),
        "DBFS": naming.DBFS("acme", "/raw/users"),
        "Local files": naming.LocalFileSystem("/data/raw/users"),
        "Files of another machine": naming.RemoteFileSystem("nas", "/data/raw/users"),
        "Kafka": naming.Kafka("b1.example.com", "9092", "orders"),
        "Pub/Sub": naming.PubSubNaming(naming.PubSubResourceType.TOPIC, "acme", "orders"),
    }
    for store, named in theirs.items():
        assert (ours[store].namespace, ours[store].name) == (named.get_namespace(), named.get_name()), store


def test_declared_inputs_get_the_names_of_the_page() -> None:
    made = {
        "PostgreSQL": declare.sql_tables(f"postgresql+psycopg2://me:pw@{HOST}/shop", "users", schema="raw"),
        "SQL Server": declare.sql_tables(f"mssql+pyodbc://me:pw@{HOST}/shop?driver=x", "users"),
        "MySQL": declare.sql_tables(f"mysql+pymysql://me:pw@{HOST}:3306/raw", "users"),
        "SQLite": declare.sql_tables("sqlite:////data/shop.db", "users"),
        "DuckDB": declare.sql_tables("duckdb:////data/wh.duckdb", "users", schema="raw"),
        "MongoDB": declare.documents("mongodb://me:pw@h2,h1/shop?replicaSet=x", "users"),
        "MongoDB, by DNS": declare.documents("mongodb+srv://me:pw@cluster.example.com/shop", "users"),
        "Qdrant": declare.vectors(f"http://{HOST}:6333", "docs", scheme="qdrant"),
        "LanceDB": declare.vectors("/data/lance", "docs", scheme="lancedb"),
        "S3": declare.files("s3://lake/raw", "users/**/*.parquet"),
        "Azure storage (abfss, az, adl)": declare.files("az://lake/raw", "users/*.csv", account="acme"),
        "Local files": declare.files("/data", "raw/users/*.csv"),
        "SFTP": declare.files("sftp://me:pw@files.example.com/in", "orders/*.csv"),
        "Kafka": declare.topic(["b2.example.com:9092", "b1.example.com:9092"], "orders"),
        "REST": declare.rest_endpoint("https://api.github.com?token=x", "/repos/{owner}/{repo}/events"),
        "REST, one of several things": declare.rest_endpoint(
            "https://sheets.googleapis.com/v4", "spreadsheets/{id}", entity="Sheet1"
        ),
        "GraphQL": declare.graphql("https://api.example.com/graphql", "issues"),
    }
    for store, location in made.items():
        [found] = inputs([location])
        assert found.id == dataset(*OF_LOCATIONS[store]).id, store
        assert "pw" not in str(location) and "token=x" not in str(location), store
