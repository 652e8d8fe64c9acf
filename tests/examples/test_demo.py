"""The demo runs as it stands, on all of its data (a few seconds)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo prints, and its folder."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), str(folder / "data")],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "HEADRACE_DATA_DIR": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder / "data"


def ask(demo: tuple[str, Path], sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(demo[1] / "demo.duckdb"), read_only=True) as connection:
        connection.execute("SET search_path = 'travel'; SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


class TestDemo:
    def test_all_flights_are_there_once(self, demo: tuple[str, Path]) -> None:
        """336,776 flights left New York in 2013; the two runs have loaded each of them once."""
        sql = "SELECT count(*), count(DISTINCT (carrier, flight, origin, time_hour)) FROM flights"
        assert ask(demo, sql) == [(336_776, 336_776)]

    def test_the_second_run_moves_the_last_day_only(self, demo: tuple[str, Path]) -> None:
        assert moved(demo[0]) == [336_000, 776]
        assert ask(demo, "SELECT count(*) FROM flights WHERE month = 12 AND day = 31") == [(776,)]

    def test_no_city_moves_twice(self, demo: tuple[str, Path]) -> None:
        assert ask(demo, "SELECT count(DISTINCT _dlt_load_id), count(*) = count(DISTINCT geonameid) FROM cities") == [
            (1, True)
        ]

    def test_names_of_cities_are_a_table_that_knows_its_parent(self, demo: tuple[str, Path]) -> None:
        orphans = "SELECT count(*) FROM cities__alternatenames a ANTI JOIN cities c ON a._dlt_parent_id = c._dlt_id"
        assert ask(demo, orphans) == [(0,)]
        sql = "SELECT count(*) > 900_000, min(_dlt_list_idx) FROM cities__alternatenames"
        assert ask(demo, sql) == [(True, 0)]

    def test_both_sources_are_loaded_twice_and_whole(self, demo: tuple[str, Path]) -> None:
        sql = "SELECT schema_name, count(*) FROM _dlt_loads WHERE status = 0 GROUP BY ALL ORDER BY ALL"
        assert ask(demo, sql) == [("geography", 2), ("new_york", 2)]

    def test_it_shows_the_trace_and_an_answer(self, demo: tuple[str, Path]) -> None:
        text = demo[0]
        assert "completed in" in text
        assert "Chicago (ORD)" in text


def moved(text: str) -> list[int]:
    """Rows of flights in the lists of what moved."""
    lists = [part.partition("===")[0] for part in text.split("rows that moved:")[1:]]
    lines = [line.split() for part in lists for line in part.splitlines()]
    return [int(words[1].replace(",", "")) for words in lines if words and words[0] == "flights"]
