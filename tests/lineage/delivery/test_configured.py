"""Where events go: settings of ours before files of OpenLineage's client before its variables."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headrace.errors.lineage import NoReceiver, NoStoredEvents
from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery.replay import replay
from headrace.observers.lineage.store import FOLDER
from tests.lineage.delivery.world import Receiver, event, keys, receiver, run_id, settings, story, until


@pytest.fixture
def places() -> Iterator[list[Receiver]]:
    with ExitStack() as stack:
        yield [stack.enter_context(receiver()) for _ in range(5)]


def _sends(folder: Path, number: int, **values: object) -> bool:
    sink = delivery.sink_for(folder, settings(**values))
    sink.emit(lambda: story([number]))
    done = sink.flush(60)
    delivery.close(0)
    return done


def test_what_is_wrong_with_the_places_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not _sends(tmp_path / "p", 1, transport={"typ": "file"})
    assert '`lineage.transport` has no `type`: "http", "kafka"' in caplog.text
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(tmp_path / "missing.yml"))
    assert not _sends(tmp_path / "q", 2)
    assert f"OPENLINEAGE_CONFIG names {tmp_path / 'missing.yml'}, which is no file" in caplog.text


def test_who_goes_before_whom(tmp_path: Path, places: list[Receiver], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, here, nested, plain, _ = places
    monkeypatch.setenv("OPENLINEAGE_URL", plain.url)
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "key-of-the-variable")
    assert _sends(tmp_path / "p", 1)
    assert plain.headers[0]["authorization"] == "Bearer key-of-the-variable"
    assert not [name for name in os.environ if name.startswith("OPENLINEAGE__")], "nothing is left for our children"

    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", nested.url)
    assert _sends(tmp_path / "p", 2)

    (tmp_path / "openlineage.yml").write_text(f"transport:\n  type: http\n  url: {here.url}\n")
    assert _sends(tmp_path / "p", 3)

    # of the file tags are taken too, and not its transport
    (tmp_path / "openlineage.yml").write_text(
        f"transport:\n  type: http\n  url: {here.url}\n  endpoint: not/mine\ntags:\n  run:\n    team: data\n"
    )
    assert _sends(tmp_path / "p", 4, url=ours.url)
    assert _sends(tmp_path / "p", 5, transport={"type": "http", "url": ours.url})

    assert keys(plain.events) == keys(story([1]))
    assert keys(nested.events) == keys(story([2]))
    assert keys(here.events) == keys(story([3]))
    assert keys(ours.events) == keys(story([4, 5]))
    tags = ours.events[0]["run"]["facets"]["tags"]["tags"]
    assert {"key": "team", "value": "data", "source": "USER"} in tags

    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert _sends(tmp_path / "q", 6, url=ours.url), "kept, and sent to nobody"
    assert len(ours.events) == 4


def test_a_file_named_by_the_variable_and_one_at_home(
    tmp_path: Path, places: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, named, *_ = places
    (tmp_path / "home" / ".openlineage").mkdir(parents=True)
    (tmp_path / "home" / ".openlineage" / "openlineage.yml").write_text(
        f"transport:\n  type: http\n  url: {home.url}\nfilters:\n  - type: exact\n    match: not_this\n"
    )
    assert _sends(tmp_path / "p", 1)
    sink = delivery.sink_for(tmp_path / "p", settings())
    sink.emit(lambda: [*story([8], "not_this"), *story([9])])
    assert sink.flush(60), "what the client filters is done with"
    (tmp_path / "named.yml").write_text(f"transport:\n  type: http\n  url: {named.url}\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(tmp_path / "named.yml"))
    assert _sends(tmp_path / "p", 2)
    assert keys(home.events) == keys(story([1, 9]))
    assert keys(named.events) == keys(story([2]))


def test_secrets_that_the_client_adds(tmp_path: Path, backend: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter22hunter")
    monkeypatch.setenv("DB_URL", "postgres://me:hunter33hunter@host/db")
    monkeypatch.setenv("STAGE", "production")
    (tmp_path / "openlineage.yml").write_text(
        "facets:\n  environment_variables:\n    - DB_PASSWORD\n    - DB_URL\n    - STAGE\n"
    )
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url))
    own = {"environmentVariables": [{"name": "OURS", "value": "x"}], "_schemaURL": "https://x/#E"}
    sink.emit(lambda: [event(1, environmentVariables=own)])
    assert sink.flush(60)
    found = backend.events[0]["run"]["facets"]["environmentVariables"]["environmentVariables"]
    assert {one["name"]: one["value"] for one in found} == {
        "OURS": "x",
        "DB_PASSWORD": "***",
        "DB_URL": "postgres://me:***@host/db",
        "STAGE": "production",
    }


def test_a_file_without_a_transport_sends_nowhere(tmp_path: Path) -> None:
    (tmp_path / "openlineage.yml").write_text("tags:\n  run:\n    team: data\n")
    assert _sends(tmp_path / "p", 1)
    assert not list((tmp_path / "p" / FOLDER / "delivery").glob("*.mark"))
    with pytest.raises(NoReceiver, match=r"lineage\.url"):
        replay("p", pipelines_dir=tmp_path, settings=settings())


def test_a_wrong_configuration_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, backend: Receiver
) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(transport={"type": "no.such.Transport", "token": "abc123def"}))
    for number in range(3):
        sink.emit(lambda n=number: story([n]))  # type: ignore[misc]
        assert not sink.flush(60)
    told = [record.message for record in caplog.records if record.name == "headrace"]
    assert len(told) == 1
    assert "no.such" in told[0]
    delivery.close(0)
    assert _sends(tmp_path / "p", 3, url=backend.url)
    assert keys(backend.events) == keys(story(range(4)))


def test_without_the_client_events_are_kept(tmp_path: Path) -> None:
    program = """
