"""What folders of files are, looked at on the local disk."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import logging
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace.errors.destination import DestinationTerminalException
from headrace.errors.pipeline import PipelineStepFailed
from tests.destinations.filesystem.places import DATASET, Place, ids, numbers

pytestmark = pytest.mark.destination("filesystem-local")

ROW = {
    "id": 1,
    "name": 'a"q,\nx',
    "at": dt.datetime(2024, 1, 1, 1, 2, 3, tzinfo=dt.timezone.utc),
    "local": dt.datetime(2024, 1, 1, 1, 2, 3),
    "price": Decimal("1.50"),
    "raw": b"xx\x00",
    "day": dt.date(2024, 1, 2),
    "part": 1.5,
    "ok": True,
    "doc": {"a": [1, {"b": None}]},
}
COLUMNS: Any = {"doc": {"data_type": "json"}, "local": {"timezone": False}, "price": {"precision": 10, "scale": 2}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "files"), {})


def _load(p: Any, rows: Any, table: str = "orders", **hints: Any) -> Any:
    columns = hints.pop("columns", None)
    return p.run(headrace.resource(rows, name=table, columns=columns), **hints)


def _files(p: Any, table: str = "orders") -> list[Path]:
    return [Path(path) for path in p._fs_client().list_table_files(table)]


# ---- formats ---------------------------------------------------------------------------------------------------------


def test_json_lines(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    _load(p, [ROW, {"id": 2}], columns=COLUMNS)
    [file] = _files(p)
    assert file.name.endswith(".jsonl.gz")
    first, second = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    shown = {k: v for k, v in first.items() if not k.startswith("_dlt")}
    assert shown == {
        "id": 1,
        "name": 'a"q,\nx',
        "at": "2024-01-01T01:02:03+00:00",
        "local": "2024-01-01T01:02:03",
        "price": "1.50",
        "raw": "eHgA",
        "day": "2024-01-02",
        "part": 1.5,
        "ok": True,
        "doc": {"a": [1, {"b": None}]},
    }
    assert list(second) == ["id", "_dlt_load_id", "_dlt_id"]


def test_parquet_types(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    _load(p, [ROW], columns=COLUMNS, loader_file_format="parquet")
    kinds = {f.name: f.type for f in pq.read_schema(_files(p)[0])}
    assert (kinds["at"], kinds["local"]) == (pa.timestamp("us", "UTC"), pa.timestamp("us"))
    assert (kinds["price"], kinds["doc"], kinds["day"]) == (pa.decimal128(10, 2), pa.string(), pa.date32())


def test_parquet_settings(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COMPRESSION": "zstd", "ROW_GROUP_SIZE": "10", "TIMESTAMP_TIMEZONE": "Europe/Berlin"}.items():
        monkeypatch.setenv(f"NORMALIZE__DATA_WRITER__{name}", value)
    p = place.pipeline(home)
    _load(p, [{**ROW, "id": n} for n in range(25)], columns=COLUMNS, loader_file_format="parquet")
    meta = pq.read_metadata(_files(p)[0])
    assert meta.row_group(0).column(0).compression == "ZSTD"
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [10, 10, 5]
    assert pq.read_schema(_files(p)[0]).field("at").type == pa.timestamp("us", "Europe/Berlin")
    assert p.dataset()["orders"].select("at").limit(1).fetchall() == [(ROW["at"],)]


def test_csv_settings(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DELIMITER": "|", "QUOTING": "quote_all", "DISABLE_COMPRESSION": "true"}.items():
        monkeypatch.setenv(f"NORMALIZE__DATA_WRITER__{name}", value)
    p = place.pipeline(home)
    _load(p, [ROW, {"id": 2, "name": ""}], columns=COLUMNS, loader_file_format="csv")
    [file] = _files(p)
    assert file.name.endswith(".csv")
    with file.open(newline="") as opened:
        header, first, _ = csv.reader(opened, delimiter="|")
    found = dict(zip(header, first, strict=True))
    assert (found["name"], found["price"], found["raw"]) == ('a"q,\nx', "1.50", "787800")
    assert file.read_text().splitlines()[-1].startswith('|"2"|""') or '"2"|""' in file.read_text()


@pytest.mark.parametrize("loader_file_format", ["jsonl", "csv", "parquet"])
def test_every_format_reads_back(place: Place, home: Path, loader_file_format: Any) -> None:
    p = place.pipeline(home)
    _load(p, [ROW, {"id": 2, "name": ""}, {"id": 3}], columns=COLUMNS, loader_file_format=loader_file_format)
    first, second, third = p.dataset()["orders"].order_by("id").select(*ROW).fetchall()
    expected = {**ROW, "doc": None}
    found = {**dict(zip(ROW, first, strict=True)), "doc": None}
    assert {**found, "raw": bytes(found["raw"])} == expected
    assert json.loads(dict(zip(ROW, first, strict=True))["doc"]) == ROW["doc"]
    assert (second[1], third[1:]) == ("", (None,) * 9)


@pytest.mark.parametrize("loader_file_format", ["jsonl", "csv", "parquet"])
def test_numbers_without_end_and_long_texts_read_back(place: Place, home: Path, loader_file_format: Any) -> None:
    """JSON has no NaN; DuckDB's lines of CSV have 2 MB unless it is told otherwise."""
    p = place.pipeline(home)
    parts, text = [math.nan, math.inf, -math.inf, 0.5, None], "x" * 3_000_000
    _load(p, [{"id": n, "part": part} for n, part in enumerate(parts)], loader_file_format=loader_file_format)
    _load(p, [{"id": 9, "note": text}], loader_file_format=loader_file_format)
    found = p.dataset()["orders"].order_by("id").select("part", "note").fetchall()
    assert [str(part) for part, _ in found] == ["nan", "inf", "-inf", "0.5", "None", "None"]
    assert found[-1][1] == text


