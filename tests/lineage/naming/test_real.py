"""Real sources written as plain resources; and what one pipeline loads is what the next one reads: the same node."""

from __future__ import annotations

import json
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

import headrace
from headrace.model.events import Extracted
from headrace.observers.lineage import naming
from headrace.observers.lineage.columns_model import ResourceFact
from headrace.observers.lineage.columns_shape import input_fields
from headrace.observers.lineage.facts import Input, Output
from headrace.sources import inputs
from tests.e2e.project import project as project


def read(pipeline: Any, data: Any) -> dict[str, list[Input]]:
    """Run, and give the inputs by resource as they are in the packages."""
    pipeline.run(data)
    found: dict[str, list[Input]] = {}
    for load_id in pipeline.last_trace.last_extract_info.loads_ids:
        fact = pipeline._store.get(load_id).fact(Extracted)
        for one in fact.inputs:
            described = ResourceFact(name=one.resource, through=["copied"] if len(_tellers(one)) > 1 else [])
            found[one.resource] = naming.inputs(one.locations, input_fields(fact, described))
    return found


def _tellers(one: Any) -> set[str]:
    return {place["resource_name"] for place in one.locations}


def wrote(pipeline: Any, table: str, **more: Any) -> Output:
    dataset = pipeline._destinations.dataset_for(pipeline.default_schema)
    return naming.output(pipeline.destination.location(dataset, pipeline._destinations.facts()), table, **more)


def loader(destination: Any, name: str = "loader") -> Any:
    return headrace.pipeline(name, destination=destination, dataset_name="raw")


