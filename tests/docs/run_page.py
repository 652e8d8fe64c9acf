"""Run the blocks of one page in one namespace, in the current folder: ``python -m tests.docs.run_page PAGE``.

A process of its own for each page: pipelines are active in a thread, settings are read once, and a reader starts from
nothing too.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import logging
import os
import shlex
import socket
import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.docs.pages import Block, blocks

_connect = socket.socket.connect
LOCAL = ("127.0.0.1", "localhost", "::1")


def connect_locally(self: socket.socket, address: Any) -> None:
    """Connections stay on this machine."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
        raise OSError(f"pages must work without network, and this one asks for {address[0]}")
    _connect(self, address)


def run(page: Path, found: Sequence[Block]) -> None:
    """Run blocks; raises what they raise, with the page's line numbers in the traceback."""
    module = types.ModuleType("__main__")
    module.__file__ = "page.py"
    sys.modules["__main__"] = module  # resources look for the module they are defined in
    printed = ""
    for block in found:
        if block.word == "file":
            path = Path(block.argument)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.word == "output":
            compare(page, block, printed)
        elif block.language == "console" and block.word != "not run":
            run_console(page, block)
        elif block.language == "python" and block.word != "not run":
            # empty lines in front make the numbers those of the page
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(code, module.__dict__)
            printed = stream.getvalue()


def run_console(page: Path, block: Block) -> None:
    """Run the commands behind ``$`` of a block in turn, and compare what each prints with what follows it."""
    commands: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.text.splitlines()):
        if line.startswith("$ "):
            commands.append((block.line + number, line[2:], []))
        else:
            commands[-1][2].append(line)
    for number, command, shown in commands:
        expected = Block("text", "\n".join(shown), number)
        compare(page, expected, run_command(command))


def run_command(command: str) -> str:
    """Both streams of a command; ``headrace`` alone runs in this process, all else in a shell."""
    from headrace.cli.app import call

    if not command.startswith("headrace ") or any(sign in command for sign in "|>;&"):
        shell = 'headrace() { "$PYTHON" -m headrace "$@"; }\n' + command
        environment = {**os.environ, "PYTHON": sys.executable}
        done = subprocess.run(
            ["bash", "-c", shell],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout
    with io.StringIO() as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        call(shlex.split(command)[1:])
        return stream.getvalue()


def compare(page: Path, block: Block, printed: str) -> None:
    """Check what a block printed against what the page says."""
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS
    if not checker.check_output(tidy(block.text), tidy(printed), flags):
        raise AssertionError(f"{page}:{block.line} says\n\n{block.text}\nand what is printed is\n\n{printed}")


def tidy(text: str) -> str:
    """Text without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def main(page: str) -> None:
    """Run a page."""
    socket.socket.connect = connect_locally  # type: ignore[method-assign]
    # no pages end in warnings that nobody sees
    logging.basicConfig(stream=sys.stderr, format="LOG %(levelname)s %(message)s")
    run(Path(page), blocks(Path(page)))


if __name__ == "__main__":
    main(sys.argv[1])
