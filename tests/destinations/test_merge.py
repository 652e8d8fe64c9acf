"""Merging, compared with an obvious merge of Python lists."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors.destination import DestinationCapabilitiesException, MergeDispositionException
from headrace.errors.schema import SchemaCorruptedException
from headrace.model.jobs import LoadFile
from tests.destinations.bench import Bench, bench, column, table

Row = dict[str, Any]
CHAIN = ["t", "t__n", "t__n__m"]
ID = column("_dlt_id", "text", nullable=False, row_key=True)
ROOT = column("_dlt_root_id", "text", nullable=False, root_key=True)
PARENT = column("_dlt_parent_id", "text", nullable=False, parent_key=True)


def chain(*columns: Row, **facts: Any) -> list[Row]:
    """A root table with two levels of nested tables."""
    return [
        table("t", *columns, ID, write_disposition="merge", **facts),
        table("t__n", column("n"), ROOT, PARENT, ID, parent="t"),
        table("t__n__m", column("m"), ROOT, PARENT, ID, parent="t__n"),
    ]


# ---- rows and files ----------------------------------------------------------------------------------------------


def stage(b: Bench, rows: Sequence[Row], name: Callable[[Row], str]) -> list[LoadFile]:
    """Loader files of documents ``{…, "n": [[1, 2], [3]]}``: sums in the nested table, numbers in the one below."""
    root, nested, below = [], [], []
    for row in rows:
        row_id = name(row)
        root.append({**{k: v for k, v in row.items() if k != "n"}, "_dlt_id": row_id})
        for i, numbers in enumerate(row.get("n", [])):
            nested_id = f"{row_id}.{i}"
            nested.append({"n": sum(numbers), "_dlt_root_id": row_id, "_dlt_parent_id": row_id, "_dlt_id": nested_id})
            below += [
                {"m": m, "_dlt_root_id": row_id, "_dlt_parent_id": nested_id, "_dlt_id": f"{nested_id}.{j}"}
                for j, m in enumerate(numbers)
            ]
    made = [("t", root), ("t__n", nested), ("t__n__m", below)]
    return [b.file(table_name, content) for table_name, content in made if content]


def stored(b: Bench, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """What is in the chain, as documents; fails if a nested row has lost its parent."""
    listed = ", ".join(f't."{c}"' for c in columns)
    found = b.rows(
        f"SELECT {listed}, list_sort(coalesce((SELECT list((SELECT list_sort(coalesce(list(m.m), [])) FROM t__n__m m "
        "WHERE m._dlt_parent_id = n._dlt_id AND m._dlt_root_id = t._dlt_id)) FROM t__n n "
        "WHERE n._dlt_parent_id = t._dlt_id AND n._dlt_root_id = t._dlt_id), [])) FROM t"
    )
    counts = b.rows("SELECT (SELECT count(*) FROM t__n), (SELECT count(*) FROM t__n__m)")
    assert counts == [(sum(len(r[-1]) for r in found), sum(len(m) for r in found for m in r[-1]))]
    return found


def expected(rows: Sequence[Row], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    return sorted(
        ((*(row.get(c) for c in columns), sorted(sorted(m) for m in row.get("n", []))) for row in rows), key=repr
    )


# ---- the obvious merges ------------------------------------------------------------------------------------------


def same(a: Row, b: Row, key: Sequence[str]) -> bool:
    return all(a.get(c) == b.get(c) for c in key)


def winners(rows: Sequence[Row], key: Sequence[str], sort: str | None) -> list[Row]:
    """One row a key: the first by the order, NULLs last, then the first that came."""
    if not key:
        return list(rows)

    def rank(row: Row) -> tuple[bool, int]:
        value = row.get("s")
        if sort is None:
            return (False, 0)
        return (value is None, (value or 0) * (-1 if sort == "desc" else 1))

    kept: list[Row] = []
    for row in rows:
        if not any(same(row, other, key) for other in kept):
            kept.append(min((r for r in rows if same(r, row, key)), key=rank))
    return kept


def deleted(row: Row) -> bool:
    return row.get("gone") is True


def delete_insert(target: list[Row], staged: list[Row], pk: list[str], mk: list[str], sort: str | None) -> list[Row]:
    kept = [t for t in target if not any(key and same(t, s, key) for s in staged for key in (pk, mk))]
    return kept + [row for row in winners(staged, pk, sort) if not deleted(row)]


def upsert(target: list[Row], staged: list[Row], pk: list[str], mk: list[str], sort: str | None) -> list[Row]:
    return delete_insert(target, staged, pk, [], sort)


def insert_only(target: list[Row], staged: list[Row], pk: list[str], mk: list[str], sort: str | None) -> list[Row]:
    fresh = [s for s in staged if not any(same(t, s, pk) for t in target)]
    return target + [row for row in winners(fresh, pk, sort) if not deleted(row)]


# ---- comparison --------------------------------------------------------------------------------------------------


def without_shared_nested(rows: list[Row], pk: Sequence[str]) -> list[Row]:
    """Row ids made of the key cannot tell apart the nested rows of two rows with one key: leave those out."""
    return [{**row, "n": []} if sum(same(row, other, pk) for other in rows) > 1 else row for row in rows]


documents = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.integers(0, 3),
            "b": st.one_of(st.none(), st.integers(0, 1)),
            "k": st.one_of(st.none(), st.integers(0, 2)),
            "s": st.one_of(st.none(), st.integers(0, 2)),
            "v": st.integers(0, 99),
            "gone": st.sampled_from([None, False, False, True]),
            "n": st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2),
        }
    ),
    max_size=6,
)
COLUMNS = ["a", "b", "k", "s", "v", "gone"]


@contextmanager
def emptied(b: Bench) -> Iterator[Bench]:
    for name in CHAIN:
        b.client.sql_client.execute_sql(f"DELETE FROM {name}")
    yield b


EXAMPLES = 25 if os.environ.get("HEADRACE_LONG") else 12
CASES = [
    ("delete-insert", delete_insert, ["a"], [], None),
    ("delete-insert", delete_insert, ["a", "b"], [], "desc"),
    ("delete-insert", delete_insert, [], ["k"], None),
    ("delete-insert", delete_insert, ["a"], ["k"], "asc"),
    ("delete-insert", delete_insert, ["a", "b"], ["k", "s"], None),
    ("upsert", upsert, ["a"], [], None),
    ("upsert", upsert, ["a", "b"], [], "desc"),
    ("insert-only", insert_only, ["a"], [], "asc"),
    ("insert-only", insert_only, ["a", "b"], [], None),
]


@pytest.mark.parametrize(("strategy", "oracle", "pk", "mk", "sort"), CASES, ids=lambda x: str(x).split(" at ")[0])
@pytest.mark.parametrize("unique", [False, True], ids=["", "indexed"])
@pytest.mark.each(2)
def test_merges_are_those_of_the_oracle(
    tmp_path: Path, strategy: str, oracle: Any, pk: list[str], mk: list[str], sort: str | None, unique: bool
) -> None:
    """Three loads in a row, with duplicates, NULLs, deletions and two levels of nested rows."""
    hints: dict[str, Row] = {c: {} for c in COLUMNS}
    for c in pk:
        hints[c]["primary_key"] = True
    for c in mk:
        hints[c]["merge_key"] = True
    if sort:
        hints["s"]["dedup_sort"] = sort
    hints["gone"]["hard_delete"] = True
    hints["a"]["nullable"] = False
    columns = [column(c, "bool" if c == "gone" else "bigint", **hints[c]) for c in COLUMNS]
    tables = chain(*columns)
    if unique:
        for each in tables:
            each["columns"]["_dlt_id"] = {**ID, "unique": True}
    counter = itertools.count()

    def by_key(row: Row) -> str:
        return "/".join(str(row.get(c)) for c in pk)

    def random_id(row: Row) -> str:
        return f"r{next(counter)}"

    with bench(tmp_path, *tables, create_indexes=unique, credentials=":memory:") as b:

        @given(st.lists(documents, min_size=1, max_size=3))
        @settings(
            max_examples=EXAMPLES // 2 if unique else EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
        )
        def check(loads: list[list[Row]]) -> None:
            with emptied(b):
                target: list[Row] = []
                for rows in loads:
                    if strategy != "delete-insert":
                        rows = without_shared_nested(rows, pk)
                    files = stage(b, rows, random_id if strategy == "delete-insert" else by_key)
                    if files:
                        b.load(b.merge(CHAIN, *files, strategy=strategy))
                    target = oracle(target, rows, pk, mk, sort)
                    assert stored(b, COLUMNS) == expected(target, COLUMNS)

        check()


# ---- single cases ------------------------------------------------------------------------------------------------

KEYED = [column("id", primary_key=True, nullable=False), column("v")]


def load(b: Bench, rows: Sequence[Row], strategy: str = "delete-insert", tables: Sequence[str] = CHAIN) -> int:
    counter = itertools.count()
    deterministic = strategy in ("upsert", "insert-only")
    mark = b._files
    files = stage(b, rows, lambda row: f"id{row['id']}" if deterministic else f"r{mark}.{next(counter)}")
    return b.load(b.merge(tables, *files, strategy=strategy))


def test_a_merge_applied_twice_has_the_effect_of_once(tmp_path: Path) -> None:
    """The ledger holds for merges as for copies."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        job, context = b.merge(CHAIN, *stage(b, [{"id": 1, "v": 1, "n": [[1]]}], lambda _: "x")), b.context()
        assert b.client.apply(job, context).rows == 3
        assert b.client.apply(job, context).rows == 0
        assert stored(b, ["id", "v"]) == [(1, 1, [[1]])]


