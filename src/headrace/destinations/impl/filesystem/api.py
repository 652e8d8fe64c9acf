"""What people call on a filesystem client: files and folders of tables, as dlt's clients name them."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.errors.destination import OpenTableFormatNotSupported
from headrace.load.destination import Client

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration
    from headrace.destinations.impl.filesystem.files import TableFiles
    from headrace.destinations.impl.filesystem.layout import Layout
    from headrace.destinations.impl.filesystem.opentables import OpenTables
    from headrace.destinations.impl.filesystem.records import Records
    from headrace.destinations.impl.filesystem.store import Store


class FilesystemApi(Client):
    """Looking at a dataset's files."""

    config: FilesystemConfiguration
    layout: Layout
    dataset_name: str
    _session: Any

    @cached_property
    @abstractmethod
    def store(self) -> Store:
        """The files."""

    @cached_property
    @abstractmethod
    def records(self) -> Records:
        """Loads, schemas and states."""

    @property
    @abstractmethod
    def files(self) -> TableFiles:
        """The tables' files."""

    @property
    @abstractmethod
    def open_tables(self) -> OpenTables:
        """Delta and Iceberg tables."""

    # ---- places ---------------------------------------------------------------------------------------------------

    @property
    def fs_client(self) -> AbstractFileSystem:
        """The fsspec file system; paths that this client gives are paths of it."""
        return self.store.fs

    @property
    def bucket_path(self) -> str:
        """The root of all datasets."""
        return self._native(self.store.root)

    @property
    def dataset_path(self) -> str:
        """The dataset's folder."""
        return self._native(self.store.path(self.dataset_name))

    @property
    def init_file_path(self) -> str:
        """The file that makes the folder a dataset."""
        return self._native(self.records.init_path)

    def get_storage_versions(self) -> tuple[int, int]:
        """Which layout the dataset was begun with, and which it has."""
        return self.records.versions()

    def get_table_dir(self, table_name: str, remote: bool = False) -> str:
        """The folder in which a table's files lie; as a url if ``remote``."""
        found = self.files.folder(table_name)
        return self.make_remote_url(found) if remote else self._native(found)

    def get_table_dirs(self, table_names: Iterable[str], remote: bool = False) -> list[str]:
        """The folders of tables."""
        return [self.get_table_dir(name, remote) for name in table_names]

    def get_table_prefix(self, table_name: str, schema_name: str | None = None) -> str:
        """How the paths of a table's files begin."""
        return self._native(self.files.prefix(table_name, schema_name))

    def make_remote_url(self, remote_path: str) -> str:
        """A path as a url."""
        return self.store.url_of(remote_path.replace(os.sep, "/") if os.sep != "/" else remote_path)

    def _native(self, path: str) -> str:
        return path.replace("/", os.sep) if os.sep != "/" and self.store.protocol == "file" else path

    # ---- files ----------------------------------------------------------------------------------------------------

    def is_dlt_table(self, table_name: str) -> bool:
        """Whether it is one of the system's tables."""
        return self.schema.is_dlt_table(table_name)

    def list_table_files(self, table_name: str, schema_name: str | None = None) -> list[str]:
        """Paths of all files of a table, sorted."""
        return [self._native(path) for path in self.files.of(table_name, schema_name)]

    def list_files_with_prefixes(self, table_dir: str, prefixes: Iterable[str]) -> list[str]:
        """Paths of files in a folder that begin with one of the prefixes."""
        folder = table_dir.rstrip("/" + os.sep).replace(os.sep, "/") + "/"
        chosen = tuple(prefix.replace(os.sep, "/") for prefix in prefixes)
        return [self._native(path) for path in self.store.list(folder) if path.startswith(chosen)]

    def truncate_tables(self, table_names: Iterable[str]) -> None:
        """Delete all rows of tables."""
        self.empty_tables(list(table_names))

    def read_bytes(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, or some of them."""
        return bytes(self.fs_client.cat_file(path, start, end, **kwargs))

    def read_text(self, path: str, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None) -> str:
        """The text of a file; packed files are unpacked."""
        import gzip

        data = self.read_bytes(path)
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode(encoding, errors)

    # ---- reading --------------------------------------------------------------------------------------------------

    @property
    def sql_client(self) -> Any:
        """A SQL session over the files, in a DuckDB database in memory."""
        if self._session is None:
            from headrace.destinations.impl.filesystem.session import FilesystemSqlClient

            self._session = FilesystemSqlClient(self)
        return self._session

    @property
    def open_table_client(self) -> FilesystemApi:
        """The client of Delta and Iceberg tables: this one."""
        return self

    def is_open_table(self, table_format: str, table_name: str) -> bool:
        """Whether a table is kept in a table format."""
        return self.open_tables.format_of(table_name) == table_format

    def load_open_table(self, table_format: str, table_name: str, **kwargs: Any) -> Any:
        """The library's object of a Delta or Iceberg table.

        Raises:
            OpenTableFormatNotSupported: The table is kept in another format.
        """
        found = self.open_tables.format_of(table_name)
        if found != table_format:
            raise OpenTableFormatNotSupported(table_format, table_name, found or "plain files")
        return self.open_tables.table(table_name).native()

    def get_open_table_location(self, table_format: str, table_name: str) -> str:
        """The folder of a Delta or Iceberg table, as a url."""
        return self.make_remote_url(self.files.folder(table_name))
