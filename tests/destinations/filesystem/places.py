"""The places that folders of files are tested in, and pipelines into them."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import headrace
from tests.crash import forks

# gcsfs would else ask an emulator for a service that it has not, and wait a minute for it
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

DATASET = "lake"
_numbers = itertools.count()
_RUN = """
import json, sys
import headrace
from tests.destinations.filesystem.places import Place, numbers

place, home, name, last, hints = json.loads(sys.argv[1])
pipeline = Place(*place).pipeline(home, name)
pipeline.run(numbers(last), **hints)
"""


class Place(NamedTuple):
    """Where: a url and settings of the destination."""

    url: str
    settings: dict[str, Any]

    def destination(self, **more: Any) -> Any:
        return headrace.destinations.filesystem(self.url, **{**self.settings, **more})

    def pipeline(self, home: Any, name: str = "shop", **more: Any) -> Any:
        """A pipeline whose working folder is in ``home``."""
        return headrace.pipeline(
            name, destination=self.destination(**more), dataset_name=DATASET, pipelines_dir=str(home)
        )

    def below(self) -> Place:
        """A folder of its own at this place."""
        return self._replace(url=f"{self.url}/f{next(_numbers)}")

    def run_killed(self, failpoint: str, home: Any, name: str, last: int, **hints: Any) -> int:
        """Run `numbers` in a process that is killed at a failpoint; gives its exit code."""
        environment = {**os.environ, "HEADRACE_FAILPOINT": failpoint}
        environment["PYTHONPATH"] = str(Path(__file__).parents[3])
        given = json.dumps([[self.url, self.settings], str(home), name, last, hints])
        return forks.python(_RUN, given, env=environment).returncode


def numbers(last: int) -> Any:
    """Rows from the one after the cursor to ``last``, each with a nested one."""

    @headrace.resource(name="orders")
    def read(at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
        yield [{"id": n, "items": [{"of": n}]} for n in range((at.last_value or 0) + 1, last + 1)]

    return read


def ids(pipeline: Any, table: str = "orders", column: str = "id") -> list[Any]:
    """The values of a column, sorted."""
    return sorted(pipeline.dataset()[table].arrow()[column].to_pylist())