def test_null_in_a_primary_key_is_a_value(tmp_path: Path) -> None:
    """Rows without a key are one record, in a load and between loads; dlt keeps one more of them with each load."""
    key = column("id", primary_key=True)
    with bench(tmp_path, *chain(key, column("v"))) as b:
        load(b, [{"id": None, "v": 1}, {"id": None, "v": 2}, {"id": 1, "v": 1}])
        assert stored(b, ["id", "v"]) == [(1, 1, []), (None, 1, [])]
        load(b, [{"id": None, "v": 3}])
        assert stored(b, ["id", "v"]) == [(1, 1, []), (None, 3, [])]


def test_without_keys_rows_are_appended_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As in dlt, and deletions are not inserted there either."""
    with bench(tmp_path, *chain(column("id"), column("gone", "bool", hard_delete=True))) as b:
        with caplog.at_level(logging.WARNING, "headrace"):
            load(b, [{"id": 1, "gone": False, "n": [[1]]}])
            load(b, [{"id": 1, "gone": True, "n": [[2]]}, {"id": 1, "gone": None}])
        assert stored(b, ["id"]) == [(1, [[1]]), (1, [])]
        assert "without a key" in caplog.text and "primary_key" in caplog.text


def test_a_hard_delete_mark_that_is_no_flag(tmp_path: Path) -> None:
    """Any value but NULL deletes; the last state wins as `dedup_sort` says."""
    columns = [KEYED[0], column("at", dedup_sort="desc"), column("gone", "text", hard_delete=True)]
    with bench(tmp_path, *chain(*columns)) as b:
        load(b, [{"id": 1, "at": 1, "gone": "x"}, {"id": 2, "at": 1, "gone": None}, {"id": 3, "at": 1}])
        assert stored(b, ["id"]) == [(2, []), (3, [])]
        load(b, [{"id": 2, "at": 2, "gone": None}, {"id": 2, "at": 3, "gone": "x"}])
        load(b, [{"id": 3, "at": 3, "gone": None}, {"id": 3, "at": 2, "gone": "x"}])
        assert stored(b, ["id"]) == [(3, [])]


def test_deduplicated_data_is_taken_at_its_word(tmp_path: Path) -> None:
    """With the flag rows of one key stay side by side, as in dlt."""
    with bench(tmp_path, *chain(*KEYED, **{"x-stage-data-deduplicated": True})) as b:
        load(b, [{"id": 1, "v": 1}, {"id": 1, "v": 2}])
        assert stored(b, ["id", "v"]) == [(1, 1, []), (1, 2, [])]


def test_an_update_clears_columns_that_the_load_lacks(tmp_path: Path) -> None:
    """Upsert writes whole records; columns that the schema does not know are left alone."""
    with bench(tmp_path, *chain(*KEYED, column("w"))) as b:
        load(b, [{"id": 1, "v": 1, "w": 1}], "upsert")
        b.client.sql_client.execute_sql("ALTER TABLE t ADD COLUMN note VARCHAR")
        b.client.sql_client.execute_sql("UPDATE t SET note = 'mine'")
        load(b, [{"id": 1, "v": 3}], "upsert")
        assert stored(b, ["id", "v", "w", "note"]) == [(1, 3, None, "mine", [])]


def test_from_delete_insert_to_upsert_leaves_no_orphans(tmp_path: Path) -> None:
    """Nested rows under the old, random row ids go; dlt 1.31 leaves them behind."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        load(b, [{"id": 1, "n": [[1], [2]]}])
        load(b, [{"id": 1, "n": [[9]]}], "upsert")
        assert stored(b, ["id"]) == [(1, [[9]])]


