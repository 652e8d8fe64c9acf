"""A package that was extracted while lineage was off: its journal says what its columns went through, or nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import headrace as dlt
from headrace import lineage
from headrace.model.events import Extracted
from headrace.observers.lineage import cycle
from headrace.observers.lineage.delivery import close
from tests.e2e.project import project as project
from tests.lineage.scenarios.stream import RunOf, Stream

PLACE: Any = {"kind": "rest_api", "location": "https://api.example.com", "endpoints": ["/things"]}
ROWS = [{"id": 1, "at": "2020-01-01T00:00:00Z", "l": [{"x": 1}]}]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close(0)


def pipeline() -> Any:
    return dlt.pipeline("shop", destination=dlt.destinations.duckdb("w.duckdb"), dataset_name="raw")


def loaded_later(project: Path, monkeypatch: pytest.MonkeyPatch, *resources: Any) -> dict[str, RunOf]:
    """Extract without lineage, load with it."""
    pipeline().extract(list(resources))
    monkeypatch.setenv("LINEAGE__PATH", str(project / "events.ndjson"))
    p = pipeline()
    p.normalize()
    p.load()
    assert lineage.flush(p)
    return {run.job.rpartition(".")[2]: run for run in Stream(project / "events.ndjson").resources}


def edges(run: RunOf, column: str) -> Any:
    """What is said of a column of the resource's root table: fields with their last step; None for nothing."""
    found = run.outputs[0]["facets"].get("columnLineage", {}).get("fields", {}).get(column)
    if found is None:
        return None
    return {
        f["field"]: tuple(f["transformations"][-1].get(k) for k in ("subtype", "description"))
        for f in found["inputFields"]
    }


def test_the_journal_says_which_code_there_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tidy(item: Any) -> Any:
        return item

    plain = dlt.resource(ROWS, name="plain").add_input(PLACE)
    coded = dlt.resource(ROWS, name="coded").add_input(PLACE).add_map(tidy)
    own = dlt.resource(ROWS, name="own").add_map(tidy)
    said = dlt.resource(ROWS, name="said").add_input(PLACE).add_map(tidy).map_columns({"id": "number"})

    @dlt.transformer(data_from=dlt.resource(ROWS, name="ids", selected=False).add_input(PLACE))
    def details(items: Any) -> Any:
        yield items

    runs = loaded_later(project, monkeypatch, plain, coded, own, said, details())
    assert edges(runs["plain"], "id") == {"id": ("IDENTITY", "")}
    assert edges(runs["plain"], "at") == {"at": ("TRANSFORMATION", "text to timestamp")}
    assert edges(runs["coded"], "id") == {"id": ("TRANSFORMATION", "after tidy()")}
    assert edges(runs["details"], "id") == {"id": ("TRANSFORMATION", "after details()")}
    assert edges(runs["own"], "id") == {}
    # nobody knows what was declared: nothing is said
    assert edges(runs["said"], "id") is None
    assert "id" in str(runs["said"].facet("extractionError"))


def test_older_packages_say_nothing_of_code(project: Path) -> None:
    p = pipeline_with(ROWS)
    package = p._store.get(p.list_extracted_load_packages()[0])
    fact = package.fact(Extracted)
    old = msgspec.structs.replace(fact, inputs=[msgspec.structs.replace(one, code=None) for one in fact.inputs])
    assert cycle._seen_by_journal("things", old.inputs[0]).unseen and not fact.inputs[0].code
    assert not cycle._seen_by_journal("things", fact.inputs[0]).unseen


def pipeline_with(rows: Any) -> Any:
    p = pipeline()
    p.extract(dlt.resource(rows, name="things").add_input(PLACE))
    return p
