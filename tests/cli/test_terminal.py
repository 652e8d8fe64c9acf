"""Commands in a real terminal: questions, colours, widths, Ctrl-C."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.output import width_of
from tests.cli.conftest import Cli

if sys.platform == "win32":
    pytest.skip("no pseudo terminals", allow_module_level=True)

import fcntl
import pty
import termios

STYLE = re.compile(r"\x1b\[[0-9;]*m")


def terminal(
    *arguments: str, columns: int = 80, answers: Sequence[tuple[str, str]] = (), until: float = 200
) -> tuple[int, str]:
    """Run a command in a terminal; when a text appears, type something. Gives the exit code and the screen's text.

    What was typed last is typed again while nothing comes of it: nobody types before the question waits for it, and
    what is typed in between may be lost to it.
    """
    child, handle = pty.fork()
    if child == 0:
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            os.environ.pop(name, None)
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "headrace", *arguments])
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    seen, waiting, end = b"", list(answers), time.monotonic() + until
    typed, quiet = b"", 0
    while time.monotonic() < end:
        if not select.select([handle], [], [], 1)[0]:
            quiet += 1
            if typed and quiet % 10 == 0:
                os.write(handle, typed)
            continue
        quiet = 0
        try:
            part = os.read(handle, 65536)
        except OSError:  # its end is told so on Linux
            break
        if not part:
            break
        seen += part
        while waiting and waiting[0][0].encode() in seen:
            time.sleep(0.2)
            typed = waiting.pop(0)[1].encode()
            os.write(handle, typed)
    os.close(handle)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), seen.decode().replace("\r\n", "\n")


def plain(text: str) -> list[str]:
    return STYLE.sub("", text).split("\n")


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_lines_fit_and_have_colours(shop: Any, cli: Cli, columns: int) -> None:
    for arguments in (["pipeline", "list"], ["pipeline", "show", "shop"], ["doctor"]):
        code, told = terminal(*arguments, columns=columns)
        assert code == 0 and "\x1b[" in told, told
        # a path has no blanks to break it at
        long = [line for line in plain(told) if width_of(line) > columns and " " in line.strip() and "/" not in line]
        assert long == []
    assert "\x1b[" not in terminal("--no-color", "pipeline", "list", columns=columns)[1]


def test_errors_are_broken_between_words(shop: Any, cli: Cli) -> None:
    code, told = terminal("pipeline", "info", "shup", columns=70)
    assert code == 1 and "\x1b[31m" in told
    assert all(width_of(line) <= 70 or "/" in line for line in plain(told))
    assert "did you mean `shop`?" in told


def test_a_question_is_asked_and_its_answer_counts(shop: Any, cli: Cli) -> None:
    shop.extract([{"id": 9}], table_name="orders")
    [load_id] = shop.list_extracted_load_packages()
    question = "Delete 1 package with its data?"
    code, told = terminal("pipeline", "drop-pending-packages", "shop", answers=[(question, "n\n")])
    assert code == 1 and "nothing was changed" in told and load_id in told
    assert shop.list_extracted_load_packages() == [load_id]
    code, told = terminal("pipeline", "shop", "drop-pending-packages", answers=[(question, "y\n")])
    assert code == 0 and f"Deleted: {load_id}" in told and not shop.list_extracted_load_packages()


def test_init_asks_for_a_name(cli: Cli) -> None:
    code, told = terminal("init", answers=[("Name of the source", "crm\n")])
    assert code == 0 and (cli.folder / "crm_pipeline.py").exists() and "python crm_pipeline.py" in told


@pytest.mark.parametrize("where", ["question", "run"])
def test_ctrl_c_ends_without_a_traceback(shop: Any, cli: Cli, where: str) -> None:
    cli.write(
        "slow.py",
        "import headrace, time\n"
        "def rows():\n"
        "    yield {'id': 1}\n"
        "    print('reading', flush=True)\n"
        "    time.sleep(600)\n"
        "headrace.pipeline('slow', destination='duckdb').run(headrace.resource(rows))\n",
    )
    if where == "run":
        code, told = terminal("run", "slow.py", answers=[("reading", "\x03")])
        assert code == 130 and "interrupted" in told
    else:
        code, told = terminal("pipeline", "sync", "shop", answers=[("Forget state", "\x03")])
        assert code == 1 and "nothing was changed" in told
    assert "Traceback" not in told


def test_progress_is_shown_while_a_script_runs(cli: Cli) -> None:
    cli.write(
        "quick.py",
        "import headrace\nheadrace.pipeline('quick', destination='duckdb').run([{'id': 1}], table_name='t')\n",
    )
    code, told = terminal("run", "quick.py", "--progress", "log")
    assert code == 0 and "Extract" in told and "loaded" in told


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
def test_an_output_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    command = f"{sys.executable} -m headrace --json telemetry {where}"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and done.returncode == (0 if where == ">&-" else 1)
