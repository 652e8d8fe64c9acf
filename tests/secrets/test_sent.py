"""What leaves the machine, and what the command line shows: alerts, traces sent on, Sentry, OpenTelemetry."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import headrace
from headrace.base.retry import RetryPolicy
from headrace.observers.alerts import delivery
from tests.observers.alerts.servers import inbox, mail_server
from tests.observers.receivers import Receiver, SentryReceiver
from tests.secrets.record import Record


@pytest.fixture
def world(record: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """Everybody is told of everything; what they got is added to the record at its end (`told`)."""
    pytest.importorskip("sentry_sdk")
    pytest.importorskip("opentelemetry.sdk")
    from tests.observers.providers import own_providers

    sentry, collector = SentryReceiver(), Receiver()
    with inbox() as web, mail_server(login=False) as mail:
        settings = {
            "RUNTIME__SLACK_INCOMING_HOOK": f"{web.url}/services/T0/B0/{quote(secrets['query'])}",
            "RUNTIME__TRACE_URL": f"{web.url}/traces?token={quote(secrets['query'], safe='')}",
            "RUNTIME__TRACE_HEADERS": json.dumps({"Authorization": f"Bearer {secrets['header']}"}),
            "RUNTIME__ALERTS__WEBHOOK_URL": f"{web.url}/hook?token={quote(secrets['query'], safe='')}",
            "RUNTIME__ALERTS__WEBHOOK_HEADERS": json.dumps({"X-Api-Key": secrets["header"]}),
            "RUNTIME__ALERTS__WEBHOOK_SECRET": secrets["code"],
            "RUNTIME__ALERTS__TEAMS_URL": f"{web.url}/teams/{quote(secrets['query'])}",
            "RUNTIME__ALERTS__EMAIL_TO": "ops@example.com",
            "RUNTIME__ALERTS__EMAIL_FROM": "etl@example.com",
            "RUNTIME__ALERTS__EMAIL_HOST": "127.0.0.1",
            "RUNTIME__ALERTS__EMAIL_PORT": str(mail.port),
            "RUNTIME__ALERTS__EMAIL_SECURITY": "none",
            "RUNTIME__SENTRY_DSN": sentry.dsn,
            "RUNTIME__OTEL": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "SOURCES__SHOP__API_KEY": secrets["environment"],
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        record.sent = (
            lambda: [  # type: ignore[attr-defined]
                *[(f"posted to {request.path.split('/')[1][:8]}", request.body) for request in web.requests],
                *[("mail", message.as_bytes()) for message in mail.messages],
                *[
                    ("body of a mail", part.get_content())
                    for m in mail.messages
                    for part in m.walk()
                    if part.get_content_maintype() == "text"
                ],
                *[("Sentry", body) for _, body in sentry.got],
                *[("OpenTelemetry", body) for _, body in collector.got],
            ]
        )
        with own_providers(monkeypatch):
            yield record
    sentry.close()
    collector.close()


@headrace.source(name="shop", section="shop")
def failing(secrets: dict[str, str], api_key: str = headrace.secrets.value) -> Any:
    @headrace.resource
    def orders() -> Any:
        password = secrets["exception"]  # a variable that a report could show
        yield {"id": 1, "note": secrets["data"]}
        try:
            raise ValueError(f"no answer of postgresql://u:{password}@db/x?token={secrets['query']} with {api_key}")
        except ValueError as error:
            raise ConnectionError({"Authorization": f"Bearer {secrets['header']}", "api_key": api_key}) from error

    return orders


def all_is_told(record: Any, pipeline: Any, kinds: tuple[str, ...]) -> None:
    sent = record.sent()
    for kind in kinds:
        assert any(where.startswith(kind) for where, _ in sent), f"nothing came to {kind}: nothing was tested"
    record.things += sent
    record.pipeline(pipeline)
    record.check()


EVERYONE = ("posted to services", "posted to teams", "posted to hook", "posted to traces", "mail", "Sentry", "OpenT")


def test_code_that_fails(world: Record, secrets: dict[str, str]) -> None:
    pipeline = world.watch(headrace.pipeline("shop", destination="duckdb", dataset_name="raw"))
    world.attempt(pipeline.run, failing(secrets))
    assert world.error is not None
    all_is_told(world, pipeline, EVERYONE)


def test_a_contract_that_is_broken(world: Record, secrets: dict[str, str]) -> None:
    """And a schema that changes, and rows that are let go."""
    pipeline = world.watch(headrace.pipeline("shop", destination="duckdb", dataset_name="raw"))
    world.attempt(pipeline.run, [{"id": 1, "note": secrets["data"]}], table_name="orders")
    rows = [{"id": 2, "note": secrets["data"], "password": secrets["data"]}]
    world.attempt(pipeline.run, rows, table_name="orders", schema_contract={"columns": "discard_row"})
    world.attempt(pipeline.run, rows, table_name="orders", schema_contract={"columns": "freeze"})
    assert world.error is not None
    all_is_told(world, pipeline, EVERYONE)


def test_jobs_that_fail(world: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For good, and again and again, until there are no more tries."""
    from headrace.errors.outcome import DestinationTerminalException

    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "2")
    kinds = [DestinationTerminalException, OSError]

    @headrace.destination(name="sink", batch_size=1)
    def sink(items: Any, table: Any) -> None:
        kind = kinds[table["name"] == "again"]
        raise kind(f"refused at https://u:{quote(secrets['userinfo'], safe='')}@sink/x?token={secrets['query']}")

    pipeline = world.watch(headrace.pipeline("shop", destination=sink))
    for table in ("orders", "again"):
        world.attempt(pipeline.run, [{"id": 1}], table_name=table)
    all_is_told(world, pipeline, EVERYONE)