def test_insert_only_leaves_nested_rows_of_known_records_alone(tmp_path: Path) -> None:
    """A known record gains no nested rows either; dlt 1.31 adds those at new positions."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        load(b, [{"id": 1, "v": 1, "n": [[1]]}], "insert-only")
        load(b, [{"id": 1, "v": 3, "n": [[2], [3]]}, {"id": 2, "v": 5, "n": [[4]]}], "insert-only")
        assert stored(b, ["id", "v"]) == [(1, 1, [[1]]), (2, 5, [[4]])]


def test_nested_rows_right_below_the_root_are_found_by_their_parent(tmp_path: Path) -> None:
    """Tables made as append have no root key; one level deep the parent key leads to the root."""
    tables = chain(*KEYED)[:2]
    del tables[1]["columns"]["_dlt_root_id"]
    with bench(tmp_path, *tables) as b:
        for value in (1, 2):
            files = [
                b.file("t", [{"id": 1, "v": value, "_dlt_id": f"r{value}"}]),
                b.file("t__n", [{"n": value, "_dlt_parent_id": f"r{value}", "_dlt_id": f"n{value}"}]),
            ]
            b.load(b.merge(["t", "t__n"], *files))
        assert (b.rows("SELECT id, v FROM t"), b.rows("SELECT n FROM t__n")) == ([(1, 2)], [(2,)])


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
def test_rows_appended_before_the_first_merge_are_found(tmp_path: Path, strategy: str) -> None:
    """The root key comes with the merge disposition; nested rows that are older get theirs from their parents."""
    before = chain(column("id"), column("v"))
    for each in before[1:]:
        del each["columns"]["_dlt_root_id"]
    with bench(tmp_path, *before) as b:
        b.load(b.copy(b.file("t", [{"id": i, "v": 0, "_dlt_id": f"o{i}"} for i in (1, 2)])))
        b.load(b.copy(b.file("t__n", [{"n": i, "_dlt_parent_id": f"o{i}", "_dlt_id": f"o{i}.0"} for i in (1, 2)])))
        b.load(
            b.copy(b.file("t__n__m", [{"m": i, "_dlt_parent_id": f"o{i}.0", "_dlt_id": f"o{i}.0.0"} for i in (1, 2)]))
        )
        for each in chain(*KEYED):
            b.schema.update_table(each)  # type: ignore[arg-type]
        b.migrate()
        load(b, [{"id": 1, "v": 1, "n": [[7]]}], strategy)
        assert stored(b, ["id", "v"]) == [(1, 1, [[7]]), (2, 0, [[2]])]


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "cdc"])
@pytest.mark.parametrize("lacking", [[2], [1, 2]])
def test_nested_rows_without_root_keys_are_found_by_their_parents(
    tmp_path: Path, strategy: str, lacking: list[int]
) -> None:
    """A table that got its rows by append has no root key until a merge brings rows for it; dlt 1.31 fails there."""
    tables = chain(*KEYED)
    for at in lacking:
        del tables[at]["columns"]["_dlt_root_id"]
    with bench(tmp_path, *tables) as b:
        for name, nested in (("o", [[1, 2], [3]]), ("p", [])):
            root = [{"id": i, "v": 1, "_dlt_id": f"{name}{i}"} for i in (1, 2)]
            rows = [(f"o{i}.{at}", f"o{i}", m) for i in (1, 2) for at, m in enumerate(nested)]
            files = [b.file("t", root)]
            if rows:
                keys = ["_dlt_parent_id", *(["_dlt_root_id"] if 1 not in lacking else [])]
                files.append(b.file("t__n", [{"n": 0, **dict.fromkeys(keys, up), "_dlt_id": at} for at, up, _ in rows]))
                below = [{"m": v, "_dlt_parent_id": at, "_dlt_id": f"{at}.{v}"} for at, _, m in rows for v in m]
                files.append(b.file("t__n__m", below))
            job = b.copy(*files) if rows else b.merge(CHAIN, b.file("t", root[:1]), strategy=strategy)
            changes = b.apply(job).changes
        left = [] if strategy == "cdc" else ["o2"]
        assert b.rows("SELECT DISTINCT _dlt_parent_id FROM t__n") == [(x,) for x in left]
        assert changes["t__n__m"].deleted == 6 - 3 * len(left)
        assert len(b.rows("SELECT * FROM t__n__m")) == 3 * len(left)


def test_a_chain_without_its_keys_is_refused(tmp_path: Path) -> None:
    """A nested table needs a root key or a parent key; the error names the table and what to set."""
    tables = chain(*KEYED)
    del tables[2]["columns"]["_dlt_root_id"], tables[2]["columns"]["_dlt_parent_id"]
    with bench(tmp_path, *tables) as b:
        with pytest.raises(MergeDispositionException, match=r"t__n__m.*root_key"):
            b.load(b.merge(CHAIN, b.file("t", [{"id": 1, "_dlt_id": "r"}])))
        assert b.rows("SELECT * FROM t") == []


@pytest.mark.parametrize("strategy", ["upsert", "insert-only"])
def test_strategies_that_need_a_primary_key_say_so(tmp_path: Path, strategy: str) -> None:
    """And nothing is written."""
    with bench(tmp_path, *chain(column("id"))) as b:
        with pytest.raises(SchemaCorruptedException, match="`t` has no primary key"):
            load(b, [{"id": 1}], strategy)
        assert b.rows("SELECT * FROM t") == []


def test_an_unknown_strategy(tmp_path: Path) -> None:
    """The error lists the known ones."""
    with bench(tmp_path, *chain(*KEYED)) as b, pytest.raises(DestinationCapabilitiesException, match="delete-insert"):
        load(b, [{"id": 1}], "guess")


def test_a_table_without_row_keys_is_merged(tmp_path: Path) -> None:
    """Arrow data has no `_dlt_id`; without nested tables none is needed."""
    made = table("t", *KEYED, write_disposition="merge")
    with bench(tmp_path, made) as b:
        for rows in ([{"id": 1, "v": 1}, {"id": 2, "v": 1}], [{"id": 2, "v": 2}, {"id": 3, "v": 2}]):
            b.load(b.merge(["t"], b.file("t", rows)))
        assert b.rows("SELECT * FROM t") == [(1, 1), (2, 2), (3, 2)]


def test_nested_tables_that_do_not_exist_yet_are_passed_over(tmp_path: Path) -> None:
    """A dataset that was emptied by hand lacks tables the schema knows."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        b.client.sql_client.drop_tables("t__n", "t__n__m")
        load(b, [{"id": 1, "v": 1}])
        load(b, [{"id": 1, "v": 2}])
        assert b.rows("SELECT id, v FROM t") == [(1, 2)]


