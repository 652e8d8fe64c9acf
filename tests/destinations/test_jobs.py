"""Jobs reach DuckDB once, whole, and with little memory."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.destinations.impl.duckdb import files
from headrace.errors.destination import (
    DatabaseTerminalException,
    DatabaseUndefinedRelation,
    DestinationInvalidFileFormat,
    DestinationTerminalException,
)
from headrace.load.destination import PipelineFacts
from headrace.model.jobs import LoadFile, Truncate
from tests.crash import forks
from tests.destinations.bench import Bench, bench, column, table

T = table("t", column("id"), column("v", "text"))


def test_a_job_applied_twice_has_the_effect_of_once(tmp_path: Path) -> None:
    """The second call meets its own key and moves nothing."""
    with bench(tmp_path, T) as b:
        job, context = b.copy(b.file("t", [{"id": 1, "v": "a"}, {"id": 2}])), b.context()
        assert b.client.apply(job, context).rows == 2
        assert b.client.apply(job, context).rows == 0
        assert b.rows("SELECT * FROM t") == [(1, "a"), (2, None)]


def test_keys_are_forgotten_when_the_load_is_complete(tmp_path: Path) -> None:
    """The loads table vouches for the whole load; the ledger stays small."""
    with bench(tmp_path, T) as b:
        done, other = b.context(), b.context()
        b.client.apply(b.copy(b.file("t", [{"id": 1}])), done)
        b.client.apply(b.copy(b.file("t", [{"id": 2}])), other)
        assert not b.client.is_complete(done.load_id)
        b.client.complete(done)
        b.client.complete(done)
        assert b.client.is_complete(done.load_id)
        assert b.rows("SELECT job_key FROM _headrace_jobs") == [(f"{other.load_id}.copy-0",)]
        assert b.rows("SELECT load_id, schema_name, status FROM _dlt_loads") == [(done.load_id, "demo", 0)]


def test_a_dataset_made_by_someone_else_gets_its_ledger_with_the_first_job(tmp_path: Path) -> None:
    """Datasets begun with dlt have all the tables, so no migration makes the ledger."""
    with bench(tmp_path, T) as b:
        b.client.sql_client.execute_sql("DROP TABLE _headrace_jobs")
        assert b.load(b.copy(b.file("t", [{"id": 1}]))) == 1
        assert b.rows("SELECT count(*) FROM _headrace_jobs") == [(1,)]


def test_completing_a_load_without_jobs_needs_no_ledger(tmp_path: Path) -> None:
    """A load of nothing but a schema."""
    with bench(tmp_path, T) as b:
        b.client.sql_client.execute_sql("DROP TABLE _headrace_jobs")
        b.client.complete(b.context("empty"))
        assert b.client.is_complete("empty")


def test_a_failing_job_leaves_nothing_behind(tmp_path: Path) -> None:
    """The first file's rows and the key go with the second file's error."""
    with bench(tmp_path, T, table("u", column("n", nullable=False))) as b:
        job, context = (
            b.copy(b.file("t", [{"id": 1}]), b.file("u", pa.table({"n": pa.array([None], pa.int64())}))),
            b.context(),
        )
        with pytest.raises(DatabaseTerminalException) as caught:
            b.client.apply(job, context)
        text = str(caught.value)
        assert (
            "`t`, `u`" in text and "dataset `ds`" in text and f"{context.load_id}.copy-0" in text and "NOT NULL" in text
        )
        assert b.rows("SELECT * FROM t") == b.rows("SELECT * FROM _headrace_jobs") == []


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    """A table dropped by hand is an undefined relation, and the ledger is not blamed."""
    with bench(tmp_path, T) as b:
        job = b.copy(b.file("t", [{"id": 1}]))
        b.client.sql_client.execute_sql("DROP TABLE t")
        with pytest.raises(DatabaseUndefinedRelation, match="Table with name t does not exist"):
            b.load(job)


def test_columns_are_matched_by_name(tmp_path: Path) -> None:
    """A file may have fewer columns than the table, in another order."""
    made = table("t", column("a"), column("b", "text"), column("c", "double"))
    with bench(tmp_path, made) as b:
        b.load(b.copy(b.file("t", pa.table({"c": [1.5], "a": [7]}))))
        assert b.rows("SELECT * FROM t") == [(7, None, 1.5)]


def test_a_file_without_rows_is_fine(tmp_path: Path) -> None:
    """It has a schema and no batch."""
    with bench(tmp_path, T) as b:
        empty = pa.schema([("id", pa.int64())]).empty_table()
        assert b.load(b.copy(b.file("t", empty))) == 0


def test_arrow_ipc_files_are_read_like_streams(tmp_path: Path) -> None:
    """Both forms of Arrow's format have the same file ending."""
    with bench(tmp_path, T) as b:
        data = pa.table({"id": [1, 2]})
        with pa.ipc.new_file(str(tmp_path / "t.arrow"), data.schema) as writer:
            writer.write_table(data)
        assert b.load(b.copy(LoadFile(id="1", table="t", path="t.arrow", format="arrow", rows=2))) == 2


