"""Which columns an imported file has: what its head says. Worker only, and only while the file is there."""

from __future__ import annotations

import csv
import gzip
import io
import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from headrace.base import json

if TYPE_CHECKING:
    from headrace.model.jobs import SpoolFile

logger = logging.getLogger("headrace")

MOST_FILES = 64
"""Heads of one table's files that are read; columns that only later ones have are not known."""


_LONGEST_LINE = 1024 * 1024


def columns_of_files(files: Iterable[SpoolFile]) -> list[str]:
    """Names of columns that imported files of one table have.

    Of jsonl it is the keys of the first line; of a file that is gone, or of another format, nothing.
    """
    found: dict[str, None] = {}
    for file in islice(files, MOST_FILES):
        try:
            found.update(dict.fromkeys(_head(Path(file.path), file.format)))
        except Exception as error:  # noqa: BLE001 - what cannot be read is not known, and said so by the columns left out
            logger.debug("lineage: the head of %s: %s", file.path, error)
    return list(found)


def _head(path: Path, file_format: str) -> list[str]:
    if file_format == "parquet":
        from pyarrow import parquet

        return list(parquet.read_schema(path).names)
    if file_format == "csv":
        with io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="") as text:
            return next(csv.reader(text), [])
    if file_format == "jsonl":
        with _opened(path) as lines:
            first = json.loads(lines.readline(_LONGEST_LINE))
        return list(first) if isinstance(first, dict) else []
    return []


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path) if path.suffix == ".gz" else path.open("rb"))
