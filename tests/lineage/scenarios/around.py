"""The run around a run, and what it must not tell: parents of the environment, scripts that start scripts, secrets."""

from __future__ import annotations

import json
import logging
from typing import Any

import headrace
from tests.lineage.scenarios.scenario import ends, failing, scenario
from tests.lineage.scenarios.world import World

ABOVE = "0195f6de-0000-7000-8000-000000000001"
TOP = "0195f6de-0000-7000-8000-000000000002"
SECRET = "Uq7zXwVk3JrLm"  # the tests of all scenarios look for it in all events


def _context(run_id: Any = ABOVE, root: Any = TOP) -> str:
    def told(run: Any, name: str) -> dict[str, Any]:
        return {"run": {"runId": run}, "job": {"namespace": "prod", "name": name}}

    return json.dumps({"parent": {**told(run_id, "nightly.ingest"), "root": told(root, "nightly")}})


@scenario("a script that starts a script", long=True)
def scripts(w: World, patch: Any) -> None:
    """While it reads: the run that is started is part of the one that starts it, and of what that is part of."""
    patch.setenv("OPENLINEAGE_CONTEXT", _context())
    p = w.pipeline()

    @headrace.resource(name="starter")
    def starter() -> Any:
        with headrace.lineage.exported(p):
            assert w.start("run", "shop", pipeline={"name": "inner", "dataset_name": "raw_inner"}).wait(120) == 0, (
                w.log()
            )
        yield {"id": 1}

    w.run(w.shop.shop(starter().add_input(dict(w.shop.API))), p)
    w.look("raw_inner")
    outer, inner = (next(r for r in w.stream().invocations if r.job == name) for name in ("shop", "inner"))
    assert outer.parent == ABOVE
    assert inner.parent == outer.id
    for run in w.stream().runs:
        assert run.facet("parent")["root"]["run"]["runId"] == TOP, run
        assert run.facet("parent")["root"]["job"]["name"] == "nightly"


GARBAGE = {
    "no JSON": ("OPENLINEAGE_CONTEXT", "{"),
    "a list": ("OPENLINEAGE_CONTEXT", "[1]"),
    "a string as parent": ("OPENLINEAGE_CONTEXT", '{"parent": "x"}'),
    "a parent without run": ("OPENLINEAGE_CONTEXT", '{"parent": {"job": {}}}'),
    "a run id that is none": ("OPENLINEAGE_CONTEXT", _context(run_id="7")),
    "a root that is none": ("OPENLINEAGE_CONTEXT", _context(root="7")),
    "an id of one part": ("OPENLINEAGE_PARENT_ID", "x"),
    "an id of three, none of them a UUID": ("OPENLINEAGE_PARENT_ID", "a/b/c"),
    "an empty job": ("OPENLINEAGE_PARENT_ID", f"a//{ABOVE}"),
    "a secret": ("OPENLINEAGE_PARENT_ID", f"https://u:{SECRET}@host/x?api_key={SECRET}"),
}


@scenario("a run around that cannot be read", long=True)
def garbage(w: World, patch: Any) -> None:
    from headrace.observers.lineage import parent

    records: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    handler = Handler()
    logging.getLogger("headrace").addHandler(handler)
    try:
        for what, (name, value) in GARBAGE.items():
            with patch.context() as around:
                around.setattr(parent, "_complained", set())
                around.setenv(name, value)
                for count in (1, 2):
                    w.run(w.shop.shop(w.shop.visits(count)))
            said = [text for text in records if "run around" in text]
            assert len(said) == 1 and name in said[0], (what, said)
            assert SECRET not in said[0] and "Error: '" not in said[0], said
            records.clear()
    finally:
        logging.getLogger("headrace").removeHandler(handler)
    with patch.context() as around:
        around.setenv(
            "OPENLINEAGE_PARENT_ID", f"a/b\udcff/{ABOVE}"
        )  # a byte that is no text: told, as far as it can be
        w.run(w.shop.shop(w.shop.visits()))
    assert w.stream().invocations[-1].facet("parent")["job"]["name"] == "b?"
    assert ends(w)["shop"] == ["COMPLETE"] * (2 * len(GARBAGE) + 1)


