"""The facts of one package, in the order they became true.

The journal is the only file of a package that changes, and appending to it the only way to commit. Whatever is not
in it did not happen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from headrace.base import failpoints, json
from headrace.base.logfile import LogFile
from headrace.errors.package import JournalCorrupted
from headrace.model.events import Aborted, DurableEvent, Event, Extracted, Loaded, Normalized, Reopened

E = TypeVar("E", bound=Event)

# commit points are always synced, and so is all that stands before them: a good one behind a bad line is damage
_SYNCED = (Extracted, Normalized, Loaded, Aborted, Reopened)

_decoder: msgspec.json.Decoder[DurableEvent] = msgspec.json.Decoder(DurableEvent)


class Journal:
    """An append-only list of facts with a file behind it.

    Opening leaves out a torn tail; the tail is cut when the next fact is written. Only reading changes nothing.

    Args:
        path: The journal file; missing means no facts yet.

    Raises:
        JournalCorrupted: Damage that a crash cannot explain, or facts of a later version. A package is never judged by
            such a journal: what looks unsealed would be deleted.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._log = LogFile(path)
        self.facts: list[DurableEvent] = self._decode(self._log.records)
        self._refuse_damage()

    def _decode(self, bodies: Iterable[bytes]) -> list[DurableEvent]:
        facts = []
        for body in bodies:
            try:
                facts.append(_decoder.decode(body))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise JournalCorrupted(
                    str(self._log.path),
                    f"a line is whole but not understood ({error}): a later version of headrace may have written it",
                    "use that version to finish the package, or give the package up: delete its folder",
                ) from error
        return facts

    def _refuse_damage(self) -> None:
        for body in self._log.stray:
            try:
                fact = _decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if isinstance(fact, _SYNCED):
                raise JournalCorrupted(
                    str(self._log.path),
                    f"a damaged line stands before the fact {type(fact).__name__}, which was synced",
                )

    def append(self, *events: DurableEvent, sync: bool = False) -> None:
        """Write facts in one go.

        Args:
            events: The facts, oldest first.
            sync: Make them durable before returning: a commit.

        Raises:
            OSError: They could not be written; the journal holds what it held before.
        """
        for event in events:
            failpoints.hit(f"{type(event).__name__}:before")
        missed = self._log.append([json.dumpb(event) for event in events], sync=sync)
        if missed:
            self.facts += self._decode(missed)
        self.facts += events
        for event in events:
            failpoints.hit(f"{type(event).__name__}:after")

    def last(self, kind: type[E]) -> E | None:
        """The newest fact of a kind, None when there is none."""
        for fact in reversed(self.facts):
            if isinstance(fact, kind):
                return fact
        return None

    def all(self, kind: type[E]) -> list[E]:
        """All facts of a kind, oldest first."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def close(self) -> None:
        """Give the file handle back; the next append opens it again."""
        self._log.close()
