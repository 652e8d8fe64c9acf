"""Who may look at a run: observers are told of every event, and may be slow, or functions."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from headrace.errors.bus import Veto
from headrace.model.events import AnyEvent, Event

if TYPE_CHECKING:
    from headrace.model.trace import PipelineTrace

__all__ = ["Observer", "OnEvent", "Publish", "Queued", "Run", "Veto", "ignore", "observer_name", "takes_two"]

Publish: TypeAlias = Callable[[AnyEvent], None]


def ignore(event: AnyEvent) -> None:
    """A `Publish` that tells nobody."""


@dataclass
class Run:
    """The live view of a run that observers are given; they read, and never change it.

    Attributes:
        run_id: The run.
        pipeline: The pipeline that is running.
        trace: The trace so far.
        step: The innermost step that is open.
        package: The package that is being worked on.
        error: What ended the step or run that the newest `StepEnded` or `RunEnded` tells of; None when it went well,
            and again once everybody was told.
    """

    run_id: str = ""
    pipeline: Any = None
    trace: PipelineTrace | None = None
    step: str | None = None
    package: Any = None
    error: BaseException | None = None
    extras: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Observer(Protocol):
    """Is told of every event, in order, on the thread of the run. What it raises is logged and goes no further.

    One that has a tuple ``kinds`` of event classes is told of these alone; what nobody wants costs a run nothing.
    """

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Look at an event: ``match event: case JobFailed(): …``; unknown ones are to be passed over."""


class OnEvent:
    """An observer made of a function that only wants some kinds of event.

    Args:
        function: Called with the event, and with the run if it takes two arguments.
        kinds: Event classes; none given means all.
    """

    def __init__(self, function: Callable[..., Any], kinds: Sequence[type[Event]] = ()) -> None:
        self._function = function
        self.kinds = tuple(kinds) or (Event,)
        self._wants_run = takes_two(function)

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Call the function if the event is of a wanted kind."""
        if isinstance(event, self.kinds):
            if self._wants_run:
                self._function(event, run)
            else:
                self._function(event)

    def __repr__(self) -> str:
        return str(getattr(self._function, "__qualname__", self._function))


class Queued:
    """Moves a slow observer to a thread of its own, so that the run does not wait for it.

    Args:
        observer: The slow one, an object or a function; it still sees the events in order.
        drain_seconds: How long `close` waits for the events that are left.
        size: How many events may wait; when there are more the newest are dropped and counted in ``dropped``.
    """

    def __init__(self, observer: Observer | Callable[..., Any], drain_seconds: float = 5.0, size: int = 10_000) -> None:
        self.observer: Observer = observer if isinstance(observer, Observer) else OnEvent(observer)
        self.kinds: tuple[type[Event], ...] = getattr(self.observer, "kinds", (Event,))
        self.dropped = 0
        self.error: Exception | None = None
        self._drain_seconds = drain_seconds
        self._queue: queue.Queue[tuple[AnyEvent, Run] | None] = queue.Queue(size)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Put the event into the queue.

        Raises:
            Exception: What the observer raised before, once, so that the bus can log it.
        """
        self._ensure_thread()
        try:
            self._queue.put_nowait((event, run))
        except queue.Full:
            self.dropped += 1
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def close(self) -> None:
        """Wait until the observer has seen what is left, at most ``drain_seconds``."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            try:
                self._queue.put(None, timeout=self._drain_seconds)
            except queue.Full:
                return
            thread.join(self._drain_seconds)

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                # a daemon: an observer that hangs must not keep the process alive
                self._thread = threading.Thread(target=self._work, name=f"observer {self!r}", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self.observer.notify(*item)
            except Exception as error:  # noqa: BLE001 - it is somebody else's code
                self.error = error

    def __repr__(self) -> str:
        return observer_name(self.observer)


def observer_name(observer: object) -> str:
    """How an observer is called in the log."""
    if isinstance(observer, (OnEvent, Queued)):
        return repr(observer)
    return f"{type(observer).__module__}.{type(observer).__qualname__}"


def takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function wants the run as a second argument; one with a default is its own, unless called ``run``."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return positional[1].default is inspect.Parameter.empty or positional[1].name == "run"
