"""`headrace pipeline`: what is seen, and what is put right."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest

import headrace
from headrace.cli.failures import CliError
from headrace.cli.schema import read_schema
from headrace.errors.package import WorkingFolderUnusable
from headrace.errors.pipeline import PipelineStepFailed
from headrace.package.lock import WorkingFolderLock
from tests.cli.conftest import Cli


def counts(pipeline: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in pipeline.dataset().row_counts().fetchall()}


def test_list(shop: Any, cli: Cli) -> None:
    headrace.pipeline("empty", destination="duckdb")
    found = cli.json("pipeline", "list")
    assert found["pipelines_dir"] == shop.pipelines_dir
    told = {one["pipeline_name"]: one for one in found["pipelines"]}
    assert (told["shop"]["status"], told["empty"]["status"]) == ("ok", "new")
    assert (told["shop"]["destination"], told["shop"]["dataset_name"]) == ("duckdb", "raw")
    assert cli("pipeline").out == cli("pipeline", "-l").out == cli("pipeline", "list").out
    assert "2 pipelines in" in cli("pipeline").out


def test_list_of_another_folder(shop: Any, cli: Cli) -> None:
    assert cli("pipeline", "--pipelines-dir", "elsewhere", "list").out == "No pipelines in elsewhere.\n"
    folder = shop.pipelines_dir
    os.environ.pop("HEADRACE_DATA_DIR")
    assert "shop" in cli("pipeline", "list", "--pipelines-dir", folder).out
    assert "Pipeline shop" in cli("pipeline", "--pipelines-dir", folder, "shop", "info").out


def test_failed_and_waiting_runs_are_told_in_the_list(shop: Any, cli: Cli) -> None:
    def broken() -> Any:
        yield {"id": 1}
        raise ValueError("no page 2")

    with pytest.raises(PipelineStepFailed, match="no page 2"):
        shop.run(headrace.resource(broken))
    assert cli.json("pipeline", "list")["pipelines"][0]["status"] == "failed"
    assert "failed in the step `extract`" in cli("pipeline", "info", "shop").out
    shop.run([{"id": 3}], table_name="orders")
    shop.extract([{"id": 4}], table_name="orders")
    [told] = cli.json("pipeline", "list")["pipelines"]
    assert (told["status"], told["pending"]) == ("pending", 1)
    assert "1 waiting" in cli("pipeline", "info", "shop").out


def test_the_name_may_stand_in_front(shop: Any, cli: Cli) -> None:
    told = cli("pipeline", "info", "shop").out
    assert told == cli("pipeline", "shop", "info").out == cli("pipeline", "shop").out
    assert "raw" in told and "orders, orders__items" in told and "ok" in told
    assert cli("pipeline", "shop", "trace", "-v").out == cli("pipeline", "-v", "shop", "trace").out


def test_info_as_json(shop: Any, cli: Cli) -> None:
    found = cli.json("pipeline", "info", "shop")
    assert found["destination"] == {"name": "duckdb", "type": "dlt.destinations.duckdb"}
    assert found["last_run"]["rows"]["orders"] == 2 and found["last_run"]["error"] is None
    assert found["packages"]["loaded"] == list(shop.list_completed_load_packages())
    assert "state" not in found and cli.json("pipeline", "info", "shop", "-v")["state"]["pipeline_name"] == "shop"


def test_looking_changes_nothing(shop: Any, cli: Cli) -> None:
    before = (cli.folder / "data/pipelines/shop/pipeline.json").read_bytes()
    for operation in ("info", "trace", "load-package", "failed-jobs", "schema", "show"):
        cli("pipeline", operation, "shop")
    assert (cli.folder / "data/pipelines/shop/pipeline.json").read_bytes() == before
    assert os.listdir(cli.folder / "data/pipelines") == ["shop"]


def test_a_misspelt_name_makes_no_folder_and_gets_a_hint(shop: Any, cli: Cli) -> None:
    told = cli("pipeline", "info", "shup", code=1).err
    assert "did you mean `shop`?" in told
    assert os.listdir(cli.folder / "data/pipelines") == ["shop"]


def test_trace(shop: Any, cli: Cli) -> None:
    told = cli("pipeline", "trace", "shop").out
    assert told.rstrip() == shop.last_trace.asstr(0).rstrip()
    assert len(cli("pipeline", "trace", "shop", "-vv").out) > len(told)
    assert [s["step"] for s in cli.json("pipeline", "trace", "shop")["steps"]] == ["extract", "normalize", "load"]
    headrace.pipeline("empty", destination="duckdb")
    assert "has no trace" in cli("pipeline", "trace", "empty", code=1).err


def test_packages_and_failed_jobs(shop: Any, cli: Cli) -> None:
    [load_id] = shop.list_completed_load_packages()
    told = cli("pipeline", "load-package", "shop").out
    assert load_id in told and "orders__items" in told
    assert cli.json("pipeline", "load-package", "shop", load_id)["load_id"] == load_id
    assert "nope" in cli("pipeline", "load-package", "shop", "nope", code=1).err
    assert cli("pipeline", "failed-jobs", "shop").out.startswith("No failed jobs in 1 package")
    assert cli.json("pipeline", "failed-jobs", "shop") == {"failed_jobs": [], "set_aside": []}


def test_a_failed_job_is_shown_and_retried(cli: Cli) -> None:
    place = headrace.destinations.dummy(fail_prob=1.0)
    pipeline = headrace.pipeline("broken", destination=place)
    with pytest.raises(Exception, match="set aside"):
        pipeline.run([{"id": 1}], table_name="t")
    [job] = cli.json("pipeline", "failed-jobs", "broken")["failed_jobs"]
    assert job["table_name"] == "t" and job["failed_message"]
    assert job["failed_message"].splitlines()[0] in cli("pipeline", "broken", "failed-jobs").out
    # the destination is mended: as the state names it, `dummy` takes all
    os.environ["DESTINATION__DUMMY__COMPLETED_PROB"] = "1.0"
    try:
        assert cli.json("pipeline", "retry", "broken")["loads_ids"] == [job["load_id"]]
    finally:
        del os.environ["DESTINATION__DUMMY__COMPLETED_PROB"]
    assert "Nothing has failed" in cli("pipeline", "retry", "broken").out


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("yaml", "name: shop"),
        ("json", '"name": "shop"'),
        ("dbml", "Table "),
        ("dot", "digraph"),
        ("mermaid", "erDiagram"),
    ],
)
def test_schemas(shop: Any, cli: Cli, kind: str, sign: str) -> None:
    told = cli("pipeline", "schema", "shop", "--format", kind).out
    assert sign in told and "orders__items" in told
    file = cli.write(f"a.schema.{'json' if kind == 'json' else 'yaml'}", shop.default_schema.to_pretty_yaml())
    if kind == "json":
        file.write_text(shop.default_schema.to_pretty_json(remove_defaults=False))
    assert cli("schema", file.name, "--format", kind).out == told


def test_defaults_of_schemas(shop: Any, cli: Cli) -> None:
    short, long = (cli("pipeline", "schema", "shop", f"--{which}-defaults").out for which in ("remove", "keep"))
    assert len(short) < len(long) and "x-normalizer" in long
    assert cli.json("pipeline", "schema", "shop")["name"] == "shop"
    assert "it has: shop" in cli("pipeline", "schema", "shop", "--schema", "nope", code=1).err


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "name: x", "a: [", "engine_version: 99\nname: x"])
def test_files_that_are_no_schemas(cli: Cli, text: str) -> None:
    file = cli.write("x.yaml", text)
    with pytest.raises(CliError, match="holds no schema"):
        read_schema(file)
    assert "holds no schema" in cli("schema", "x.yaml", code=1).err


def test_show(shop: Any, cli: Cli) -> None:
    told = cli("pipeline", "show", "shop").out
    assert "dataset raw" in told and "orders__items" in told and "\x1b" not in told
    found = cli.json("pipeline", "show", "shop", "orders")
    assert found["tables"] == [
        {"table_name": "orders", "row_count": 2},
        {"table_name": "orders__items", "row_count": 2},
    ]
    assert [row["id"] for row in found["samples"]["orders"]] == [1, 2] and list(found["samples"]) == ["orders"]
    assert len(cli.json("pipeline", "show", "shop", "--limit", "1")["samples"]["orders"]) == 1
    assert "_dlt_loads" in cli("pipeline", "show", "shop", "-v").out
    assert "it has: orders" in cli("pipeline", "show", "shop", "nope", code=1).err


# ---- what changes something ------------------------------------------------------------------------------------------


def test_nothing_is_destroyed_without_a_yes(shop: Any, cli: Cli) -> None:
    shop.extract([{"id": 4}], table_name="orders")
    for command in (("drop-pending-packages",), ("abort-packages",), ("sync",), ("rollback",)):
        assert "--yes" in cli("pipeline", "shop", *command, code=2).err
    assert len(shop.list_extracted_load_packages()) == 1
    shop.run()
    assert "--yes" in cli("pipeline", "shop", "drop", "orders", code=2).err
    assert counts(shop) == {"orders": 3, "orders__items": 2}


def test_packages_that_wait_are_given_up(shop: Any, cli: Cli) -> None:
    shop.extract([{"id": 4}], table_name="orders")
    [load_id] = shop.list_extracted_load_packages()
    assert f"Deleted: {load_id}" in cli("pipeline", "drop-pending-packages", "shop", "--yes").out
    assert cli.json("pipeline", "shop", "drop-pending-packages") == {"dropped": []}
    assert not shop.has_pending_data


def test_packages_that_wait_are_set_aside(shop: Any, cli: Cli) -> None:
    shop.extract([{"id": 4}], table_name="orders")
    shop.extract([{"id": 5}], table_name="orders")
    first, second = shop.list_extracted_load_packages()
    assert cli.json("pipeline", "abort-packages", "shop", second, "--yes") == {"aborted": [second]}
    assert "does not wait" in cli("pipeline", "abort-packages", "shop", second, code=1).err
    assert cli.json("-y", "pipeline", "shop", "abort-packages") == {"aborted": [first]}
    assert cli.json("pipeline", "list")["pipelines"][0]["aborted"] == 2


def test_resources_are_dropped(shop: Any, cli: Cli) -> None:
    shop.run([{"id": 1}], table_name="customers")
    assert "Say what to drop" in cli("pipeline", "drop", "shop", code=2).err
    assert "its resources are" in cli("pipeline", "drop", "shop", "nope", "-y").out
    found = cli.json("pipeline", "drop", "shop", "re:^ord", "--yes")
    assert found["dropped"] and found["tables"] == ["orders__items", "orders"]
    assert counts(headrace.attach("shop")) == {"customers": 1}


def test_state_is_taken_from_the_destination(shop: Any, cli: Cli) -> None:
    hash_before = shop.default_schema.version_hash
    assert "cannot be restored" in cli("pipeline", "sync", "ghost", "--destination", "duckdb", code=1).err
    assert os.listdir(cli.folder / "data/pipelines") == ["shop"]
    (cli.folder / "data/pipelines/shop/pipeline.schemas/shop.schema.json").unlink()
    found = cli.json("pipeline", "sync", "shop", "--yes")
    assert found["schemas"][0]["version_hash"] == hash_before
    os.environ["HEADRACE_DATA_DIR"] = str(cli.folder / "other")
    assert "version" in cli("pipeline", "sync", "shop", "--destination", "duckdb", "--dataset-name", "raw").out
    assert cli.json("pipeline", "info", "shop")["schemas"][0]["version_hash"] == hash_before


def test_sync_keeps_what_is_here_when_the_destination_has_nothing(shop: Any, cli: Cli) -> None:
    (cli.folder / "shop.duckdb").unlink()
    assert "nothing was changed" in cli("pipeline", "sync", "shop", "--yes", code=1).err
    assert cli.json("pipeline", "info", "shop")["schemas"]


def test_a_load_is_undone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__KEEP_UNDO", "2")
    pipeline = headrace.pipeline("undo", destination="duckdb", dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="t")
    second = pipeline.run([{"id": 2, "more": "x"}], table_name="t")
    assert second is not None
    listed = cli.json("pipeline", "rollback", "undo", "--list")["loads"]
    assert listed[0]["load_id"] == second.loads_ids[0]
    assert second.loads_ids[0] in cli("pipeline", "rollback", "undo", "--list").out
    assert cli.json("pipeline", "undo", "rollback", "--yes")["loads_ids"] == second.loads_ids
    undone = headrace.attach("undo").dataset()
    assert undone.t.select("id").fetchall() == [(1,)] and "more" not in undone.t.columns
    monkeypatch.setenv("LOAD__KEEP_UNDO", "0")
    assert "1234.5" in cli("pipeline", "rollback", "undo", "1234.5", "--yes", code=1).err


# ---- bad nights ------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_undone_is_shown_before_the_question(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__KEEP_UNDO", "2")
    pipeline = headrace.pipeline("undo", destination="duckdb", dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="t")
    pipeline.run([{"id": 2}], table_name="t")
    second = pipeline.list_undoable_loads()[0].load_id
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    answer = cli("pipeline", "rollback", "undo", code=1)
    assert f"load {second}" in answer.out and "UTC  t\n" in answer.out and f"Undo load {second}" in answer.err
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert "1 row removed" in cli("pipeline", "rollback", "undo").out
    # what cannot be undone is refused before the question
    answer = cli("pipeline", "rollback", "undo", second, code=1)
    assert "it was undone already" in answer.err and "?" not in answer.out


def test_packages_set_aside_say_why(shop: Any, cli: Cli) -> None:
    with pytest.raises(PipelineStepFailed):
        shop.run([{"id": 3, "more": 1}], table_name="orders", schema_contract={"columns": "freeze"})
    [load_id] = [i for i in shop.list_completed_load_packages() if shop.get_load_package_info(i).state == "aborted"]
    answer = cli("pipeline", "failed-jobs", "shop")
    assert load_id in answer.out and "columns=freeze" in answer.out
    assert cli.json("pipeline", "failed-jobs", "shop")["set_aside"][0]["load_id"] == load_id
    assert f"Set aside: {load_id}" in cli("pipeline", "retry", "shop").out
    # looking, and retrying nothing, leave the last run what it was
    assert cli.json("pipeline", "list")["pipelines"][0]["status"] == "failed"


def test_jobs_that_were_passed_over_are_no_success(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="orders")
    with pipeline.sql_client() as client:
        client.execute_sql("CREATE UNIQUE INDEX one ON raw.orders (id)")
    pipeline.run([{"id": 1}], table_name="orders")
    assert cli.json("pipeline", "list")["pipelines"][0]["status"] == "failed"
    answer = cli("pipeline", "info", "shop")
    assert "1 job failed for good and was passed over: `headrace pipeline failed-jobs shop`" in answer.out
    pipeline.run([{"id": 2}], table_name="orders")
    assert cli.json("pipeline", "list")["pipelines"][0]["status"] == "ok"


def test_a_damaged_schema_file_says_what_to_type(shop: Any, cli: Cli) -> None:
    file = cli.folder / "data/pipelines/shop/pipeline.schemas/shop.schema.json"
    file.write_text('{"x')
    err = cli("pipeline", "info", "shop", code=1).err
    assert str(file) in err and "headrace pipeline sync shop" in err
    cli("pipeline", "sync", "shop", "--yes")
    assert "orders" in cli("pipeline", "info", "shop").out


def test_a_folder_that_cannot_be_written_is_named(cli: Cli) -> None:
    lock = WorkingFolderLock(cli.write("file", "") / "shop")
    with pytest.raises(WorkingFolderUnusable, match=r"`shop` cannot be written[^$]*HEADRACE_DATA_DIR") as caught:
        lock.acquire()
    assert isinstance(caught.value, OSError) and caught.value.errno
