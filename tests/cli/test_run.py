"""`headrace run` and `headrace plan`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import headrace
from tests.cli.conftest import Cli

SHOP = """
import sys
import headrace

@headrace.source
def shop(count: int = headrace.config.value):
    @headrace.resource
    def orders():
        for number in range(count):
            yield {"id": number}

    @headrace.resource
    def customers():
        yield {"id": 1}

    return orders, customers

@headrace.resource
def spare():
    yield {"id": 1}

pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")

if __name__ == "__main__":
    print("arguments", sys.argv[1:])
    print(pipeline.run(shop(count=3)))
"""


@pytest.fixture
def project(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    cli.write("shop.py", SHOP)
    monkeypatch.setenv("COUNT", "4")
    yield cli
    sys.modules.pop("shop", None)


def rows() -> dict[str, int]:
    return {row[0]: row[1] for row in headrace.attach("shop").dataset().row_counts().fetchall()}


def test_a_script_runs_as_by_python(project: Cli) -> None:
    before = (list(sys.argv), list(sys.path))
    answer = project("run", "shop.py", "--mode", "fast", "last")
    assert "arguments ['--mode', 'fast', 'last']\n" in answer.out and "1 of 1 package loaded" in answer.out
    assert "loaded  shop into duckdb, dataset raw  rows: orders 3, customers 1" in answer.err
    assert (sys.argv, [p for p in sys.path if p in before[1]]) == before
    assert rows() == {"customers": 1, "orders": 3}


def test_options_of_the_script_that_are_ours_go_behind_a_dash(project: Cli) -> None:
    assert "arguments ['--json', '-y']" in project("run", "shop.py", "--", "--json", "-y").out


def test_json_is_one_document_whatever_the_script_prints(project: Cli) -> None:
    answer = project("run", "shop.py", "--json")
    assert "arguments" in answer.err
    [run] = answer.json["runs"]
    assert (run["pipeline_name"], run["status"], run["rows"]) == ("shop", "loaded", {"orders": 3, "customers": 1})
    assert run["loads_ids"] == list(headrace.attach("shop").list_completed_load_packages())
    assert set(run) == {
        *("pipeline_name", "status", "error", "started_at", "finished_at", "destination", "dataset_name"),
        *("loads_ids", "rows", "rejected", "failed_jobs"),
    }


def test_a_source_of_a_module_is_found_and_its_arguments_configured(project: Cli) -> None:
    project("run", "shop.py", "--source", "shop", "orders")
    assert rows() == {"orders": 4}
    project("run", "shop:pipeline", "customers", "--dataset-name", "other")
    assert rows() == {"customers": 1}


def test_a_resource_of_a_module_and_a_pipeline_that_is_made(project: Cli) -> None:
    project("run", "shop.py", "--pipeline", "fresh", "--source", "spare", "--destination", "duckdb")
    found = project.json("pipeline", "list")["pipelines"]
    assert [one["pipeline_name"] for one in found] == ["fresh", "shop"]
    assert found[0]["dataset_name"] == "fresh_dataset" and found[0]["status"] == "ok"


def test_what_cannot_be_found_is_told(project: Cli) -> None:
    assert "There is no script none.py" in project("run", "none.py", code=1).err
    assert "There is no module `none`" in project("run", "none:pipeline", code=1).err
    assert "neither a script nor a module" in project("run", "a b", code=1).err
    assert "has no source `nope`" in project("run", "shop.py", "--source", "nope", code=1).err
    assert "nope" in project("run", "shop.py", "--source", "shop", "nope", code=1).err
    assert "needs --source or --pipeline" in project("run", "shop.py", "--limit", "3", code=2).err
    assert "No such option: --wrong" in project("run", "shop.py", "--source", "shop", "--wrong", code=2).err
    project.write("two.py", "import headrace\na = headrace.pipeline('a')\nb = headrace.pipeline('b')\n")
    assert "name one by --pipeline: a, b" in project("run", "two.py", "--source", "x", code=1).err
    assert "has no source" in project("run", "two:a", code=1).err


def test_limit(project: Cli) -> None:
    project("run", "shop.py", "--source", "shop", "--limit", "2")
    assert rows() == {"customers": 1, "orders": 2}


def test_full_refresh_asks_and_begins_again(project: Cli) -> None:
    project("run", "shop.py")
    assert "give --yes" in project("run", "shop.py", "--full-refresh", code=2).err
    project("run", "shop.py", "--full-refresh", "--yes")
    assert rows() == {"customers": 1, "orders": 3}
    project("run", "shop.py", "--refresh", "drop_data")
    assert rows() == {"customers": 1, "orders": 3}
    assert "PIPELINES__REFRESH" not in os.environ


def test_a_failed_run_exits_with_1_and_says_where(cli: Cli) -> None:
    cli.write(
        "bad.py",
        "import headrace\n"
        "def rows():\n"
        "    yield {'id': 1}\n"
        "    raise ValueError('page 2 has gone')\n"
        "headrace.pipeline('bad', destination='duckdb').run(rows(), table_name='t')\n",
    )
    told = cli("run", "bad.py", code=1).err
    assert "page 2 has gone" in told and "Where: bad.py:4, in rows" in told
    found = cli.json("run", "bad.py", code=1)
    assert found["runs"][0]["status"] == "failed" and found["error"]["where"] == "bad.py:4, in rows"


def test_a_script_that_ends_itself_gives_its_code(cli: Cli) -> None:
    cli.write("end.py", "import sys; sys.exit(7)")
    cli("run", "end.py", code=7)
    cli.write("end.py", "import sys; sys.exit(0)")
    cli("run", "end.py")


def test_failed_jobs_that_do_not_raise_still_exit_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    cli.write(
        "jobs.py",
        "import headrace\n"
        "place = headrace.destinations.dummy(fail_prob=1.0)\n"
        "headrace.pipeline('jobs', destination=place).run([{'id': 1}], table_name='t')\n",
    )
    [run] = cli.json("run", "jobs.py", code=1)["runs"]
    assert run["status"] == "failed" and run["failed_jobs"][0]["table_name"] == "t"


def test_retries(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIES__WAIT", "0.01")
    cli.write(
        "flaky.py",
        "import headrace\n"
        "from pathlib import Path\n"
        "def rows():\n"
        "    tries = Path('tries'); tries.write_text((tries.read_text() if tries.exists() else '') + 'x')\n"
        "    if len(tries.read_text()) < 3:\n"
        "        raise ConnectionResetError('peer')\n"
        "    yield {'id': 1}\n"
        "headrace.pipeline('flaky', destination='duckdb').run(headrace.resource(rows))\n",
    )
    cli("run", "flaky.py", "--retries", "0", code=1)
    cli("run", "flaky.py", "--retries", "2")
    assert (cli.folder / "tries").read_text() == "xxx"


# ---- plan ------------------------------------------------------------------------------------------------------------


def test_a_plan_changes_nothing_and_is_then_done(project: Cli) -> None:
    answer = project("plan", "shop.py", "--source", "shop", "orders", code=2)
    assert "orders" in answer.out and "headrace run shop.py --plan" in answer.out
    assert not headrace.attach("shop").list_completed_load_packages()
    plan = project.json("plan", "shop.py", "--source", "shop", "orders", code=2)
    assert plan["has_changes"] and plan["row_counts"]["orders"] == 4
    [run] = project.json("run", "shop.py", "--plan", plan["id"])["runs"]
    assert run["loads_ids"] == plan["load_ids"] and rows() == {"orders": 4}
    assert plan["id"] in project("run", "shop.py", "--plan", plan["id"], code=1).err


def test_a_plan_without_changes_exits_with_0(cli: Cli) -> None:
    cli.write(
        "once.py",
        "import headrace\n"
        "@headrace.resource(primary_key='id')\n"
        "def rows(id=headrace.sources.incremental('id')):\n"
        "    yield {'id': 1}\n"
        "pipeline = headrace.pipeline('once', destination='duckdb')\n",
    )
    cli("plan", "once.py", code=2)
    cli("run", "once:pipeline")
    assert cli.json("plan", "once.py")["has_changes"] is False


def test_a_destructive_plan_asks(cli: Cli) -> None:
    cli.write(
        "again.py",
        "import headrace\n"
        "@headrace.resource(write_disposition='replace')\n"
        "def rows():\n"
        "    yield {'id': 1}\n"
        "pipeline = headrace.pipeline('again', destination='duckdb')\n",
    )
    cli("run", "again:pipeline")
    plan = cli.json("plan", "again.py", code=2)
    assert plan["destructive"]
    assert "Go on?" in cli("run", "again.py", "--plan", plan["id"], code=2).err
    cli("run", "again.py", "--plan", plan["id"], "--yes")


def test_a_plan_that_fails_exits_with_1(cli: Cli) -> None:
    cli.write("none.py", "import headrace\n@headrace.resource\ndef r():\n    yield 1\np = headrace.pipeline('none')\n")
    told: Any = cli("plan", "none.py", code=1).err
    assert "destination" in told


def test_a_plan_that_fails_leaves_no_folder(cli: Cli) -> None:
    cli.write("none.py", "import headrace\n\n@headrace.resource\ndef t():\n    yield {'id': 1}\n")
    assert "destination" in cli("plan", "none.py", "--pipeline", "typo", code=1).err
    assert cli.json("pipeline", "list")["pipelines"] == []


def test_a_plan_that_is_run_is_not_nothing_new(cli: Cli) -> None:
    cli.write("some.py", "import headrace\n\n@headrace.resource\ndef t():\n    yield {'id': 1}\n")
    plan = cli.json("plan", "some.py", "--pipeline", "p", "--destination", "duckdb", code=2)
    assert "1 package" in cli("run", "some.py", "--pipeline", "p", "--plan", plan["id"]).err