def reader() -> Any:
    return headrace.pipeline("reader", destination="duckdb")


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        users = [{"id": i, "profile": {"city": "x"}, "tags": ["a"]} for i in (1, 2)]
        answer: Any = users if path == "/v1/orgs/acme/users" else [{"id": 9, "title": path}]
        self._send(answer)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send({"data": {"issues": [{"number": 1}]}})

    def _send(self, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_http_interface_by_its_templates(api: str, project: Path) -> None:
    base = f"{api}/v1?api_key=S3CRETKEY9"

    def get(path: str) -> Any:
        with urllib.request.urlopen(f"{api}/v1/{path}", timeout=60) as answer:
            return json.load(answer)

    @headrace.resource
    def users(org: str = "acme") -> Any:
        told = inputs.rest_endpoint(base, "orgs/{org}/users", params={"org": org})
        headrace.current.resource().add_input(told, replace=True)
        yield get(f"orgs/{org}/users")

    @headrace.transformer(data_from=users)
    def posts(page: Any) -> Any:
        told = inputs.rest_endpoint(base, "users/{resources.users.id}/posts")
        headrace.current.resource().add_input(told, replace=True)
        for user in page if isinstance(page, list) else [page]:
            yield get(f"users/{user['id']}/posts")

    @headrace.resource
    def issues() -> Any:
        headrace.current.resource().add_input(inputs.graphql(f"{api}/graphql", "issues"))
        request = urllib.request.Request(f"{api}/graphql", data=b"{issues{number}}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            yield json.load(answer)["data"]["issues"]

    found = read(reader(), [users, posts, issues])
    host = api.removeprefix("http://")
    assert [(one.id.namespace, one.id.name) for one in found["users"]] == [(f"http://{host}", "/v1/orgs/{org}/users")]
    assert found["users"][0].subset == {"type": "partition", "partitions": [{"dimensions": {"org": "acme"}}]}
    assert [(f.name, f.type) for f in found["users"][0].fields] == [
        ("id", "integer"),
        ("profile", "struct"),
        ("tags", "array"),
    ]
    assert [one.id.name for one in found["posts"]] == ["/v1/users/{id}/posts", "/v1/orgs/{org}/users"]
    assert [one.id.name for one in found["issues"]] == ["/graphql#issues"]
    assert "S3CRETKEY9" not in repr(found)


def test_a_table_of_sqlite_is_the_same_for_who_loads_and_who_reads(project: Path) -> None:
    first = loader(headrace.destinations.sqlalchemy("sqlite:///shop.db"))
    first.run([{"id": 1, "name": "a"}], table_name="users")
    output = wrote(first, "users")
    path = output.id.namespace.removeprefix("sqlite://")

    @headrace.resource
    def copied() -> Any:
        columns = {"id": "BIGINT", "name": "TEXT"}
        told = inputs.sql_tables(f"sqlite:///{path}", "users", columns=columns)
        headrace.current.resource().add_input(told, replace=True)
        with closing(sqlite3.connect(path)) as db:
            yield [dict(zip(columns, row, strict=True)) for row in db.execute("SELECT id, name FROM users")]

    [found] = read(reader(), copied)["copied"]
    assert found.id == output.id
    assert [(f.name, f.type) for f in found.fields] == [("id", "BIGINT"), ("name", "TEXT")]


@pytest.mark.destination("postgres")
def test_a_table_of_postgres_is_the_same_for_who_loads_and_who_reads(postgres_server: Any, project: Path) -> None:
    url = str(postgres_server.database())
    first = loader(headrace.destinations.postgres(url))
    first.run([{"id": 1}], table_name="users")
    output = wrote(first, "users")

    @headrace.resource
    def copied() -> Any:
        headrace.current.resource().add_input(inputs.sql_tables(url, "users", schema="raw"), replace=True)
        with psycopg.connect(url) as db:
            yield [{"id": row[0]} for row in db.execute("SELECT id FROM raw.users")]

    @headrace.resource
    def in_public() -> Any:
        headrace.current.resource().add_input(inputs.sql_tables(url, "plain"), replace=True)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("CREATE TABLE plain AS SELECT 7 AS id")
            named = db.execute("SELECT current_database() || '.' || schemaname || '.plain' FROM pg_tables "
                               "WHERE tablename = 'plain'").fetchone()  # fmt: skip
            yield [{"id": 7, "named": named[0] if named else None}]

    pipeline = reader()
    found = read(pipeline, [copied, in_public])
    assert found["copied"][0].id == output.id
    assert found["copied"][0].source_uri == output.source_uri
    with duckdb.connect(wrote(pipeline, "in_public").id.namespace.removeprefix("duckdb://")) as db:
        named = db.execute("SELECT named FROM reader_dataset.in_public").fetchone()
    assert named == (found["in_public"][0].id.name,)


def test_a_file_of_duckdb_is_the_same_for_who_loads_and_who_reads(project: Path) -> None:
    first = loader(headrace.destinations.duckdb("wh.duckdb"))
    first.run([{"id": 1}], table_name="users")
    output = wrote(first, "users")

    @headrace.resource
    def copied() -> Any:
        headrace.current.resource().add_input(inputs.sql_tables("duckdb:///wh.duckdb", "users", schema="raw"))
        with duckdb.connect("wh.duckdb", read_only=True) as db:
            yield db.execute("SELECT id FROM raw.users").to_arrow_table()

    place = first.destination.location("raw", first._destinations.facts())
    [found] = read(reader(), copied)["copied"]
    assert found.id == output.id
    assert [f.name for f in found.fields] == ["id"]
    assert naming.inputs([inputs.dataset_tables(place, "users")])[0].id == output.id


@pytest.mark.parametrize("url", ["lake", "file:///{home}/lake"])
def test_folders_are_the_same_for_who_loads_and_who_reads(url: str, project: Path) -> None:
    first = loader(headrace.destinations.filesystem(url.format(home=project).replace("////", "///")))
    first.run([{"id": 1}], table_name="users")
    output = wrote(first, "users")

    @headrace.resource
    def copied() -> Any:
        files = sorted(Path("lake/raw/users").glob("*"))
        told = inputs.files("lake", "raw/users/*", files=[str(path) for path in files], file_format="jsonl")
        headrace.current.resource().add_input(told, replace=True)
        yield [{"path": str(path)} for path in files]

    [found] = read(reader(), copied)["copied"]
    assert found.id == output.id
    assert found.files == 1 and found.subset is not None and found.subset["type"] == "location"
    assert found.storage == {"storageLayer": "file", "fileFormat": "json"}
    assert naming.inputs([inputs.dataset_tables(first.destination.location("raw", first._destinations.facts()),
                                                "users")])[0].id == output.id  # fmt: skip


def test_a_generator_has_no_input(project: Path) -> None:
    @headrace.resource
    def made_up() -> Any:
        yield {"id": 1}

    assert read(reader(), [made_up, headrace.resource([{"id": 2}], name="listed")]) == {}


def test_paths_that_are_relative_are_seen_from_where_the_program_is(project: Path) -> None:
    Path("orders.csv").write_text("id\n1\n")

    def told(name: str, **location: str) -> Any:
        return headrace.resource([{"id": 1}], name=name).add_input(location)

    found = read(
        reader(),
        [
            told("there", kind="csv", location="orders.csv"),
            told("later", kind="filesystem", location="data/in"),
            told("words", kind="excel", location="the sheet of the shop"),
        ],
    )
    here = Path.cwd()
    names = {name: [(one.id.namespace, one.id.name) for one in ones] for name, ones in found.items()}
    assert names == {"there": [("file", f"{here}/orders.csv")], "later": [("file", f"{here}/data/in")], "words": []}


def test_stores_that_have_a_usual_database() -> None:
    rows = [inputs.vectors("http://db.example.com:19530", "docs", scheme="milvus"), inputs.sql_tables("sqlite://", "t")]
    found = naming.inputs([{**row, "resource_name": "r"} for row in rows])
    assert [one.id.name for one in found] == ["default.docs", "r.memory.main.t"]


def test_secrets_among_parameters_are_told_nowhere(project: Path) -> None:
    given = {"owner": "acme", "code": "AT", "key": "Uq7zXwVk3JrLm", "api_token": ["Uq7zXwVk3JrLm"]}
    place = inputs.rest_endpoint("https://api.example.com", "x/{owner}/{code}", params=given)
    by_hand = {
        "kind": "api",
        "location": "https://api.example.com",
        "endpoints": ["y"],
        "columns": {"password": "text"},
    }
    ours = headrace.resource([{"id": 1}], name="ours").add_input(place)
    own = headrace.resource([{"id": 1}], name="own").add_input({**by_hand, "params": given, "api_key": "Uq7zXwVk3JrLm"})
    pipeline = reader()
    found = read(pipeline, [ours, own])
    hidden = {"owner": "acme", "key": "***", "api_token": "***"}
    assert found["ours"][0].subset == {"type": "partition", "partitions": [{"dimensions": {**hidden, "code": "AT"}}]}
    assert found["own"][0].subset == {"type": "partition", "partitions": [{"dimensions": {**hidden, "code": "***"}}]}
    assert [field.name for field in found["own"][0].fields] == ["password"]
    kept = [path for path in Path(pipeline.working_dir).rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if b"Uq7zXwVk3JrLm" in path.read_bytes()]


def test_many_files_are_one_dataset_and_not_all_are_named() -> None:
    found = naming.inputs([inputs.files("s3://lake/in", "a/*.csv", files=[f"a/{i}.csv" for i in range(1000)])])
    assert [(one.id.name, one.files) for one in found] == [("in/a", 1000)]
    assert found[0].subset is not None and len(found[0].subset["locations"]) == 100


def test_places_that_nothing_is_known_of_are_no_datasets() -> None:
    silent = [{"kind": "k"}, {"kind": "k", "location": "postgresql://db:5432"}, {"kind": "sql_database"}]
    assert naming.inputs(silent) == []
    words: list[Any] = [
        {"kind": "excel", "location": "the sheet of the shop"},
        {"kind": "legacy", "location": "x", "tables": ["a"]},
    ]
    assert naming.inputs(words) == []
    named = inputs.dataset("https://api.stripe.com", "/v1/charges")
    assert naming.inputs([named, named])[0].id.name == "/v1/charges"
