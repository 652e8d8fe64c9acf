"""Infos and traces of real runs: complete, loadable everywhere without a warning, and without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as dlt
from headrace.base import failpoints
from headrace.errors.load import LoadClientJobFailed
from headrace.errors.outcome import DestinationTransientException
from headrace.errors.pipeline import PipelineStepFailed
from headrace.model.infos import ExtractInfo
from headrace.model.trace import SerializableResolvedValueTrace, trace_from_json, trace_to_json

SECRET = "pl4nted-s3cret-value"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dlt").mkdir()
    return tmp_path


def pipeline(folder: Path, destination: Any = None, name: str = "shop", work: str = "work") -> Any:
    place = destination or dlt.destinations.duckdb(str(folder / "shop.duckdb"))
    return dlt.pipeline(name, destination=place, dataset_name="raw", pipelines_dir=str(folder / work))


@dlt.source(name="shop")
def shop(api_key: str = dlt.secrets.value, page_size: int = 5, dsn: str = dlt.config.value) -> Any:
    @dlt.resource(primary_key="id", write_disposition="merge")
    def orders(cursor: Any = dlt.sources.incremental("id")) -> Iterator[Any]:
        yield [{"id": 1, "lines": [{"sku": "a"}]}, {"id": 2, "paid": 2.5}]

    @dlt.transformer(data_from=orders)
    def details(items: Any) -> Iterator[Any]:
        yield from ({"order_id": item["id"]} for item in items)

    return orders, details


def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__SHOP__API_KEY", SECRET)
    (folder / ".dlt" / "config.toml").write_text("[sources.shop]\npage_size = 7\n[load]\nworkers = 3\n")
    (folder / ".dlt" / "secrets.toml").write_text('[sources.shop]\ndsn = "postgres://me:h1dden-passw0rd@db/x"\n')


# ---- loaded again ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["duckdb", "sqlite", "filesystem", "postgres"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "duckdb":
        return dlt.destinations.duckdb(str(tmp_path / "any.duckdb"))
    if request.param == "sqlite":
        return dlt.destinations.sqlalchemy(f"sqlite:///{tmp_path / 'any.db'}")
    if request.param == "postgres":
        return dlt.destinations.postgres(request.getfixturevalue("postgres_server").database())
    return dlt.destinations.filesystem(str(tmp_path / "lake"))


def test_infos_traces_and_schema_changes_are_data(
    anywhere: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings(tmp_path, monkeypatch)
    p = pipeline(tmp_path, anywhere)
    info = p.run(shop())
    caplog.clear()
    with caplog.at_level(logging.WARNING, "headrace"):
        p.run([info], table_name="_load_info")
        p.run([p.last_trace], table_name="_trace")
        for package in info.load_packages:
            for name, table in package.schema_update.items():
                columns = [{"table": name, **column} for column in table["columns"].values()]
                p.run(columns, table_name="_new_columns")
            p.run([package.asdict()["tables"]], table_name="_new_tables")
    assert caplog.records == []
    counts = dict(p.dataset().row_counts().fetchall())
    assert (counts["_load_info"], counts["_trace"], counts["_new_tables"]) == (1, 1, 6)
    assert counts["_load_info__load_packages__jobs"] == 4
    assert counts["_load_info__outputs"] == 3 and counts["_load_info__outputs__tables"] == 4
    assert counts["_trace__steps"] == 3
    assert counts["_new_columns"] == sum(len(t["columns"]) for t in info.load_packages[0].schema_update.values())
    columns = p.default_schema.tables["_trace__resolved_config_values"]["columns"]
    assert set(columns) - {"_dlt_id", "_dlt_parent_id", "_dlt_list_idx"} == {
        *("key", "is_secret_hint", "sections", "provider_name", "config_type_name", "provider_location"),
    }
    # neither in the files of the run, nor where they went
    for file in tmp_path.rglob("*"):
        if file.is_file() and ".dlt" not in file.parts:
            content = file.read_bytes()
            assert SECRET.encode() not in content and b"h1dden-passw0rd" not in content, file


def test_a_failed_run_is_data_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = pipeline(tmp_path)

    @dlt.resource
    def broken() -> Iterator[Any]:
        yield {"id": 1}
        raise ValueError("no access with password=h1dden-passw0rd")

    with pytest.raises(PipelineStepFailed):
        p.run(broken())
    trace = p.last_trace
    with caplog.at_level(logging.WARNING, "headrace"):
        p.run([trace], table_name="_trace")
    assert caplog.records == []
    steps = p.dataset()("SELECT step, step_exception FROM _trace__steps").fetchall()
    assert [step for step, _ in steps] == ["extract", "run"]
    chain = p.dataset()("SELECT exception_type, message FROM _trace__steps__exception_traces").fetchall()
    assert [kind.rpartition(".")[2] for kind, _ in chain[:3]] == [
        *("PipelineStepFailed", "ResourceExtractionError", "ValueError"),
    ]
    assert "h1dden" not in repr([steps, chain]) and "password=***" in chain[2][1]


# ---- what they hold --------------------------------------------------------------------------------------------------


def test_the_load_info_says_where_everything_went(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    info = p.run([{"id": 1, "tags": ["a"]}], table_name="users")
    (metrics,) = info.metrics[info.loads_ids[0]]
    outputs = {one["resource_name"]: one for one in metrics["outputs"]}
    assert outputs["users"]["tables"] == ["users", "users__tags"]
    assert outputs["users"]["dataset_name"] == "raw" and "shop.duckdb" in outputs["users"]["location"]
    assert outputs["users"]["schemas"][0]["version_hash"] == p.default_schema.stored_version_hash
    assert outputs["_dlt_pipeline_state"]["tables"] == ["_dlt_pipeline_state"]
    assert metrics["table_metrics"]["users__tags"].items_count == 1
    text = info.asstr(1)
    assert "users                1 row" in text and "1 inserted" in text
    lengths = [len(info.asstr(verbosity)) for verbosity in range(3)]
    assert lengths[0] < lengths[1] < lengths[2]
    stored = trace_from_json(trace_to_json(p.last_trace))
    assert stored.last_load_info.asdict() == info.asdict()  # type: ignore[union-attr]


def test_extract_tells_of_the_state_too(tmp_path: Path) -> None:
    info = pipeline(tmp_path).extract([{"id": 1}], table_name="users")
    users, state = info.metrics[info.loads_ids[0]]
    assert list(users["table_metrics"]) == ["users"]
    assert state["dag"] == [("_dlt_pipeline_state", "_dlt_pipeline_state")]
    assert state["table_metrics"]["_dlt_pipeline_state"].items_count == 1
    for metrics in (users, state):
        assert all(Path(job.file_path).is_file() for job in metrics["job_metrics"].values())
    assert {row["extract_idx"] for row in info.asdict()["job_metrics"]} == {0, 1}


def test_a_failed_extract_says_how_far_it_came(tmp_path: Path) -> None:
    p = pipeline(tmp_path)

    @dlt.source
    def first() -> Any:
        return dlt.resource([{"id": 1}, {"id": 2}], name="users")

    @dlt.source
    def second() -> Any:
        @dlt.resource
        def orders() -> Iterator[Any]:
            yield [{"id": n} for n in range(3)]
            raise ValueError("page 2 has gone")

        return orders.add_map(lambda item: item)

    with pytest.raises(PipelineStepFailed) as failed:
        p.run([first(), second()])
    info = failed.value.step_info
    assert isinstance(info, ExtractInfo)
    assert info.row_counts == {"users": 2, "orders": 3}
    assert [d["name"] for d in info.extract_data_info] == ["first", "second"]
    assert [package.state for package in info.load_packages] == ["new", "new"]
    assert "orders  3 rows" in str(info) and "not sealed" in info.asstr(1)
    assert not p.has_pending_data
    assert p.last_trace.last_extract_info.row_counts == info.row_counts
    assert p.run([{"id": 1}], table_name="after").has_failed_jobs is False


def test_settings_are_told_with_where_they_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, monkeypatch)
    p = pipeline(tmp_path)
    p.run(shop())
    found = {(*v.sections, v.key): v for v in p.last_trace.resolved_config_values}
    key, size, dsn = (found["sources", "test_infos", "shop", name] for name in ("api_key", "page_size", "dsn"))
    assert (key.value, key.is_secret_hint) == (None, True)
    assert (key.provider_name, key.provider_location) == ("Environment Variables", "SOURCES__SHOP__API_KEY")
    assert (size.value, size.default_value, size.config_type_name) == (7, 5, "ShopConfiguration")
    assert size.provider_location == str(tmp_path / ".dlt" / "config.toml")
    # not declared a secret, but it stands among them
    assert (dsn.value, dsn.is_secret_hint) == (None, False)
    text = p.last_trace.asstr(2)
    assert f"page_size = 7 from config.toml ({tmp_path}/.dlt/config.toml) for ShopConfiguration" in text
    assert "api_key = <hidden> from Environment Variables (SOURCES__SHOP__API_KEY)" in text
    assert "page_size" not in p.last_trace.asstr(0)
    assert "h1dden" not in text + json.dumps(p.last_trace.asdict(), default=str)


def test_single_steps_tell_each_setting_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, monkeypatch)
    p = pipeline(tmp_path)
    for act in (lambda: p.extract(shop()), p.normalize, p.load):
        act()
    places = [(*v.sections, v.key) for v in p.last_trace.resolved_config_values]
    assert len(places) == len(set(places)) and ("load", "workers") in places
    assert [step.step for step in p.last_trace.steps] == ["extract", "normalize", "load"]


def test_a_secret_in_a_value_is_hidden_where_it_is_shown() -> None:
    value = SerializableResolvedValueTrace(
        "url", "postgres://me:h1dden-passw0rd@db/x", None, False, ("a",), "config.toml", None, "config.toml"
    )
    assert "h1dden" not in str(value) and "postgres://me:***@db/x" in str(value)
    assert value.asdict() == {
        "key": "url",
        "is_secret_hint": False,
        "sections": "a",
        "provider_name": "config.toml",
        "config_type_name": None,
        "provider_location": "config.toml",
    }


def test_rows_of_a_query_are_counted_by_the_load(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run([{"id": n} for n in range(7)], table_name="users")
    info = p.run(dlt.resource(lambda: iter([p.dataset()("SELECT id FROM users").to_model()]), name="copied"))
    normalized = p.last_trace.last_normalize_info
    assert "copied  a query" in str(normalized) and "copied  a query" in str(p.last_trace.last_extract_info)
    assert "7 inserted" in str(info) and "0 rows" not in str(info)
    assert info.row_changes["copied"].inserted == 7


# ---- schema_update ---------------------------------------------------------------------------------------------------


def created(info: Any) -> dict[str, set[str]]:
    """Tables and columns of the user's that a load says it created."""
    found = {
        name: {column for column in table["columns"] if not column.startswith("_dlt_")}
        for package in info.load_packages
        for name, table in package.schema_update.items()
    }
    return {name: columns for name, columns in found.items() if not name.startswith("_dlt_")}


