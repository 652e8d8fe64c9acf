"""How many rows an output says, beside the rows of the load that the destination holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import headrace as dlt
from tests.lineage.columns.test_shared import Shop, project, resource, shop
from tests.lineage.scenarios.stream import RunOf

__all__ = ["project", "shop"]

_FIRST: list[Any] = [{"id": 1, "l": [1, 2]}, {"id": 1, "l": [3]}, {"id": 2, "l": [4]}]
_SECOND: list[Any] = [{"id": 1, "l": [1, 9]}, {"id": 3, "l": [1]}, {"id": 3, "l": [2]}]


def _merge(strategy: str, **more: Any) -> dict[str, Any]:
    return {"write_disposition": {"disposition": "merge", "strategy": strategy, **more}}


_HINTS: dict[str, dict[str, Any]] = {
    "app": {},
    "rep": {"write_disposition": "replace"},
    "deleted": {"primary_key": "id", **_merge("delete-insert")},
    "upserted": {"primary_key": "id", **_merge("upsert")},
    "added": {"primary_key": "id", **_merge("insert-only")},
    "history": _merge("scd2"),
    "skipped": {"write_disposition": "skip"},
}


def _counts(run: RunOf) -> dict[str, int | None]:
    return {
        out["name"].rpartition(".")[2]: out.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
        for out in run.outputs
    }


def test_rows_of_every_disposition(shop: Shop) -> None:
    for rows in (_FIRST, _SECOND):
        before = {name: _nested(shop, name) for name in _HINTS}
        info = shop.pipeline.run([resource(name, rows, table=name, **hints) for name, hints in _HINTS.items()])
        (load_id,) = info.loads_ids
        ends = shop.ends()
        assert _counts(ends.pop("skipped")) == {}
        for name, run in ends.items():
            held = shop.rows(f"SELECT count(*) FROM {name} WHERE _dlt_load_id = '{load_id}'")[0][0]
            told = _counts(run)
            assert told[name] == held, name
            # rows of nested tables that were not there before: their ids are new, or those of the load's roots
            new = len(_nested(shop, name) - before[name]) if name in ("app", "rep", "deleted") else None
            assert new is None or told[f"{name}__l"] == new, name
    assert {name: _counts(run)[name] for name, run in ends.items()} == {
        **dict.fromkeys(("app", "rep", "history"), 3),
        **dict.fromkeys(("deleted", "upserted"), 2),
        "added": 1,
    }


def _nested(shop: Shop, name: str) -> set[Any]:
    there = shop.rows(f"SELECT 1 FROM information_schema.tables WHERE table_name = '{name}__l'")
    return {row[0] for row in shop.rows(f"SELECT _dlt_id FROM {name}__l")} if there else set()


def test_rows_that_are_let_go_and_resources_without_rows(shop: Shop) -> None:
    shop.pipeline.run(
        [resource("t", [{"id": 1}]), resource("emptied", [{"id": 1}], table="e", write_disposition="replace")]
    )
    strict = resource("t", [{"id": 2}, {"id": 3, "new": 1}], schema_contract={"columns": "discard_row"})
    shop.pipeline.run(
        [strict, resource("void", table="v"), resource("emptied", table="e", write_disposition="replace")]
    )
    ends = shop.ends()
    assert _counts(ends["t"]) == {"t": 1} and shop.rows("SELECT count(*) FROM t") == [(2,)]
    assert _counts(ends["void"]) == {} and _counts(ends["emptied"]) == {"e": 0}


def test_what_cannot_be_merged_is_appended_and_nothing_else_is_said(shop: Shop, tmp_path: Path) -> None:
    shop.pipeline = dlt.pipeline(
        "files", destination=dlt.destinations.filesystem(str(tmp_path / "lake")), dataset_name="raw"
    )
    shop.pipeline.run(resource("t", [{"id": 1}, {"id": 1}], primary_key="id", write_disposition="merge"))
    (run,) = shop.ends().values()
    (out,) = run.outputs
    assert out["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert {
        t["subtype"] for f in out["facets"]["columnLineage"].get("dataset", []) for t in f["transformations"]
    } == set()
    told = [one["assertion"] for one in out["facets"].get("dataQualityAssertions", {}).get("assertions", [])]
    assert "unique" not in told
