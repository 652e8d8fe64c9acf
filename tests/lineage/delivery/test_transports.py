"""Every transport of OpenLineage's client gets our events, facet by facet as we made them."""

from __future__ import annotations

import json
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.observers.lineage import delivery
from tests.lineage.delivery import world
from tests.lineage.delivery.world import PRODUCER, Receiver, event, free_port, keys, run_id, settings, story

HERE = "tests.lineage.delivery.helpers_ol"
GOOD = Path(__file__).parents[1] / "validator" / "good.ndjson"


def _send(tmp_path: Path, events: list[dict[str, Any]], seconds: float = 20, **values: Any) -> bool:
    sink = delivery.sink_for(tmp_path / "p", settings(**values))
    sink.emit(lambda: events)
    return sink.flush(seconds)


def _rich() -> dict[str, Any]:
    """An event with facets of all kinds: those that the client has a class for, ours, nested and empty things."""
    schema = "https://openlineage.io/spec/facets/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
    one = event(
        1,
        "COMPLETE",
        parent={
            "_schemaURL": schema,
            "run": {"runId": run_id(7)},
            "job": {"namespace": "airflow", "name": "dag.task"},
            "root": {"run": {"runId": run_id(8)}, "job": {"namespace": "airflow", "name": "dag"}},
        },
        tags={"_schemaURL": "https://x/#T", "tags": [{"key": "a", "value": "b", "source": "HEADRACE"}]},
        environmentVariables={"_schemaURL": "https://x/#E", "environmentVariables": [{"name": "A", "value": "b"}]},
        headrace_loadPackage={"_schemaURL": "https://headrace.dev/spec/x", "load_id": "1.5", "n": 3, "deep": [[1, {}]]},
    )
    one["run"]["facets"]["headrace_loadPackage"]["deep"] = {"list": [1, "x", {"y": 1.5}], "empty": {}, "none": []}
    one["job"]["facets"] = {"jobType": {"_producer": PRODUCER, "processingType": "BATCH", "integration": "HEADRACE"}}
    column = {
        "inputFields": [
            {
                "namespace": "https://api",
                "name": "items",
                "field": "a.b",
                "transformations": [{"type": "DIRECT", "subtype": "IDENTITY", "description": "", "masking": False}],
            }
        ]
    }
    one["inputs"] = [{"namespace": "https://api", "name": "items", "inputFacets": {"s": {"rowCount": 3}}}]
    one["outputs"] = [
        {
            "namespace": "duckdb://f",
            "name": "d.t",
            "facets": {"columnLineage": {"_producer": PRODUCER, "fields": {"a__b": column, "api_token": column}}},
            "outputFacets": {"outputStatistics": {"_producer": PRODUCER, "rowCount": 3, "size": 2**40}},
        }
    ]
    return one