def test_receivers_that_refuse(world: Record, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Alerts that do not arrive are told in the log: without the address, which is the secret."""
    for name in [n for n in os.environ if n.startswith("RUNTIME__") and os.environ[n].startswith("http")]:
        monkeypatch.setenv(name, os.environ[name].replace("127.0.0.1:", "127.0.0.1:9/"))
    monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_PORT", "9")
    monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_USER", "etl")
    monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_PASSWORD", secrets["dsn"])
    monkeypatch.setattr(delivery, "_RETRIES", RetryPolicy(attempts=2, first_wait=0.05))
    pipeline = world.watch(headrace.pipeline("shop", destination="duckdb", dataset_name="raw"))
    world.attempt(pipeline.run, failing(secrets))
    world.pipeline(pipeline)
    world.check()


# ---- the command line ------------------------------------------------------------------------------------------------

SCRIPT = """
import headrace
from headrace.base.retry import RetryPolicy
from headrace.observers.alerts import delivery

@headrace.source(name="shop", section="shop")
def shop(api_key: str = headrace.secrets.value, password: str = headrace.secrets.value):
    @headrace.resource
    def orders():
        yield {"id": 1}
        if headrace.config.get("out_of_luck"):
            raise ValueError(f"said {api_key} at https://u:{password}@db/x?token={password}")
    return orders

@headrace.destination(name="sink", batch_size=1)
def sink(items, table, token: str = headrace.secrets.value):
    from headrace.errors.outcome import DestinationTerminalException
    if headrace.config.get("out_of_luck_later"):
        raise DestinationTerminalException(f"said {token}")

pipeline = headrace.pipeline("shop", destination=sink, dataset_name="raw")
if __name__ == "__main__":
    pipeline.run(shop())
"""
COMMANDS = [
    "run shop.py",
    "run --debug shop.py",
    "pipeline info shop",
    "pipeline trace shop -vv",
    "pipeline load-package shop -vv",
    "pipeline failed-jobs shop",
    "pipeline schema shop",
    "config explain sources.shop.api_key --all",
    "config explain sources.shop.password --all",
    "config explain destination.postgres.credentials --all",
    "config explain destination.postgres.credentials.password --all",
    "config explain runtime.slack_incoming_hook --all",
    "doctor",
    "doctor --pipeline shop",
    "doctor --destination postgres",
]


@pytest.mark.parametrize(
    "luck", ["OUT_OF_LUCK_LATER", *(pytest.param(luck, marks=pytest.mark.long) for luck in ("OUT_OF_LUCK", "IN_LUCK"))]
)
def test_the_command_line(record: Record, secrets: dict[str, str], project: Path, luck: str) -> None:
    """Text and JSON of commands after a run that went well, one whose code failed, and one whose job failed."""
    (project / "shop.py").write_text(SCRIPT)
    (project / ".dlt").mkdir()
    value = secrets["toml"].replace("\\", "\\\\").replace('"', '\\"')
    (project / ".dlt/secrets.toml").write_text(f'[sources.shop]\npassword = "{value}"\n')
    variables = {
        "SOURCES__SHOP__API_KEY": secrets["environment"],
        "DESTINATION__SINK__TOKEN": secrets["header"],
        "DESTINATION__POSTGRES__CREDENTIALS": f"postgresql://u:{quote(secrets['dsn'], safe='')}@127.0.0.1:9/db",
        "RUNTIME__SLACK_INCOMING_HOOK": f"http://127.0.0.1:9/{quote(secrets['query'])}",
        "RUNTIME__ALERTS__WAIT": "0.2",
        "RUNTIME__LOG_LEVEL": "DEBUG",
        luck: "true",
    }
    commands = COMMANDS if luck != "IN_LUCK" else COMMANDS[2:]
    code = f"""
import shlex, sys
from headrace.cli.app import main
for command in {commands!r}:
    for more in ([], ["--json"]):
        print(">", command, more)
        sys.argv = ["headrace", *shlex.split(command), *more]
        try:
            main()
        except SystemExit as end:
            print("exit", end.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        timeout=100,
        check=False,
    )
    record.add("stdout of commands", done.stdout)
    record.add("stderr of commands", done.stderr)
    assert done.stdout.count(b"exit ") + done.stdout.count(b"> ") >= len(commands), done.stderr.decode()
    assert b"No such" not in done.stderr, done.stderr.decode()
    assert b"***" in done.stdout
    record.check(expect="sources.shop.api_key")


def test_a_search_unpacks_what_was_sent() -> None:
    from tests.secrets.conftest import PLANTED

    assert PLANTED.find(gzip.compress(PLANTED.secrets["code"].encode()))
