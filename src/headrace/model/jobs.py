"""Files of a package and the jobs that bring them to a destination."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec


class SpoolFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What extract left of one resource table: raw Arrow frames, or a file given by the user.

    Attributes:
        path: Relative to the package folder. What is left of several resources of a table may be in one file.
        table: The root table's name, normalized.
        resource: The resource that yielded the rows.
        kind: ``rows`` (shredded documents), ``arrow`` (tables as the user gave them), ``file`` (an imported file) or
            ``empty`` (no rows: the table is to be made, or emptied on replace).
        rows: Rows of the root table.
        size: Bytes on disk.
        at: Where it begins in the file.
        shape: For ``rows``: what was seen where, as `columns.shape.Shape` writes it. For ``arrow``: the columns as the
            user called them, in the first file that has them.
        start: Rows of the table that lie in earlier files of the same resource.
        others: Further resources whose rows may be among them; only in packages made before each had files of its own.
    """

    path: str
    table: str
    resource: str = ""
    kind: str = "rows"
    rows: int = 0
    size: int = 0
    at: int = 0
    format: str = "arrow"
    shape: dict[str, Any] = {}
    start: int = 0
    others: list[str] = []


def shared_tables(files: Iterable[SpoolFile]) -> set[str]:
    """The root tables that several resources write."""
    owner: dict[str, str] = {}
    return {f.table for f in files if owner.setdefault(f.table, f.resource) != f.resource or f.others}


class LoadFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A loader file: rows of one table, ready to be copied.

    Attributes:
        id: The file's id, unique in the package.
        table: Name of the table in the schema.
        path: Relative to the package folder; absolute for a file that the user imported.
        format: ``arrow``, ``parquet``, ``jsonl``, ``csv``, …
        rows: How many rows it holds.
        size: Bytes on disk.
        columns: Names of the columns in the file, in order; a subset of the table's.
        nulls: How many values are missing in each of `columns`; empty for files that normalize did not write itself.
        remote: Where the file is in the staging place, as a url; empty for files that are loaded from the package.
            Filled when the job begins, not in the plan: the place may have moved since.
        resource: Whose rows they are, where several resources write the table; empty where only one does, and where
            `shares` says it.
        shares: How many rows are of which resource, where it holds rows of several that write the table.
    """

    id: str
    table: str
    path: str
    format: str
    rows: int
    size: int = 0
    columns: list[str] = []
    nulls: list[int] = []
    remote: str = ""
    resource: str = ""
    shares: dict[str, int] = {}

    @property
    def by_resource(self) -> dict[str, int]:
        """Its rows by resource, where several write the table; empty where only one does, or nobody has noted it."""
        return self.shares or ({self.resource: self.rows} if self.resource else {})

    @property
    def name(self) -> str:
        """The file's name as the field writes it: table, id, retry count, format."""
        return f"{self.table}.{self.id}.0.{self.format}"


class Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="job", omit_defaults=True):
    """One idempotent act on the destination, known by ``load_id.id``.

    Attributes:
        id: Unique in the package and the same whenever the package is planned again.
        tables: The tables it writes, root first.
        after: Ids of jobs that must be done before.
        files: The files it reads.
    """

    id: str
    tables: list[str] = []
    after: list[str] = []
    files: list[LoadFile] = []

    @property
    def kind(self) -> str:
        """The name of the act, lower case."""
        return type(self).__name__.lower()


class Copy(Job, frozen=True, tag=True):
    """Append the files' rows to their tables. Several small files may share a job, and so a transaction."""


class Truncate(Job, frozen=True, tag=True):
    """Empty the tables (replace with the ``truncate-and-insert`` strategy)."""


class Replace(Job, frozen=True, tag=True):
    """Put the files' rows in the place of all rows of the table chain, at once."""

    strategy: str = "insert-from-staging"


class Merge(Job, frozen=True, tag=True):
    """Merge the files' rows into the table chain by the strategy."""

    strategy: str = "delete-insert"


class Upload(Job, frozen=True, tag=True):
    """Bring the files to the staging place, from where the job that waits for this one loads them.

    It writes no table. The destination's client never sees it.
    """


AnyJob = Copy | Truncate | Replace | Merge
PlannedJob = AnyJob | Upload