def test_parquet_jsonl_and_csv(tmp_path: Path) -> None:
    """Imported files of the other formats, with values that are easy to spoil."""
    made = table(
        "t", column("id"), column("ts", "timestamp"), column("raw", "binary"), column("doc", "json"),
        column("d", "decimal", precision=38, scale=9), column("s", "text"),
    )  # fmt: skip
    with bench(tmp_path, made) as b:
        data = pa.table({"id": [1], "raw": [b"\x00\xff"], "doc": ['{"a": [1]}'], "d": [Decimal("1.5")], "s": ["x\ny"]})
        pq.write_table(data, tmp_path / "t.parquet")
        (tmp_path / "t.jsonl").write_text(
            '{"id": 2, "ts": "2024-05-01T12:00:00+02:00", "raw": "AP8=", "doc": {"a": [1]}, "d": 1.5, "s": "x\\ny"}\n'
        )
        (tmp_path / "t.csv").write_text('id,ts,d,s,raw\n3,2024-05-01 10:00:00+00:00,1.5,"x\ny",00ff\n')
        for ending in ("parquet", "jsonl", "csv"):
            b.load(b.copy(LoadFile(id=ending, table="t", path=f"t.{ending}", format=ending, rows=1)))
        assert [row[0] for row in b.rows("SELECT DISTINCT (raw, d, s) FROM t")] == [
            (b"\x00\xff", Decimal("1.5"), "x\ny")
        ]
        assert b.rows("SELECT id, epoch(ts)::BIGINT FROM t WHERE ts IS NOT NULL") == [(2, 1714557600), (3, 1714557600)]
        assert b.rows("SELECT id FROM t WHERE doc->>'$.a[0]' = '1'") == [(1,), (2,)]


def test_wide_decimals_and_sliced_nested_structs(tmp_path: Path) -> None:
    """Types that DuckDB does not read from Arrow, and slices that it reads wrongly, arrive right."""
    made = table("t", column("big", "wei"), column("doc", "json"))
    rows = [{"a": i, "s": {"c": f"x{i}"}} for i in range(100)]
    data = pa.table({"big": pa.array([Decimal(i) for i in range(100)], pa.decimal256(50, 0)), "doc": rows})
    with bench(tmp_path, made) as b:
        assert b.load(b.copy(b.file("t", data))) == 100
        assert b.rows("SELECT count(*) FROM t WHERE doc->>'$.s.c' = 'x' || big::BIGINT") == [(100,)]


def test_half_floats_and_unreadable_types(tmp_path: Path) -> None:
    """Types that DuckDB lacks are widened where there is a wider one; else the error is ours and says which job."""
    made = table("t", column("x", "double"))
    with bench(tmp_path, made) as b:
        b.load(b.copy(b.file("t", pa.table({"x": pa.array([1.5], pa.float32()).cast(pa.float16())}))))
        assert b.rows("SELECT x FROM t") == [(1.5,)]
        with pytest.raises(DatabaseTerminalException, match=r"copy of `t`"):
            b.load(b.copy(b.file("t", pa.table({"x": pa.array([1], pa.duration("s"))}))))


@pytest.mark.parametrize(("content", "why"), [(None, "there is no file"), (b"nonsense", "arrow file")])
def test_unreadable_files_are_terminal(tmp_path: Path, content: bytes | None, why: str) -> None:
    """A lost or broken file will not come back by trying again."""
    with bench(tmp_path, T) as b:
        if content is not None:
            (tmp_path / "t.arrow").write_bytes(content)
        with pytest.raises(DestinationInvalidFileFormat, match=why):
            b.load(b.copy(LoadFile(id="1", table="t", path="t.arrow", format="arrow", rows=1)))
        with pytest.raises(DestinationInvalidFileFormat, match="known are"):
            b.load(b.copy(LoadFile(id="1", table="t", path=b.file("t", [{"id": 1}]).path, format="orc", rows=1)))


def test_replace_puts_the_files_in_the_place_of_the_chain(tmp_path: Path) -> None:
    """All rows of root and nested tables go, and a failing replace leaves the old rows."""
    nested = table("t__n", column("n", nullable=False), parent="t")
    with bench(tmp_path, T, nested, table("t__late", column("n"), parent="t")) as b:
        b.load(b.copy(b.file("t", [{"id": 1}]), b.file("t__n", [{"n": 1}])))
        b.client.sql_client.execute_sql("DROP TABLE t__late")
        chain = ["t", "t__n", "t__late"]
        broken = b.file("t__n", pa.table({"n": pa.array([None], pa.int64())}))
        with pytest.raises(DestinationTerminalException):
            b.load(b.replace(chain, b.file("t", [{"id": 2}]), broken))
        assert b.rows("SELECT id FROM t") == [(1,)]
        b.load(b.replace(chain, b.file("t", [{"id": 2}])))
        assert (b.rows("SELECT id FROM t"), b.rows("SELECT * FROM t__n")) == ([(2,)], [])
        b.load(b.replace(chain))
        assert b.rows("SELECT id FROM t") == []


