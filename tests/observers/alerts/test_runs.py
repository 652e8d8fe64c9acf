"""Runs of pipelines that are told of, as the settings ask."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.destinations import dummy
from headrace.errors.pipeline import PipelineStepFailed
from headrace.observers.alerts import Alerts, Slack, Webhook
from tests.observers.alerts.make import check_slack
from tests.observers.alerts.servers import Inbox, mail_server


def shop(destination: Any = "duckdb") -> headrace.Pipeline:
    return headrace.pipeline("shop", destination=destination, dataset_name="raw")


def titles(server: Inbox) -> list[str]:
    """What Slack was told, checked against its limits; the first letter is a mark."""
    for request in server.requests:
        check_slack(request.json)
    return [request.json["text"][2:] for request in server.requests]


def said(server: Inbox, n: int = -1) -> str:
    """All that a message to Slack says."""
    found = []
    for block in server.requests[n].json["blocks"]:
        parts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
        found += [part["text"] for part in parts if part]
    return "\n".join(found)


@headrace.resource
def broken():
    yield {"id": 1}
    raise ValueError("page 2 has gone")


def fails(p: headrace.Pipeline, data: Any = broken, **hints: Any) -> PipelineStepFailed:
    with pytest.raises(PipelineStepFailed) as caught:
        p.run(data, **hints)
    return caught.value


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_success_and_the_changes_of_tables(hook: Inbox) -> None:
    p = shop()
    p.run([{"id": 1, "lines": [{"sku": "a"}, {"sku": "b"}]}], table_name="orders")
    p.run([{"id": 2, "price": 1.5}], table_name="orders")
    p.run([{"id": 3}], table_name="orders")
    assert titles(hook) == [
        "shop: 2 tables changed; loaded 3 rows",
        "shop: 1 table changed; loaded 1 row",
        "shop: loaded 1 row",
    ]
    assert "new table orders: id bigint\n" in said(hook, 0)
    assert "table orders, new columns: price double" in said(hook, 1)
    assert "*Rows*\n```\norders         1\norders__lines  2\n```" in said(hook, 0)
    assert "*Dataset*\n`raw`" in said(hook, 0)
    assert "_dlt_" not in said(hook, 0).replace("_dlt_load", "")


def test_a_column_that_got_wider(hook: Inbox) -> None:
    p = shop()
    p.run([{"n": 1}], table_name="t", columns={"n": {"data_type": "bigint", "precision": 16}})
    p.run([{"n": 2**40, "m": 1}], table_name="t", columns={"n": {"data_type": "bigint", "precision": 64}})
    assert "table t, new columns: m bigint; wider columns: n bigint" in said(hook)


def test_a_failure_with_its_cause_and_what_to_type(hook: Inbox) -> None:
    fails(shop())
    assert titles(hook) == ["shop: FAILED in extract"]
    text = said(hook)
    assert "Reading resource `broken` failed in its generator `broken`.\nWhy: ValueError: page 2 has gone" in text
    assert "*What to type next*\n```\nheadrace pipeline trace shop\n```" in text


def test_what_is_to_be_typed_is_understood(hook: Inbox, monkeypatch: pytest.MonkeyPatch, server: Inbox) -> None:
    from headrace.cli.app import call

    monkeypatch.setenv("RUNTIME__ALERTS__WEBHOOK_URL", f"{server.url}/hook")
    fails(shop(dummy(fail_prob=1.0)), [{"id": 1}], table_name="orders")
    (document,) = server.at("/hook")
    typed = document["data"]["next"]
    assert [line.split()[2] for line in typed] == ["failed-jobs", "load-package", "trace", "retry"]
    for line in typed:
        command, *arguments = line.split()
        assert command == "headrace"
        if arguments[1] == "retry":
            continue  # it fails as before; that it is understood, its help tells
        assert call(arguments) == 0, line
    assert call(["pipeline", "retry", "--help"]) == 0


def test_a_package_that_is_set_aside_with_its_failed_job(hook: Inbox) -> None:
    failure = fails(shop(dummy(fail_prob=1.0)), [{"id": 1}], table_name="orders")
    assert titles(hook) == ["shop: FAILED in load; 1 job FAILED; 1 package SET ASIDE; 1 table changed"]
    text = said(hook)
    assert f"*Failed jobs*\n```\ncopy-0 of orders (package {failure.load_id}): " in text
    assert f"*Set aside*\n```\npackage {failure.load_id}: " in text
    assert "What to do: " in text
    assert f"\nheadrace pipeline retry shop {failure.load_id}\n" in text


def test_failed_jobs_that_do_not_end_the_run(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    destination = dummy(fail_table_names=["bad"])
    shop(destination).run([headrace.resource([{"id": 1}], name=name) for name in ("good", "bad")])
    assert titles(hook) == ["shop: 1 job FAILED; 2 tables changed; loaded 1 row"]
    assert " of bad (package " in said(hook)


def test_retries_that_are_used_up(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    fails(shop(dummy(retry_prob=1.0)), [{"id": 1}], table_name="orders")
    assert titles(hook)[0].startswith("shop: FAILED in load; retries exhausted")
    assert "`load.raise_on_max_retries`" in said(hook)


def test_steps_that_are_repeated_are_told_when_that_does_not_help(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    @headrace.resource
    def away():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("no route")
        yield {"id": 1}

    monkeypatch.setenv("RETRIES__ATTEMPTS", "2")
    monkeypatch.setenv("RETRIES__WAIT", "0.01")
    fails(shop(), away)
    assert titles(hook) == ["shop: FAILED in extract; retries exhausted"]
    tries[:] = [1]
    shop().run(away)
    assert titles(hook)[1].startswith("shop: works again")


def test_steps_that_are_called_one_by_one(hook: Inbox) -> None:
    p = shop()
    p.extract([{"id": 1}], table_name="orders")
    p.normalize()
    assert titles(hook) == [], "what is loaded is told, and trouble in any step"
    p.load()
    assert titles(hook) == ["shop: 1 table changed; loaded 1 row"]
    with pytest.raises(PipelineStepFailed):
        p.extract(broken)
    assert titles(hook)[-1] == "shop: FAILED in extract"


def test_an_interrupt(hook: Inbox) -> None:
    @headrace.resource
    def stopped():
        yield {"id": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop().run(stopped)
    assert titles(hook) == ["shop: interrupted in extract"]


def test_a_signal_while_jobs_run(hook: Inbox) -> None:
    @headrace.destination
    def slow(items, table):
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt, match="signal 15"):
        shop(slow()).run([{"id": 1}], table_name="orders")
    assert titles(hook)[0].startswith("shop: interrupted in load")


def test_nothing_new(hook: Inbox) -> None:
    p = shop()
    p.run([{"id": 1}], table_name="orders")
    p.run([], table_name="orders")
    assert titles(hook)[1] == "shop: nothing new to load"


# ---- rejected rows ---------------------------------------------------------------------------------------------------

DISCARD = {"columns": "discard_row"}


def reject(p: headrace.Pipeline, lost: int = 3, kept: int = 1, table: str = "orders") -> None:
    """A run in which a contract lets rows go, behind one that makes the table."""
    p.run([{"id": 0}], table_name=table)
    data = [{"id": i} for i in range(kept)] + [{"id": i, "extra": 1} for i in range(lost)]
    p.run(data, table_name=table, schema_contract=DISCARD)


def test_rejected_rows_by_rule(hook: Inbox) -> None:
    reject(shop())
    assert titles(hook)[1] == "shop: 3 rows rejected; loaded 1 row"
    assert "orders.extra  columns:discard_row  3  75.0%" in said(hook)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ('[{"rows": 3}]', True),
        ('[{"rows": 4}]', False),
        ('[{"share": 0.75}]', True),
        ('[{"share": 0.76}]', False),
        ('[{"rows": 4}, {"table": "ord*", "rule": "columns:*"}]', True),
        ('[{"table": "customers"}]', False),
        ('[{"rule": "tables:*"}]', False),
        ("[]", False),
    ],
)
def test_bounds_from_which_they_are_told(
    rules: str, told: bool, hook: Inbox, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setenv("RUNTIME__ALERTS__REJECTED", rules)
    reject(shop())
    assert ("rejected" in titles(hook)[1]) is told


def test_bounds_in_a_file(hook: Inbox, project: Path) -> None:
    (project / ".dlt").mkdir()
    (project / ".dlt" / "config.toml").write_text(
        '[runtime.alerts]\non = ["rejected"]\n[[runtime.alerts.rejected]]\ntable = "ord*"\nrows = 2\nshare = 0.5\n'
    )
    reject(shop())
    assert titles(hook) == ["shop: 3 rows rejected; loaded 1 row"]


# ---- to whom ---------------------------------------------------------------------------------------------------------


def test_each_channel_is_told_what_it_wants(server: Inbox, hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server(login=True) as mail:
        for name, value in {
            "ON": "success",
            "SLACK_ON": "success, failure",
            "SLACK_MENTION": "here",
            "TEAMS_URL": f"{server.url}/teams",
            "TEAMS_ON": '["schema_change", "set_aside"]',
            "TEAMS_MENTION": "ann@shop.example",
            "WEBHOOK_ON": "failure",
            "WEBHOOK_URL": f"{server.url}/hook",
            "WEBHOOK_HEADERS": '{"X-Team": "shop-team"}',
            "WEBHOOK_SECRET": "a plain secret of mine",
            "EMAIL_TO": "ann@shop.example, ben@shop.example",
            "EMAIL_FROM": "etl@shop.example",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(mail.port),
            "EMAIL_SECURITY": "none",
            "EMAIL_USER": "etl",
            "EMAIL_PASSWORD": "correct-horse-battery",
            "EMAIL_ON": "failure",
        }.items():
            monkeypatch.setenv(f"RUNTIME__ALERTS__{name}", value)
        p = shop()
        p.run([{"id": 1}], table_name="orders")
        assert sorted(request.path.split("/")[1] for request in server.requests) == ["services", "teams"]
        server.requests.clear()
        fails(p)
    assert sorted(request.path.split("/")[1] for request in server.requests) == ["hook", "services"]
    sent = next(request for request in server.requests if request.path == "/hook")
    assert sent.headers["x-team"] == "shop-team"
    assert sent.headers["webhook-signature"].startswith("v1,")
    slack = next(request for request in server.requests if request.path != "/hook")
    assert slack.json["blocks"][1]["text"]["text"] == "<!here>"
    (message,) = mail.messages
    assert message["Subject"] == "[headrace] shop: FAILED in extract"
    assert message["To"] == "ann@shop.example, ben@shop.example"


def test_changes_of_tables_with_one_setting(
    server: Inbox, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a channel the log is told."""
    monkeypatch.setenv("RUNTIME__ALERTS__ON_SCHEMA_CHANGE", "true")
    p = shop()
    p.run([{"id": 1}], table_name="orders")
    caplog.clear()
    p.run([{"id": 2}], table_name="orders")
    assert not [r for r in caplog.records if r.name == "headrace.alerts"]
    p.run([{"id": 2, "price": 1.5}], table_name="orders")
    (record,) = [r for r in caplog.records if r.name == "headrace.alerts"]
    assert record.levelno == logging.WARNING
    assert "table orders, new columns: price double" in record.getMessage()


