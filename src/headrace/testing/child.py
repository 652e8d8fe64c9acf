"""A process of its own for a load, so that it can be killed: ``python -m headrace.testing.child FILE``."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headrace
from headrace.base.failpoints import ENVIRONMENT_VARIABLE

if TYPE_CHECKING:
    from headrace.load.destination import Destination
    from headrace.pipeline.pipeline import Pipeline


def documents(begin: int, strategy: str | None, table_format: str | None = None) -> list[Any]:
    """Resources of all dispositions, with three rows each whose numbers begin at ``begin``."""

    def resource(name: str, rows: list[dict[str, Any]], **hints: Any) -> Any:
        return headrace.resource(rows, name=name, table_format=table_format, **hints)

    rows = [{"n": n, "text": f"row {n}"} for n in range(begin, begin + 3)]
    made = [resource("appended", rows), resource("replaced", rows, write_disposition="replace")]
    if strategy:
        disposition = {"disposition": "merge", "strategy": strategy}
        # the rows of the load before come along
        more = [{"n": n, "text": "again"} for n in range(1, begin)] + rows
        made.append(resource("merged", more, write_disposition=disposition, primary_key="n"))
    return made


def run_in_child(
    destination: Destination,
    *,
    folder: Path,
    dataset_name: str,
    begin: int,
    strategy: str | None,
    table_format: str | None = None,
    failpoint: str = "",
) -> int:
    """Load `documents` in a process of its own.

    Args:
        destination: It must be possible to pickle it.
        folder: The pipelines' folder.
        dataset_name: The dataset.
        begin: The first number.
        strategy: How to merge; None leaves merging out.
        table_format: Of all tables.
        failpoint: Where it is killed (`headrace.base.failpoints`).

    Returns:
        The exit code; minus the signal's number when a signal ended it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = folder / f"order-{begin}.pickle"
    order.write_bytes(pickle.dumps((destination, str(folder), dataset_name, begin, strategy, table_format)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), ENVIRONMENT_VARIABLE: failpoint}
    done = subprocess.run(
        [sys.executable, "-m", "headrace.testing.child", str(order)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode > 0:
        raise AssertionError(f"the child failed:\n{done.stdout}{done.stderr}")
    return done.returncode


def main(order: str) -> None:
    """Do what the file says."""
    found = pickle.loads(Path(order).read_bytes())  # our own file, written a moment ago
    destination, folder, dataset_name, begin, strategy, table_format = found
    p: Pipeline = headrace.pipeline("kit", destination=destination, pipelines_dir=folder, dataset_name=dataset_name)
    p.run(documents(begin, strategy, table_format))


if __name__ == "__main__":
    main(sys.argv[1])
