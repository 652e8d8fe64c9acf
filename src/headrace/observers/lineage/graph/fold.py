"""The graph: takes events of any producer, in any order, as often as they come, and remembers what they say.

Terminal states win over others, newer facets over older ones. What a run that failed did not say is not forgotten:
sources of a target are replaced by runs that completed (and by declarations), never by failures, and never by what is
known less surely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from headrace.observers.lineage.graph import reading
from headrace.observers.lineage.graph.model import (
    NO_JOB,
    RANK,
    TERMINAL,
    Basis,
    Dataset,
    Facet,
    Flow,
    Job,
    Key,
    Run,
    Source,
    Touched,
)
from headrace.observers.lineage.graph.reading import Said, instant, key_of, listed, mapping, text

_IN_FLOWS = ("columnLineage", "lineage")
"""Facets that become flows, and are not kept as they are: they are by far the largest."""


class Graph:
    """Jobs, runs, datasets, and what flows where.

    Args:
        find_run: Gives a run that is not in memory, by its id.
    """

    def __init__(self, find_run: Callable[[str], Run | None] | None = None) -> None:
        self.jobs: dict[Key, Job] = {}
        self.runs: dict[str, Run] = {}
        self.datasets: dict[Key, Dataset] = {}
        self.flows: dict[tuple[Key, Key], Flow] = {}
        self.changed: set[tuple[str, Any]] = set()
        self._find_run = find_run

    def add_all(self, events: Iterable[dict[str, Any]]) -> Graph:
        """Take events; returns the graph."""
        for event in events:
            self.add(event)
        return self

    def add(self, event: dict[str, Any]) -> bool:
        """Take an event; whether it was one."""
        if not isinstance(event, dict):
            return False
        at, job_key = instant(event.get("eventTime")), key_of(event.get("job"))
        run_id = text(mapping(event, "run").get("runId"))
        if job_key is not None and run_id:
            self._run_event(event, at, job_key, run_id)
        elif job_key is not None:
            self._job_event(event, at, job_key)
        elif (key := key_of(event.get("dataset"))) is not None:
            self._dataset_event(event["dataset"], at, key)
        else:
            return False
        return True

    # ---- runs ----

    def _run_event(self, event: dict[str, Any], at: str, job_key: Key, run_id: str) -> None:
        run = self._run(run_id, job_key)
        self._merge_run(run, event, at)
        job = self._job(job_key, event, at)
        if run.parent is not None:
            job.parent = run.parent[1]
            self._job(run.parent[1], {}, at)
        self._newest(job, run)
        self._datasets_of(event, at, run)
        self._flow_out(run)
        self.changed.add(("runs", run_id))

    def _run(self, run_id: str, job: Key) -> Run:
        run = self.runs.get(run_id) or (self._find_run(run_id) if self._find_run else None)
        if run is None:
            run = Run(run_id, job, inputs=[], outputs=[], facets={}, entries=[], columns=[])
        self.runs[run_id] = run
        return run

    def _merge_run(self, run: Run, event: dict[str, Any], at: str) -> None:
        state = text(event.get("eventType")).upper()
        ended = run.state in TERMINAL
        if state in TERMINAL and (not ended or at >= run.ended_at):
            run.state, run.ended_at = state, at
        elif not ended and state and (at >= run.at or not run.state) and state != "OTHER":
            run.state = state
        if state == "START" or not run.started_at or at < run.started_at:
            run.started_at = min(run.started_at or at, at)
        run.at = max(run.at, at)
        run.producer = text(event.get("producer")) or run.producer
        facets = mapping(event, "run", "facets")
        _newer(run.facets, facets, at)
        parent = mapping(facets, "parent")
        run.parent = _ref(parent) or run.parent
        run.root = _ref(mapping(parent, "root")) or run.root
        run.error = text(mapping(facets, "errorMessage").get("message")) or run.error

    def _newest(self, job: Job, run: Run) -> None:
        began = run.started_at
        if job.last_run == run.run_id:
            job.last_at = began
        elif began >= job.last_at:
            before = self.runs.get(job.last_run)
            if before is not None and before.state in TERMINAL and before.entries + before.columns:
                before.entries, before.columns = [], []
                self.changed.add(("runs", before.run_id))
            job.last_run, job.last_at = run.run_id, began

    def _datasets_of(self, event: dict[str, Any], at: str, run: Run) -> None:
        late = at < run.at  # what came before says more, and was said later
        for one in listed(event.get("inputs")):
            if (key := key_of(one)) is not None:
                self._dataset(key, mapping(one, "facets"), at)
                _touch(run.inputs, reading.touched(one, key, "inputFacets", "inputStatistics"), late)
        for one in listed(event.get("outputs")):
            if (key := key_of(one)) is not None:
                facets = mapping(one, "facets")
                dataset = self._dataset(key, facets, at)
                dropped = text(mapping(facets, "lifecycleStateChange").get("lifecycleStateChange")) == "DROP"
                self._dropped(dataset, at, dropped, event.get("eventType") == "COMPLETE")
                _touch(run.outputs, reading.touched(one, key, "outputFacets", "outputStatistics"), late)
                columns = mapping(facets, "columnLineage")
                if columns and not (late and any(c[0] == key for c in run.columns)):
                    run.columns = [c for c in run.columns if c[0] != key] + [(key, columns)]
        for entry in listed(mapping(event, "job", "facets", "lineage").get("entries")):
            same = (entry.get("type"), entry.get("namespace"), entry.get("name"))
            others = [e for e in run.entries if (e.get("type"), e.get("namespace"), e.get("name")) != same]
            if not late or len(others) == len(run.entries):
                run.entries = [*others, entry]

    def _dropped(self, dataset: Dataset, at: str, dropped: bool, written: bool) -> None:
        if dropped:
            dataset.dropped_at = max(dataset.dropped_at, at)
        elif written and at > dataset.dropped_at:
            dataset.dropped_at = ""

    # ---- flows ----

    def _flow_out(self, run: Run) -> None:
        numbers = {one.key: one for one in run.outputs}
        for target, said, sources in reading.flows_of(run):
            flow = self._flow(run.job, target)
            self._sources(flow, said, sources, run.at, run.state, run.run_id)
            if run.started_at >= flow.at or flow.run_id == run.run_id:
                flow.run_id, flow.state, flow.at = run.run_id, run.state, run.started_at
                counted = numbers.get(target)
                if counted is not None and (run.state in TERMINAL or counted.rows is not None):
                    flow.rows, flow.bytes = counted.rows, counted.bytes

    def _flow(self, job: Key, target: Key) -> Flow:
        flow = self.flows.get((job, target))
        if flow is None:
            flow = self.flows[job, target] = Flow(job, target, sources=[], fields=[], generated=[])
        self.changed.add(("flows", (job, target)))
        return flow

    def _sources(self, flow: Flow, said: Said, sources: list[Source], at: str, state: str, run_id: str) -> None:
        basis: Basis = max((one.basis for one in sources), key=lambda one: RANK[one], default="run")
        if said.stated and not sources:
            basis = "explicit"  # "has no upstream" is a statement too
        for key in [one.key for one in sources]:
            self.datasets.setdefault(key, Dataset(key, facets={}))
            self.changed.add(("datasets", key))
        same, final = flow.run_id == run_id and run_id != "", state in ("COMPLETE", "DECLARED")
        if at < flow.said_at and not same:
            return
        replaces = final or same or not flow.final
        if replaces and RANK[basis] >= RANK[flow.basis] and (final or not flow.final):
            flow.sources, flow.basis = _best(sources), basis
            flow.final, flow.said_at = final or flow.final, at
        elif not flow.final:
            flow.sources = _best([*flow.sources, *sources])
        if said.columns and (final or not flow.final):
            flow.fields, flow.generated = said.fields, said.generated

    # ---- events without a run ----

    def _job_event(self, event: dict[str, Any], at: str, key: Key) -> None:
        self._job(key, event, at)
        declared = Run(f"declared:{at}", key, "DECLARED", at, inputs=[], outputs=[], entries=[], columns=[])
        self._datasets_of(event, at, declared)
        for target, said, sources in reading.flows_of(declared):
            flow = self._flow(key, target)
            self._sources(flow, said, sources, at, "DECLARED", "")

    def _dataset_event(self, given: dict[str, Any], at: str, key: Key) -> None:
        facets = mapping(given, "facets")
        dataset = self._dataset(key, facets, at)
        change = text(mapping(facets, "lifecycleStateChange").get("lifecycleStateChange"))
        self._dropped(dataset, at, change == "DROP", change in ("CREATE", "OVERWRITE"))
        lineage = mapping(facets, "lineage")
        if lineage.get("_deleted"):
            for pair in [p for p in self.flows if p[1] == key and p[0] == NO_JOB]:
                del self.flows[pair]
                self.changed.add(("flows", pair))
        elif lineage:
            said = reading.of_entry(lineage)
            self._sources(
                self._flow(NO_JOB, key), said, [Source(one, "explicit") for one in said.sources], at, "DECLARED", ""
            )

    # ---- records ----

    def _job(self, key: Key, event: dict[str, Any], at: str) -> Job:
        job = self.jobs.get(key)
        if job is None:
            job = self.jobs[key] = Job(key, facets={})
        _newer(job.facets, mapping(event, "job", "facets"), at)
        job.producer = text(event.get("producer")) or job.producer
        self.changed.add(("jobs", key))
        return job

    def _dataset(self, key: Key, facets: dict[str, Any], at: str) -> Dataset:
        dataset = self.datasets.get(key)
        if dataset is None:
            dataset = self.datasets[key] = Dataset(key, facets={})
        dataset.named = True
        _newer(dataset.facets, facets, at)
        self.changed.add(("datasets", key))
        return dataset


def _newer(kept: dict[str, Facet], given: dict[str, Any], at: str) -> None:
    for name, body in given.items():
        if name in _IN_FLOWS or not isinstance(body, dict):
            continue
        if name not in kept or at >= kept[name].at:
            kept[name] = Facet(at, body)


def _ref(given: dict[str, Any]) -> tuple[str, Key] | None:
    run_id, job = text(mapping(given, "run").get("runId")), key_of(given.get("job"))
    return (run_id, job) if run_id and job is not None else None


def _touch(kept: list[Touched], new: Touched, late: bool) -> None:
    for one in kept:
        if one.key == new.key:
            for name in ("rows", "bytes", "files"):
                told = getattr(new, name)
                if told is not None and not (late and getattr(one, name) is not None):
                    setattr(one, name, told)
            return
    kept.append(new)


def _best(sources: list[Source]) -> list[Source]:
    """Each source once, by what is known best of it."""
    found: dict[Key, Source] = {}
    for one in sources:
        if one.key not in found or RANK[one.basis] > RANK[found[one.key].basis]:
            found[one.key] = one
    return list(found.values())
