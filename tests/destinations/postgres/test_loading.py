"""What is PostgreSQL's own in loading: names, indexes, NUL, tables of strangers, readers and locks."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg
import pytest

import headrace
from headrace.destinations.impl.postgres.indexes import PROMISE
from headrace.errors.destination import IdentifierTooLongException
from headrace.errors.pipeline import PipelineStepFailed
from headrace.testing import Faults

pytestmark = pytest.mark.destination("postgres")


def cause(error: BaseException, kind: type[BaseException]) -> Any:
    """The error of a kind that led to another."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__
    assert found is not None, error
    return found


# ---- indexes -------------------------------------------------------------------------------------------------------


def indexes(db: Any, dataset: str) -> set[str]:
    rows = db.execute(
        "SELECT tablename FROM pg_indexes WHERE schemaname = %s AND indexdef LIKE '%%UNIQUE%%_dlt_id%%'", [dataset]
    )
    return {name for (name,) in rows.fetchall()}


def promises(db: Any) -> int:
    found: int = db.execute("SELECT count(*) FROM pg_constraint WHERE conname = %s", [PROMISE]).fetchone()[0]
    return found


def test_row_ids_get_unique_indexes(pipeline: Any, db: Any, dataset: str) -> None:
    """Once the first load of a table is complete; also after the table was replaced by a new one."""
    p = pipeline()
    p.run([{"id": 1, "l": [1]}], table_name="t")
    assert indexes(db, dataset) == {"t", "t__l", "_dlt_pipeline_state"}
    swap: Any = {"disposition": "replace", "strategy": "staging-optimized"}
    p.run([{"id": 1, "l": [1]}], table_name="t", write_disposition=swap)
    assert indexes(db, dataset) == {"t", "t__l", "_dlt_pipeline_state"}
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("INSERT INTO t SELECT * FROM t")


def test_no_indexes_when_not_wanted(pipeline: Any, db: Any, dataset: str) -> None:
    pipeline(create_indexes=False).run([{"id": 1}], table_name="t")
    assert indexes(db, dataset) == set()


def test_interrupted_load_leaves_the_index_to_the_next(
    pipeline: Any, url: str, dataset: str, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table itself remembers what is still to be made."""
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    faults = Faults("complete", times=99)
    broken = headrace.pipeline(
        "shop", destination=faults.into(headrace.destinations.postgres(url)), dataset_name=dataset
    )
    with pytest.raises(PipelineStepFailed):
        broken.run([{"id": 1}], table_name="t")
    assert "t" not in indexes(db, dataset)
    other = headrace.pipeline("other", destination=headrace.destinations.postgres(url), dataset_name=dataset)
    other.run([{"id": 1}], table_name="u")
    assert indexes(db, dataset) >= {"t", "u"}
    assert promises(db) == 0


def test_row_ids_of_strangers_that_are_not_unique(
    pipeline: Any, db: Any, dataset: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They are told and do not keep the load from being completed."""
    rows = [{"id": 1, "_dlt_id": "same"}, {"id": 2, "_dlt_id": "same"}]
    with caplog.at_level(logging.WARNING, "headrace"):
        pipeline().run(rows, table_name="t")
    assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)
    if "t" not in indexes(db, dataset):
        assert "table `t` gets no unique index" in caplog.text
    assert promises(db) == 0


# ---- names ---------------------------------------------------------------------------------------------------------


