"""Settings that no other test shows to count: each is set as an operator would, and its effect is looked at."""

from __future__ import annotations

import gzip
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from tests.e2e.project import project as project
from tests.e2e.project import rows

pytestmark = pytest.mark.usefixtures("project")


def put(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name.upper(), str(value))


def shop(destination: Any = "duckdb", **more: Any) -> Any:
    return headrace.pipeline("shop", destination=destination, dataset_name="raw", **more)


# ---- pipelines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "read", "expected"),
    [
        ("dataset_name_layout", "prod_%s", lambda p: p.dataset_name, "prod_raw"),
        ("pipeline_salt", "of-my-own", lambda p: p.pipeline_salt, "of-my-own"),
        ("refresh", "drop_data", lambda p: p.refresh, "drop_data"),
        ("progress", "log", lambda p: type(p.collector).__name__, "LogCollector"),
        ("pipelines_dir", "elsewhere", lambda p: Path(p.working_dir).parent.name, "elsewhere"),
    ],
)
def test_settings_of_a_pipeline(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: Any, expected: Any
) -> None:
    put(monkeypatch, **{f"pipelines__shop__{name}": value})
    assert read(shop()) == expected


def test_the_destination_of_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, pipelines__shop__destination_type="duckdb", pipelines__shop__destination_name="warehouse")
    pipeline = headrace.pipeline("shop")
    assert pipeline.destination.destination_name == "warehouse"
    assert pipeline.destination.destination_type.endswith("duckdb")


def test_nothing_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """``restore_from_destination``: another machine begins anew, unless it is to look what is there."""
    began: list[int] = []

    @headrace.resource
    def orders(since: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
        began.append(since.start_value)
        yield {"id": 7}

    shop().run(orders())
    put(monkeypatch, pipelines__shop__restore_from_destination="false")
    shop(pipelines_dir="second").run(orders())
    put(monkeypatch, pipelines__shop__restore_from_destination="true")
    shop(pipelines_dir="third").run(orders())
    assert began == [0, 0, 7]


def test_no_trace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, pipelines__shop__enable_runtime_trace="false")
    pipeline = shop()
    pipeline.run([{"id": 1}], table_name="orders")
    assert not list(Path(pipeline.working_dir).rglob("*.trace.json"))
    put(monkeypatch, pipelines__shop__enable_runtime_trace="true")
    pipeline = shop()
    pipeline.run([{"id": 1}], table_name="orders")
    assert list(Path(pipeline.working_dir).rglob("*.trace.json"))


def test_datasets_of_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """``use_single_dataset``."""
    put(monkeypatch, pipelines__shop__use_single_dataset="false")
    pipeline = shop()
    pipeline.run([{"id": 1}], table_name="orders")
    pipeline.run([{"id": 1}], table_name="orders", schema=headrace.Schema("other"))
    assert len(rows(pipeline, "raw_other.orders")) == 1


# ---- retries, extract, normalize, load -------------------------------------------------------------------------------


def test_waits_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.config.retries import retries_settings

    put(monkeypatch, retries__wait=1, retries__factor=10, retries__max_wait=50, retries__attempts=4)
    policy = retries_settings().policy()
    assert (policy.first_wait, policy.factor, policy.max_wait, policy.attempts) == (1, 10, 50, 4)
    assert all(policy.wait(3) <= 50 * 1.25 for _ in range(20)) and policy.wait(2) >= 5


def test_settings_reach_the_extract(monkeypatch: pytest.MonkeyPatch) -> None:
    """``futures_poll_interval`` and ``checkpoint_seconds``; without the latter the package is one."""
    put(monkeypatch, extract__checkpoint_seconds=0.05, extract__futures_poll_interval=0.2)

    @headrace.resource(primary_key="id")
    def orders(since: Any = headrace.sources.incremental("id", initial_value=0, row_order="asc")) -> Any:
        for n in range(1, 5):
            time.sleep(0.06)
            yield [{"id": n}]

    pipeline = shop()
    info = pipeline.run(orders)
    assert len(info.loads_ids) > 1
    assert rows(pipeline, "orders", "id") == [(1,), (2,), (3,), (4,)]
    from headrace.extract.settings import ExtractSettings

    assert ExtractSettings.configured().futures_poll_interval == 0.2


