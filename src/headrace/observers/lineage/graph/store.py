"""Keeps the graph in a file: SQLite, ``graph.db`` in a folder. Any number of processes may read and add.

====================  ==================================================================================
table                 columns
====================  ==================================================================================
``jobs``              ``namespace``, ``name``, ``record``: JSON of `model.Job`
``runs``              ``run_id``, ``namespace``, ``name`` (of the job), ``started_at``, ``state``, ``record``
``datasets``          ``namespace``, ``name``, ``record``: JSON of `model.Dataset`
``flows``             ``job_namespace``, ``job_name``, ``namespace``, ``name`` (of the target), ``record``
``places``            ``folder`` of a pipeline's events, ``mark`` (which folder it was), ``segment``, ``offset``
``meta``              ``key``, ``value``: ``version`` of these tables, ``changes``: goes up with each change
====================  ==================================================================================

All of it can be made again from the events, as long as those are kept; another version of the tables begins anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from headrace.observers.lineage.graph.fold import Graph
from headrace.observers.lineage.graph.model import Dataset, Flow, Job, Run
from headrace.observers.lineage.store import FOLDER, START, EventStore, Position, stored

FILE = "graph.db"
VERSION = "1"
RUNS_IN_MEMORY = 20
"""Newest runs of each job that are read with the graph; older ones are looked up when an event names them."""

_TABLES = {
    "jobs": "namespace TEXT, name TEXT, record BLOB, PRIMARY KEY (namespace, name)",
    "runs": "run_id TEXT PRIMARY KEY, namespace TEXT, name TEXT, started_at TEXT, state TEXT, record BLOB",
    "datasets": "namespace TEXT, name TEXT, record BLOB, PRIMARY KEY (namespace, name)",
    "flows": "job_namespace TEXT, job_name TEXT, namespace TEXT, name TEXT, record BLOB,"
    " PRIMARY KEY (job_namespace, job_name, namespace, name)",
    "places": "folder TEXT PRIMARY KEY, mark TEXT, segment INTEGER, offset INTEGER",
    "meta": "key TEXT PRIMARY KEY, value TEXT",
}
_NEWEST = """
SELECT record FROM (SELECT record, row_number() OVER
    (PARTITION BY namespace, name ORDER BY started_at DESC, run_id DESC) AS n FROM runs) WHERE n <= ?
