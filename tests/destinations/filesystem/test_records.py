"""Records are those of dlt: a folder that dlt 1.31 began goes on, and what we write has its form."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from headrace.destinations.impl.filesystem.records import as_hex
from tests.destinations.filesystem.places import DATASET, Place, ids, numbers

pytestmark = pytest.mark.destination("filesystem-local")

RECORDED = Path(__file__).parent / "recorded/dlt_1_31"
FORMS = {
    "_dlt_loads": ["load_id", "schema_name", "status", "inserted_at", "schema_version_hash"],
    "_dlt_version": ["version_hash", "schema_name", "version", "engine_version", "inserted_at", "schema"],
    "_dlt_pipeline_state": [
        *("version", "engine_version", "pipeline_name", "state", "created_at", "version_hash", "_dlt_load_id"),
    ],
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "files"), {})


def _records(root: Path, table: str) -> list[Path]:
    return sorted((root / table).iterdir())


def test_folder_of_dlt_goes_on(place: Place, home: Path) -> None:
    """Rows, schema and cursor were dlt's (rows 0 to 4); one more run reads what is new."""
    import headrace

    shutil.copytree(RECORDED, Path(place.url) / "ds")

    @headrace.resource(name="orders")
    def orders(at: Any = headrace.sources.incremental("id")) -> Any:
        yield [{"id": n, "name": f"n{n}", "items": [{"x": n}]} for n in range(7)]

    p = headrace.pipeline("compat", destination=place.destination(), dataset_name="ds", pipelines_dir=str(home))
    p.run(orders())
    assert ids(p) == ids(p, "orders__items", "x") == list(range(7))
    root = Path(place.url) / "ds"
    assert len(_records(root, "_dlt_version")) == 1, "the schema is still the one that dlt stored"
    assert p.default_schema.version_hash == json.loads(_records(root, "_dlt_version")[0].read_text())["version_hash"]
    assert p.state["_state_version"] == 3
    assert sorted(p.dataset().load_ids()) == sorted(f.stem.partition("__")[2] for f in _records(root, "_dlt_loads"))


def test_records_have_the_form_of_dlts(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    p.run(numbers(2))
    root, mark = Path(place.url) / DATASET, as_hex(p.default_schema.version_hash)
    [load_id] = p.dataset().load_ids()
    assert (root / "init").read_text() == '{"initial_version":2,"current_version":2}'
    for table, form in FORMS.items():
        for of_dlt, ours in zip(_records(RECORDED, table), _records(root, table), strict=False):
            assert list(json.loads(of_dlt.read_text())) == form == list(json.loads(ours.read_text()))
    assert [f.name for f in _records(root, "_dlt_loads")] == [f"shop__{load_id}.jsonl"]
    assert [f.name for f in _records(root, "_dlt_pipeline_state")] == [f"shop__{load_id}__{mark}.jsonl"]
    [version] = _records(root, "_dlt_version")
    owner, seconds, found = version.stem.rsplit("__", 2)
    stored = json.loads(version.read_text())
    assert (owner, found) == ("shop", mark)
    assert dt.datetime.fromisoformat(stored["inserted_at"]).timestamp() == pytest.approx(float(seconds))
    assert base64.b64decode(stored["version_hash"]).hex() == mark
    assert sorted(f.name for f in root.iterdir()) == [
        *("_dlt_loads", "_dlt_pipeline_state", "_dlt_version", "init", "orders", "orders__items"),
    ], "nothing is left of what was half written"


def test_state_of_a_load_that_was_not_completed_is_not_read(place: Place, home: Path) -> None:
    p = place.pipeline(home / "a")
    p.run(numbers(2))
    p.run(numbers(4))
    _records(Path(place.url) / DATASET, "_dlt_loads")[-1].unlink()
    with place.pipeline(home / "b").destination_client() as client:
        state = client.get_stored_state("shop")
    assert state is not None and state.version == 1


def test_old_states_are_deleted(place: Place, home: Path) -> None:
    p = place.pipeline(home, max_state_files=3)
    for n in range(1, 7):
        p.run(numbers(n))
    states = [f.name.split("__")[1] for f in _records(Path(place.url) / DATASET, "_dlt_pipeline_state")]
    assert states == sorted(p.dataset().load_ids())[-3:]


def test_states_of_two_processes_are_joined(place: Place, home: Path) -> None:
    """The second has read its state before the first one wrote."""
    import headrace

    def source(name: str) -> Any:
        @headrace.resource(name=name)
        def rows() -> Any:
            headrace.current.resource_state()["seen"] = name
            yield {"id": 1}

        return rows

    place.pipeline(home / "a").run(source("zero"))
    one, two = place.pipeline(home / "a"), place.pipeline(home / "b")
    two.sync_destination()
    two.extract(source("two"))
    two.normalize()
    one.run(source("one"))
    two.load()
    p = place.pipeline(home / "c")
    p.sync_destination()
    assert sorted(p.state["sources"]["shop"]["resources"]) == ["one", "two", "zero"]


def test_first_storage_version_has_no_gz_in_names(place: Place, home: Path) -> None:
    """A folder of an early dlt: an empty `init`, packed files without `.gz`."""
    root = Path(place.url) / DATASET
    root.mkdir(parents=True)
    (root / "init").touch()
    p = place.pipeline(home)
    p.run(numbers(2))
    p.run(numbers(3))
    assert (root / "init").read_text() == '{"initial_version":1,"current_version":2}'
    files = [Path(f) for f in p._fs_client().list_table_files("orders")]
    assert {f.suffix for f in files} == {".jsonl"}
    assert gzip.decompress(files[0].read_bytes()).startswith(b'{"id":1')
    assert ids(p) == [1, 2, 3]