def test_nothing_temporary_stays(tmp_path: Path) -> None:
    """Also not after a failure."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        load(b, [{"id": 1, "n": [[1]]}])
        with pytest.raises(SchemaCorruptedException):
            b.schema.tables["t"]["columns"]["id"].pop("primary_key")
            load(b, [{"id": 2, "n": [[1]]}], "upsert")
        assert b.rows("SELECT table_name FROM duckdb_tables() WHERE temporary") == []


def test_nested_rows_of_duplicates_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Row ids made of the key are the same for both rows, so their nested rows cannot be told apart."""
    with bench(tmp_path, *chain(*KEYED)) as b, caplog.at_level(logging.WARNING, "headrace"):
        load(b, [{"id": 1, "n": [[1]]}, {"id": 2, "n": [[1]]}], "upsert")
        assert caplog.text == ""
        load(b, [{"id": 1, "v": 1, "n": [[1]]}, {"id": 1, "v": 2, "n": [[2], [3]]}], "upsert")
        assert "`t`" in caplog.text and "1 row" in caplog.text


def test_files_of_parquet_are_merged(tmp_path: Path) -> None:
    """Staging takes every format that copying takes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with bench(tmp_path, table("t", *KEYED, write_disposition="merge")) as b:
        pq.write_table(pa.table({"v": [1, 2], "id": [1, 1]}), tmp_path / "t.parquet")
        b.load(b.merge(["t"], LoadFile(id="p", table="t", path="t.parquet", format="parquet", rows=2)))
        assert b.rows("SELECT id, v FROM t") == [(1, 1)]
