"""Observers are told everything in order, cannot break the run, and gates can stop a load."""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

import pytest

from headrace.bus import Bus, Observer, Queued, Run, Veto
from headrace.errors.bus import GateFailed
from headrace.model.events import (
    AnyEvent,
    JobFailed,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
)


class Memory:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def notify(self, event: AnyEvent, run: Run) -> None:
        self.events.append(event)


class Broken:
    """Fails at everything."""

    def notify(self, event: AnyEvent, run: Run) -> None:
        raise RuntimeError("no")


def test_all_observers_see_all_events_in_order():
    bus, one, two = Bus(), Memory(), Memory()
    bus.observe(one)
    bus.observe(two)
    events = [RunStarted(pipeline_name="p"), StepStarted(step="extract"), StepEnded(step="extract")]
    for event in events:
        bus.publish(event)
    assert one.events == two.events == events


def test_an_observer_with_kinds_is_told_of_these_alone():
    class Ends(Memory):
        kinds = (StepEnded, RunEnded)

    class Odd(Memory):
        kinds = ("of what", 7)

    bus, ends, odd = Bus(), Ends(), Odd()
    assert not bus.wants(StepStarted, StepEnded)
    bus.observe(ends)
    assert bus.wants(StepStarted, StepEnded) and not bus.wants(StepStarted)
    bus.publish(StepStarted(step="load"))
    bus.publish(StepEnded(step="load"))
    bus.observe(odd)
    queued = bus.observe(Queued(ends_of_queue := Ends()))
    assert bus.wants(StepStarted), "an attribute of that name may mean anything"
    bus.publish(StepStarted(step="run"))
    bus.publish(StepEnded(step="run"))
    assert isinstance(queued, Queued)
    queued.close()
    assert [type(event) for event in ends.events] == [StepEnded, StepEnded]
    assert [type(event) for event in odd.events] == [StepStarted, StepEnded]
    assert [type(event) for event in ends_of_queue.events] == [StepEnded]
    bus.forget(odd)
    assert not bus.wants(StepStarted)


def test_an_observer_that_raises_is_logged_once_and_harms_nobody(caplog: pytest.LogCaptureFixture):
    bus, memory = Bus(), Memory()
    bus.observe(Broken())
    bus.observe(memory)
    with caplog.at_level(logging.WARNING, "headrace.bus"):
        bus.publish(StepStarted(step="load"))
        bus.publish(StepEnded(step="load"))
    assert len(memory.events) == 2
    assert len(caplog.records) == 1
    assert "Broken" in caplog.text


def test_ctrl_c_in_an_observer_gets_through():
    def stop(event: AnyEvent) -> None:
        raise KeyboardInterrupt

    bus = Bus()
    bus.observe(stop)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(StepStarted(step="load"))
    memory = Memory()
    bus = Bus()
    bus.observe(memory)
    bus.publish(StepStarted(step="load"))
    assert memory.events


def test_ctrl_c_in_an_observer_keeps_nothing_from_the_others():
    bus, one, two = Bus(), Memory(), Memory()

    @bus.observe
    def stopped(event: AnyEvent) -> None:
        if isinstance(event, RunEnded):
            raise KeyboardInterrupt

    for observer in (one, two):
        bus.observe(observer)
    bus.publish(RunStarted(run_id="1", pipeline_name="p"))
    with pytest.raises(KeyboardInterrupt):
        bus.publish(RunEnded(run_id="1", pipeline_name="p"))
    assert [type(event) for event in two.events] == [RunStarted, RunEnded], "spans and listeners come to their end"


def test_functions_observe_some_kinds_with_or_without_the_run():
    bus = Bus(Run(run_id="r"))
    failed: list[str] = []
    runs: list[str] = []

    @bus.on(JobFailed)
    def alert(event: JobFailed) -> None:
        failed.append(event.job_id)

    @bus.on(RunStarted, RunEnded)
    def both(event: AnyEvent, run: Run) -> None:
        runs.append(run.run_id)

    bus.publish(RunStarted(pipeline_name="p"))
    bus.publish(JobFailed(load_id="1", job_id="a", message="m"))
    bus.publish(RunEnded(pipeline_name="p"))
    assert failed == ["a"]
    assert runs == ["r", "r"]


def test_an_event_published_by_an_observer_comes_after_the_current_one_for_all():
    bus, memory = Bus(), Memory()

    @bus.on(StepStarted)
    def echo(event: StepStarted) -> None:
        bus.publish(StepEnded(step=event.step))

    bus.observe(memory)
    bus.publish(StepStarted(step="extract"))
    assert [type(e) for e in memory.events] == [StepStarted, StepEnded]


def test_events_of_many_threads_are_told_one_at_a_time():
    bus = Bus()
    inside = threading.Lock()
    seen: list[str] = []

    def check(event: AnyEvent) -> None:
        assert inside.acquire(blocking=False), "two events at once"
        seen.append(event.run_id)
        inside.release()

    bus.observe(check)
    threads = [
        threading.Thread(target=lambda: [bus.publish(StepStarted(step="load", run_id="x")) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 200


def test_an_observer_is_added_once_and_can_be_forgotten():
    bus, memory = Bus(), Memory()
    bus.observe(memory)
    bus.observe(memory)
    bus.publish(StepStarted(step="load"))
    bus.forget(memory)
    bus.publish(StepStarted(step="load"))
    assert len(memory.events) == 1
    with bus.observing(memory):
        bus.publish(StepStarted(step="load"))
    assert not bus.observers
    assert len(memory.events) == 2


def test_what_is_no_observer_is_refused():
    with pytest.raises(TypeError, match="notify"):
        Bus().observe(3)  # type: ignore[arg-type]


class Package(NamedTuple):
    load_id: str


def test_a_gate_can_stop_a_package_and_its_own_error_stops_it_too():
    class Rule:
        name = "rule"

        def check(self, package: Package, run: Run) -> None:
            if package.load_id == "bad":
                raise Veto("package bad has no rows")
            if package.load_id == "odd":
                raise ZeroDivisionError

    bus = Bus()
    bus.guard(Rule())
    assert list(bus.gates.checking()) == ["rule"]
    assert bus.gates.check("rule", Package("good"), bus.run) == []
    with pytest.raises(Veto, match="no rows"):
        bus.gates.check("rule", Package("bad"), bus.run)
    with pytest.raises(GateFailed, match=r"gate `rule` could not decide on package odd: ZeroDivisionError"):
        bus.gates.check("rule", Package("odd"), bus.run)


def test_a_slow_observer_does_not_hold_the_run_up():
    class Slow(Memory):
        def notify(self, event: AnyEvent, run: Run) -> None:
            assert published.wait(60), "who publishes waits for us"
            super().notify(event, run)

    published = threading.Event()
    bus, slow = Bus(), Slow()
    bus.observe(Queued(slow))
    for step in "abcd":
        bus.publish(StepStarted(step=step))
    assert slow.events == []
    published.set()
    bus.close()
    assert [getattr(e, "step", None) for e in slow.events] == ["a", "b", "c", "d"]


def test_a_queued_observer_that_raises_is_logged_by_its_own_name(caplog: pytest.LogCaptureFixture):
    bus, queued = Bus(), Queued(Broken())
    bus.observe(queued)
    bus.publish(StepStarted(step="load"))
    queued.close()
    with caplog.at_level(logging.WARNING, "headrace.bus"):
        bus.publish(StepEnded(step="load"))
    assert "Broken" in caplog.text
    queued.close()


def test_memory_is_an_observer_by_its_shape():
    assert isinstance(Memory(), Observer)
