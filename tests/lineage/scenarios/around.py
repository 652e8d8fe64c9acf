"""The run around a run, and what it must not tell: parents from the environment, scripts that start scripts, secrets."""

from __future__ import annotations

import json
import logging
from typing import Any

import headrace
from tests.lineage.scenarios.scenario import ends, scenario
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


@scenario("a run around that cannot be read")
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