def test_workers_of_normalize(monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.normalize import stage

    seen: set[str] = set()
    wanted, all_here = 1, threading.Event()
    real = stage.normalize_files

    def spy(tasks: Any) -> Any:
        seen.add(threading.current_thread().name)
        if len(seen) == wanted:
            all_here.set()
        assert all_here.wait(60), seen
        return real(tasks)

    monkeypatch.setattr(stage, "normalize_files", spy)
    data = [headrace.resource([{"id": 1}], name=f"t{n}") for n in range(6)]
    put(monkeypatch, normalize__workers=1)
    shop().run(data)
    assert seen == {threading.current_thread().name}
    put(monkeypatch, normalize__workers=3)
    seen.clear()
    wanted, all_here = 3, threading.Event()
    headrace.pipeline("other", destination="duckdb", dataset_name="raw").run(data)
    assert len(seen) == 3


def test_key_columns_of_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        monkeypatch,
        normalize__parquet_normalizer__add_dlt_load_id="true",
        normalize__parquet_normalizer__add_dlt_id="true",
    )
    pipeline = shop()
    pipeline.run(pa.table({"id": [1, 2]}), table_name="orders")
    assert {"_dlt_id", "_dlt_load_id"} <= set(pipeline.default_schema.tables["orders"]["columns"])


@pytest.mark.parametrize("setting", [{}, {"load__workers": 1}, {"load__parallelism_strategy": "sequential"}])
def test_one_job_after_the_other(monkeypatch: pytest.MonkeyPatch, setting: Any) -> None:
    put(monkeypatch, **setting)
    lock, now, most, together = threading.Lock(), [0], [0], threading.Event()

    @headrace.destination(name="sink", batch_size=0)
    def sink(items: Any, table: Any) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] > 1:
                together.set()
        together.wait(0.1 if setting else 60)
        with lock:
            now[0] -= 1

    pipeline = headrace.pipeline("shop", destination=sink)
    pipeline.run([headrace.resource([{"id": 1}], name=f"t{n}") for n in range(4)])
    assert (most[0] > 1) == (not setting)


def test_signals_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """``intercept_signals``: false leaves the handler that is there."""
    handlers = []

    @headrace.destination(name="sink", batch_size=0)
    def sink(items: Any, table: Any) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))

    for value in ("true", "false"):
        put(monkeypatch, runtime__intercept_signals=value)
        headrace.pipeline(f"shop_{value}", destination=sink).run([{"id": 1}], table_name="orders")
    assert handlers[0] is not signal.default_int_handler and handlers[1] is signal.default_int_handler


# ---- files -----------------------------------------------------------------------------------------------------------


def written(suffix: str, **run: Any) -> list[Path]:
    pipeline = shop(headrace.destinations.filesystem("files"))
    data = [{"id": n, "note": f"a {n}"} for n in range(50)]
    pipeline.run(data, table_name="orders", loader_file_format=suffix, **run)
    return sorted(path for path in Path("files").rglob("*") if path.is_file() and path.parent.name == "orders")


@pytest.mark.parametrize(
    "setting", [{"data_writer__file_max_items": 10}, {"normalize__data_writer__file_max_bytes": 100}]
)
def test_files_are_cut(monkeypatch: pytest.MonkeyPatch, setting: Any) -> None:
    """``file_max_items``, ``file_max_bytes``."""
    put(monkeypatch, data_writer__disable_compression="true")  # what is packed counts when it is written
    tables = [pa.table({"id": list(range(n, n + 60))}) for n in range(0, 300, 60)]  # cut between batches
    for expected in (False, True):
        pipeline = headrace.pipeline(f"shop_{expected}", destination=headrace.destinations.filesystem("files"))
        pipeline.run(tables, table_name="orders", dataset_name=f"cut_{expected}x".lower(), loader_file_format="jsonl")
        found = [f for f in Path(f"files/cut_{expected}x/orders".lower()).iterdir() if f.is_file()]
        assert (len(found) > 1) == expected
        put(monkeypatch, **setting)


