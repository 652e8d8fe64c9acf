"""Files of tables: how they are called, which belong to a table, and how they get there."""

from __future__ import annotations

import datetime as dt
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.base import failpoints, json
from headrace.base.files import write_atomic
from headrace.destinations.impl.filesystem.layout import FileFacts, Layout
from headrace.destinations.impl.filesystem.rewrite import renamed_file
from headrace.destinations.impl.filesystem.store import TEMPORARY, Store
from headrace.errors.destination import DestinationInvalidFileFormat, DestinationTerminalException
from headrace.formats.options import GZIP_SUFFIX
from headrace.model.effects import Partition, distinct, known

if TYPE_CHECKING:
    from headrace.load.destination import LoadContext
    from headrace.model.jobs import AnyJob, LoadFile
    from headrace.model.schema import Schema


class Upload(msgspec.Struct, frozen=True):
    """A loader file on its way.

    Attributes:
        source: The local file.
        target: Its path in the store.
        table: Whose rows it holds.
    """

    source: Path
    target: str
    table: str


class TableFiles:
    """The files of a dataset's tables.

    Args:
        store: Where.
        dataset: The dataset's folder.
        layout: How files are called.
        schema: The tables.
    """

    def __init__(self, store: Store, dataset: str, layout: Layout, schema: Schema) -> None:
        self._store, self._dataset, self._layout, self._schema = store, dataset, layout, schema

    # ---- names ----------------------------------------------------------------------------------------------------

    def temporary(self, load_id: str) -> str:
        """The folder of files of a load that are being written."""
        return f"{self._dataset}/{TEMPORARY}/{load_id}"

    def prefix(self, table: str, schema_name: str | None = None) -> str:
        """How the paths of a table's files begin."""
        if self._schema.is_dlt_table(table):  # records lie where dlt looks for them, whatever the layout
            return f"{self._dataset}/{table}/"
        return f"{self._dataset}/{self._layout.prefix(schema_name or self._schema.name, table)}"

    def folder(self, table: str) -> str:
        """The folder in which a table's files lie, without a slash at the end."""
        return posixpath.dirname(self.prefix(table))

    def of(self, table: str, schema_name: str | None = None) -> list[str]:
        """Paths of all files of a table, and of no other one."""
        found = self._store.list(self.prefix(table, schema_name))
        if self._schema.is_dlt_table(table):
            return found
        tables = {*self._schema.tables, table}
        name, start = schema_name or self._schema.name, len(self._dataset) + 1
        return [path for path in found if self._layout.owner(path[start:], name, tables) == table]

    def _extension(self, file: LoadFile, gz_in_name: bool) -> str:
        packed = gz_in_name and file.path.endswith(GZIP_SUFFIX)
        return f"{file.format}{GZIP_SUFFIX}" if packed else file.format

    def target(self, file: LoadFile, context: LoadContext, gz_in_name: bool = True) -> str:
        """The path of a loader file's rows in the store."""
        facts = FileFacts(
            context.schema.name,
            file.table,
            context.load_id,
            file.id,
            self._extension(file, gz_in_name),
            dt.datetime.fromtimestamp(context.created_at, dt.timezone.utc),
        )
        return f"{self._dataset}/{self._layout.path(facts)}"

    def plan(self, job: AnyJob, context: LoadContext, gz_in_name: bool) -> list[Upload]:
        """Where each file of a job goes; the same whenever it is asked.

        Raises:
            DestinationTerminalException: Two files would get one name.
            DestinationInvalidFileFormat: A file is missing.
        """
        targets = self._targets(job, context, gz_in_name)
        uploads = []
        for file in job.files:
            source = context.path / file.path
            _check(source, file)
            if renames := context.renames.get(file.table):
                source = renamed_file(source, file, renames, context.path / "renamed")
            uploads.append(Upload(source, targets[file.id], file.table))
        _need_unique(uploads, self._layout)
        return uploads

    def _targets(self, job: AnyJob, context: LoadContext, gz_in_name: bool) -> dict[str, str]:
        if self._layout.is_repeatable:
            return {file.id: self.target(file, context, gz_in_name) for file in job.files}
        # functions of the user's may say something else next time: what they said first is kept
        kept = context.path / f"targets-{job.id}.json"
        if kept.exists():
            found: dict[str, str] = json.loads(kept.read_bytes())
            return {name: f"{self._dataset}/{path}" for name, path in found.items()}
        made = {file.id: self.target(file, context, gz_in_name) for file in job.files}
        start = len(self._dataset) + 1
        write_atomic(kept, json.dumpb({name: path[start:] for name, path in made.items()}), sync=True)
        return made

    def partitions(self, uploads: Sequence[Upload]) -> dict[str, list[Partition]]:
        """By table, the folders that files go to, by the placeholders that the layout makes folders of."""
        start, found = len(self._dataset) + 1, dict[str, "list[Partition] | None"]()
        for table in dict.fromkeys(upload.table for upload in uploads):
            paths = [upload.target[start:] for upload in uploads if upload.table == table]
            parts = [self._layout.partition(path, self._schema.name, table) for path in paths]
            told = [part for part in parts if part]
            found[table] = distinct(told) if told and len(told) == len(parts) else None
        return known(found)

    # ---- acts -----------------------------------------------------------------------------------------------------

    def put(self, uploads: Sequence[Upload], load_id: str) -> None:
        """Bring files to their places."""
        self._store.upload_all([(upload.source, upload.target) for upload in uploads], self.temporary(load_id))
        self._store.settle(upload.target for upload in uploads)

    def empty(self, tables: Iterable[str], keep: Iterable[str] = ()) -> None:
        """Delete the files of tables, but for some."""
        kept = set(keep)
        for table in tables:
            gone = [path for path in self.of(table) if path not in kept]
            self._store.delete(gone)
            failpoints.hit("files.removed")
            self._store.settle(gone)

    def drop(self, table: str) -> None:
        """Delete all that is in a table's folder, or its files where it has no folder of its own."""
        prefix = self.prefix(table)
        if prefix.endswith("/"):
            self._store.delete_tree(prefix.rstrip("/"))
        else:
            self._store.delete(self.of(table))


def _check(source: Path, file: LoadFile) -> None:
    """Refuse a loader file that is not the one that normalize wrote: nothing reads it on its way."""
    is_own = not Path(file.path).is_absolute()
    size = source.stat().st_size if source.is_file() else None
    if size is None or (is_own and file.size and size != file.size):
        found = f"there is no file {source}" if size is None else f"it had {file.size} bytes, and now has {size}"
        raise DestinationInvalidFileFormat("filesystem", file.format, file.path, found)


def _need_unique(uploads: Sequence[Upload], layout: Layout) -> None:
    for first, second in _pairs(uploads):
        raise DestinationTerminalException(
            f"Two files of table `{first.table}` would be called {first.target}.",
            why=f"the layout `{layout.template}` gives {first.source.name} and {second.source.name} the same name",
            fix="add {file_id} to the layout",
        )


def _pairs(uploads: Sequence[Upload]) -> Iterator[tuple[Upload, Upload]]:
    seen: dict[str, Upload] = {}
    for upload in uploads:
        if (other := seen.setdefault(upload.target, upload)) is not upload:
            yield other, upload