"""


class GraphStore:
    """A graph in a folder.

    Args:
        folder: The folder; made when it is missing. None keeps the graph in memory only.
        seconds: How long to wait for others that write.

    Raises:
        OSError: The folder cannot be written, or its file is no graph.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, seconds: float = 30) -> None:
        self._path = ":memory:"
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._path = str(Path(folder) / FILE)
        # threads of the server take turns under a lock of their own
        self._db = sqlite3.connect(self._path, timeout=seconds, isolation_level=None, check_same_thread=False)
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode=WAL")
            with self._writing():
                self._make()
        except sqlite3.Error as error:
            self._db.close()
            raise OSError(f"{self._path} cannot be used: {error}") from error

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def add(self, events: Iterable[dict[str, Any]]) -> int:
        """Put events into the graph, all or none; returns how many were events."""
        with self._writing():
            graph = self.graph()
            taken = sum(graph.add(event) for event in events)
            self._save(graph)
        return taken

    def add_stored(self, pipelines_dir: str | os.PathLike[str]) -> int:
        """Put what pipelines of this machine kept since the last time into the graph.

        Args:
            pipelines_dir: The folder of all working folders.

        Returns:
            How many events were new.
        """
        return sum(self.add_folder(Path(pipelines_dir) / name / FOLDER) for name in stored(pipelines_dir))

    def add_folder(self, folder: Path, until: Position | None = None, at_once: int = 0) -> int:
        """The same for one folder of events.

        Args:
            folder: The folder.
            until: What lies behind this place may be left for later; None takes everything.
            at_once: Bytes that are taken at least, so that it is later for several such places.
        """
        events, mark, taken, size = EventStore(folder), _mark(folder), 0, 0
        if self._place(folder, mark) >= (events.end() if until is None else until):
            return 0
        with self._writing():  # another process may do the same now: only inside is the place sure
            graph, place = self.graph(), self._place(folder, mark)
            for end, line in events.lines(place):
                if until is not None and place >= until and size >= at_once:
                    break
                place, size = end, size + len(line)
                with contextlib.suppress(msgspec.DecodeError):
                    taken += graph.add(msgspec.json.decode(line))
            self._save(graph)
            values = (str(folder.resolve()), mark, place.segment, place.offset)
            self._db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)", values)
        return taken

    def graph(self) -> Graph:
        """The graph, with the newest runs of each job."""
        found = Graph(self._find_run)
        for (record,) in self._db.execute("SELECT record FROM jobs"):
            job = _decode(record, Job)
            found.jobs[job.key] = job
        for (record,) in self._db.execute("SELECT record FROM datasets"):
            dataset = _decode(record, Dataset)
            found.datasets[dataset.key] = dataset
        for (record,) in self._db.execute("SELECT record FROM flows"):
            flow = _decode(record, Flow)
            found.flows[flow.job, flow.target] = flow
        for (record,) in self._db.execute(_NEWEST, (RUNS_IN_MEMORY,)):
            run = _decode(record, Run)
            found.runs[run.run_id] = run
        return found

    def runs(self) -> Iterator[Run]:
        """All runs, the oldest first."""
        for (record,) in self._db.execute("SELECT record FROM runs ORDER BY started_at, run_id"):
            yield _decode(record, Run)

    @property
    def changes(self) -> int:
        """A number that goes up with each change."""
        found = self._db.execute("SELECT value FROM meta WHERE key = 'changes'").fetchone()
        return int(found[0]) if found else 0

    # ---- inside ----

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _make(self) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)")
        found = self._db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        if found == (VERSION,):
            return
        for name, columns in _TABLES.items():
            self._db.execute(f"DROP TABLE IF EXISTS {name}")
            self._db.execute(f"CREATE TABLE {name} ({columns})")
        self._db.execute("CREATE INDEX IF NOT EXISTS runs_of_jobs ON runs (namespace, name, started_at)")
        self._db.execute("INSERT INTO meta VALUES ('version', ?), ('changes', '0')", (VERSION,))

    def _find_run(self, run_id: str) -> Run | None:
        found = self._db.execute("SELECT record FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return _decode(found[0], Run) if found else None

    def _place(self, folder: Path, mark: str) -> Position:
        query = "SELECT segment, offset FROM places WHERE folder = ? AND mark = ?"
        found = self._db.execute(query, (str(folder.resolve()), mark)).fetchone()
        return Position(*found) if found else START

    def _save(self, graph: Graph) -> None:
        for kind, key in graph.changed:
            if kind == "flows":
                self._put(kind, (*key[0], *key[1]), graph.flows.get(key))
            elif kind == "runs":
                run = graph.runs[key]
                self._put(kind, (key, *run.job, run.started_at, run.state), run)
            else:
                self._put(kind, key, (graph.jobs if kind == "jobs" else graph.datasets)[key])
        if graph.changed:
            self._db.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")
            graph.changed.clear()

    def _put(self, table: str, key: tuple[str, ...], record: msgspec.Struct | None) -> None:
        if record is None:
            where = " AND ".join(f"{name} = ?" for name in ("job_namespace", "job_name", "namespace", "name"))
            self._db.execute(f"DELETE FROM {table} WHERE {where}", key)
            return
        marks = ", ".join("?" * (len(key) + 1))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*key, msgspec.json.encode(record)))


def _decode(record: bytes, kind: type[Any]) -> Any:
    return msgspec.json.decode(record, type=kind)


def _mark(folder: Path) -> str:
    """What tells a folder of events from one that was there before it under the same name."""
    try:
        status = (folder / "lock").stat()
    except OSError:
        return ""
    # a number is used again, often at once, when its file is gone
    return f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"
