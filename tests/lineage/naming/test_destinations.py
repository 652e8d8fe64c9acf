"""Every destination: where it says its tables are, and where they really are."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

import headrace
from headrace.load.destination import PipelineFacts
from headrace.model.location import Location
from headrace.observers.lineage import naming
from headrace.observers.lineage.facts import Output
from tests.e2e.project import project as project


def facts(folder: Path) -> PipelineFacts:
    return PipelineFacts(pipeline_name="shop", working_dir=str(folder / "work"), local_dir=str(folder))


def named(destination: Any, folder: Path, dataset: str = "raw", table: str = "users", **more: Any) -> Output:
    place = destination.location(dataset, facts(folder))
    # it travels to the thread that makes events, and to other processes
    place = msgspec.json.decode(msgspec.json.encode(place), type=Location)
    return naming.output(place, table, source_name=destination.destination_name, **more)


def of(found: Output) -> tuple[str, str]:
    return found.id.namespace, found.id.name


def test_a_duckdb_file_is_its_absolute_path(tmp_path: Path) -> None:
    path = tmp_path / "wh.duckdb"
    found = named(headrace.destinations.duckdb("wh.duckdb"), tmp_path)
    assert of(found) == (f"duckdb://{path}", "wh.raw.users")
    assert found.hierarchy == [("DATABASE", "wh"), ("SCHEMA", "raw"), ("TABLE", "users")]
    assert (found.type, found.source_name, found.source_uri, found.table) == (
        "TABLE",
        "duckdb",
        f"duckdb://{path}",
        "users",
    )
    assert of(named(headrace.destinations.duckdb(f"duckdb:///{path}?threads=1"), tmp_path)) == of(found)
    assert of(named(headrace.destinations.duckdb(), tmp_path))[0] == f"duckdb://{tmp_path / 'shop.duckdb'}"


def test_the_name_of_a_duckdb_table_is_what_duckdb_calls_it(project: Path) -> None:
    pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="Raw Data")
    pipeline.run([{"Id": 1}], table_name="Big Users")
    dataset = pipeline._destinations.dataset_for(pipeline.default_schema)
    place = pipeline.destination.location(dataset, pipeline._destinations.facts())
    found = naming.output(place, "big_users")
    path = found.id.namespace.removeprefix("duckdb://")
    with duckdb.connect(path, read_only=True) as db:
        assert db.execute(f"SELECT count(*) FROM {found.id.name}").fetchone() == (1,)


def test_an_open_connection_of_duckdb_is_its_file(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "mine.duckdb")) as connection:
        found = named(headrace.destinations.duckdb(connection), tmp_path)
    assert of(found) == (f"duckdb://{tmp_path / 'mine.duckdb'}", "mine.raw.users")
    # closed by now: unknown, and no reason to fail
    assert of(named(headrace.destinations.duckdb(connection), tmp_path))[0] == "inmemory://"


@pytest.mark.parametrize(
    "destination",
    [
        headrace.destinations.duckdb(":memory:"),
        headrace.destinations.sqlalchemy("sqlite://"),
        headrace.destinations.sqlalchemy("sqlite:///:memory:"),
        headrace.destinations.filesystem("memory://x"),
    ],
    ids=["duckdb", "sqlite", "sqlite2", "filesystem"],
)
def test_what_lives_in_memory_is_temporary_and_the_pipelines_own(destination: Any, tmp_path: Path) -> None:
    found = named(destination, tmp_path)
    assert found.id.namespace == "inmemory://"
    assert found.id.name.startswith("shop.") and found.id.name.endswith("raw.users")
    assert (found.type, found.subtype) == ("JOB_OUTPUT", "TEMPORARY")


@pytest.mark.parametrize("text", ["md:wh", "md:wh?motherduck_token=abc", "motherduck:wh"])
def test_motherduck_has_no_file(text: str, tmp_path: Path) -> None:
    found = named(headrace.destinations.duckdb(text), tmp_path)
    assert of(found) == ("duckdb://md:wh", "wh.raw.users")
    assert "token" not in repr(found)


def test_postgres_by_host_port_and_database(tmp_path: Path) -> None:
    made = headrace.destinations.postgres("postgresql://me:secret@DB.example.com/shop?sslmode=require")
    found = named(made, tmp_path)
    assert of(found) == ("postgres://db.example.com:5432", "shop.raw.users")
    assert found.source_uri == "postgres://db.example.com:5432/shop"
    assert "secret" not in repr(found) and "me" not in found.id.namespace.split("//")[1].split(".")


@pytest.mark.parametrize(
    ("credentials", "namespace"),
    [
        ({"host": "h1,h2", "port": 5433, "database": "shop", "username": "me"}, "postgres://h1:5433,h2:5433"),
        ({"host": "/var/run/postgresql", "database": "shop", "username": "me"}, "postgres://localhost:5432"),
        ("postgresql://me@[::1]:5432/shop", "postgres://[::1]:5432"),
        ("postgresql://me@127.0.0.1/shop", "postgres://127.0.0.1:5432"),
    ],
)
def test_hosts_of_postgres(credentials: Any, namespace: str, tmp_path: Path) -> None:
    assert of(named(headrace.destinations.postgres(credentials), tmp_path))[0] == namespace


def test_a_dataset_of_sqlite_is_a_file_with_the_tables_in_main(project: Path) -> None:
    made = headrace.destinations.sqlalchemy("sqlite:///shop.db")
    pipeline = headrace.pipeline("shop", destination=made, dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="users")
    found = naming.output(pipeline.destination.location("raw", pipeline._destinations.facts()), "users")
    path = found.id.namespace.removeprefix("sqlite://")
    assert found.id.name == "main.users"
    assert found.symlinks == [("file", f"{path}#main.users", "LOCATION")]
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM main.users").fetchone() == (1,)
    db.close()


@pytest.mark.parametrize(
    ("url", "namespace", "name"),
    [
        ("mysql+pymysql://me:pw@db/other", "mysql://db:3306", "raw.users"),
        ("mariadb+pymysql://me:pw@db:3307/other", "mysql://db:3307", "raw.users"),
        ("postgresql+psycopg://me:pw@db/shop", "postgres://db:5432", "shop.raw.users"),
        ("postgresql+psycopg2://me:pw@/shop?host=h1:5432&host=h2:5433", "postgres://h1:5432,h2:5433", "shop.raw.users"),
        ("mssql+pyodbc://me:pw@db/shop?driver=x", "mssql://db:1433", "shop.raw.users"),
        (
            "mssql+pyodbc:///?odbc_connect=Driver%3D%7Bx%7D%3BServer%3Dtcp%3ADB%2C1444%3BDatabase%3Dshop%3BPWD%3Dpw",
            "mssql://db:1444",
            "shop.raw.users",
        ),
        ("oracle+oracledb://me:pw@db:1522/?service_name=ORCL", "oracle://db:1522", "ORCL.raw.users"),
        ("oracle://me:pw@db/XE", "oracle://db:1521", "XE.raw.users"),
        ("snowflake://me:pw@acme-prod/SHOP/PUBLIC?warehouse=x", "snowflake://acme-prod", "SHOP.raw.users"),
        ("bigquery://acme/other", "bigquery", "acme.raw.users"),
        ("trino://me@db:8080/hive/other", "trino://db:8080", "hive.raw.users"),
        ("clickhouse+native://me:pw@db/other", "clickhouse://db:8123", "raw.users"),
        ("redshift+psycopg2://me:pw@dw.x.eu-west-1.redshift.amazonaws.com/shop", "redshift://dw.eu-west-1:5439", None),
        ("cockroachdb://me:pw@db/shop", "cockroachdb://db:26257", "shop.raw.users"),
        ("exasol+pyexasol://me:pw@db:8563/shop", "exasol://db:8563", "shop.raw.users"),
    ],
)
def test_databases_of_sqlalchemy_by_their_dialects(url: str, namespace: str, name: str | None, tmp_path: Path) -> None:
    found = named(headrace.destinations.sqlalchemy(url), tmp_path)
    assert of(found) == (namespace, name or "shop.raw.users")
    assert "pw" not in repr(found)


def test_an_engine_tells_as_its_url_does(tmp_path: Path) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    assert of(named(headrace.destinations.sqlalchemy(engine), tmp_path)) == (
        f"sqlite://{tmp_path / 'x__raw.db'}",
        "main.users",
    )


AZURE = {"azure_storage_account_name": "acme", "azure_storage_account_key": "c2VjcmV0"}
AWS = {"aws_access_key_id": "a", "aws_secret_access_key": "secret"}


@pytest.mark.parametrize(
    ("url", "settings", "namespace", "name"),
    [
        ("s3://lake/in/", {"credentials": AWS}, "s3://lake", "in/raw/users"),
        ("s3://lake", {"credentials": AWS}, "s3://lake", "raw/users"),
        ("gs://lake/in", {"kwargs": {"token": "anon"}}, "gs://lake", "in/raw/users"),
        ("gcs://lake/in", {"kwargs": {"token": "anon"}}, "gs://lake", "in/raw/users"),
        ("az://lake/in", {"credentials": AZURE}, "abfss://lake@acme.dfs.core.windows.net", "in/raw/users"),
        (
            "abfss://lake@other.dfs.core.windows.net/in",
            {"credentials": AZURE},
            "abfss://lake@other.dfs.core.windows.net",
            "in/raw/users",
        ),
        ("sftp://files/in", {"credentials": {"sftp_port": 2222}}, "sftp://files:2222", "/in/raw/users"),
        ("sftp://me@files:22/in", {"credentials": {}}, "sftp://files:22", "/in/raw/users"),
        ("file://nas/share", {}, "file://nas", "/share/raw/users"),
        ("file:///data/lake", {}, "file", "/data/lake/raw/users"),
        ("/data/lake/", {}, "file", "/data/lake/raw/users"),
    ],
)
def test_folders_of_files(url: str, settings: Any, namespace: str, name: str, tmp_path: Path) -> None:
    found = named(headrace.destinations.filesystem(url, **settings), tmp_path)
    assert of(found) == (namespace, name)
    assert found.type == "FILE" and found.hierarchy[-1] == ("DIRECTORY", name.strip("/"))
    assert "secret" not in repr(found) and "c2VjcmV0" not in repr(found)


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("{table_name}/{load_id}.{file_id}.{ext}", "users"),
        ("{schema_name}/{table_name}/{YYYY}/{load_id}.{file_id}.{ext}", "shop/users"),
        ("{table_name}.{load_id}.{file_id}.{ext}", "users"),
        ("tables/{table_name}/{load_id}.{file_id}.{ext}", "tables/users"),
    ],
)
def test_the_folder_of_a_table_is_where_its_files_are(layout: str, folder: str, project: Path) -> None:
    made = headrace.destinations.filesystem("lake", layout=layout)
    pipeline = headrace.pipeline("shop", destination=made, dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="users")
    place = pipeline.destination.location("raw", pipeline._destinations.facts())
    found = naming.output(place, "users", schema_name=pipeline.default_schema_name or "")
    assert found.id.name == str(Path("lake", "raw", folder).absolute())
    files = [path for path in Path("lake").absolute().rglob("*.*") if str(path).startswith(found.id.name)]
    assert files, "no file of the table is there"


def test_lake_tables_are_where_they_are_and_have_no_catalog_of_their_own(project: Path) -> None:
    pytest.importorskip("deltalake")
    made = headrace.destinations.filesystem("lake")
    pipeline = headrace.pipeline("shop", destination=made, dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="users", table_format="delta")
    place = pipeline.destination.location("raw", pipeline._destinations.facts())
    found = naming.output(place, "users", table_format="delta")
    assert (Path(found.id.name) / "_delta_log").is_dir()
    assert (found.type, found.subtype) == ("TABLE", "DELTA")
    assert found.storage == {"storageLayer": "delta", "fileFormat": "parquet"}
    assert found.catalog is None and found.symlinks == []


def test_the_catalog_of_iceberg_tables_is_another_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICEBERG_CATALOG__ICEBERG_CATALOG_TYPE", "sql")
    monkeypatch.setenv(
        "ICEBERG_CATALOG__ICEBERG_CATALOG_CONFIG",
        '{"uri": "postgresql+psycopg2://me:hunter22@db:5432/catalog", "warehouse": "s3://lake/wh"}',
    )
    found = named(headrace.destinations.filesystem("lake"), project, table_format="iceberg")
    assert of(found) == ("file", str(project / "lake" / "raw" / "users"))
    assert found.catalog == {
        "framework": "iceberg",
        "type": "sql",
        "name": "default",
        "source": "headrace",
        "metadataUri": "postgresql+psycopg2://db:5432/catalog",
        "warehouseUri": "s3://lake/wh",
    }
    assert found.symlinks == [("postgresql+psycopg2://db:5432/catalog", "raw.users", "TABLE")]
    assert "hunter22" not in repr(found)
    # plain files of the same destination are in no catalog
    assert named(headrace.destinations.filesystem("lake"), project).catalog is None


@pytest.mark.parametrize(
    ("catalog", "link"),
    [
        ({"type": "rest", "uri": "https://cat.example.com/v1/"}, ("https://cat.example.com/v1", "raw.users")),
        ({"type": "hive", "uri": "thrift://hms:9083"}, ("hive://hms:9083", "raw.users")),
        (
            {"type": "glue", "region": "eu-west-1", "account": "123456789012", "warehouse": "s3://lake/wh"},
            ("arn:aws:glue:eu-west-1:123456789012", "table/raw/users"),
        ),
        ({"type": "custom", "warehouse": "s3://lake/wh"}, ("s3://lake", "wh/raw.users")),
    ],
)
def test_names_in_catalogs(catalog: dict[str, str], link: tuple[str, str]) -> None:
    place = Location(scheme="s3", host="lake", path="/wh/raw", schema="raw", catalogs={"iceberg": catalog})
    found = naming.output(place, "users", table_format="iceberg")
    assert found.id.name == "wh/raw/users"
    assert found.symlinks == [(*link, "TABLE")]


def test_a_secret_in_a_path_takes_no_tables_along(tmp_path: Path) -> None:
    bucket = headrace.destinations.filesystem(str(tmp_path / "token=Uq7zXwVk3JrLm"))
    first, second = (of(named(bucket, tmp_path, table=table))[1] for table in ("users", "orders"))
    assert first == f"{tmp_path}/token=***/raw/users" and second == f"{tmp_path}/token=***/raw/orders"


def test_functions_have_a_dataset_only_when_they_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @headrace.destination
    def send(items: Any, table: Any) -> None: ...

    assert send().location("raw", facts(tmp_path)) is None
    assert send(lineage_location="the crm").location("raw", facts(tmp_path)) is None
    declared = send(lineage_location="https://crm.example.com/api/v2/")
    assert of(named(declared, tmp_path, table="contacts")) == ("https://crm.example.com", "/api/v2/contacts")
    declared = send(lineage_location="https://crm.example.com/{table_name}/bulk?key=secret")
    found = named(declared, tmp_path, table="contacts")
    assert of(found) == ("https://crm.example.com", "/contacts/bulk")
    monkeypatch.setenv("DESTINATION__SEND__LINEAGE_LOCATION", "postgresql://me:pw@db/crm")
    assert of(named(send(), tmp_path)) == ("postgres://db:5432", "crm.users")


def test_the_dummy_holds_nothing(tmp_path: Path) -> None:
    assert headrace.destinations.dummy().location("raw", facts(tmp_path)) is None


def test_nothing_is_opened_for_a_location(tmp_path: Path) -> None:
    made = headrace.destinations.duckdb("wh.duckdb")
    named(made, tmp_path)
    assert not (tmp_path / "wh.duckdb").exists()
    # and what was found out of settings does not go to other processes
    assert pickle.loads(pickle.dumps(made)).seen_configuration().credentials.database == "wh.duckdb"


def test_settings_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = headrace.destinations.postgres("postgresql://me:pw@db/shop"), []
    monkeypatch.setattr(type(made), "configuration", _counted(type(made).configuration, asked))
    found = [naming.output(made.location("raw"), "users") for _ in range(100)]
    assert len(asked) == 1 and found[0] is not None and found.count(found[0]) == 100


def _counted(real: Any, asked: list[Any]) -> Any:
    def configuration(self: Any, *args: Any, **kw: Any) -> Any:
        asked.append(self)
        return real(self, *args, **kw)

    return configuration
