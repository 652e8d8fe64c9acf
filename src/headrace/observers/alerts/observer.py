"""The observer that watches runs and tells channels of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from headrace.errors.base import ValueErrorWithKnownValues
from headrace.model.events import AnyEvent, RunEnded, RunStarted
from headrace.observers.alerts.alert import KINDS, TROUBLES, Alert, TKind
from headrace.observers.alerts.delivery import Sending, deliver
from headrace.observers.alerts.memory import Memory, Trouble, cured, fingerprint
from headrace.observers.alerts.rules import RejectedRule, Report

if TYPE_CHECKING:
    from headrace.bus.observer import Run
    from headrace.observers.alerts.webhook import TraceTo

REPEAT_AFTER, WAIT = 14_400.0, 5.0


@runtime_checkable
class Channel(Protocol):
    """Somewhere alerts go. One of your own has these two attributes and this method.

    Attributes:
        name: For the log, and to remember what it was told; unique among the channels of a pipeline.
        on: What it is told; all when None.
    """

    name: str
    on: Sequence[TKind] | None

    def send(self, alert: Alert) -> None:
        """Send an alert. Called on a thread of its own.

        Raises:
            AlertNotDelivered: It did not go; ``again`` says whether to try once more.
        """


class Alerts:
    """Tells channels how runs ended. Never fails a run, and delays it only by the time of delivery, ``wait`` at most.

    Args:
        channels: Where to.
        on: What is told by channels that do not say it themselves: some of `KINDS`; all when None.
        on_schema_change: True: changes of tables are told by every channel, False: by none; None goes by ``on``.
        rejected: When rejected rows are worth an alert; any row is, by default.
        repeat_after: Seconds for which trouble that was told is not told again; 0 tells it after each run.
        wait: Seconds that a run waits at its end for alerts to be delivered.
        trace_to: Gets the trace of every run.

    Raises:
        ValueErrorWithKnownValues: ``on`` names what there is not.
    """

    def __init__(
        self,
        *channels: Channel,
        on: Sequence[TKind] | None = None,
        on_schema_change: bool | None = None,
        rejected: Sequence[RejectedRule | Mapping[str, Any]] | None = None,
        repeat_after: float = REPEAT_AFTER,
        wait: float = WAIT,
        trace_to: TraceTo | None = None,
    ) -> None:
        self.channels, self.trace_to = list(channels), trace_to
        self.on = check_kinds("on", on)
        for channel in channels:
            check_kinds(f"{channel.name}: on", channel.on)
        self.on_schema_change = on_schema_change
        self.rejected = [RejectedRule.of(one) for one in ([{}] if rejected is None else rejected)]
        self.repeat_after, self.wait = repeat_after, wait

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Collect what happens; at the end of the run, tell."""
        if isinstance(event, RunStarted):
            run.extras[self._key] = Report(event)
            return
        report: Report | None = run.extras.get(self._key)
        if report is None:
            return  # it was added in the middle of a run
        report.add(event, run)
        if isinstance(event, RunEnded):
            del run.extras[self._key]
            self._tell(report, event, run)

    @property
    def _key(self) -> str:
        return f"alerts {id(self)}"

    def _tell(self, report: Report, event: RunEnded, run: Run) -> None:
        alert = report.alert(event, run, self.rejected)
        memory = Memory(getattr(run.pipeline, "working_dir", ""))
        told: list[tuple[Sending, Callable[[], None]]] = []
        for i, channel in enumerate(self.channels):
            twins = sum(other.name == channel.name for other in self.channels[:i])
            known = memory.of(f"{channel.name} {twins + 1}" if twins else channel.name)
            found = self._for_channel(channel, alert, report, known)
            if found is not None:
                said, remember = found
                told.append((Sending(channel.name, _sender(channel, said), _setting(channel)), remember))
        if self.trace_to is not None and run.trace is not None:
            told.append((Sending("trace_url", _sender(self.trace_to, run.trace), "`runtime.trace_url`."), _nothing))
        if told:
            deliver([sending for sending, _ in told], alert.pipeline_name, self.wait)
        for sending, remember in told:
            if sending.done:
                remember()
        memory.save()

    def _for_channel(
        self, channel: Channel, alert: Alert, report: Report, known: dict[str, Trouble]
    ) -> tuple[Alert, Callable[[], None]] | None:
        """What a channel is told, and what to remember once it was; None for nothing."""
        wanted = self._wanted(channel)
        kinds, repeated, since = set(alert.kinds), 0, None
        trouble = kinds & TROUBLES
        remember: Callable[[], None] = _nothing
        if trouble:
            mark = fingerprint(alert)
            for over in cured(known, report.steps):
                if over != mark:
                    del known[over]  # it went, and is news when it comes again
            old = known.get(mark)
            if old is not None:
                old.runs += 1
                if (alert.finished_at - old.told).total_seconds() < self.repeat_after:
                    kinds -= trouble
                    trouble = set()
                else:
                    repeated, since = old.runs - 1, old.first
            if trouble & wanted:
                step = report.failed_step or next(iter(report.rejected_steps), "")
                new = Trouble(old.first if old else alert.finished_at, alert.finished_at, step, old.runs if old else 1)
                remember = _setter(known, mark, new)
        elif gone := cured(known, report.steps):
            kinds.add("recovered")
            repeated, since = sum(known[mark].runs for mark in gone), min(known[mark].first for mark in gone)
            remember = _remover(known, gone)
            if "recovered" not in wanted:
                remember()
        if not kinds & wanted:
            return None
        return alert.because(kinds, repeated, since), remember

    def _wanted(self, channel: Channel) -> set[TKind]:
        named = channel.on if channel.on is not None else self.on
        wanted: set[TKind] = set(KINDS if named is None else named)
        if self.on_schema_change is not None:
            (wanted.add if self.on_schema_change else wanted.discard)("schema_change")
        return wanted


def check_kinds(key: str, kinds: Sequence[str] | None) -> Sequence[TKind] | None:
    """What is to be told, checked.

    Raises:
        ValueErrorWithKnownValues: One of them is not known.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise ValueErrorWithKnownValues(key, kind, KINDS)
    return kinds  # type: ignore[return-value]


def _setting(channel: Channel) -> str:
    return str(getattr(channel, "setting", ""))


def _nothing() -> None:
    pass


def _sender(target: Any, value: Any) -> Callable[[], None]:
    return lambda: target.send(value)


def _setter(known: dict[str, Trouble], mark: str, trouble: Trouble) -> Callable[[], None]:
    return lambda: known.__setitem__(mark, trouble)


def _remover(known: dict[str, Trouble], marks: Sequence[str]) -> Callable[[], None]:
    def remove() -> None:
        for mark in marks:
            known.pop(mark, None)

    return remove
