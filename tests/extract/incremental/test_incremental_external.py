from __future__ import annotations

import datetime as dt
import sys
import types
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import headrace
from headrace.errors.incremental import ExternalSchedulerNotAvailable, JoinSchedulerError
from headrace.extract.incremental import Incremental, incremental
from headrace.extract.incremental.external import TimeIntervalContext, interval
from tests.extract.fakes import run as extract

from .driver import at, rows, run_with, values

DAYS = rows(*[at(d) for d in range(1, 9)])


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("START", "END", "TIMEZONE"):
        monkeypatch.delenv(f"DLT_INTERVAL_{name}", raising=False)
    monkeypatch.delenv("DLT_ALLOW_EXTERNAL_SCHEDULERS", raising=False)
    yield
    interval.set(None)


def loaded(cursor: Incremental[Any], data: list[dict[str, Any]] = DAYS) -> list[Any] | None:
    state: dict[str, Any] = {}
    made = run_with(cursor, [data], state)
    assert (state == {}) is (cursor.end_value is not None)
    return values(made.passed[0])


def january(days: range) -> list[dt.datetime]:
    return [at(d) for d in days]


def test_the_interval_of_the_environment_is_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_INTERVAL_START", "2020-01-02")
    monkeypatch.setenv("DLT_INTERVAL_END", "2020-01-05T00:00:00Z")
    assert loaded(incremental[dt.datetime]("c", allow_external_schedulers=True)) == january(range(2, 5))
    assert len(loaded(incremental[dt.datetime]("c")) or ()) == 8
    monkeypatch.setenv("DLT_ALLOW_EXTERNAL_SCHEDULERS", "true")
    assert loaded(incremental[dt.datetime]("c")) == january(range(2, 5))
    assert len(loaded(incremental[dt.datetime]("c", allow_external_schedulers=False)) or ()) == 8


def test_the_interval_is_shown_in_the_zone_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_INTERVAL_START", "2020-01-02")
    monkeypatch.setenv("DLT_INTERVAL_END", "2020-01-05")
    monkeypatch.setenv("DLT_INTERVAL_TIMEZONE", "Europe/Berlin")
    found = interval()
    assert found is not None
    assert found.start.isoformat() == "2020-01-02T01:00:00+01:00"
    assert interval.timezone == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (dt.date, lambda t: t.date()),
        (int, lambda t: int(t.timestamp())),
        (float, lambda t: t.timestamp()),
        (dt.datetime, lambda t: t.replace(tzinfo=None)),
    ],
)
def test_the_interval_is_said_in_the_type_of_the_cursor(kind: Any, make: Any) -> None:
    data = [{**row, "c": make(row["c"])} for row in DAYS]
    with TimeIntervalContext((at(2), at(5))):
        cursor = incremental[kind]("c", allow_external_schedulers=True)  # type: ignore[valid-type]
        assert loaded(cursor, data) == [make(at(d)) for d in range(2, 5)]


def test_the_type_comes_from_the_initial_value_and_the_range_is_cut() -> None:
    with TimeIntervalContext((at(2), at(6)), allow_external_schedulers=True):
        assert loaded(Incremental("c", initial_value=at(3))) == january(range(3, 6))
        assert loaded(Incremental("c", initial_value=at(1), end_value=at(4))) == january(range(2, 4))
        assert loaded(Incremental("c", initial_value=at(3, tz=None))) == january(range(3, 6))
        assert loaded(Incremental("c", initial_value=at(7))) is None


def test_each_run_takes_its_own_interval() -> None:
    cursor = incremental[dt.datetime]("c", allow_external_schedulers=True)
    for day in (2, 4):
        with TimeIntervalContext((at(day), at(day + 2))):
            assert loaded(cursor) == january(range(day, day + 2))
    assert (cursor.copy().initial_value, cursor.copy().end_value) == (None, None)