@pytest.mark.parametrize(("setting", "told"), [("true", True), ("false", False)])
def test_it_counts_whatever_channels_are_told_else(
    setting: str, told: bool, hook: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__ALERTS__ON_SCHEMA_CHANGE", setting)
    monkeypatch.setenv("RUNTIME__ALERTS__SLACK_ON", "failure" if told else "schema_change")
    shop().run([{"id": 1}], table_name="orders")
    assert titles(hook) == (["shop: 1 table changed; loaded 1 row"] if told else [])


def test_the_hook_may_be_set_on_the_pipeline(server: Inbox, project: Path) -> None:
    p = shop()
    assert p.runtime_config.slack_incoming_hook is None
    p.runtime_config.slack_incoming_hook = f"{server.url}/one"
    p.run([{"id": 1}], table_name="orders")
    p.runtime_config.slack_incoming_hook = f"{server.url}/two"
    p.run([{"id": 2}], table_name="orders")
    p.runtime_config.slack_incoming_hook = None
    p.run([{"id": 3}], table_name="orders")
    assert [request.path for request in server.requests] == ["/one", "/two"]


def test_by_hand(server: Inbox, project: Path) -> None:
    p = shop()
    p.observe(Alerts(Slack(f"{server.url}/slack"), Webhook(f"{server.url}/hook", on=["failure"]), on=["success"]))
    p.run([{"id": 1}], table_name="orders")
    fails(p)
    assert [request.path for request in server.requests] == ["/slack", "/hook"]


def test_a_channel_of_ones_own(project: Path) -> None:
    class Pager:
        name, on = "pager", ("failure",)

        def __init__(self) -> None:
            self.got: list[str] = []

        def send(self, alert: Any) -> None:
            self.got.append(alert.error.why)

    p, pager = shop(), Pager()
    p.observe(Alerts(pager))
    fails(p)
    assert pager.got == ["ValueError: page 2 has gone"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ON", "succes", "runtime.alerts.on"),
        ("REJECTED", '[{"tabel": "orders"}]', "tabel"),
        ("REPEAT_AFTER", "soon", "repeat_after"),
    ],
)
def test_a_wrong_setting_is_named_and_no_run_fails(
    key: str,
    value: str,
    said: str,
    hook: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(f"RUNTIME__ALERTS__{key}", value)
    shop().run([{"id": 1}], table_name="orders")
    (record,) = [r for r in caplog.records if "could not be set up" in r.getMessage()]
    assert said in record.getMessage()
    assert hook.requests == []


def test_a_channel_that_is_set_wrongly_silences_no_other(
    server: Inbox, hook: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_TO", "ann@shop.example")
    monkeypatch.setenv("RUNTIME__ALERTS__WEBHOOK_URL", f"{server.url}/mine")
    monkeypatch.setenv("RUNTIME__ALERTS__WEBHOOK_ON", "all")
    p = shop()
    for n in range(2):
        p.run([{"id": n}], table_name="orders")
    assert len(titles(hook)) == 2
    assert server.at("/mine") == []
    said = [r.getMessage() for r in caplog.records if "A channel of alerts" in r.getMessage()]
    assert len(said) == 2
    assert "runtime.alerts.webhook_on" in said[0]
    assert "runtime.alerts.email_host" in said[1]


# ---- the same trouble again ------------------------------------------------------------------------------------------


def test_the_same_failure_is_told_once_and_so_is_its_end(hook: Inbox) -> None:
    for _ in range(3):
        fails(shop())  # a new process each time, as a scheduler has it
    assert titles(hook) == ["shop: FAILED in extract"]
    shop().run([{"id": 1}], table_name="orders")
    assert titles(hook)[1] == "shop: works again; 1 table changed; loaded 1 row"
    assert "for 3 runs" in said(hook)
    shop().run([{"id": 2}], table_name="orders")
    assert titles(hook)[2] == "shop: loaded 1 row"
    fails(shop())
    assert titles(hook)[3] == "shop: FAILED in extract", "it is news again"


def test_another_failure_is_told(hook: Inbox) -> None:
    @headrace.resource
    def other():
        yield {"id": 1}
        raise ValueError("no such host")

    p = shop()
    for data in (broken, other, broken, other):
        fails(p, data)
    assert len(titles(hook)) == 2


def test_after_a_while_it_is_told_again(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__ALERTS__REPEAT_AFTER", "0")
    p = shop()
    fails(p)
    fails(p)
    assert titles(hook) == ["shop: FAILED in extract"] * 2
    assert "and before that 1 run" in said(hook)


def test_a_load_that_fails_is_not_cured_by_an_extract(hook: Inbox) -> None:
    p = shop(dummy(fail_schema_update_transiently=True))
    for i in range(2):
        p.extract([{"id": i}], table_name="orders")
        p.normalize()
        with pytest.raises(PipelineStepFailed):
            p.load()
    assert len(titles(hook)) == 1
    assert titles(hook)[0].startswith("shop: FAILED in load")
    p.drop_pending_packages()
    shop("duckdb").run([{"id": 1}], table_name="orders")
    assert titles(hook)[1].startswith("shop: works again")


def test_what_was_not_delivered_is_not_told_yet(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.observers.alerts.servers import Answer

    hook.answers = [Answer(404, body=b"no_service")]
    p = shop()
    fails(p)
    fails(p)
    fails(p)
    assert len(hook.requests) == 2


# ---- traces ----------------------------------------------------------------------------------------------------------


def test_the_trace_of_every_run_is_posted(server: Inbox, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__TRACE_URL", f"{server.url}/trace?key=of-the-traces")
    monkeypatch.setenv("RUNTIME__TRACE_HEADERS", '{"Authorization": "Bearer trace-token-1"}')
    p = shop()
    p.run([{"id": 1}], table_name="orders")
    fails(p)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer trace-token-1"] * 2
    good, bad = (request.json for request in server.requests)
    assert [step["step"] for step in good["steps"]] == ["extract", "normalize", "load"]
    assert good["pipeline_name"] == "shop"
    assert good["steps"][1]["normalize_info"]["table_metrics"]
    assert "page 2 has gone" in bad["steps"][0]["step_exception"]
    assert not any(b"trace-token-1" in r.body or b"of-the-traces" in r.body for r in server.requests)


@pytest.mark.parametrize("text", ["no file 'a\udcff'", "a " * 500_000], ids=["half a character", "a megabyte"])
def test_texts_of_errors_that_are_hard_to_tell(hook: Inbox, text: str) -> None:
    @headrace.resource
    def broken():
        yield {"id": 1}
        raise ValueError(text)

    with pytest.raises(PipelineStepFailed):
        headrace.pipeline("shop", destination="duckdb", dataset_name="raw").run(broken)
    (message,) = hook.at("/services/T0/B0/hook-secret-part")
    assert text.strip()[:10] in json.dumps(message)


def test_what_is_too_much_to_be_told_is_counted(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__ALERTS__WEBHOOK_URL", f"{hook.url}/hook")
    tables = [headrace.resource([{"id": 1}], name=f"t{i}") for i in range(60)]
    headrace.pipeline("shop", destination="duckdb", dataset_name="raw").run(tables)
    (message,) = hook.at("/services/T0/B0/hook-secret-part")
    assert message["text"][2:] == "shop: 60 tables changed; loaded 60 rows"
    (document,) = hook.at("/hook")
    assert len(document["data"]["schema_changes"]) == 50
    assert document["data"]["left_out"] == {"schema_changes": 10}
    assert "… and 10 more" in document["data"]["text"]
