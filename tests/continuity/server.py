"""Runs scripts with one engine, each in a process of its own that is forked after the engine's slow import.

Started with the engine's name as its argument, by the Python that has it. Each line of stdin is a request, each line of
stdout the answer to it; see `tests.continuity.engines`. More arguments are modules to import beforehand.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a script in this process; its answer is what it leaves in the name `result`."""
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    names: dict[str, Any] = {"__name__": "__main__", **request["arguments"]}
    try:
        exec(compile(request["script"], "script.py", "exec"), names)
    except BaseException:
        return {"error": traceback.format_exc()}
    return {"result": names.get("result")}


def answer(request: dict[str, Any]) -> str:
    """Run a request in a child process and give its answer as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        text = json.dumps(run(request), default=str)
        with os.fdopen(writing, "w") as out:
            out.write(text)
        sys.stdout.flush()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as given:
        text = given.read()
    os.waitpid(child, 0)
    return text or json.dumps({"error": "the process died"})


def main() -> None:
    engine = sys.argv[1]
    module = importlib.import_module(engine)
    for needed in ("duckdb", "pyarrow.parquet", *sys.argv[2:]):
        importlib.import_module(needed)
    if engine == "dlt":
        importlib.import_module("dlt.destinations.impl.duckdb.duck")
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps({"version": module.__version__}), file=answers, flush=True)
    for line in sys.stdin:
        print(answer(json.loads(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