def test_min_runs_through_the_interval_backwards() -> None:
    with TimeIntervalContext((at(2), at(5))):
        cursor = incremental[dt.datetime]("c", last_value_func="min", allow_external_schedulers=True)
        assert loaded(cursor) == january(range(2, 5))


def test_without_an_interval_it_is_told() -> None:
    with pytest.raises(ExternalSchedulerNotAvailable, match="DLT_INTERVAL_START"):
        loaded(incremental[dt.datetime]("c", allow_external_schedulers=True))
    with TimeIntervalContext(allow_external_schedulers=True):
        assert len(loaded(incremental[dt.datetime]("c")) or ()) == 8


@pytest.mark.parametrize("cursor", [Incremental("c"), incremental[str]("c"), Incremental("c", initial_value="2020")])
def test_cursors_of_other_types_cannot_join(cursor: Incremental[Any]) -> None:
    cursor = cursor.copy()
    with TimeIntervalContext((at(2), at(5)), allow_external_schedulers=True):
        texts = rows("2020-01-03")
        assert loaded(cursor, texts) == ["2020-01-03"]  # it did not ask to join
        cursor.allow_external_schedulers = True
        with pytest.raises(JoinSchedulerError):
            loaded(cursor, texts)


def test_the_interval_can_be_set_and_changed() -> None:
    assert interval.is_empty
    with pytest.raises(ValueError, match="start and end"):
        interval.update(end=at(3))
    interval.set((at(2, tz=None), at(4)))
    interval.update(end="2020-01-03T00:00:00Z")
    assert interval() == (at(2), at(3))
    assert not interval.is_empty
    interval.set(None)
    assert interval() is None


@pytest.mark.parametrize("context", [None, {"data_interval_start": 1, "data_interval_end": "x"}])
def test_a_context_of_airflow_that_cannot_be_used(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = types.ModuleType("airflow.sdk")
    sdk.get_current_context = lambda: context  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    assert interval() is None


def test_the_data_interval_of_airflow_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake of Airflow's module: a task runs in a process that has imported it."""
    context: dict[str, Any] = {"data_interval_start": at(2), "data_interval_end": at(4)}
    sdk = types.ModuleType("airflow.sdk")
    sdk.get_current_context = lambda: context  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    assert loaded(incremental[dt.datetime]("c", allow_external_schedulers=True)) == january(range(2, 4))
    context["data_interval_end"] = at(2)
    assert interval() is None

    def no_task() -> Any:
        raise RuntimeError("no task runs")

    sdk.get_current_context = no_task  # type: ignore[attr-defined]
    assert interval() is None


def test_the_interval_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    assert headrace.current.interval() is None
    monkeypatch.setenv("DLT_INTERVAL_START", "2024-01-02T00:00:00Z")
    monkeypatch.setenv("DLT_INTERVAL_END", "2024-01-04T00:00:00Z")
    monkeypatch.setenv("DLT_INTERVAL_TIMEZONE", "Europe/Berlin")
    assert [end.isoformat() for end in headrace.current.interval()] == [
        "2024-01-02T01:00:00+01:00",
        "2024-01-04T01:00:00+01:00",
    ]


@pytest.mark.parametrize("by_argument", [False, True])
def test_the_annotation_says_the_type_of_the_cursor(monkeypatch: pytest.MonkeyPatch, by_argument: bool) -> None:
    monkeypatch.setenv("DLT_INTERVAL_START", "2020-01-02T00:00:00Z")
    monkeypatch.setenv("DLT_INTERVAL_END", "2020-01-04T00:00:00Z")
    cursor: Any = Incremental("c", allow_external_schedulers=True)

    def events(c: Incremental[dt.datetime] = cursor) -> Any:
        yield [{"c": at(day)} for day in range(1, 6)]

    resource: Any = headrace.resource(events, name="events")
    made = extract(resource(c=cursor) if by_argument else resource)
    assert [row["c"] for row in made.rows["events"]] == [at(2), at(3)]