def test_schema_update_is_what_the_load_created(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.extract([{"id": 1, "tags": ["a"]}], table_name="users")
    normalized = p.normalize()
    assert created(normalized) == {}  # nothing is at the destination yet
    assert "new table users: id bigint" in normalized.asstr(1)
    assert created(p.load()) == {"users": {"id"}, "users__tags": {"value"}}
    assert created(p.run([{"id": 2}], table_name="users")) == {}
    info = p.run([{"id": 3, "name": "x"}], table_name="users")
    assert created(info) == {"users": {"name"}}
    assert "table users, new columns: name text" in info.asstr(1)
    assert info.load_packages[0].schema_migrated
    # told again from the package, by a process that has not loaded it
    again = pipeline(tmp_path).get_load_package_info(info.loads_ids[0])
    assert again.schema_update == info.load_packages[0].schema_update
    assert again.asdict()["tables"][0]["columns"][0]["name"] == "name"


def test_what_the_destination_has_is_not_created(tmp_path: Path) -> None:
    first = pipeline(tmp_path)
    first.run([{"id": 1}], table_name="users")
    other = pipeline(tmp_path, name="other", work="elsewhere")
    assert created(other.run([{"id": 2, "name": "x"}], table_name="users")) == {"users": {"name"}}


def test_a_package_loaded_by_another_process_tells_its_changes(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.extract([{"id": 1}], table_name="users")
    p.normalize()
    assert created(pipeline(tmp_path).load()) == {"users": {"id"}}


@pytest.mark.parametrize("kind", ["killed", "connection lost"])
def test_changes_made_before_a_crash_are_told_by_the_load_that_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from headrace.destinations.impl.duckdb.client import DuckDbClient

    p = pipeline(tmp_path)
    p.run([{"id": 0}], table_name="users")
    if kind == "killed":

        def hit(name: str) -> None:
            if name == "migrate.after":
                raise KeyboardInterrupt

        monkeypatch.setattr(failpoints, "hit", hit)
        with pytest.raises(KeyboardInterrupt):
            p.run([{"id": 1, "name": "x"}], table_name="users")
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        info = pipeline(tmp_path).run()
    else:
        migrate, calls = DuckDbClient.migrate, []

        def lose(self: Any, changes: Any) -> None:
            migrate(self, changes)
            calls.append(changes)
            if len(calls) == 1:
                raise DestinationTransientException("the connection was lost")

        monkeypatch.setattr(DuckDbClient, "migrate", lose)
        info = p.run([{"id": 1, "name": "x"}], table_name="users")
        assert calls
    assert created(info) == {"users": {"name"}}


# ---- set aside -------------------------------------------------------------------------------------------------------


def test_the_line_of_a_package_set_aside_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = pipeline(tmp_path)
    p.run([{"id": 1}], table_name="strict")
    with pytest.raises(PipelineStepFailed):
        p.run([{"id": 2, "extra": 1}], table_name="strict", schema_contract={"columns": "freeze"})
    lines = [r.getMessage() for r in caplog.records if "SET ASIDE" in r.getMessage()]
    assert len(lines) == 1
    assert ".." not in lines[0].replace("...", "") and "\n" not in lines[0]
    assert "What to do:" in lines[0] and "Its files stay in" in lines[0]


def test_a_job_that_fails_for_good_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from headrace.destinations.impl.duckdb.client import DuckDbClient
    from headrace.errors.outcome import DestinationTerminalException

    def refuse(self: Any, job: Any, context: Any) -> Any:
        raise DestinationTerminalException("The database is read-only.")

    p = pipeline(tmp_path)
    monkeypatch.setattr(DuckDbClient, "apply", refuse)
    with pytest.raises(PipelineStepFailed) as failed:
        p.run([{"id": 1}], table_name="users")
    assert isinstance(failed.value.exception, LoadClientJobFailed)
    (line,) = [r.getMessage() for r in caplog.records if "SET ASIDE" in r.getMessage()]
    assert "not loaded: The database is read-only. " in line
    assert line.endswith(".") and "What to do: correct the cause" in line and "retry_failed_jobs" in line
    assert failed.value.step_info.load_packages[0].state == "aborted"  # type: ignore[union-attr]