import sys
import logging
logging.basicConfig()
sys.modules["openlineage"] = None
from pathlib import Path
from headrace.observers.lineage import delivery
from tests.lineage.delivery.world import settings, story
sink = delivery.sink_for(Path(sys.argv[1]), settings(url="http://127.0.0.1:9"))
sink.emit(lambda: story([1]))
print(sink.flush(60))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", program, str(tmp_path / "p")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
    assert 'pip install "headrace[lineage]"' in done.stderr
    assert done.stderr.count("cannot be sent") == 1


def test_a_replay_of_everything(tmp_path: Path, backend: Receiver) -> None:
    for name in ("a", "b"):
        sink = delivery.sink_for(tmp_path / name, settings(url=backend.url, path="events.ndjson"))
        sink.emit(lambda name=name: story([1, 2], name))  # type: ignore[misc]
        assert sink.flush(60)
    delivery.close(0)
    wanted = settings(url=backend.url)
    assert [(d.pipeline, d.sent, d.left) for d in replay(pipelines_dir=tmp_path, settings=wanted)] == [
        ("a", 0, 0),
        ("b", 0, 0),
    ]
    done = replay("b", everything=True, pipelines_dir=tmp_path, settings=wanted)
    assert [(d.pipeline, d.receiver, d.sent) for d in done] == [("b", f"http {backend.url}", 4)]
    assert [one["job"]["name"] for one in backend.events] == ["a"] * 4 + ["b"] * 8
    with pytest.raises(NoStoredEvents, match="`c`"):
        replay("c", pipelines_dir=tmp_path, settings=wanted)


def test_a_replay_says_why_nothing_was_sent(tmp_path: Path, backend: Receiver) -> None:
    assert _sends(tmp_path / "p", 1, url=backend.url)
    backend.answer = lambda _: 401
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url))
    sink.emit(lambda: [event(2)])
    assert not sink.flush(60)
    delivery.close(0)
    (done,) = replay("p", pipelines_dir=tmp_path, settings=settings(url=backend.url))
    assert (done.sent, done.left) == (0, 1)
    assert done.error is not None
    assert done.error.startswith("401")
    assert keys(backend.asked)[-1] == (run_id(2), "START")


def test_the_endpoint(tmp_path: Path, backend: Receiver) -> None:
    assert _sends(tmp_path / "p", 1, url=backend.url, endpoint="v9/take/it")
    assert _sends(tmp_path / "p", 2, url=backend.url)
    assert [backend.paths[0], backend.paths[2]] == ["/v9/take/it", "/api/v1/lineage"]


def test_the_end_waits_as_long_as_it_may(tmp_path: Path, backend: Receiver) -> None:
    answers = threading.Event()
    backend.answer = lambda _: 200 if answers.wait(60) else 500
    for seconds, sent in ((0.0, False), (60.0, True)):
        sink = delivery.sink_for(tmp_path / str(seconds), settings(url=backend.url, drain_seconds=seconds))
        sink.emit(lambda: [event(1)])
        if sent:
            threading.Timer(0.3, answers.set).start()
        assert delivery.close() is sent
        assert answers.is_set() is sent


def test_how_often_and_how_soon_is_tried(tmp_path: Path, backend: Receiver) -> None:
    backend.answer = lambda _: 503
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url, breaker_failures=2, breaker_seconds=0.4))
    sink.emit(lambda: [event(1)])
    assert not sink.flush(60)
    assert until(lambda: len(backend.instants) >= 3)
    first, second, third = backend.instants[:3]
    assert second - first >= 0.1
    assert third - second >= 0.4
    backend.answer = lambda _: 200
    assert until(lambda: len(backend.events) == 1)