@pytest.mark.parametrize(
    ("setting", "value", "format", "expected"),
    [
        ("disable_compression", "true", "jsonl", b'{"id":0'),
        ("delimiter", "|", "csv", b'0|"a 0"'),
        ("include_header", "false", "csv", b'0,"a 0"'),
        ("quoting", "quote_all", "csv", b'"a 0"'),
        ("lineterminator", "\r\n", "csv", b"\r\n"),
    ],
)
def test_formats_of_files(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, format: str, expected: bytes
) -> None:
    if setting != "disable_compression":
        put(monkeypatch, data_writer__disable_compression="true")
    put(monkeypatch, **{f"data_writer__{setting}": value})
    [file] = written(format)
    text = file.read_bytes()
    text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" and setting != "disable_compression" else text
    assert expected in text
    if setting == "include_header":
        assert b"note" not in text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("flavor", "spark"),
        ("version", "1.0"),
        ("compression", "zstd"),
        ("data_page_size", "100"),
        ("timestamp_timezone", "Europe/Berlin"),
        ("row_group_size", "7"),
        ("coerce_timestamps", "ms"),
        ("allow_truncated_timestamps", "true"),
        ("use_compliant_nested_type", "false"),
        ("write_page_index", "true"),
        ("use_content_defined_chunking", "true"),
        ("supports_dictionary_encoding", "false"),
    ],
)
def test_parquet(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    """What is set reaches the writer, and most of it is seen in the file."""
    given: dict[str, Any] = {}
    real = pq.ParquetWriter

    def spy(*args: Any, **kwargs: Any) -> Any:
        given.update(kwargs, schema=args[1])
        return real(*args, **kwargs)

    monkeypatch.setattr(pq, "ParquetWriter", spy)
    put(monkeypatch, **{f"data_writer__{setting}": value})
    pipeline = shop(headrace.destinations.filesystem("files"))
    table = pa.table({"id": list(range(30)), "at": pa.array([1000] * 30, pa.timestamp("us", "UTC")), "l": [[1]] * 30})
    pipeline.run(table, table_name="orders", loader_file_format="parquet")
    [file] = [path for path in Path("files").rglob("*.parquet") if path.parent.name == "orders"]
    facts = pq.read_metadata(file)
    seen = {
        "flavor": lambda: given.get("flavor") == "spark",
        "version": lambda: given.get("version") == "1.0",
        "compression": lambda: facts.row_group(0).column(0).compression == "ZSTD",
        "data_page_size": lambda: given.get("data_page_size") == 100,
        "timestamp_timezone": lambda: "Europe/Berlin" in str(given["schema"]),
        "row_group_size": lambda: facts.num_row_groups == 5,
        "coerce_timestamps": lambda: given.get("coerce_timestamps") == "ms",
        "allow_truncated_timestamps": lambda: given.get("allow_truncated_timestamps") is True,
        "use_compliant_nested_type": lambda: given.get("use_compliant_nested_type") is False,
        "write_page_index": lambda: given.get("write_page_index") is True,
        "use_content_defined_chunking": lambda: given.get("use_content_defined_chunking") is True,
        "supports_dictionary_encoding": lambda: not facts.row_group(0).column(0).has_dictionary_page,
    }
    assert seen[setting](), given


# ---- vaults, destinations --------------------------------------------------------------------------------------------


def test_settings_of_vaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """``only_secrets`` and ``secret_name_prefix``."""
    from headrace.config.vaults import make_provider

    pytest.importorskip("botocore")
    prefix = "providers__aws_secrets__"
    put(monkeypatch, **{f"{prefix}only_secrets": "false", f"{prefix}secret_name_prefix": "shop/"})
    put(
        monkeypatch,
        **{
            f"{prefix}credentials__aws_access_key_id": "k",
            f"{prefix}credentials__aws_secret_access_key": "secret-of-aws",
        },
    )
    put(monkeypatch, **{f"{prefix}credentials__region_name": "eu-central-1"})
    provider: Any = make_provider("enable_aws_secrets")
    assert provider.prefix == "shop/" and provider.only_secrets is False


def test_names_of_staging_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, destination__duckdb__staging_dataset_name_layout="waiting_%s")
    pipeline = shop()
    for _ in range(2):
        pipeline.run([{"id": 1}], table_name="orders", write_disposition="merge", primary_key="id")
    with pipeline.sql_client() as client:
        found = client.execute_sql("SELECT schema_name FROM information_schema.schemata")
        assert client.staging_dataset_name == "waiting_raw"
    assert "raw_staging" not in {name for (name,) in found or []}


