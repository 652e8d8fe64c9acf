"""Folders of files as a staging place: loader files on their way to another destination."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from headrace.destinations.impl.filesystem.errors import translated
from headrace.errors.destination import DestinationUndefinedEntity
from headrace.load.staging import StagingPlace, file_has_gone
from headrace.model.jobs import Copy, LoadFile

if TYPE_CHECKING:
    from headrace.destinations.impl.filesystem.client import FilesystemClient
    from headrace.destinations.impl.filesystem.files import Upload
    from headrace.load.destination import LoadContext

# what is read ahead of a reader that jumps (Parquet) or goes on (text)
_BLOCK = 4 * 1024 * 1024


class FilesystemStaging(StagingPlace):
    """The files of a dataset's folder, called by the destination's layout. It has no records of loads.

    Args:
        client: Of the dataset.
    """

    def __init__(self, client: FilesystemClient) -> None:
        self._client = client

    def _doing(self, what: str) -> AbstractContextManager[None]:
        return translated(what, f"dataset `{self._client.dataset_name}` in {self._client.config.display_url()}")

    @property
    def credentials(self) -> Any:
        """The destination's credentials."""
        return self._client.config.credentials

    def _plan(self, file: LoadFile, context: LoadContext) -> Upload:
        # the file as it is: what its columns are called in the table is the loading destination's affair
        plain = msgspec.structs.replace(context, renames={})
        job = Copy(id=f"stage-{file.id}", tables=[file.table], files=[file])
        return self._client.files.plan(job, plain, gz_in_name=True)[0]

    def url_of(self, file: LoadFile, context: LoadContext) -> str:
        """Where a file is or will be."""
        with self._doing(f"naming a file of table `{file.table}`"):
            return self._client.make_remote_url(self._plan(file, context).target)

    def put(self, files: Sequence[LoadFile], context: LoadContext) -> None:
        """Bring files to the store, several at a time."""
        tables = ", ".join(f"`{name}`" for name in dict.fromkeys(file.table for file in files))
        with self._doing(f"staging files of {tables}"):
            self._client.files.put([self._plan(file, context) for file in files], context.load_id)

    def has(self, file: LoadFile, context: LoadContext) -> bool:
        """Whether the file is there, with all its bytes."""
        with self._doing(f"looking for a staged file of table `{file.table}`"):
            upload = self._plan(file, context)
            try:
                found = self._client.store.fs.info(upload.target)
            except FileNotFoundError:
                return False
            return bool(found["size"] == upload.source.stat().st_size)

    def _path(self, url: str) -> str:
        store = self._client.store
        return store.root + url[len(store.url) :]

    def open(self, url: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            DestinationTransientException: It has gone; the next attempt at the job brings it again.
        """
        try:
            with self._doing(f"reading the staged file {url}"):
                opened: BinaryIO = self._client.store.fs.open(self._path(url), "rb", block_size=_BLOCK)
                return opened
        except DestinationUndefinedEntity as error:
            raise file_has_gone(url) from error

    def local_path(self, url: str) -> Path | None:
        """The file's path, where the store is a disk."""
        return Path(self._path(url)) if self._client.store.protocol == "file" else None

    def loads_of(self, tables: Iterable[str]) -> dict[str, list[str]]:
        """Urls of all files of tables, by load id; files whose names do not tell are left out."""
        client, found = self._client, dict[str, list[str]]()
        start = len(client.store.path(client.dataset_name)) + 1
        with self._doing("looking for files of earlier loads"):
            for table in tables:
                for path in client.files.of(table):
                    load_id = client.layout.load_id(path[start:], client.schema.name, table)
                    if load_id is not None:
                        found.setdefault(load_id, []).append(client.make_remote_url(path))
        return found

    def delete(self, urls: Iterable[str]) -> None:
        """Delete files."""
        with self._doing("deleting staged files"):
            self._client.store.delete(self._path(url) for url in urls)

    def tidy(self, load_id: str) -> None:
        """Delete the folder of half written files."""
        with self._doing("deleting temporary files"):
            self._client.store.tidy(self._client.files.temporary(load_id))