def test_truncate(tmp_path: Path) -> None:
    """Its own job, for the strategy truncate-and-insert."""
    with bench(tmp_path, T) as b:
        b.load(b.copy(b.file("t", [{"id": 1}])))
        assert b.load(Truncate(id="truncate-0", tables=["t", "t__not_there"])) == 0
        assert b.rows("SELECT * FROM t") == []


def test_threads_share_the_database(tmp_path: Path) -> None:
    """Eight clients write at once; two of them race for each key, and one of the two wins."""
    with bench(tmp_path, T) as b:
        jobs = [(b.copy(b.file("t", [{"id": i}])), b.context()) for i in range(4)] * 2
        facts = PipelineFacts(pipeline_name="pipe", working_dir=str(tmp_path), local_dir=str(tmp_path))
        from headrace.destinations.reference import resolve_destination

        destination, moved = resolve_destination("duckdb"), []

        def work(at: int) -> None:
            with destination.open("ds", b.schema, facts) as client:
                moved.append(client.apply(*jobs[at]).rows)

        threads = [threading.Thread(target=work, args=(at,)) for at in range(len(jobs))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(moved) == [0, 0, 0, 0, 1, 1, 1, 1]
        assert b.rows("SELECT id FROM t") == [(0,), (1,), (2,), (3,)]


KILLED = """
import sys
from pathlib import Path
from tests.destinations.bench import bench, column, table
folder = Path(sys.argv[1])
with bench(folder, table("t", column("id"))) as b:
    b._files = 0
    job = b.copy(b.file("t", [{"id": 1}, {"id": 2}]))
    b.client.apply(job, b.context("load"))
    b.client.complete(b.context("load"))
"""


@pytest.mark.parametrize("place", ["job.before_commit", "job.committed"])
def test_killed_around_the_commit(tmp_path: Path, place: str) -> None:
    """SIGKILL before the commit leaves nothing, after it the rows; one more run makes it right either way."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "HEADRACE_FAILPOINT": place, "PYTHONPATH": root}
    assert forks.python(KILLED, tmp_path, env=environment).returncode == -signal.SIGKILL
    with duckdb.connect(str(tmp_path / "pipe.duckdb")) as database:
        rows = database.execute("SELECT count(*) FROM ds.t").fetchone()
    assert rows == ((0,) if place == "job.before_commit" else (2,))
    del environment["HEADRACE_FAILPOINT"]
    assert forks.python(KILLED, tmp_path, env=environment).returncode == 0
    with duckdb.connect(str(tmp_path / "pipe.duckdb")) as database:
        assert database.execute("SELECT id FROM ds.t ORDER BY id").fetchall() == [(1,), (2,)]
        assert database.execute("SELECT count(*) FROM ds._headrace_jobs").fetchone() == (0,)
        assert database.execute("SELECT load_id FROM ds._dlt_loads").fetchall() == [("load",)]


def test_the_file_is_free_when_the_last_client_is_gone(tmp_path: Path) -> None:
    """Another process may open it then; while a client is open it may not."""
    check = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('SELECT 1')"
    command = [sys.executable, "-c", check, str(tmp_path / "pipe.duckdb")]
    with bench(tmp_path, T):
        assert subprocess.run(command, check=False, capture_output=True).returncode != 0
    assert subprocess.run(command, check=False).returncode == 0


def rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_million_rows_are_not_held(tmp_path: Path) -> None:
    """Batches are read one by one and handed over in bounded statements."""
    made: list[int] = []

    def batches(b: Bench) -> LoadFile:
        path = tmp_path / "t.big.arrow"
        schema = pa.schema([("id", pa.int64()), ("v", pa.string())])
        with pa.ipc.new_stream(str(path), schema) as stream:
            for at in range(100):
                text = [f"a value of some length, the {i}th of batch {at} " * 2 for i in range(10_000)]
                batch = pa.record_batch([pa.array(range(10_000)), pa.array(text)], schema)
                made.append(batch.nbytes)
                stream.write_batch(batch)
        return LoadFile(id="big", table="t", path=path.name, format="arrow", rows=1_000_000)

    with bench(tmp_path, T) as b:
        file, before = batches(b), pa.total_allocated_bytes()
        peak = 0

        def watched(schema: pa.Schema, source: object) -> object:
            nonlocal peak
            for reader in original(schema, source):  # type: ignore[arg-type]
                yield reader
                peak = max(peak, pa.total_allocated_bytes() - before)

        original, files.statements_of = files.statements_of, watched  # type: ignore[assignment]
        try:
            assert b.load(b.copy(file)) == 1_000_000
        finally:
            files.statements_of = original
        assert b.rows("SELECT count(*), count(DISTINCT v) FROM t") == [(1_000_000, 1_000_000)]
        assert peak < sum(made) / 4