def _without_clients(arrived: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """What arrived, without the tag that the client adds to every run."""
    facets = arrived["run"]["facets"]
    added = [tag for tag in facets["tags"]["tags"] if tag["source"] == "OPENLINEAGE_CLIENT"]
    assert [tag["key"] for tag in added] == ["openlineage_client_version"]
    facets["tags"]["tags"].remove(added[0])
    if "tags" not in sent["run"]["facets"]:
        assert facets.pop("tags")["tags"] == []
    return arrived


def test_http_facet_by_facet(tmp_path: Path, backend: Receiver) -> None:
    sent = [_rich(), *(json.loads(line) for line in GOOD.read_text().splitlines())]
    assert _send(tmp_path, sent, url=backend.url, api_key="a-key-of-ours")
    assert len(backend.events) == len(sent) > 5
    for arrived, one in zip(backend.events, sent, strict=True):
        assert (_without_clients(arrived, one) if "run" in one else arrived) == one
    assert backend.headers[0]["authorization"] == "Bearer a-key-of-ours"


def test_events_of_jobs_and_datasets(tmp_path: Path, backend: Receiver) -> None:
    job = {k: v for k, v in _rich().items() if k not in ("run", "eventType")}
    job["schemaURL"] = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent"
    data = {k: v for k, v in job.items() if k not in ("job", "inputs", "outputs")}
    data["dataset"] = {"namespace": "duckdb://f", "name": "d.t", "facets": {"x": {"_producer": PRODUCER, "a": 1}}}
    assert _send(tmp_path, [job, data], url=backend.url)
    assert backend.events == [job, data]


def test_an_event_that_the_client_cannot_hold_is_put_aside(tmp_path: Path, backend: Receiver) -> None:
    wrong = event(1)
    wrong["run"]["runId"] = "no uuid"
    assert _send(tmp_path, [wrong, *story([2])], url=backend.url)
    assert keys(backend.events) == keys(story([2]))
    assert "no uuid" in (tmp_path / "p" / "lineage" / "delivery" / "refused.ndjson").read_text()


def test_http_with_all_its_settings(tmp_path: Path, backend: Receiver) -> None:
    transport = {
        "type": "http",
        "url": backend.url,
        "endpoint": "openlineage",
        "compression": "gzip",
        "custom_headers": {"X-Team": "data"},
    }
    assert _send(tmp_path, story([1]), transport=transport)
    assert keys(backend.events) == keys(story([1]))
    assert backend.headers[0]["x-team"] == "data"
    assert backend.headers[0]["content-encoding"] == "gzip"


def test_async_http(tmp_path: Path, backend: Receiver) -> None:
    events = story(range(30))
    transport = {"type": "async_http", "url": backend.url, "retry": {"total": 0}}
    assert _send(tmp_path, events, transport=transport)
    assert sorted(keys(backend.events)) == sorted(keys(events))
    for number in range(30):
        assert [k for r, k in keys(backend.events) if r == run_id(number)] == ["START", "COMPLETE"]


def test_async_http_loses_nothing_that_it_counts_as_failed(tmp_path: Path) -> None:
    port = free_port()
    transport = {"type": "async_http", "url": f"http://127.0.0.1:{port}", "retry": {"total": 0}}
    assert not _send(tmp_path, story([1, 2]), transport=transport)
    with world.receiver(port) as back:
        assert world.until(lambda: len(set(keys(back.events))) == 4)
        for number in (1, 2):
            assert [k for r, k in dict.fromkeys(keys(back.events)) if r == run_id(number)] == ["START", "COMPLETE"]


def test_file(tmp_path: Path) -> None:
    transport = {"type": "file", "log_file_path": str(tmp_path / "out.ndjson"), "append": True}
    assert _send(tmp_path, story([1, 2]), transport=transport)
    assert keys([json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]) == keys(
        story([1, 2])
    )


def test_console(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "openlineage.client.transport.console"):
        assert _send(tmp_path, story([1]), transport={"type": "console"})
    assert len([r for r in caplog.records if run_id(1) in r.getMessage()]) == 2


def test_noop(tmp_path: Path) -> None:
    assert _send(tmp_path, story([1]), transport={"type": "noop"})


def test_a_transport_of_ones_own(tmp_path: Path) -> None:
    from tests.lineage.delivery.helpers_ol import Own

    Own.taken.clear()
    Own.fails.append(RuntimeError("not now"))
    assert _send(tmp_path, story([1]), transport={"type": f"{HERE}.Own", "where": "there"})
    assert [where for where, _ in Own.taken] == ["there", "there"]
    assert keys([one for _, one in Own.taken]) == keys(story([1]))


def test_transform(tmp_path: Path, backend: Receiver) -> None:
    transport = {
        "type": "transform",
        "transport": {"type": "http", "url": backend.url},
        "transformer_class": f"{HERE}.Elsewhere",
        "transformer_properties": {"namespace": "other"},
    }
    rich = _rich()
    assert _send(tmp_path, [rich, *story([2], "not_this"), *story([3])], transport=transport)
    assert keys(backend.events) == [(run_id(1), "COMPLETE"), *keys(story([3]))]
    first = _without_clients(backend.events[0], rich)
    assert first["job"]["namespace"] == first["run"]["facets"]["parent"]["job"]["namespace"] == "other"
    first["job"]["namespace"] = "default"
    first["run"]["facets"]["parent"]["job"]["namespace"] = "airflow"
    assert first == rich


def test_a_composite_whose_parts_go_on_without_each_other(tmp_path: Path, backend: Receiver) -> None:
    port = free_port()
    parts = {
        "good": {"type": "http", "url": backend.url},
        "dead": {"type": "http", "url": f"http://127.0.0.1:{port}"},
        "file": {"type": "file", "log_file_path": str(tmp_path / "out.ndjson"), "append": True},
    }
    transport = {"type": "composite", "transports": parts}
    assert not _send(tmp_path, story([1, 2]), transport=transport)
    assert keys(backend.events) == keys(story([1, 2]))
    assert len((tmp_path / "out.ndjson").read_text().splitlines()) == 4
    with world.receiver(port) as back:
        assert world.until(lambda: len(back.events) == 4)
        assert keys(back.events) == keys(story([1, 2]))
    assert len(backend.events) == 4, "nothing twice to the others"
    # one of them alone goes on where the last of them was
    delivery.close(0)
    assert _send(tmp_path, story([3]), url=backend.url)
    assert keys(backend.events) == keys(story([1, 2, 3]))


def test_a_composite_that_stops_at_the_first_success(tmp_path: Path, backend: Receiver) -> None:
    dead = {"type": "http", "url": f"http://127.0.0.1:{free_port()}"}
    parts = [dead, {"type": "http", "url": backend.url}, {"type": f"{HERE}.Own", "where": "third"}]
    transport = {"type": "composite", "transports": parts, "continue_on_success": False}
    from tests.lineage.delivery.helpers_ol import Own

    Own.taken.clear()
    assert _send(tmp_path, story([1]), transport=transport)
    assert keys(backend.events) == keys(story([1]))
    assert Own.taken == []


def test_datadog(tmp_path: Path, backend: Receiver) -> None:
    transport = {"type": "datadog", "apiKey": "a-key-of-datadog", "site": backend.url}
    assert _send(tmp_path, [_rich(), *story([2])], transport=transport)
    assert keys(backend.events) == [(run_id(1), "COMPLETE"), *keys(story([2]))]
    assert backend.headers[0]["authorization"] == "Bearer a-key-of-datadog"


# ---- transports whose libraries are not here: stand-ins with the calls that the client makes -------------------------


class _Error(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._name = name

    def name(self) -> str:
        return self._name


class _Broker:
    """Messages that a producer was given, and what becomes of them."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, dict[str, Any]]] = []
        self.fails: list[str] = []
        self.left = 0

    def module(self) -> types.ModuleType:
        broker = self

        class Producer:
            def __init__(self, config: dict[str, Any]) -> None:
                self.config, self.waiting = config, []

            def produce(self, topic: str, key: Any, value: bytes, on_delivery: Any) -> None:
                assert topic == "lineage"
                self.waiting.append((key, value, on_delivery))

            def flush(self, timeout: float = -1) -> int:
                for key, value, told in self.waiting:
                    if broker.fails:
                        told(_Error(broker.fails.pop(0)), None)
                    else:
                        broker.kept.append((key, json.loads(value)))
                        told(None, value)
                self.waiting = []
                return 0

        made = types.ModuleType("confluent_kafka")
        made.Producer = Producer  # type: ignore[attr-defined]
        return made


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Broker]:
    it = _Broker()
    monkeypatch.setitem(sys.modules, "confluent_kafka", it.module())
    yield it
    delivery.close(0)


@pytest.mark.parametrize("flush", [True, False])
def test_kafka(tmp_path: Path, broker: _Broker, flush: bool) -> None:
    broker.fails = ["_TRANSPORT", "_MSG_TIMED_OUT"]
    transport = {"type": "kafka", "topic": "lineage", "config": {"bootstrap.servers": "x:9092"}, "flush": flush}
    assert _send(tmp_path, [_rich(), *story([2])], transport=transport)
    assert keys([one for _, one in broker.kept]) == [(run_id(1), "COMPLETE"), *keys(story([2]))]
    assert [key for key, _ in broker.kept] == ["run:airflow/dag", "run:default/p", "run:default/p"]


def test_kafka_does_not_take_an_event_that_is_too_large(tmp_path: Path, broker: _Broker) -> None:
    broker.fails = ["MSG_SIZE_TOO_LARGE"]
    transport = {"type": "kafka", "topic": "lineage", "config": {"bootstrap.servers": "x:9092"}}
    assert _send(tmp_path, story([1]), transport=transport)
    assert keys([one for _, one in broker.kept]) == keys(story([1]))[1:]
    assert "TOO_LARGE" in (tmp_path / "p" / "lineage" / "delivery" / "refused.ndjson").read_text()


def test_amazon_datazone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[dict[str, Any]] = []
    answers = ["ThrottlingException", "ValidationException"]

    class Denied(Exception):
        def __init__(self, code: str) -> None:
            self.response = {"ResponseMetadata": {"HTTPStatusCode": 400}, "Error": {"Code": code, "Message": "m"}}

    class Client:
        def post_lineage_event(self, domainIdentifier: str, event: bytes) -> dict[str, str]:
            assert domainIdentifier == "d-1"
            if answers:
                raise Denied(answers.pop(0))
            taken.append(json.loads(event))
            return {"id": "1", "domainId": "d-1"}

        def close(self) -> None:
            pass

    module = types.ModuleType("boto3")
    module.client = lambda *_, **__: Client()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "boto3", module)
    assert _send(tmp_path, story([1]), transport={"type": "amazon_datazone_api", "domainId": "d-1"})
    assert keys(taken) == keys(story([1]))[1:], "tried again after the first answer, put aside after the second"
    delivery.close(0)


def test_gcp_lineage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[dict[str, Any]] = []

    class Client:
        transport = types.SimpleNamespace(close=lambda: None)

        def process_open_lineage_run_event(self, parent: str, open_lineage: dict[str, Any]) -> None:
            assert parent == "projects/x/locations/us-central1"
            taken.append(open_lineage)

    for name in ("google", "google.cloud", "google.cloud.datacatalog_lineage_v1", "google.oauth2"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    made: Any = sys.modules["google.cloud.datacatalog_lineage_v1"]
    made.LineageClient = made.LineageAsyncClient = Client
    made_auth: Any = sys.modules["google.oauth2"]
    made_auth.service_account = None
    assert _send(tmp_path, [_rich()], transport={"type": "gcplineage", "project_id": "x"})
    assert keys(taken) == [(run_id(1), "COMPLETE")]
    delivery.close(0)
