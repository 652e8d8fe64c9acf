"""Secrets of destinations and of settings: wrong ones, misplaced ones, missing ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import headrace
from tests.secrets.record import Record


def run(record: Record, destination: Any, **more: Any) -> Any:
    pipeline = record.attempt(headrace.pipeline, "shop", destination=destination, dataset_name="raw", **more)
    if pipeline is not None:
        record.watch(pipeline)
        record.attempt(pipeline.run, [{"id": 1}], table_name="orders")
        record.attempt(pipeline.sync_destination)
    return pipeline


def finish(record: Record, pipeline: Any, **more: Any) -> None:
    if pipeline is not None:
        record.pipeline(pipeline)
    record.check(**more)


@pytest.mark.destination("postgres")
@pytest.mark.parametrize("where", ["code", "environment", "toml", "words"])
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.each(2)
def test_postgres(
    record: Record, secrets: dict[str, str], postgres_server: Any, project: Path, monkeypatch: pytest.MonkeyPatch,
    where: str, right: bool,
) -> None:  # fmt: skip
    """The password of a DSN; a server that takes it, and none that answers."""
    good = postgres_server.database()
    host, _, database = good.rpartition("@")[2].partition("/")
    port = host.partition(":")[2] if right else "9"
    password = quote(secrets["dsn"], safe="")
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/{database}?connect_timeout=2"
    destination: Any = "postgres"
    if where == "code":
        destination = headrace.destinations.postgres(url)
    elif where == "environment":
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    elif where == "toml":
        (project / ".dlt").mkdir()
        (project / ".dlt/secrets.toml").write_text(f'[destination.postgres]\ncredentials = "{url}"\n')
    else:
        for name, value in {
            "database": database, "username": "postgres", "password": secrets["dsn"], "host": "127.0.0.1", "port": port,
            "connect_timeout": "2",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"DESTINATION__POSTGRES__CREDENTIALS__{name.upper()}", value)
    pipeline = run(record, destination)
    assert (record.error is None) == right
    if right:
        record.tables(pipeline)
    finish(record, pipeline, expect="127.0.0.1")


@pytest.mark.destination("postgres")
@pytest.mark.parametrize(
    "query", ["sslmode=no-such-{}", "options=-c%20nothing%3D{}", "no_such_option={}", "passfile=/no/{}", "sslcert={}"]
)
def test_postgres_options(record: Record, secrets: dict[str, str], postgres_server: Any, query: str) -> None:
    """An option that the driver or the server refuses, with a secret in the same DSN."""
    password = quote(secrets["dsn"], safe="")
    host = postgres_server.url().rpartition("@")[2]
    url = f"postgresql://postgres:{password}@{host}?{query.format('x')}"
    finish(record, run(record, headrace.destinations.postgres(url)))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:{}@h:notaport/db",
        "postgres:u:{}@h/db",
        "host=h password='{}' user=u",
        "mysql://u:{}@h/db",
        "://u:{}@",
    ],
)
@pytest.mark.parametrize("kind", ["postgres", "sqlalchemy"])
@pytest.mark.each(2)
def test_a_dsn_that_cannot_be_read(record: Record, secrets: dict[str, str], url: str, kind: str) -> None:
    text = url.format(quote(secrets["dsn"], safe=""))
    finish(record, run(record, getattr(headrace.destinations, kind)(text)))


def test_s3(record: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of a bucket, at an endpoint that nobody serves."""
    prefix = "DESTINATION__FILESYSTEM__CREDENTIALS__"
    monkeypatch.setenv(f"{prefix}AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv(f"{prefix}AWS_SECRET_ACCESS_KEY", secrets["environment"].replace("ü", "u").replace(" ", ""))
    monkeypatch.setenv(f"{prefix}AWS_SESSION_TOKEN", secrets["header"])
    monkeypatch.setenv(f"{prefix}ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    finish(
        record,
        run(record, headrace.destinations.filesystem("s3://nobody/x", config_kwargs={"retries": {"max_attempts": 0}})),
    )


def test_a_bucket_with_a_password_in_its_url(record: Record, secrets: dict[str, str]) -> None:
    word = quote(secrets["userinfo"], safe="")
    finish(record, run(record, headrace.destinations.filesystem(f"sftp://u:{word}@127.0.0.1:9/x")))


def test_duckdb(record: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of MotherDuck and a secret in the settings of a connection."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"no/such/folder/x.duckdb?token={secrets['query']}")
    finish(record, run(record, "duckdb"))


def test_a_secret_in_config_toml(record: Record, secrets: dict[str, str], project: Path) -> None:
    """It is refused there, and told by its key alone; what is no secret by its hint is masked by how it looks."""
    (project / ".dlt").mkdir()
    value = secrets["toml"].replace("\\", "\\\\").replace('"', '\\"')
    url = f"https://u:{quote(secrets['userinfo'], safe='')}@api.example.com/?token={secrets['query']}"
    (project / ".dlt/config.toml").write_text(f'[sources.shop]\napi_key = "{value}"\nbase_url = "{url}"\n')

    @headrace.source(name="shop", section="shop")
    def source(api_key: str = headrace.secrets.value) -> Any:
        return headrace.resource([1], name="orders")

    record.attempt(source)
    assert record.error is not None

    @headrace.source(name="shop", section="shop")
    def open_source(base_url: str = headrace.config.value) -> Any:
        return headrace.resource([{"id": 1}], name="orders")

    pipeline = record.watch(headrace.pipeline("shop", destination="duckdb", dataset_name="raw"))
    record.attempt(pipeline.run, open_source())
    assert record.error is None
    record.pipeline(pipeline)
    record.check(leave_out=(r"^\.dlt/config\.toml$",), expect="base_url")


@pytest.mark.parametrize("kind", [int, dict, list, float])
def test_a_wrong_type(record: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    """A secret where a number is expected, or JSON."""
    monkeypatch.setenv("SOURCES__SHOP__PIN", secrets["environment"])

    def shop(pin: Any = headrace.secrets.value) -> Any:
        return headrace.resource([1], name="orders")

    shop.__annotations__["pin"] = kind
    source = headrace.source(shop, name="shop", section="shop")
    record.attempt(source)
    assert record.error is not None
    record.attempt(headrace.secrets.get, "sources.shop.pin", kind)
    record.check(expect="SOURCES__SHOP__PIN")


@pytest.mark.parametrize("text", ["api_key = {}", "[sources\napi_key = '{}'", 'api_key = "{}'])
def test_toml_that_cannot_be_read(record: Record, secrets: dict[str, str], project: Path, text: str) -> None:
    (project / ".dlt").mkdir()
    (project / ".dlt/secrets.toml").write_text(text.format(secrets["header"]))

    @headrace.source(name="shop")
    def source(api_key: str = headrace.secrets.value) -> Any:
        return headrace.resource([1], name="orders")

    record.attempt(source)
    assert record.error is not None
    record.check()


def test_something_else_is_missing(
    record: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    """The error lists where it looked, beside keys that have values; and keys that are misspelt."""
    monkeypatch.setenv("SOURCES__SHOP__API_KEYS", secrets["environment"])
    (project / ".dlt").mkdir()
    (project / ".dlt/secrets.toml").write_text(f'[sources.shop]\napi_kee = "{secrets["header"]}"\n')

    @headrace.source(name="shop", section="shop")
    def source(api_key: str = headrace.secrets.value) -> Any:
        return headrace.resource([1], name="orders")

    record.attempt(source)
    assert record.error is not None
    record.check(expect="API_KEYS")
