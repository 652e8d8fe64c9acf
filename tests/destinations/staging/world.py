"""Destinations that load from a staging place, and the places."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, NamedTuple

import headrace
from tests.crash import forks

DATASET = "shop"
_RUN = """
import json, sys
from tests.destinations.staging.world import World, orders

world, name, last, hints = json.loads(sys.argv[1])
World(*world).pipeline(name).run(orders(last), **hints)
"""


class World(NamedTuple):
    """A destination and a staging place.

    Attributes:
        kind: Of the destination.
        credentials: Its own.
        bucket: The staging place's url.
        access: The staging place's credentials.
        home: Where working folders are.
    """

    kind: str
    credentials: str
    bucket: str
    access: dict[str, str] | None
    home: str

    def destination(self, **settings: Any) -> Any:
        return getattr(headrace.destinations, self.kind)(self.credentials, **settings)

    def staging(self, **settings: Any) -> Any:
        return headrace.destinations.filesystem(self.bucket, credentials=self.access, **settings)

    def pipeline(self, name: str = "shop", destination: Any = None, staging: Any = None) -> Any:
        return headrace.pipeline(
            name,
            destination=destination or self.destination(),
            staging=staging or self.staging(),
            dataset_name=DATASET,
            pipelines_dir=self.home,
        )

    def files(self, table: str = "") -> list[str]:
        """What is in the staging place, below the dataset: table and name."""
        if self.access is None:
            root = Path(self.bucket) / DATASET
            found = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        else:
            prefix = f"{self.bucket.removeprefix('s3://')}/{DATASET}/"
            found = [path.removeprefix(prefix) for path in self.store().find(prefix)]
        return sorted(path for path in found if path.startswith(table))

    def store(self) -> Any:
        """The fsspec file system of a bucket."""
        import s3fs

        assert self.access is not None
        return s3fs.S3FileSystem(
            key=self.access["aws_access_key_id"],
            secret=self.access["aws_secret_access_key"],
            client_kwargs={"endpoint_url": self.access["endpoint_url"], "region_name": self.access["region_name"]},
            use_listings_cache=False,
        )

    def delete(self, path: str) -> None:
        """Delete a file of the staging place."""
        if self.access is None:
            (Path(self.bucket) / DATASET / path).unlink()
        else:
            self.store().rm_file(f"{self.bucket.removeprefix('s3://')}/{DATASET}/{path}")

    def write(self, path: str, data: bytes) -> None:
        """Put bytes in a file of the staging place."""
        if self.access is None:
            target = Path(self.bucket) / DATASET / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        else:
            self.store().pipe_file(f"{self.bucket.removeprefix('s3://')}/{DATASET}/{path}", data)

    def run_killed(self, failpoint: str, last: int, **hints: Any) -> None:
        """Run `orders` in a process that is killed at a failpoint."""
        environment = {**os.environ, "HEADRACE_FAILPOINT": failpoint, "PYTHONPATH": str(Path(__file__).parents[3])}
        given = json.dumps([self, "shop", last, hints])
        done = forks.python(_RUN, given, env=environment)
        assert done.returncode == -signal.SIGKILL, done.stderr


def orders(last: int, first: int = 1) -> Any:
    """Rows with values of many types, each with a nested one."""

    @headrace.resource(name="orders", primary_key="id")
    def read() -> Any:
        yield [
            {
                "id": n,
                "note": None if n % 3 == 0 else f'ordér {n}, "quoted"\nand broken',
                "price": n / 4,
                "paid": n % 2 == 0,
                "at": f"2024-01-{n % 28 + 1:02d}T10:00:00Z",
                "items": [{"of": n}],
            }
            for n in range(first, last + 1)
        ]

    return read


def rows(pipeline: Any, *columns: str, table: str = "orders") -> list[Any]:
    """Rows of a table, sorted."""
    found = pipeline.dataset()[table].arrow().select(list(columns or ("id",))).to_pylist()
    return sorted(tuple(row.values()) for row in found)


def urls(info: Any) -> dict[str, str]:
    """Where each table's last file was staged, by the metrics."""
    return {m.table_name: m.remote_url for [one] in info.metrics.values() for m in one["job_metrics"].values()}
