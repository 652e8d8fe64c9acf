"""What is kept of dlt's runs between its steps and processes: plain values, and the folder they lie in."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.observers.lineage.facts import Invocation, ResourceRun
from headrace.observers.lineage.opened import Cursor
from headrace.observers.lineage.processes import runs_still

FOLDER = ".headrace_lineage"
"""Beside the working folders of pipelines: dlt wipes those, with the packages in them, and their runs end then."""

STATE_RESOURCE = "_dlt_pipeline_state"
"""The resource of dlt's own state table: no data of the user."""


class Seen(msgspec.Struct, omit_defaults=True):
    """What could be seen of a resource while it was at hand.

    Attributes:
        name: Of the resource.
        source: Name of its source.
        parent: Name of the resource it takes items from.
        changes: Functions that may change its values: `add_map`, a transformer, an adapter of the query.
        filters: Functions that leave rows out.
        plain_sql: It reads one table of a database as it is.
        columns: Names of the columns at the source, as they are spelled there; empty when they are not known.
        cursor: Path of the incremental's cursor.
        window: The range that the incremental has let pass; None before dlt 1.31, which does not keep its start.
        primary_key: Columns.
        table: The table it writes to, when that is a fixed name.
        inputs: dlt's locations.
        description: Of the resource.
        file: Where its function is written.
        line: The line there.
    """

    name: str
    source: str = ""
    parent: str = ""
    changes: list[str] = []
    filters: list[str] = []
    plain_sql: bool = False
    columns: list[str] = []
    cursor: str = ""
    window: Cursor | None = None
    primary_key: list[str] = []
    table: str = ""
    inputs: list[dict[str, object]] = []
    description: str = ""
    file: str = ""
    line: int = 0


class File(msgspec.Struct, omit_defaults=True):
    """A loader file after normalize: its table, rows and bytes; negative where nobody watched normalize."""

    table: str
    rows: int
    size: int


class Done(msgspec.Struct, omit_defaults=True):
    """A job of dlt's loader: ``state`` is dlt's word, ``followups`` the jobs it asked for."""

    table: str
    state: str
    followups: list[str] = []
    message: str = ""


class OpenPackage(msgspec.Struct, omit_defaults=True):
    """A package whose resource runs have begun and not ended.

    Attributes:
        load_id: dlt's.
        schema: Name of its schema.
        runs: One for each resource.
        seen: By resource, what could be seen of it.
        files: By job id, what normalize wrote.
        jobs: By job id, what the loader did so far, in all processes.
        attempt: How often its runs have ended while dlt kept it to be tried again.
        ended_at: When they did, the last time; None while they go on.
        told: Ids of the jobs whose rows those runs have told.
        goal: Destination and dataset as they were when it was extracted; empty when they were not known.
    """

    load_id: str
    schema: str
    runs: list[ResourceRun] = []
    seen: dict[str, Seen] = {}
    files: dict[str, File] = {}
    jobs: dict[str, Done] = {}
    attempt: int = 0
    ended_at: dt.datetime | None = None
    told: list[str] = []
    goal: str = ""

    @property
    def created_at(self) -> dt.datetime:
        """When dlt made the package: its id says it."""
        return created_at(self.load_id)


class OpenInvocation(msgspec.Struct):
    """An invocation that has begun, and the process it runs in."""

    run: Invocation
    pid: int
    started: str = ""


def plain_instant(value: dt.datetime) -> dt.datetime:
    """An instant of dlt's (pendulum's) as a plain one."""
    return dt.datetime.fromtimestamp(value.timestamp(), dt.timezone.utc)


def created_at(load_id: str) -> dt.datetime:
    """The instant that a load id of dlt stands for: the seconds since 1970, as text.

    Raises:
        ValueError: It is no number: somebody else made it.
    """
    return dt.datetime.fromtimestamp(float(load_id), dt.timezone.utc)


D = TypeVar("D", bound=msgspec.Struct)


class Documents:
    """The open packages and invocations of a pipeline, in a folder; written by one thread, names read by others.

    Args:
        working_dir: Of the pipeline.
    """

    def __init__(self, working_dir: str) -> None:
        place = Path(working_dir)
        self.folder = place.parent / FOLDER / place.name

    def packages(self) -> list[str]:
        """Load ids of open packages."""
        return sorted(name.removesuffix(".package.json") for name in self._names() if name.endswith(".package.json"))

    def invocations(self) -> Iterator[OpenInvocation]:
        """Those that have begun and not ended."""
        for name in self._names():
            if name.endswith(".invocation.json"):
                found = self._read(name, OpenInvocation)
                if found is not None:
                    yield found

    def package(self, load_id: str) -> OpenPackage | None:
        """An open package."""
        return self._read(f"{load_id}.package.json", OpenPackage)

    def keep_package(self, package: OpenPackage) -> None:
        """Write it, so that other processes can go on with it."""
        self._write(f"{package.load_id}.package.json", package)

    def keep_invocation(self, invocation: OpenInvocation) -> None:
        """Write it, so that a later process can end it if this one is killed."""
        self._write(f"{invocation.run.run_id}.invocation.json", invocation)

    def forget_package(self, load_id: str) -> None:
        """It has ended."""
        self._unlink(f"{load_id}.package.json")

    def forget_invocation(self, run_id: str) -> None:
        """It has ended."""
        self._unlink(f"{run_id}.invocation.json")

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.folder.iterdir()]
        except OSError:
            return []

    def _read(self, name: str, kind: type[D]) -> D | None:
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError):
            return None

    def _write(self, name: str, value: msgspec.Struct) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f".{name}.{os.getpid()}"
        new.write_bytes(msgspec.json.encode(value))
        new.replace(self.folder / name)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.folder / name).unlink()


def is_alive(invocation: OpenInvocation) -> bool:
    """Whether the process of an invocation still runs."""
    return runs_still(invocation.pid, invocation.started)
