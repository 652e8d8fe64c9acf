"""Load example_source: CSV and Parquet files of a folder, each file once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet

import headrace


@headrace.source
def example_source(folder: str = headrace.config.value) -> Any:
    """A resource for each file, named after it.

    Args:
        folder: Where the files are; in .dlt/config.toml.
    """
    for path in sorted(Path(folder).glob("*.*")):
        if path.suffix in (".csv", ".parquet"):
            yield headrace.resource(tables(path), name=path.stem, write_disposition="replace")


def tables(path: Path) -> Iterator[Any]:
    """A file as Arrow tables: their columns are loaded as they are, and no row becomes a Python object."""
    if path.suffix == ".parquet":
        yield from pyarrow.parquet.ParquetFile(path).iter_batches()
    else:
        with pyarrow.csv.open_csv(path) as reader:
            yield from reader


if __name__ == "__main__":
    pipeline = headrace.pipeline("example_pipeline", destination="duckdb", dataset_name="example_data")
    print(pipeline.run(example_source()))
