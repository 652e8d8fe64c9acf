"""Plans: what they say is what the run afterwards tells."""

from __future__ import annotations

from typing import Any

import headrace
from tests.lineage.scenarios.scenario import OF_QUERIES, scenario
from tests.lineage.scenarios.stream import OWN_SCHEMAS, Event, validate_events
from tests.lineage.scenarios.world import World


def _told(w: World, source: Any, pipeline: Any = None) -> list[Event]:
    p = pipeline or w.pipeline()
    headrace.lineage.note_plans(p)
    plan = p.plan(source)
    try:
        return headrace.lineage.events_of_plan(plan)
    finally:
        plan.discard()


def _compare(w: World, planned: list[Event], load_ids: set[str]) -> None:
    """Jobs, inputs, outputs, their columns and edges: of a plan and of the runs of some loads."""
    runs = {run.job: run for run in w.stream().resources if run.load_id in load_ids}
    jobs = {event["job"]["name"]: event for event in planned}
    assert set(jobs) == {*runs, "shop"}, (set(jobs), set(runs))
    for name, run in runs.items():
        said, did = jobs[name], run.last
        assert run.end == "COMPLETE" and said["job"]["namespace"] == did["job"]["namespace"]
        assert _names(said["inputs"]) == _names(did["inputs"]), name
        assert _names(said["outputs"]) == _names(did["outputs"]), name
        for one, other in zip(_sorted(said["outputs"]), _sorted(did["outputs"]), strict=True):
            for facet in ("schema", "columnLineage", "hierarchy", "dataSource", "documentation"):
                assert _plain(one["facets"].get(facet)) == _plain(other["facets"].get(facet)), (
                    name,
                    facet,
                    one["facets"].get(facet),
                    other["facets"].get(facet),
                )
        for one, other in zip(_sorted(said["inputs"]), _sorted(did["inputs"]), strict=True):
            for facet in ("schema", "hierarchy", "dataSource", "symlinks"):
                assert _plain(one["facets"].get(facet)) == _plain(other["facets"].get(facet)), (
                    name,
                    facet,
                    one["facets"].get(facet),
                    other["facets"].get(facet),
                )
        for facet in ("jobType", "documentation", "ownership", "sourceCodeLocation", "sql", "lineage"):
            there = said["job"]["facets"].get(facet)
            assert _plain(there) == _plain(run.job_facet(facet) or None), (name, facet, there, run.job_facet(facet))


def _sorted(datasets: list[Event]) -> list[Event]:
    return sorted(datasets, key=lambda one: (one["namespace"], one["name"]))


def _names(datasets: list[Event]) -> list[tuple[str, str]]:
    return [(one["namespace"], one["name"]) for one in _sorted(datasets)]


def _plain(facet: Any) -> Any:
    if isinstance(facet, dict):
        return {key: _plain(value) for key, value in facet.items() if not key.startswith("_")}
    return facet


@scenario("a plan says what the run tells: new tables")
def new_tables(w: World, patch: Any) -> None:
    planned = _told(w, w.shop.shop())
    _check(w, planned)
    info = w.run(w.shop.shop())
    _compare(w, planned, set(info.loads_ids))


@scenario("a plan says what the run tells: two sources, merge, a transformer", long=True)
def more(w: World, patch: Any) -> None:
    @headrace.transformer(name="details")
    def details(orders: Any) -> Any:
        yield [{"order": order["id"], "city": order["address"]["city"]} for order in orders]

    def source() -> Any:
        merged = w.shop.orders(write_disposition="merge")
        return [w.shop.shop(merged, merged | details), w.shop.shop(w.shop.customers(), name="erp")]

    planned = _told(w, source())
    _check(w, planned)
    info = w.run(source())
    _compare(w, planned, set(info.loads_ids))


@scenario("a plan says what the run tells: a table that changes")
def changed(w: World, patch: Any) -> None:
    @headrace.resource(name="things", primary_key="id", write_disposition="merge")
    def things(row: Any) -> Any:
        yield [row]

    def source(**row: Any) -> Any:
        return w.shop.shop(things(row).add_input(dict(w.shop.TABLE)))

    w.run(source(**{"id": 1, "Old Name": "a", "v": 1}))
    row = {"id": 2, "v": "x", "New": True, "l": [{"deep": 1}]}
    planned = _told(w, source(**row))
    _check(w, planned)
    info = w.run(source(**row))
    _compare(w, planned, set(info.loads_ids))


@scenario("a plan says what the run tells: a model", less=OF_QUERIES)
def model(w: World, patch: Any) -> None:
    p = w.pipeline()
    w.run(w.shop.shop(w.shop.customers()), p)

    def vips() -> Any:
        @headrace.resource(name="vips")
        def vips() -> Any:
            yield p.dataset().query("SELECT id, full_name AS who FROM customers WHERE vip")

        return vips()

    planned = _told(w, vips(), p)
    _check(w, planned)
    info = w.run(vips(), p)
    _compare(w, planned, set(info.loads_ids))


def _check(w: World, planned: list[Event]) -> None:
    import json

    path = w.folder / "plan.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in planned))
    assert validate_events.main(["--quiet", "--extra-spec", str(OWN_SCHEMAS), str(path)]) == 0