@pytest.mark.parametrize("loader_file_format", ["jsonl", "csv", "parquet"])
def test_columns_that_differ_in_case_are_not_mixed_up(place: Place, home: Path, loader_file_format: Any) -> None:
    source = headrace.resource([{"Id": 1, "id": 2}], name="orders")
    p = place.pipeline(home)
    p.run(source, loader_file_format=loader_file_format, schema=headrace.Schema("cased", {"names": "direct"}))
    with pytest.raises(DestinationTerminalException, match="`Id` and `id` cannot be told apart"):
        p.dataset()["orders"].fetchall()


def test_formats_side_by_side(place: Place, home: Path) -> None:
    """Also with columns that older files do not have."""
    p = place.pipeline(home)
    for n, kind in enumerate(("jsonl", "parquet", "csv")):
        _load(p, [{"id": n, f"only_{kind}": n}], loader_file_format=kind)
    found = p.dataset()["orders"].order_by("id").select("id", "only_jsonl", "only_parquet", "only_csv").fetchall()
    assert found == [(0, 0, None, None), (1, None, 1, None), (2, None, None, 2)]


def test_resource_chooses_its_format(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    p.run([headrace.resource([{"id": 1}], name="a", file_format="parquet"), headrace.resource([{"id": 1}], name="b")])
    assert (_files(p, "a")[0].suffix, _files(p, "b")[0].suffix) == (".parquet", ".gz")


def test_files_are_cut(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "100")
    p = place.pipeline(home)
    _load(p, [pa.table({"id": list(range(n, n + 60))}) for n in range(0, 300, 60)], loader_file_format="parquet")
    assert len(_files(p)) > 1
    assert ids(p) == list(range(300))


def test_file_of_the_user(place: Place, home: Path, tmp_path: Path) -> None:
    """It is loaded as it is, under a name of its own each time."""
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "mine.parquet")
    p = place.pipeline(home, layout="{table_name}/{file_id}.{ext}")
    for _ in range(2):
        given = headrace.mark.with_file_import(str(tmp_path / "mine.parquet"), "parquet", 2)
        _load(p, [given], columns={"id": {"data_type": "bigint"}})
    assert len(_files(p)) == 2
    assert ids(p) == [1, 1, 2, 2]


# ---- dispositions ----------------------------------------------------------------------------------------------------


