"""`headrace doctor`: what is wrong is found, told with what to do, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import headrace
from headrace.pipeline.checkup import Check, check_up, here, worst
from tests.cli.conftest import Cli


def told(checks: Any, name: str, topic: str = "") -> list[Check]:
    return [check for check in checks if check.name == name and topic in ("", check.topic)]


def test_all_is_well(shop: Any, cli: Cli) -> None:
    os.environ.setdefault("TZ", "UTC")
    answer = cli("doctor", "--pipeline", "shop")
    assert "All is well." in answer.out and "duckdb" in answer.out and sys.executable in answer.out
    found = cli.json("doctor", "--pipeline", "shop")
    assert found["status"] == "ok" and set(found["checks"][0]) == {"topic", "name", "status", "text", "fix"}
    [rights] = [one for one in found["checks"] if one["name"] == "permissions"]
    assert "may make a dataset, make tables, write and read rows, drop them" in rights["text"]


def test_the_probe_leaves_nothing(shop: Any, cli: Cli) -> None:
    before = sorted(os.listdir(cli.folder))
    with shop.sql_client() as client:
        query = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL"
        tables = client.execute_sql(query)
    cli("doctor", "--pipeline", "shop", "--destination", "duckdb")
    with shop.sql_client() as client:
        assert client.execute_sql(query) == tables
    assert sorted(os.listdir(cli.folder)) == before
    assert "permissions" not in cli("doctor", "--pipeline", "shop", "--no-write").out


def test_the_probe_leaves_nothing_in_files(cli: Cli) -> None:
    place = headrace.destinations.filesystem(bucket_url=str(cli.folder / "lake"))
    pipeline = headrace.pipeline("lake", destination=place, dataset_name="raw")
    pipeline.run([{"id": 1}], table_name="t")
    before = sorted(str(path) for path in (cli.folder / "lake").rglob("*"))
    os.environ["DESTINATION__FILESYSTEM__BUCKET_URL"] = str(cli.folder / "lake")
    try:
        checks = list(check_up("lake"))
    finally:
        del os.environ["DESTINATION__FILESYSTEM__BUCKET_URL"]
    assert worst(checks) == "ok" and "drop them" in told(checks, "permissions")[0].text
    assert sorted(str(path) for path in (cli.folder / "lake").rglob("*")) == before


def test_a_function_is_not_given_rows_to_try(cli: Cli) -> None:
    calls: list[Any] = []

    @headrace.destination
    def sink(items: Any, table: Any) -> None:
        calls.append(items)

    from headrace.load.destination import PipelineFacts
    from headrace.pipeline.checkup.places import _of_place

    facts = PipelineFacts(pipeline_name="x", working_dir=str(cli.folder), local_dir=str(cli.folder))
    checks = list(_of_place("destination", sink(), "raw", facts, True))
    assert "not tried" in told(checks, "permissions")[0].text and calls == []


def test_missing_and_wrong_settings(cli: Cli) -> None:
    answer = cli("doctor", "--destination", "filesystem", code=1)
    assert "bucket_url" in answer.out and "1 failure" in answer.out
    cli.write(".dlt/config.toml", 'api_key = "s3cretkey-in-the-wrong-place"\n[load]\nworkers = 3\n')
    cli.write(".dlt/secrets.toml", 'x = "<configure me>"\n').chmod(0o644)
    answer = cli("doctor")
    assert "it seems to hold secrets: api_key" in answer.out and "s3cretkey" not in answer.out
    assert "chmod 600" in answer.out and "still to be filled in: x" in answer.out
    cli.write(".dlt/secrets.toml", "password = s3cretkey without quotes\n")
    answer = cli("doctor", code=1)
    assert "is not valid TOML" in answer.out and "s3cretkey" not in answer.out


def test_secrets_that_git_would_take(cli: Cli) -> None:
    cli.write(".dlt/secrets.toml", "a = 1\n").chmod(0o600)
    subprocess.run(["git", "init", "-q"], cwd=cli.folder, check=True)
    assert "is not ignored by git" in cli("doctor").out
    cli.write(".gitignore", "secrets.toml\n")
    assert "is not ignored by git" not in cli("doctor").out


def test_a_pipeline_that_fails_and_waits(shop: Any, cli: Cli) -> None:
    shop.extract([{"id": 3}], table_name="orders")
    checks = list(check_up("shop"))
    assert told(checks, "packages", "pipeline")[0].status == "warn"
    assert "drop-pending-packages" in told(checks, "packages", "pipeline")[0].fix
    assert "failed, or has packages that wait: shop" in cli("doctor").out
    shop.abort_packages()
    assert any("set aside" in check.text for check in told(check_up("shop"), "packages"))


def test_a_pipeline_at_work_elsewhere(shop: Any, cli: Cli) -> None:
    code = "import headrace, time\nwith headrace.attach('shop')._folder.hold():\n"
    code += "    print('held', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        [lock] = told(check_up("shop", probe=False), "lock")
        assert lock.status == "warn" and str(child.pid) in lock.text
    finally:
        child.kill()
        child.wait()


def test_broken_folders_are_told(shop: Any, cli: Cli) -> None:
    assert told(check_up("nope"), "nope")[0].status == "fail"
    cli.write("data/pipelines/shop/pipeline.schemas/shop.schema.json", "{")
    checks = list(check_up("shop", probe=False))
    assert [(check.topic, check.name) for check in checks if check.status == "fail"] == [
        ("pipeline", "schemas"),
        ("destination", "destination"),
    ]


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "status"), [(10**6, "fail"), (5 * 10**8, "warn"), (5 * 10**9, "ok")])
def test_a_full_disk(cli: Cli, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(here.shutil, "disk_usage", lambda path: Usage(free))
    [disk] = told(here.folders(None), "disk")
    assert disk.status == status and ("make room" in disk.fix) == (status != "ok")


def test_a_wrong_clock(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    [clock] = told(here.folders(None), "clock")
    assert clock.status == "fail" and "1970" in clock.text


def test_a_folder_that_cannot_be_written_to(cli: Cli) -> None:
    cli.write("file", "")
    [folder, *_] = told(here.folders(Path("file") / "pipelines"), "pipelines")
    assert folder.status == "fail" and "HEADRACE_DATA_DIR" in folder.fix


def test_a_user_who_may_only_write_into_one_schema(cli: Cli, postgres_server: Any) -> None:
    import psycopg

    url = postgres_server.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS narrow")
        connection.execute("CREATE ROLE narrow LOGIN PASSWORD 'narrow-pass'")
        connection.execute("CREATE SCHEMA raw AUTHORIZATION narrow")
        before = connection.execute("SELECT count(*) FROM pg_namespace").fetchall()
        info = connection.info
        narrow = f"postgresql://narrow:narrow-pass@{info.host}:{info.port}/{info.dbname}"
        os.environ["DESTINATION__POSTGRES__CREDENTIALS"] = narrow
        try:
            headrace.pipeline("narrow", destination="postgres", dataset_name="raw")
            [rights] = told(check_up("narrow"), "permissions")
            assert (rights.status, "may make and drop tables in raw, and no dataset" in rights.text) == ("warn", True)
            assert "narrow-pass" not in str(rights)
            connection.execute("REVOKE ALL ON SCHEMA raw FROM narrow; ALTER SCHEMA raw OWNER TO CURRENT_USER")
            [rights] = told(check_up("narrow"), "permissions")
            assert rights.status == "fail" and "permission denied" in rights.text
        finally:
            del os.environ["DESTINATION__POSTGRES__CREDENTIALS"]
        assert connection.execute("SELECT count(*) FROM pg_namespace").fetchall() == before
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'raw'"
        assert connection.execute(tables).fetchall() == []


def test_a_dataset_that_is_gone(shop: Any, cli: Cli) -> None:
    (cli.folder / "shop.duckdb").unlink()
    [connection] = told(check_up("shop"), "connection")
    assert connection.status == "warn" and "ANY MORE" in connection.text and "dataset name" in connection.fix