def test_names_that_differ_in_case(pipeline: Any, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a naming convention that keeps case: names are quoted everywhere."""
    monkeypatch.setenv("SCHEMA__NAMING", "sql_cs_v1")
    p = pipeline()
    merge: Any = {"disposition": "merge", "strategy": "upsert"}
    for value in (1, 2):
        rows = [{"Id": 1, "ID": value, "Kids": [{"A": 1, "a": value}]}]
        p.run(headrace.resource(rows, name="Orders", primary_key="Id", write_disposition=merge))
    assert db.execute('SELECT "Id", "ID" FROM "Orders"').fetchall() == [(1, 2)]
    assert db.execute('SELECT "A", a FROM "Orders__Kids"').fetchall() == [(1, 2)]


def test_long_names(pipeline: Any, db: Any, dataset: str) -> None:
    """Names are cut to 63 characters around a hash, so that they stay apart; tables of such names are replaced too."""
    long = "a_name_that_goes_on_and_on_without_coming_to_an_end_in_any_time_soon"
    swap: Any = {"disposition": "replace", "strategy": "staging-optimized"}
    for _ in range(2):
        pipeline().run([{f"{long}_1": 1, f"{long}_2": 2, long: [{"x": 1}]}], table_name=long, write_disposition=swap)
    tables = db.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [dataset])
    names = [name for (name,) in tables.fetchall() if name.startswith("a_name")]
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_names_of_too_many_bytes_are_refused(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL would cut them, and take two columns for one."""
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline().run([{"ä" * 40: 1}], table_name="t")
    assert "80" in str(cause(caught.value, IdentifierTooLongException))


# ---- values --------------------------------------------------------------------------------------------------------

WITH_NUL = [{"id": 1, "a": "x\0y", "b": "\0", "j": {"k": "1\0", "l": "\\u0000"}}, {"id": 2, "a": "z"}]
JSON: Any = {"j": {"data_type": "json"}}


def test_nul_is_removed_and_told(pipeline: Any, db: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In text and in JSON; a backslash that is meant stays."""
    with caplog.at_level(logging.WARNING, "headrace"):
        pipeline().run(WITH_NUL, table_name="t", columns=JSON)
    assert db.execute("SELECT a, b, j FROM t ORDER BY id").fetchall() == [
        ("xy", "", {"k": "1", "l": "\\u0000"}),
        ("z", None, None),
    ]
    told = [record.getMessage() for record in caplog.records if "NUL" in record.getMessage()]
    assert sorted(text[text.index("column") :].split(":")[0] for text in told) == [
        "column `a` in 1 row(s)",
        "column `b` in 1 row(s)",
        "column `j` in 1 row(s)",
    ]


def test_what_only_looks_like_an_escaped_nul_stays(pipeline: Any, db: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A text beside a real NUL keeps the six signs of its escape; a backslash in JSON is no reason for a warning."""
    with caplog.at_level(logging.WARNING, "headrace"):
        pipeline().run([{"a": "x\0 \\u0000", "j": {"l": "\\u0000"}}], table_name="t", columns=JSON)
    assert db.execute("SELECT a, j FROM t").fetchall() == [("x \\u0000", {"l": "\\u0000"})]
    told = [record.getMessage() for record in caplog.records if "NUL" in record.getMessage()]
    assert len(told) == 1 and "column `a` in 1 row(s)" in told[0]


@pytest.mark.parametrize("row", [{"a": "x\0y"}, {"j": {"k": "\0"}}])
def test_nul_is_refused_when_wanted(pipeline: Any, row: Any) -> None:
    """The error says what to do."""
    with pytest.raises(PipelineStepFailed, match="nul_characters"):
        pipeline(nul_characters="error").run([row], table_name="t", columns=JSON if "j" in row else None)


def test_tables_of_strangers_keep_their_types(pipeline: Any, db: Any, dataset: str) -> None:
    """Columns that somebody made in types that no schema asks for take values as their text says."""
    db.execute(f"CREATE SCHEMA {dataset}")
    db.execute("CREATE TYPE mood AS ENUM ('ok', 'bad')")
    db.execute("CREATE TABLE t (id uuid, m mood, n numeric, tags text, made timestamptz DEFAULT now() NOT NULL)")
    uuid = "6f1c6b0e-0d5e-4c53-8c67-0a1d3a1b2c3d"
    pipeline().run([{"id": uuid, "m": "bad", "n": 12, "tags": "x"}], table_name="t")
    assert db.execute("SELECT id::text, m::text, n, tags, made IS NOT NULL FROM t").fetchall() == [
        (uuid, "bad", 12, "x", True)
    ]


# ---- readers, rights, others ---------------------------------------------------------------------------------------


def test_readers_see_the_old_rows_until_a_replace_is_through(pipeline: Any, db: Any, url: str, dataset: str) -> None:
    """`insert-from-staging` locks no reader out; what a reader holds does not stop the load."""
    p = pipeline()
    p.run([{"id": 1}], table_name="t", write_disposition="replace")
    with db.transaction():
        assert db.execute("SELECT id FROM t").fetchall() == [(1,)]
        p.run([{"id": 2}], table_name="t", write_disposition="replace")
    assert db.execute("SELECT id FROM t").fetchall() == [(2,)]


def test_view_stands_in_the_way_of_a_swap(pipeline: Any, db: Any) -> None:
    """It is told, with a way out; the old rows are still there."""
    swap: Any = {"disposition": "replace", "strategy": "staging-optimized"}
    p = pipeline()
    p.run([{"id": 1}], table_name="t", write_disposition=swap)
    db.execute("CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(PipelineStepFailed, match="insert-from-staging"):
        p.run([{"id": 2}], table_name="t", write_disposition=swap)
    assert db.execute("SELECT id FROM v").fetchall() == [(1,)]


def test_user_without_the_right_to_make_schemas(pipeline: Any, db: Any, url: str, dataset: str, project: Any) -> None:
    """A dataset that somebody has made is enough."""
    role = f"r_{dataset[:20]}"
    db.execute(f"CREATE SCHEMA {dataset}")
    db.execute(f"DROP ROLE IF EXISTS {role}")
    db.execute(f"CREATE ROLE {role} LOGIN")
    db.execute(f"GRANT USAGE, CREATE ON SCHEMA {dataset} TO {role}")
    place = url.replace("postgres:secret-of-postgres@", f"{role}@")
    merge: Any = "merge"
    p = headrace.pipeline("shop", destination=headrace.destinations.postgres(place), dataset_name=dataset)
    p.run([{"id": 1}], table_name="t", primary_key="id", write_disposition=merge)
    assert db.execute("SELECT id FROM t").fetchall() == [(1,)]


def test_two_make_the_same_table_at_once(pipeline: Any, url: str, dataset: str, db: Any) -> None:
    """Against somebody who is not headrace and takes no locks of ours: what was made meanwhile is found and kept."""
    db.execute(f"CREATE SCHEMA {dataset}")
    failed: list[BaseException] = []

    def load() -> None:
        try:
            pipeline().run([{"id": 1}], table_name="t")
        except BaseException as error:
            failed.append(error)

    with db.transaction():
        db.execute("CREATE TABLE t (id bigint, _dlt_id varchar, _dlt_load_id varchar)")
        thread = threading.Thread(target=load)
        thread.start()
        end = time.monotonic() + 60
        while thread.is_alive() and time.monotonic() < end:
            # until it waits for us
            if db.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'").fetchall():
                break
            time.sleep(0.02)
    thread.join(120)
    assert failed == []
    assert db.execute("SELECT id FROM t").fetchall() == [(1,)]


def test_ended_session_is_made_anew(pipeline: Any, db: Any) -> None:
    """Outside of a transaction nothing is lost with a connection."""
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    with p.sql_client() as client:
        [(pid,)] = client.execute_sql("SELECT pg_backend_pid()")
        db.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(headrace.errors.destination.DatabaseTransientException):
            client.execute_sql("SELECT id FROM t")
        assert client.execute_sql("SELECT id FROM t") == [(1,)]