def test_replace_without_rows_empties_the_chain(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    _load(p, [{"id": 1, "items": [{"of": 1}]}], write_disposition="replace")
    _load(p, [], write_disposition="replace")
    assert ids(p) == [] and ids(p, "orders__items", "of") == []


def test_replace_is_never_empty(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new files are there before the old ones go."""
    from headrace.destinations.impl.filesystem.store import LocalStore

    p = place.pipeline(home)
    _load(p, [{"id": 1}], write_disposition="replace")
    seen: list[int] = []
    delete = LocalStore.delete

    def watch(self: LocalStore, paths: Any) -> None:
        seen.append(len(_files(p)))
        delete(self, paths)

    monkeypatch.setattr(LocalStore, "delete", watch)
    _load(p, [{"id": 2}], write_disposition="replace")
    assert seen[0] == 2 and len(_files(p)) == 1


def test_merge_appends_and_says_so(place: Place, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = place.pipeline(home)
    with caplog.at_level(logging.WARNING, "headrace"):
        for _ in range(2):
            _load(p, [{"id": 1}], write_disposition="merge", primary_key="id")
    assert ids(p) == [1, 1]
    assert "table `orders` is appended to" in caplog.text


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"])
def test_refresh(place: Place, home: Path, refresh: Any) -> None:
    p = place.pipeline(home)
    p.run(numbers(2))
    _load(p, [{"id": 9}], table="orders_kept")
    p.run(numbers(1), refresh=refresh)
    assert ids(p) == ids(p, "orders__items", "of") == [1]
    assert len(list((Path(place.url) / DATASET).glob("orders_kept/*"))) == (0 if refresh == "drop_sources" else 1)


def test_tables_are_truncated_and_dropped(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    p.run(numbers(2))
    with p.destination_client() as client:
        client.truncate_tables(["orders"])
        assert client.list_table_files("orders") == []
        client.drop_tables("orders__items", delete_schema=False)
        assert not Path(client.get_table_dir("orders__items")).exists()


# ---- names of files --------------------------------------------------------------------------------------------------


def test_function_that_says_something_else(place: Place, home: Path, tmp_path: Path) -> None:
    """A load that is taken up again uses the names it has begun with."""
    calls: list[int] = []

    def number(*_: Any) -> int:
        calls.append(1)
        return len(calls)

    p = place.pipeline(home, layout="{table_name}/{number}.{ext}", extra_placeholders={"number": number})
    p.extract(headrace.resource([{"id": 1}], name="orders"))
    p.normalize()
    client = p.destination_client()
    apply, failures = type(client).apply, [OSError("cut off")]

    def once_in_vain(self: Any, job: Any, context: Any) -> Any:
        done = apply(self, job, context)
        if failures:
            raise failures.pop()
        return done

    type(client).apply = once_in_vain
    try:
        p.load()
    finally:
        type(client).apply = apply
    assert ids(p) == [1] and len(_files(p)) == 1


def test_two_files_of_one_name_are_refused(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "10")
    p = place.pipeline(home, layout="{table_name}/{load_id}.{ext}")
    with pytest.raises(PipelineStepFailed, match=r"add \{file_id\} to the layout"):
        _load(p, [pa.table({"id": list(range(10))}), pa.table({"id": list(range(10))})])


def test_columns_that_another_process_took(place: Place, home: Path) -> None:
    """Its `v` is a number, ours a text: our values go to `v__v_text`, in files of every format."""
    for kind in ("jsonl", "csv", "parquet"):
        ours = place.pipeline(home / kind, f"ours_{kind}")
        theirs = place.pipeline(home / f"{kind}2", f"ours_{kind}")
        ours.extract(headrace.resource([{"id": 1, "v": "text"}], name=f"t_{kind}"))
        ours.normalize(loader_file_format=kind)
        _load(theirs, [{"id": 2, "v": 5}], table=f"t_{kind}")
        ours.load()
        found = ours.dataset()[f"t_{kind}"].order_by("id").select("id", "v", "v__v_text").fetchall()
        assert found == [(1, None, "text"), (2, 5, None)]


# ---- people's calls --------------------------------------------------------------------------------------------------


def test_reading_files_oneself(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    p.run(numbers(1))
    client = p._fs_client()
    [path] = client.list_table_files("orders")
    assert json.loads(client.read_text(path))["id"] == 1
    assert client.read_bytes(path, 0, 2) == b"\x1f\x8b"
    assert client.fs_client.exists(path)
    assert client.get_table_prefix("orders") == f"{client.get_table_dir('orders')}/" == f"{client.dataset_path}/orders/"
    assert client.make_remote_url(path) == f"file://{path}"
    assert client.list_files_with_prefixes(client.get_table_dir("orders"), [client.get_table_prefix("orders")]) == [
        path
    ]


def test_views_are_refreshed_when_asked(place: Place, home: Path) -> None:
    for always, expected in ((False, 1), (True, 2)):
        where = place.below()
        p = where.pipeline(home / str(always), always_refresh_views=always)
        p.run(numbers(1))
        with p.sql_client() as client:
            assert client.execute_sql("SELECT count(*) FROM orders") == [(1,)]
            p.run(numbers(2))
            assert client.execute_sql("SELECT count(*) FROM orders") == [(expected,)]


def test_two_schemas_in_one_dataset(place: Place, home: Path) -> None:
    p = place.pipeline(home, layout="{schema_name}/{table_name}/{file_id}.{ext}")
    for name in ("first", "second"):
        p.run(headrace.resource([{"id": 1, "of": name}], name=f"t_{name}"), schema=headrace.Schema(name))
    assert p.dataset()("SELECT a.of, b.of FROM t_first AS a JOIN t_second AS b USING (id)").fetchall() == [
        ("first", "second")
    ]


def test_staged_file(place: Place, home: Path) -> None:
    """The API for destinations that load from here."""
    from headrace.load.destination import LoadContext
    from headrace.model.jobs import LoadFile

    p = place.pipeline(home)
    p.run(numbers(1))
    [source] = _files(p)
    file = LoadFile(id="abc", table="orders", path=source.name, format="jsonl", rows=1, size=source.stat().st_size)
    context = LoadContext(load_id="17.1", path=source.parent, schema=p.default_schema, created_at=0.0)
    staging = p.destination.open_staging(DATASET, p.default_schema, p._destinations.facts())
    assert not staging.has(file, context)
    for _ in range(2):
        staging.put([file], context)
    url = staging.url_of(file, context)
    assert url == f"file://{place.url}/{DATASET}/orders/17.1.abc.jsonl.gz"
    assert staging.has(file, context)
    assert set(staging.loads_of(["orders"])) == {"17.1", p.last_trace.last_load_info.loads_ids[0]}
    with staging.open(url) as opened:
        assert opened.read() == source.read_bytes()
    staging.delete([url])
    assert not staging.has(file, context)
    with p.destination_client() as client:
        assert len(client.list_table_files("orders")) == 1