@scenario("secrets in all places of a user's own")
def secrets(w: World, patch: Any) -> None:
    """In docstrings, descriptions, hints, tags, addresses, paths, queries and errors."""
    patch.setenv("LINEAGE__TAGS", json.dumps({"note": f"password={SECRET}"}))
    patch.setenv("LINEAGE__DESCRIPTION", f"Reads https://shop:{SECRET}@api.example.com.")
    address = f"https://reader:{SECRET}@api.example.com"

    @headrace.resource(
        name="things",
        columns={
            "id": {"data_type": "bigint", "description": f"token={SECRET}", "x-annotation-note": f"api_key={SECRET}"}
        },
    )
    def things() -> Any:
        yield {"id": 1}

    read = things().add_input(
        {
            "kind": "rest_api",
            "location": f"{address}?api_key={SECRET}",
            "endpoints": [f"/v1/orders?access_token={SECRET}"],
            "params": {"api_key": SECRET, "state": "paid"},
        }
    )

    @headrace.resource(name="files")
    def files() -> Any:
        yield {"id": 1}

    where = {
        "kind": "filesystem",
        "location": f"s3://key:{SECRET}@lake/in",
        "glob": "*.csv",
        "files": [f"1.csv?X-Amz-Signature={SECRET}"],
    }

    @headrace.resource(name="bad")
    def bad() -> Any:
        yield {"id": 1}
        raise ValueError(f"GET {address}/v1/orders failed; Authorization: Bearer {SECRET}")

    for one in (things, files, bad):
        one.__doc__ = f"Reads with postgresql://reader:{SECRET}@erp/shop."
    w.run(w.shop.shop(read, files().add_input(where)))
    with failing():
        w.pipeline().run(w.shop.shop(bad().add_input(dict(w.shop.API))))
    w.look()
    p = w.pipeline()
    headrace.lineage.note_plans(p)
    plan = p.plan(w.shop.shop(things().add_input({"kind": "rest_api", "location": address, "endpoints": ["/x"]})))
    told = json.dumps(headrace.lineage.events_of_plan(plan))
    plan.discard()
    assert SECRET not in told, told[max(0, told.find(SECRET) - 200) :][:300]


@scenario("a table of many columns", long=True)
def broad(w: World, patch: Any) -> None:
    """Their edges are told once, as all that there are do not fit."""

    @headrace.resource(name="broad")
    def broad() -> Any:
        yield [{f"Column No {n}": n for n in range(1200)}]

    broad.__doc__ = "x" * 3_000_000
    w.run(w.shop.shop(broad().add_input(dict(w.shop.TABLE))))
    assert max(map(len, w.stream().text.splitlines())) < 1_000_000
    (run,) = w.stream().of("broad")
    assert len(run.outputs[0]["facets"]["columnLineage"]["fields"]) >= 1200


_LINES = [
    *("input: subset or version (what was read)", "output: columns with lineage", "output: columnLineage"),
    *("output: schema", "output: dataSource", "output: datasetType", "output: hierarchy", "output: version"),
    *("output: any lifecycleStateChange seen", "output: data quality metrics or assertions"),
]
TOO_LARGE = dict.fromkeys(_LINES, "the event would be too large, and says so")


@scenario("a table of very many columns", long=True, less=TOO_LARGE)
def wide(w: World, patch: Any) -> None:
    rows = [{f"Column No {n}": n for n in range(5000)}]

    @headrace.resource(name="wide")
    def wide() -> Any:
        yield rows

    wide.__doc__ = "x" * 3_000_000
    w.run(w.shop.shop(wide().add_input(dict(w.shop.TABLE))))
    lines = w.stream().text.splitlines()
    assert max(map(len, lines)) < 1_000_000
    (run,) = w.stream().of("wide")
    assert len(run.outputs) == 1 and len(run.inputs) == 1


@scenario("very many tables", long=True, less=TOO_LARGE)
def many(w: World, patch: Any) -> None:
    @headrace.resource(name="many", table_name=lambda row: f"table_{row['id']}")
    def many() -> Any:
        yield [{"id": n, "a": 1, "b": "x"} for n in range(500)]

    w.run(w.shop.shop(many().add_input(dict(w.shop.TABLE))))
    assert max(map(len, w.stream().text.splitlines())) < 1_000_000
    (run,) = w.stream().of("many")
    assert len(run.outputs) == 500
