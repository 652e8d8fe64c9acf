"""What plugins and scripts ask of a destination client, and of a pipeline by its private names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace as dlt
from headrace.errors.destination import FSClientNotAvailable, LoadClientNotConnected
from headrace.errors.schema import TableNotFound


@pytest.fixture
def p(tmp_path: Path) -> Any:
    destination = dlt.destinations.duckdb(str(tmp_path / "c.duckdb"))
    made = dlt.pipeline("c", destination=destination, dataset_name="raw", pipelines_dir=tmp_path)
    made.run([{"id": 1, "tags": ["a"]}], table_name="users", write_disposition="merge", primary_key="id")
    return made


def test_records(p: Any) -> None:
    with p.destination_client() as client:
        stored = client.get_stored_schema()
        assert (stored.schema_name, stored.version_hash) == ("c", p.default_schema.version_hash)
        assert client.get_stored_schema("c").version == stored.version
        assert client.get_stored_schema("nope") is None
        assert client.get_stored_schema_by_hash(stored.version_hash).schema_name == "c"
        assert client.get_stored_schema_by_hash("nope") is None
        assert client.get_stored_state("c").pipeline_name == "c"
        assert client.get_stored_state("nope") is None
        client.complete_load("123.4")
        client.complete_load("123.4")
    assert p.dataset().load_ids().count("123.4") == 1


def test_tables(p: Any) -> None:
    with p.destination_client() as client:
        exists, columns = client.get_storage_table("users")
        assert exists
        assert (columns["id"]["data_type"], columns["_dlt_id"]["nullable"]) == ("bigint", False)
        assert client.get_storage_table("nope") == (False, {})
        assert [bool(found) for _, found in client.get_storage_tables(["users", "nope"])] == [True, False]
        nested = client.prepare_load_table("users__tags")
        assert (nested["write_disposition"], nested["parent"]) == ("merge", "users")
        with pytest.raises(TableNotFound):
            client.prepare_load_table("nope")
        client.initialize_storage(truncate_tables=["users", "nope"])
        assert client.sql_client.execute_sql("SELECT count(*) FROM users") == [(0,)]
        client.drop_tables("users", "users__tags")
        assert client.get_storage_table("users") == (False, {})
        assert client.get_stored_schema() is None
        made = client.update_stored_schema()
        assert set(made) == {"users", "users__tags"}
        assert client.update_stored_schema() == {}
        assert client.get_storage_table("users")[0]


def test_storage(p: Any) -> None:
    with p.destination_client() as client:
        assert client.is_storage_initialized()
        assert client.capabilities.sqlglot_dialect == "duckdb"
        with client.with_staging_dataset() as same:
            assert same.sql_client.dataset_name == "raw_staging"
            assert not same.is_storage_initialized()
        client.drop_storage()
        assert not client.is_storage_initialized()
        client.initialize_storage()
        assert client.is_storage_initialized()
    with pytest.raises(LoadClientNotConnected):
        p.destination_client().is_storage_initialized()


def test_the_private_names_of_pipelines(p: Any) -> None:
    client, staging = p._get_destination_clients(p.default_schema)
    with client:
        assert client.has_dataset()
    assert staging is None
    with p._sql_job_client(p.default_schema) as same:
        assert type(same) is type(client)
    with pytest.raises(FSClientNotAvailable):
        p._fs_client()
    p._inject_schema(dlt.Schema("more"))
    assert "more" in p.schema_names
    assert p._schema_storage["more"].name == "more"
    assert p._get_state()["pipeline_name"] == "c"
    assert p._destination is p.destination
    assert p._staging is None


def test_a_dataset_tells_of_open_tables_and_clients(p: Any) -> None:
    from headrace.errors.destination import OpenTableClientNotAvailable

    dataset = p.dataset()
    assert dataset.sql_client_class is dataset.users.sql_client_class
    assert dataset.users.sql_client.dataset_name == "raw"
    with pytest.raises(OpenTableClientNotAvailable):
        _ = dataset.open_table_client
    assert dataset.users.select("*").columns == dataset.users.columns
    joined = dataset.users.join("_dlt_loads").select("id", "_dlt_loads__status")
    assert joined.fetchall() == [(1, 0)]
