"""What all commands share: help, errors, exit codes, plugins, completion, start-up."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from headrace.cli.app import COMMANDS
from headrace.cli.output import cut, table_lines, width_of
from headrace.cli.pipelines import OPERATIONS
from tests.cli.conftest import Cli


def headrace(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "HEADRACE_DATA_DIR": str(folder / "data"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_every_command(cli: Cli) -> None:
    told = cli("--help").out
    assert [name for name in COMMANDS if f"\n  {name} " not in told] == []
    told = cli("pipeline", "--help").out
    assert [name for name in OPERATIONS if f"\n  {name} " not in told] == []


@pytest.mark.parametrize("name", [*COMMANDS, *(f"pipeline {name}" for name in OPERATIONS), "config explain"])
def test_every_command_has_help_and_the_common_options(cli: Cli, name: str) -> None:
    told = cli(*name.split(), "--help").out
    assert "--json" in told and "--no-color" in told and "--debug" in told
    assert told.index("Usage:") < told.index("Options:")


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from headrace.cli.app import call\n"
        "assert call(['--version']) == 0 and call(['--help']) == 0\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'rich', 'requests', 'sqlglot', 'headrace.pipeline.pipeline'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_short_commands_load_no_engine(shop: Any, cli: Cli) -> None:
    """What makes `pipeline info` short is what it does not import."""
    code = (
        "import sys; from headrace.cli.app import call\n"
        "for args in (['pipeline', 'list'], ['pipeline', 'info', 'shop'], ['pipeline', 'trace', 'shop'],\n"
        "             ['config', 'explain', 'load.workers'], ['pipeline', 'failed-jobs', 'shop']):\n"
        "    assert call(args) == 0\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'rich', 'sqlglot', 'yaml', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_without_a_command_there_is_help(cli: Cli) -> None:
    assert cli().out == cli("--help").out and "explain" in cli("config").out


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    told = cli("nonsense", code=2)
    assert "No such command" in told.err and "--help" in told.err and told.out == ""
    assert cli("pipeline", "info", code=2).err.startswith("Error: Missing argument 'NAME'")
    assert cli("schema", "nofile.json", code=2)


def test_errors_say_what_why_and_what_to_do(cli: Cli) -> None:
    told = cli("pipeline", "info", "shop", code=1).err
    assert "Error: There is no pipeline `shop`" in told
    assert "Why: no pipeline ran on this machine" in told
    assert "What to do:" in told and "Traceback" not in told


def test_errors_as_json_are_on_standard_output(cli: Cli) -> None:
    answer = cli("pipeline", "info", "shop", "--json", code=1)
    assert answer.err == ""
    assert set(answer.json["error"]) == {"type", "what", "why", "where", "fix", "exit_code"}
    assert answer.json["error"]["exit_code"] == 1


def test_debug_shows_the_traceback_without_secrets(cli: Cli) -> None:
    cli.write("bad.py", "raise RuntimeError('no login: password=hunter22222')")
    told = cli("run", "bad.py", "--debug", code=1).err
    assert "Traceback" in told and "hunter22222" not in told and "password=***" in told
    plain = cli("run", "bad.py", code=1).err
    assert "Traceback" not in plain and "hunter22222" not in plain and "Where: bad.py:1" in plain


def test_an_interrupt_ends_quietly_with_130(cli: Cli) -> None:
    cli.write("slow.py", "raise KeyboardInterrupt")
    told = cli("run", "slow.py", code=130).err
    assert "Error: interrupted" in told and "Traceback" not in told


def test_flags_of_dlt_are_accepted(cli: Cli) -> None:
    assert "no telemetry" in cli("--disable-telemetry", "telemetry").out
    assert "no telemetry" in cli("--enable-telemetry", "--non-interactive", "telemetry").out
    assert cli.json("telemetry") == {"telemetry": False}


def test_colours_only_on_a_terminal_and_never_if_not_wanted(shop: Any, cli: Cli) -> None:
    assert "\x1b" not in cli("pipeline", "info", "shop").out
    assert "\x1b" not in cli("--no-color", "pipeline", "info", "shop").out


def test_plugins_add_commands(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def hello() -> None:
        click.echo("hello from a plugin")

    class Point:
        name, value, dist = "hello", "other:hello", None

        def load(self) -> Any:
            return hello

    class Broken(Point):
        name = "broken"

        def load(self) -> Any:
            raise ImportError("no module named numpyy")

    points = [Point(), Broken()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "headrace.cli" else [])
    assert cli("hello").out == "hello from a plugin\n"
    assert "hello" in cli("--help").out
    assert "no module named numpyy" in cli("broken", code=1).err
    assert "There is no telemetry" in cli("telemetry").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Cli, shell: str) -> None:
    script = cli("completion", shell).out
    assert "_HEADRACE_COMPLETE" in script and "headrace" in script
    assert cli.json("completion", shell)["script"] == script.rstrip("\n") or script.startswith(
        cli.json("completion", shell)["script"]
    )


def test_names_are_completed(shop: Any, cli: Cli) -> None:
    asked = {"_HEADRACE_COMPLETE": "bash_complete", "COMP_WORDS": "headrace pipeline info s", "COMP_CWORD": "3"}
    code = "import sys; sys.argv = ['headrace']; from headrace.cli.app import app; app(prog_name='headrace')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["plain,shop"]


def test_the_installed_command_completes_too(shop: Any, cli: Cli) -> None:
    done = headrace(folder=cli.folder, _HEADRACE_COMPLETE="bash_complete", COMP_WORDS="headrace sch", COMP_CWORD="1")
    assert done.stdout.split() == ["plain,schema"]


def test_a_reader_that_goes_away_is_no_error(shop: Any, cli: Cli) -> None:
    command = f"{sys.executable} -m headrace pipeline schema shop --format json | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_tables_fit_the_terminal_and_count_wide_characters() -> None:
    rows = [("x" * 50, 1, "東京都庁" * 10), ("short", 22, "ok")]
    lines = [click.unstyle(line) for line in table_lines(("name", "n", "where"), rows, 40, right=["n"])]
    assert all(width_of(line) <= 40 for line in lines)
    assert lines[2].count("…") == 2 and lines[3].startswith("short")
    assert [line[: width_of(line)] for line in table_lines(("a",), [("x" * 500,)], None)][2] == "x" * 500
    assert cut("東京", 3) == "東…"


def test_data_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in table_lines(("a",), [("\x1b[2J\n",)], None)[2]
