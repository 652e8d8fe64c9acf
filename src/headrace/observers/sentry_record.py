"""What is remembered of a run until Sentry is told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from headrace.model.events import PackageParked, Rejected, SchemaEvolved
from headrace.observers.facts import MOST_PIECES, Piece, seconds

_CRUMBS = 100
_FAILURES = 20


class Crumb(NamedTuple):
    """Something that happened before an error.

    Attributes:
        at: Unix seconds.
        category: What kind of thing.
        level: ``info``, ``warning`` or ``error``.
        message: For people.
        data: More facts.
    """

    at: float
    category: str
    level: str
    message: str
    data: dict[str, Any]


@dataclass
class Step:
    """A step with what was done in it."""

    name: str
    started: float
    ended: float = 0.0
    error: str | None = None
    pieces: list[Piece] = field(default_factory=list)


def _same_job(one: Piece, other: Piece) -> bool:
    return all(one.facts[name] == other.facts[name] for name in ("load_id", "job_id"))


class Record:
    """A run as far as it got.

    Args:
        facts: Who runs.
        started: When, in unix seconds.
    """

    def __init__(self, facts: dict[str, str], started: float) -> None:
        self.facts, self.started = facts, started
        self.steps: list[Step] = []
        self.crumbs: deque[Crumb] = deque(maxlen=_CRUMBS)
        self.failed: list[Piece] = []
        self.parked: list[PackageParked] = []
        self.load_ids: list[str] = []
        self.untold = 0
        self.has_steps = False
        self._open: list[Step] = []
        self._told = 0

    def open_step(self, name: str, at: float) -> None:
        """A step begins; `run` is the whole and no step of its own."""
        self.has_steps = True
        if name != "run":
            self._open.append(Step(name, at))
            self.steps.append(self._open[-1])

    def end_step(self, name: str, at: float, error: str | None, pieces: list[Piece]) -> None:
        """A step is over."""
        if self._open and self._open[-1].name == name:
            step = self._open.pop()
            step.ended, step.error = at, error
            for piece in pieces:
                self._add(step, piece)

    def add_job(self, piece: Piece, failed: bool) -> None:
        """An attempt at a job is over."""
        if self._open:
            self._add(self._open[-1], piece)
        # one that is repeated later in the run, and succeeds, is no failure in the end
        self.failed = [one for one in self.failed if not _same_job(one, piece)]
        if failed and len(self.failed) < _FAILURES:
            self.failed.append(piece)
        if piece.error is not None:
            outcome = "failed" if failed else "will be tried again"
            level = "error" if failed else "warning"
            self.crumbs.append(Crumb(piece.ended, "job", level, f"{piece.name} {outcome}: {piece.error}", piece.facts))

    def _add(self, step: Step, piece: Piece) -> None:
        if piece.error is None and self._told >= MOST_PIECES:
            self.untold += 1
            return
        self._told += 1
        step.pieces.append(piece)

    def add_crumb(self, event: Rejected | SchemaEvolved | PackageParked) -> None:
        """Something that is no error of its own happened."""
        data: dict[str, Any] = {"load_id": event.load_id}
        level = "warning"
        if isinstance(event, Rejected):
            data |= {"table": event.table, "rule": event.rule, "column": event.column, "count": event.count}
            category, message = "contract", f"table {event.table}: {event.rule} let go {event.count}"
        elif isinstance(event, SchemaEvolved):
            category, level = "schema", "info"
            message = f"schema {event.schema_name} changed: {', '.join(sorted(event.update)[:20])}"
        else:
            category, level, message = "package", "error", f"package {event.load_id} was set aside: {event.reason}"
        self.crumbs.append(Crumb(seconds(event), category, level, message, data))
