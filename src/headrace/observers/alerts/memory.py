"""What was told before, so that the same trouble every five minutes is not told every five minutes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from headrace.base.files import write_atomic
from headrace.base.logs import get_logger
from headrace.base.strings import digest128
from headrace.observers.alerts.alert import TROUBLES, Alert

logger = get_logger("headrace.alerts")
FILE = "alerts.json"
_MOST = 20
# ids, counts, instants and ports differ from run to run
_VARIABLE = re.compile(r"\w*\d\w*")


class Trouble(msgspec.Struct):
    """Trouble that was told.

    Attributes:
        first: When it came first.
        told: When it was told last.
        step: The step it ended; a run in which this goes well has cured it.
        runs: How many runs it has struck.
    """

    first: dt.datetime
    told: dt.datetime
    step: str = ""
    runs: int = 1


class _Document(msgspec.Struct):
    channels: dict[str, dict[str, Trouble]] = {}


class Memory:
    """The trouble that each channel was told of and that is not cured yet, in a file of the working folder.

    Args:
        folder: The working folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder) / FILE
        self._before = b""
        self._document = self._read()

    def _read(self) -> _Document:
        try:
            self._before = self._path.read_bytes()
            return msgspec.json.decode(self._before, type=_Document)
        except FileNotFoundError:
            return _Document()
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("%s cannot be read, alerts begin anew: %s", self._path, error)
            return _Document()

    def of(self, channel: str) -> dict[str, Trouble]:
        """The trouble of a channel, by fingerprint; to be changed in place."""
        return self._document.channels.setdefault(channel, {})

    def save(self) -> None:
        """Keep it; where that is not possible, alerts are told once more than needed."""
        document = _Document({name: _newest(found) for name, found in self._document.channels.items() if found})
        if not document.channels and not self._before:
            return
        data = msgspec.json.encode(document)
        if data == self._before or not self._path.parent.is_dir():
            return
        try:
            write_atomic(self._path, data)
            self._before = data
        except OSError as error:
            logger.warning("%s cannot be written, alerts may be told again: %s", self._path, error)


def _newest(found: dict[str, Trouble]) -> dict[str, Trouble]:
    kept = sorted(found.items(), key=lambda item: item[1].told)[-_MOST:]
    return dict(kept)


def fingerprint(alert: Alert) -> str:
    """The same for two alerts about the same trouble."""
    error = alert.error
    parts = [
        ",".join(kind for kind in alert.kinds if kind in TROUBLES),
        *((error.step, error.type, error.what, error.why or "") if error else ()),
        *sorted({f"{job.table} {job.message}" for job in alert.failed_jobs}),
        *sorted({package.reason for package in alert.set_aside}),
        *sorted({f"{one.table} {one.rule} {one.column}" for one in alert.rejected}),
    ]
    return digest128(_VARIABLE.sub("#", "\n".join(parts)))


def cured(found: dict[str, Trouble], steps: Collection[str]) -> list[str]:
    """Fingerprints of trouble that is over, now that some steps went well."""
    whole = "load" in steps or "run" in steps
    return [mark for mark, one in found.items() if one.step in steps or (whole and one.step in ("", "run", "sync"))]
