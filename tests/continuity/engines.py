"""A real dlt in an environment of its own, made on demand, and scripts that run with it and with headrace in turn."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
from typing_extensions import Self

ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venvs"


class NoDlt(Exception):
    """dlt is not there and cannot be installed."""


def dlt_python(version: str) -> str:
    """The Python of an environment with dlt of a version (``1.31``), made when it is missing, in ten seconds.

    `HEADRACE_TEST_DLT_PYTHON` names one that is there already.

    Raises:
        NoDlt: It cannot be installed.
    """
    given = os.environ.get("HEADRACE_TEST_DLT_PYTHON")
    if given:
        return given
    return python_with(f"dlt-{version}", [f"dlt[duckdb]=={version}.*", f"duckdb=={duckdb.__version__}", "pyarrow"])


def python_with(name: str, needs: list[str]) -> str:
    """The Python of an environment that is made when it is missing, or when it should hold something else.

    Args:
        name: Of its folder.
        needs: What pip installs there.

    Raises:
        NoDlt: It cannot be installed.
    """
    folder = VENVS / name
    python, stamp = folder / "bin" / "python", folder / ".stamp"
    with _locked(VENVS / f"{name}.lock"):
        if not (stamp.exists() and stamp.read_text() == str(needs)):
            install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *needs]
            for command in ([sys.executable, "-m", "venv", str(folder)], install):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    raise NoDlt(f"`{' '.join(command)}` failed: {done.stderr[-500:]}")
            stamp.write_text(str(needs))
    return str(python)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Engine:
    """One of the two engines: runs scripts, each in a fresh process.

    Args:
        name: `dlt` or `headrace`.
        python: The interpreter that has it.
        modules: What is imported once, before all scripts.
        environment: Variables to set.
    """

    def __init__(
        self, name: str, python: str, modules: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("DLT_", "HEADRACE_", "DESTINATION"))}
        variables["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("server.py")), name, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**variables, **(environment or {})},
        )
        self.version = str(self._read()["version"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def run(self, script: str, folder: Path, environment: dict[str, str], **arguments: Any) -> Any:
        """Run a script; gives what it leaves in `result`.

        Args:
            script: Its text; `{engine}` stands for the engine's module.
            folder: Where it runs; what it logs goes to `log.txt` there.
            environment: Variables to set.
            arguments: Names that the script finds set.
        """
        request = {
            "script": script.replace("{engine}", self.name),
            "folder": str(folder),
            "environment": environment,
            "arguments": arguments,
            "log": str(folder / "log.txt"),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}\n{(folder / 'log.txt').read_text()[-3000:]}")
        return answer["result"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
