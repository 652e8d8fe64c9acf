"""The bus: whoever wants to know of a run is told of its events, in order, and can do it no harm."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, get_args

from headrace.base.logs import get_logger
from headrace.bus.gates import Broken, Gates
from headrace.bus.observer import (
    Observer,
    OnEvent,
    Publish,
    Queued,
    Run,
    ignore,
    observer_name,
)
from headrace.model.events import AnyEvent, Event

__all__ = ["Bus", "Publish", "ignore", "installed_gates", "installed_observers"]

logger = get_logger("headrace.bus")
ENTRY_POINTS, GATE_POINTS = "headrace.observers", "headrace.gates"
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Gate = TypeVar("_Gate")


class Bus:
    """Tells observers of events.

    Events reach every observer in the order in which they were published, one at a time, on the thread that published
    them (an event published by an observer waits until the current one has been told to all). An observer that raises
    is logged once by name; it goes on being told.

    Args:
        run: The live view that observers get.

    Attributes:
        gates: Who may stop or change something.
    """

    def __init__(self, run: Run | None = None) -> None:
        self.run = run or Run()
        self._observers: list[Observer] = []
        self._by_kind: dict[type[Event], tuple[Observer, ...]] = {}
        self.gates = Gates()
        self._waiting: deque[AnyEvent] = deque()
        self._lock = threading.RLock()
        self._telling = False
        self._complained: set[int] = set()

    @property
    def observers(self) -> tuple[Observer, ...]:
        """The observers, in the order in which they are told."""
        return tuple(self._observers)

    def observe(self, observer: Observer | Callable[..., Any]) -> Observer:
        """Add an observer (or a function that takes an event, or an event and the run); the same one only once.

        Returns:
            What was added: to be given to `forget`.

        Raises:
            TypeError: It is neither.
        """
        if isinstance(observer, Observer) and not isinstance(observer, type):
            found: Observer = observer
        elif callable(observer) and not isinstance(observer, type):
            found = OnEvent(observer)
        else:
            raise TypeError(f"an observer has a method `notify(event, run)` or is a function; this is {observer!r}")
        with self._lock:
            if found not in self._observers:
                self._observers.append(found)
                self._by_kind = {}
        return found

    def forget(self, observer: Observer) -> None:
        """Tell an observer no more; nothing happens if it was not there."""
        with self._lock:
            self._observers = [one for one in self._observers if one is not observer]
            self._by_kind = {}

    def wants(self, *kinds: type[Event]) -> bool:
        """Whether anybody is told of one of these kinds of event: others need not be made."""
        return any(self._told(kind) for kind in kinds)

    def _told(self, kind: type[Event]) -> tuple[Observer, ...]:
        """Who is told of a kind of event."""
        by_kind = self._by_kind
        found = by_kind.get(kind)
        if found is None:
            found = by_kind[kind] = tuple(one for one in tuple(self._observers) if _takes(one, kind))
        return found

    def on(self, *kinds: type[Event]) -> Callable[[_Function], _Function]:
        """Decorate a function to be told of some kinds of event: ``@bus.on(JobFailed)``.

        Raises:
            TypeError: Something that is given is no class of events.
        """
        for kind in [one for given in kinds for one in get_args(given) or (given,)]:  # unions stand for all in them
            if not isinstance(kind, type) or not issubclass(kind, Event):
                how = "kinds of events are classes, `@pipeline.on(JobFailed)` with JobFailed of `headrace.hooks`"
                raise TypeError(f"{how}; this is {kind!r}")

        def add(function: _Function) -> _Function:
            self.observe(OnEvent(function, kinds))
            return function

        return add

    def guard(self, gate: _Gate) -> _Gate:
        """Add a gate (or a function of a package); the same one only once. Can be used as a decorator.

        Raises:
            TypeError: It is neither.
        """
        self.gates.add(gate)
        return gate

    def publish(self, event: AnyEvent) -> None:
        """Tell all observers of an event. Never raises what an observer raised.

        Raises:
            KeyboardInterrupt: Somebody stopped the program meanwhile; all observers have been told.
        """
        if not self._told(type(event)):
            return
        stopped: BaseException | None = None
        with self._lock:
            self._waiting.append(event)
            if self._telling:
                return
            self._telling = True
            try:
                while self._waiting:
                    stopped = self._tell(self._waiting.popleft()) or stopped
            finally:
                self._telling = False
        if stopped is not None:
            raise stopped

    def _tell(self, event: AnyEvent) -> BaseException | None:
        """Tell everybody; an interrupt ends the observer that it met, and is handed back."""
        stopped: BaseException | None = None
        for observer in self._told(type(event)):
            try:
                observer.notify(event, self.run)
            except Exception as error:  # noqa: BLE001 - it is somebody else's code
                self._complain(observer, event, error)
            except BaseException as error:  # noqa: BLE001 - raised by `publish`
                stopped = error
        return stopped

    def _complain(self, observer: Observer, event: AnyEvent, error: Exception) -> None:
        # once: a broken observer would otherwise write a line for every event
        if id(observer) in self._complained:
            return
        self._complained.add(id(observer))
        logger.warning(
            "Observer `%s` raised %s at %s: %s. The run goes on; what this observer records may have gaps. Further "
            "errors of it are not logged.",
            observer_name(observer),
            type(error).__name__,
            type(event).__name__,
            error,
            exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
        )

    def close(self) -> None:
        """Let queued observers finish what they have."""
        for observer in self._observers:
            if isinstance(observer, Queued):
                observer.close()

    @contextmanager
    def observing(self, *observers: Observer) -> Iterator[Bus]:
        """Add observers for the length of a ``with`` block."""
        added = [self.observe(observer) for observer in observers if observer not in self._observers]
        try:
            yield self
        finally:
            for observer in added:
                self.forget(observer)


def _takes(observer: Observer, kind: type[Event]) -> bool:
    """Whether an observer is told of a kind of event: of all of them, unless its ``kinds`` say which."""
    kinds = getattr(observer, "kinds", None)
    if not isinstance(kinds, tuple) or not all(isinstance(one, type) for one in kinds):
        return True  # an attribute of that name may mean anything
    return issubclass(kind, kinds)


def installed_observers() -> list[Any]:
    """Observers that installed packages offer under the entry point ``headrace.observers``.

    An entry point names a class or function that is called without arguments and gives an observer. One that cannot be
    loaded is logged and left out.
    """
    found = []
    for point in _points(ENTRY_POINTS):
        try:
            found.append(point.load()())
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            logger.warning("Observer `%s` (%s) could not be loaded: %s", point.name, point.value, error)
    return found


def installed_gates() -> list[Any]:
    """Gates that installed packages offer under the entry point ``headrace.gates``.

    In the place of one that cannot be loaded stands a gate that nothing passes: what it would have checked must not
    pass for checked.
    """
    found: list[Any] = []
    for point in _points(GATE_POINTS):
        try:
            found.append(point.load()())
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            found.append(Broken(f"{point.name} ({point.value})", error))
    return found


def _points(group: str) -> Any:
    from importlib.metadata import entry_points

    return entry_points(group=group)
