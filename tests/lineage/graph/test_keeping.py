"""What is deleted, because it is old and sent, the graph still knows: nobody has to look in time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery.spool import Spool
from headrace.observers.lineage.graph.local import LocalGraph
from headrace.observers.lineage.graph.store import FILE
from headrace.observers.lineage.graph.view import View
from headrace.observers.lineage.store import START, EventStore, Position
from tests.lineage.delivery.world import settings
from tests.lineage.graph import samples

KEPT = 200_000
PAD = {"text": {"text": "x" * 6_000}}


def loaded(number: int, job: str = "copy") -> list[samples.Event]:
    """Two events of a run that reads one table and writes another."""
    one, other = samples.dataset("src", f"{job}_in{number}"), samples.dataset("dwh", f"{job}_out{number}")
    number += hash_of(job)
    return [
        samples.event(state, job, number, number, [one], [other], run_facets=PAD) for state in ("START", "COMPLETE")
    ]


def hash_of(job: str) -> int:
    return sum(map(ord, job)) * 10_000


def graph_of(folder: Path) -> View:
    graph = LocalGraph(folder)
    graph.refresh()
    found = graph.view()
    graph.close()
    return found


def edges(graph: View, job: str = "copy") -> set[tuple[str, str]]:
    names = [(graph.datasets[e.source].name, graph.datasets[e.target].name) for e in graph.edges if e.source]
    return {pair for pair in names if pair[0].startswith(f"{job}_")}


def wanted(runs: int, job: str = "copy") -> set[tuple[str, str]]:
    return {(f"{job}_in{n}", f"{job}_out{n}") for n in range(runs)}


def test_the_graph_knows_what_the_store_does_not(tmp_path: Path) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(enabled=True, store_max_bytes=KEPT))
    for number in range(60):
        sink.emit(lambda n=number: loaded(n))  # type: ignore[misc]
        assert sink.drain(30)
    delivery.close()
    store = EventStore(tmp_path / "p" / "lineage")
    assert store.segments()[0] > 0 and store.bytes_after(START) < KEPT * 1.6
    graph = graph_of(tmp_path)
    assert edges(graph) == wanted(60)
    assert {one.state for one in graph.datasets.values() if one.name.startswith("copy_out")} == {"COMPLETE"}


def test_nothing_is_put_into_the_graph_while_a_run_goes_on(tmp_path: Path) -> None:
    busy = [True]
    spool = Spool(tmp_path / "p" / "lineage", settings(enabled=True, store_max_bytes=KEPT), "p", lambda: busy[0])
    number = 0
    while spool.store.bytes_after(START) < KEPT * 3 // 2:
        spool.append(loaded(number))
        number += 1
    assert spool.store.segments()[0] == 0 and not (tmp_path / ".lineage").exists()
    busy[0] = False
    spool.append(loaded(number))
    assert spool.store.segments()[0] > 0 and spool.store.bytes_after(START) < KEPT * 3 // 2
    # one that never ends does not fill the disk
    busy[0] = True
    for more in range(number + 1, number + 100):
        spool.append(loaded(more))
        assert spool.store.bytes_after(START) < KEPT * 2.5
    assert edges(graph_of(tmp_path)) == wanted(number + 100)


def test_a_graph_that_takes_nothing_is_no_reason_to_fill_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".lineage").mkdir()
    (tmp_path / ".lineage" / FILE).write_bytes(b"no database" * 1_000)
    spool = Spool(tmp_path / "p" / "lineage", settings(enabled=True, store_max_bytes=KEPT), "p")
    for number in range(100):
        spool.append(loaded(number))
        assert spool.store.bytes_after(START) < KEPT * 2.5
    [told] = [r.getMessage() for r in caplog.records]
    assert "`lineage.store_max_bytes`" in told and "graph.db cannot be used" in told


def test_only_what_the_graph_has_is_deleted(tmp_path: Path) -> None:
    """Events that come between the two are another process': they stay."""
    store = EventStore(tmp_path / "p" / "lineage", 20_000)
    for number in range(20):
        store.append(loaded(number))
    until = store.surplus(50_000, None)
    for number in range(20, 30):
        store.append(loaded(number))
    assert store.surplus(50_000, None) > until > START
    assert store.surplus(50_000, Position(2, 5)) == Position(2, 0), "what was not sent stays"
    assert store.trim(50_000, None, until) > 0
    assert store.segments()[0] == until.segment


_PROCESS = """
import sys
from pathlib import Path
from headrace.observers.lineage.delivery.spool import Spool
from tests.lineage.delivery.world import settings
from tests.lineage.graph.test_keeping import KEPT, loaded

spool = Spool(Path(sys.argv[1]), settings(enabled=True, store_max_bytes=KEPT), "p")
for number in range(40):
    spool.append(loaded(number, sys.argv[2]))
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _PROCESS, str(tmp_path / "p" / "lineage")]
    made = [subprocess.Popen([*command, job], cwd=root) for job in ("one", "two")]
    assert [one.wait(60) for one in made] == [0, 0]
    assert EventStore(tmp_path / "p" / "lineage").segments()[0] > 0
    graph = graph_of(tmp_path)
    assert edges(graph, "one") == wanted(40, "one") and edges(graph, "two") == wanted(40, "two")