@pytest.mark.parametrize(("value", "name"), [("true", "raw_data"), ("false", "RawData")])
def test_names_of_datasets_stay(monkeypatch: pytest.MonkeyPatch, value: str, name: str) -> None:
    """``enable_dataset_name_normalization``."""
    put(monkeypatch, destination__duckdb__enable_dataset_name_normalization=value)
    pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="RawData")
    info = pipeline.run([{"id": 1}], table_name="orders")
    assert info.dataset_name == name


@pytest.mark.destination("postgres")
def test_csv_for_postgres(monkeypatch: pytest.MonkeyPatch, postgres_server: Any) -> None:
    """``csv_format``: a file with another delimiter is loaded as it says."""
    put(monkeypatch, destination__postgres__csv_format='{"delimiter": "|"}')
    Path("given.csv").write_text("id|note\n1|a,b\n2|c\n")
    pipeline = shop(headrace.destinations.postgres(postgres_server.database()))
    from headrace.extract.mark import with_file_import

    @headrace.resource(name="orders", columns={"id": {"data_type": "bigint"}, "note": {"data_type": "text"}})
    def orders() -> Any:
        yield with_file_import(str(Path("given.csv").absolute()), "csv", 2)

    pipeline.run(orders, loader_file_format="csv")
    assert rows(pipeline, "orders", "id, note", "id") == [(1, "a,b"), (2, "c")]


def test_extensions_of_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is built in is loaded; one that is nowhere is named."""
    put(monkeypatch, destination__duckdb__credentials__extensions='["json"]')
    assert shop().run([{"id": 1}], table_name="orders")
    put(monkeypatch, destination__duckdb__credentials__extensions='["no_such_thing"]')
    with pytest.raises(Exception, match="Extension"):
        shop().run([{"id": 1}], table_name="orders")


@pytest.mark.parametrize("section", ["destination__sqlalchemy", "destination__sqlalchemy__credentials"])
def test_arguments_of_the_engine(monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    """``engine_kwargs``: an argument that SQLAlchemy does not know is refused by it."""
    put(monkeypatch, destination__sqlalchemy__credentials=f"sqlite:///{os.getcwd()}/x.db")
    put(monkeypatch, **{f"{section}__engine_kwargs": '{"no_such_argument": 1}'})
    with pytest.raises(Exception, match="no_such_argument"):
        shop("sqlalchemy").run([{"id": 1}], table_name="orders")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deltalake_storage_options", {"a": "b"}),
        ("iceberg_table_properties", {"commit.retry.num-retries": "3"}),
        ("iceberg_namespace_properties", {"owner": "shop"}),
        ("iceberg_use_catalog_purge", True),
    ],
)
def test_options_of_tables(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """They reach those who open tables."""
    from headrace.base import json

    put(monkeypatch, **{f"destination__filesystem__{name}": json.dumps(value)})
    pipeline = shop(headrace.destinations.filesystem("files"))
    pipeline.run([{"id": 1}], table_name="orders")
    with pipeline.destination_client() as client:
        assert client.config[name] == value
