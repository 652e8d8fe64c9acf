"""Small spool files of one table are normalized together: few loader files, each row still somebody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

import headrace as dlt
from headrace.errors.base import HeadraceException
from headrace.formats.spool import SpoolReader, SpoolWriter, read_spool
from headrace.model.events import Extracted, Normalized
from headrace.model.jobs import LoadFile, SpoolFile
from headrace.normalize.groups import GROUP_BYTES, SMALL_FRAMES_BYTES, SMALL_GROUP_BYTES, grouped
from headrace.normalize.worker import Task
from headrace.package.package import Package
from tests.e2e.project import project as project

pytestmark = pytest.mark.usefixtures("project")


def package_of(pipeline: Any, *resources: Any) -> Package:
    """The package of an extract and a normalize."""
    (load_id,) = pipeline.extract(list(resources)).loads_ids
    pipeline.normalize()
    found: Package = pipeline._store.get(load_id)
    return found


def shop() -> Any:
    return dlt.pipeline("shop", destination=dlt.destinations.duckdb("w.duckdb"), dataset_name="raw")


def resource(name: str, *pages: Any, table: str = "t", **hints: Any) -> Any:
    return dlt.resource(list(pages), name=name, table_name=table, **hints)


def task(number: int, size: int, table: str = "t", kind: str = "rows") -> Task:
    file = SpoolFile(path=f"spool/{number}", table=table, kind=kind, size=size)
    return Task(Path(), "1", 0, number, file, *[None] * 4, "arrow", 0)  # type: ignore[arg-type]


def numbers(groups: list[list[Task]]) -> list[list[int]]:
    return [[one.number for one in group] for group in groups]


def test_small_files_of_a_table_are_one_group_in_their_order() -> None:
    tasks = [task(n, 1000, "t" if n % 2 else "u") for n in range(6)]
    assert numbers(grouped(tasks, 4)) == [[0, 2, 4], [1, 3, 5]]


def test_a_large_table_has_work_for_all_threads() -> None:
    part = SMALL_GROUP_BYTES // 2
    tasks = [task(n, part) for n in range(16)]
    assert numbers(grouped(tasks, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert all(len(group) == 1 for group in grouped([task(n, GROUP_BYTES) for n in range(3)], 1))
    most = max(sum(one.file.size for one in g) for g in grouped([task(n, part) for n in range(99)], 1))
    assert part < most <= GROUP_BYTES


def test_kinds_and_large_frames_stay_apart() -> None:
    kinds = ["rows", "rows", "arrow", "arrow", "rows"]
    assert numbers(grouped([task(n, 10, kind=kind) for n, kind in enumerate(kinds)], 1)) == [[0, 1], [2, 3], [4]]
    assert numbers(grouped([task(n, SMALL_FRAMES_BYTES, kind="arrow") for n in range(2)], 1)) == [[0], [1]]


def test_files_say_whose_rows_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "4")
    pages = {"one": [{"id": 1, "l": [1, 2]}, {"id": 2}], "two": [{"id": n} for n in range(3)], "three": [{"l": [3]}]}
    package = package_of(shop(), *(resource(name, rows) for name, rows in pages.items()))
    normalized = package.fact(Normalized)
    assert normalized is not None
    files = sorted((f for f in normalized.files if f.table[0] == "t"), key=lambda f: f.table)
    found = [(f.table, f.rows, f.by_resource, f.resource, f.shares) for f in files]
    assert found == [
        ("t", 5, {"one": 2, "two": 3}, "", {"one": 2, "two": 3}),
        ("t", 1, {"three": 1}, "three", {}),
        ("t__l", 3, {"one": 2, "three": 1}, "", {"one": 2, "three": 1}),
    ]
    with pa.ipc.open_stream((package.path / files[0].path).read_bytes()) as stream:
        assert stream.read_all()["id"].to_pylist() == [1, 2, 0, 1, 2]


def test_a_file_of_one_resource_and_one_of_an_older_package() -> None:
    file = LoadFile(id="a", table="t", path="p", format="arrow", rows=3)
    assert file.by_resource == {} and msgspec.structs.replace(file, resource="one").by_resource == {"one": 3}
    assert msgspec.json.decode(msgspec.json.encode(file), type=LoadFile) == file


def test_spool_files_of_a_few_rows_are_one() -> None:
    resources = [resource(f"r{n}", [{"id": n, f"c{n}": n}]) for n in range(5)]
    pipeline = shop()
    info = pipeline.extract(resources)
    (package,) = pipeline._store.pending()
    fact = package.fact(Extracted)
    files = [f for f in fact.files if f.table == "t"]
    assert len({f.path for f in files}) == 1 and [f.rows for f in files] == [1] * 5
    path = package.path / files[0].path
    assert [f.at for f in files] == [sum(f.size for f in files[:n]) for n in range(5)]
    assert sum(f.size for f in files) == path.stat().st_size
    for n, file in enumerate(files):
        (batch,) = read_spool(path, file.at, file.size)
        assert [column.to_pylist() for column in batch.columns] == [[n], [n]]
    metrics = info.metrics[package.load_id][0]
    assert metrics["job_metrics"][path.name][:3] == (str(path), 5, path.stat().st_size)
    assert {name: m.file_size for name, m in metrics["resource_metrics"].items()} == {f.resource: f.size for f in files}
    jobs = [j for j in info.load_packages[0].jobs["new_jobs"] if j.job_file_info.table_name == "t"]
    assert [(j.file_path, j.file_size) for j in jobs] == [(str(path), path.stat().st_size)]
    pipeline.run()
    with pipeline.sql_client() as client:
        assert client.execute_sql("SELECT id, coalesce(c0, c1, c2, c3, c4) FROM t ORDER BY id") == [
            (n, n) for n in range(5)
        ]


def test_a_reader_goes_to_and_fro(tmp_path: Path) -> None:
    batches = [pa.record_batch({"a": [n] * n}) for n in (1, 2)]
    for name in "xy":
        with SpoolWriter(tmp_path / name) as writer:
            at = [(writer.size, writer.write(batch))[0] for batch in batches]  # type: ignore[func-returns-value]
    with SpoolReader() as reader:
        second = list(reader.read(tmp_path / "x", at[1]))
        first = list(reader.read(tmp_path / "x", 0, at[1]))
        whole = list(reader.read(tmp_path / "y"))
    assert (first, second, whole) == (batches[:1], batches[1:], batches)


def test_ids_are_the_same_whatever_is_normalized_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = shop()
    pipeline.extract([resource(f"r{n}", [{"id": n, "l": [n, n]}]) for n in range(4)])
    (package,) = pipeline._store.pending()
    from headrace.normalize import stage

    def ids(together: Any) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        made: list[Any] = []
        with monkeypatch.context() as patch:
            patch.setattr(stage, "grouped", together)
            patch.setattr(Package, "seal_normalized", lambda self, files, *_: made.extend(files))
            pipeline.normalize()
        for file in made:
            if file.table in ("t", "t__l"):
                with pa.ipc.open_stream((package.path / file.path).read_bytes()) as stream:
                    found |= {(file.table, *row.values()) for row in stream.read_all().to_pylist()}
        return found

    alone = ids(lambda tasks, threads: [[one] for one in tasks])
    assert len(alone) == 12 and ids(grouped) == alone
    assert len({row[1:] for row in alone}) == 12


def test_where_a_value_does_not_fit_is_the_row_of_its_resource() -> None:
    contract: Any = {"data_type": "freeze"}
    pipeline = shop()
    pipeline.run(resource("one", [{"id": 1}], schema_contract=contract))
    rows = [[{"id": 1}] * 4, [{"id": 1}, {"id": "no number"}], [{"id": 5}]]
    with pytest.raises(HeadraceException) as caught:
        pipeline.run([resource(f"r{n}", page, schema_contract=contract) for n, page in enumerate(rows)])
    assert "resource `r1`, item 1, at $.id" in str(caught.value)


def test_what_is_let_go_is_let_go_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__KEEP_REJECTED", "true")
    contract: Any = {"data_type": "discard_row"}
    pipeline = shop()
    pipeline.run(resource("one", [{"id": 1}], schema_contract=contract))
    rows = [[{"id": 1}, {"id": "a"}], [{"id": 2}], [{"id": "b"}, {"id": "c"}, {"id": 3}]]
    pipeline.run([resource(f"r{n}", page, schema_contract=contract) for n, page in enumerate(rows)])
    counts = pipeline.last_trace.last_normalize_info.rejected_counts
    assert counts["t"] == 3
    with pipeline.sql_client() as client:
        kept = client.execute_sql("SELECT resource, position FROM t__rejected ORDER BY 1, 2")
        assert [tuple(row) for row in kept] == [("r0", 1), ("r2", 0), ("r2", 1)]
        assert client.execute_sql("SELECT count(*) FROM t") == [(4,)]


def test_small_frames_become_one_file_while_their_types_agree() -> None:
    frames = [pa.table({"id": pa.array([n], pa.int64())}) for n in range(3)]
    frames += [pa.table({"id": pa.array([9], pa.int64()), "x": ["a"]})]
    pipeline = shop()
    package = package_of(pipeline, *(resource(f"r{n}", frame) for n, frame in enumerate(frames)))
    normalized = package.fact(Normalized)
    assert normalized is not None
    files = [f for f in normalized.files if f.table == "t"]
    assert [f.by_resource for f in files] == [{"r0": 1, "r1": 1, "r2": 1}, {"r3": 1}]
    pipeline.load()
    with pipeline.sql_client() as client:
        assert client.execute_sql("SELECT id, x FROM t ORDER BY id") == [(0, None), (1, None), (2, None), (9, "a")]
