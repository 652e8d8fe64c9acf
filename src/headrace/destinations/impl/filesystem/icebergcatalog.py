"""Where Iceberg tables are registered: nowhere but in their own folder, or in a catalog that the user has configured.

Without a catalog the newest metadata file in a table's folder is the table, as dlt leaves it. The name of the next
metadata file follows from the table's location and the number of the version, and the file is only written if it is not
there: of two writers one comes too late, and knows it.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.fs
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata
from pyiceberg.utils.config import Config

from headrace.config.resolve import resolve_configuration
from headrace.destinations.impl.filesystem.catalogsettings import IcebergCatalogConfiguration
from headrace.destinations.impl.filesystem.lakefiles import Moved
from headrace.destinations.impl.filesystem.tableformats import TablePlace

_METADATA = re.compile(r"(\d+)-.*\.metadata\.json")
_NAMES = uuid.UUID("8c6f4f0e-6f0b-4c1e-9a51-3f2d1f4f8a10")


def location_of(place: TablePlace) -> str:
    """A table's folder as Iceberg writes it."""
    return f"file://{place.url}" if place.protocol == "file" else place.url


def file_options(place: TablePlace) -> dict[str, str]:
    """Options of pyiceberg's file access, from the credentials."""
    convert = getattr(place.credentials, "to_pyiceberg_fileio_config", None)
    found = convert() if convert is not None else {}
    return {name: str(value) for name, value in found.items() if value is not None}


def open_catalog(place: TablePlace) -> Catalog:
    """The catalog of a table."""
    settings = resolve_configuration(IcebergCatalogConfiguration(), sections=("iceberg_catalog",))
    name = settings.iceberg_catalog_name
    own = settings.iceberg_catalog_config or {}
    if settings.iceberg_catalog_type is None and not own and Config().get_catalog_config(name) is None:
        return FolderCatalog(place)
    given = {key: str(value) for key, value in own.items()}
    kind = {"type": settings.iceberg_catalog_type} if settings.iceberg_catalog_type else {}
    return _loaded(name, tuple(sorted({**file_options(place), **given, **kind}.items())))


@cache
def _loaded(name: str, options: tuple[tuple[str, str], ...]) -> Catalog:
    return load_catalog(name, **dict(options))


class OneTry:
    """A catalog that tells `Moved` when another writer was faster: pyiceberg itself would try again, blindly."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        """Commit, once."""
        try:
            return self._catalog.commit_table(table, requirements, updates)
        except CommitFailedException as error:
            raise Moved from error


class FolderCatalog(NoopCatalog):
    """The catalog of one table that is only in its folder."""

    def __init__(self, place: TablePlace) -> None:
        super().__init__("folder")
        self._place, self._location = place, location_of(place)
        self._io = PyArrowFileIO(file_options(place))
        scheme, netloc, self._path = PyArrowFileIO.parse_location(self._location, self._io.properties)
        self._filesystem = self._io.fs_by_scheme(scheme, netloc)

    def _metadata_name(self, version: int) -> str:
        return f"{version:05d}-{uuid.uuid5(_NAMES, f'{self._location}#{version}')}.metadata.json"

    def _newest(self) -> tuple[int, str] | None:
        folder = pyarrow.fs.FileSelector(f"{self._path}/metadata", allow_not_found=True)
        names = [info.base_name for info in self._filesystem.get_file_info(folder)]
        found = [(int(match.group(1)), name) for name in names if (match := _METADATA.fullmatch(name))]
        return max(found, default=None)

    def load_table(self, identifier: Any) -> Table:
        """The newest version.

        Raises:
            NoSuchTableError: There is no metadata file.
        """
        newest = self._newest()
        if newest is None:
            raise NoSuchTableError(f"no metadata file in {self._location}")
        location = f"{self._location}/metadata/{newest[1]}"
        metadata = FromInputFile.table_metadata(self._io.new_input(location))
        return Table(identifier, metadata, location, self._io, self)

    def create_table(
        self,
        identifier: Any,
        schema: Any,
        location: str | None = None,
        partition_spec: Any = UNPARTITIONED_PARTITION_SPEC,
        sort_order: Any = UNSORTED_SORT_ORDER,
        properties: Any = None,
    ) -> Table:
        """Write the first version.

        Raises:
            Moved: There is one.
        """
        metadata = new_table_metadata(
            location=self._location,
            schema=schema,
            partition_spec=partition_spec,
            sort_order=sort_order,
            properties=dict(properties or {}),
        )
        return Table(identifier, metadata, self._write(0, metadata), self._io, self)

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        """Write the next version, if it still is the next one.

        Raises:
            Moved: It is not.
        """
        newest = self._newest()
        if newest is None or not table.metadata_location.endswith(f"/{newest[1]}"):
            raise Moved
        for requirement in requirements:
            requirement.validate(table.metadata)
        metadata = update_table_metadata(table.metadata, updates, False, table.metadata_location)
        location = self._write(newest[0] + 1, metadata)
        made: Any = {"metadata": metadata, "metadata-location": location}
        return CommitTableResponse(**made)

    def _write(self, version: int, metadata: TableMetadata) -> str:
        name = self._metadata_name(version)
        data = metadata.model_dump_json(exclude_none=True).encode()
        if self._place.protocol == "file":
            _create_local(Path(self._place.url, "metadata"), name, data)
        else:
            self._create_remote(f"{self._place.url}/metadata/{name}", data)
        return f"{self._location}/metadata/{name}"

    def _create_remote(self, url: str, data: bytes) -> None:
        from headrace.destinations.impl.filesystem.store import open_store

        store = open_store(self._place.settings, "")
        path = str(store.fs._strip_protocol(url))
        try:
            store.fs.pipe_file(path, data, mode="create")
        except FileExistsError as error:
            raise Moved from error

    def drop_table(self, identifier: Any) -> None:
        """Delete the folder."""
        if self._place.protocol == "file":
            shutil.rmtree(self._place.url, ignore_errors=True)
        elif self._newest() is not None:
            # the data last: while there is metadata, there is a table
            self._filesystem.delete_dir(f"{self._path}/metadata")
            self._filesystem.delete_dir(self._path)


def _create_local(folder: Path, name: str, data: bytes) -> None:
    """Write a file whole, or not at all if there is one.

    Raises:
        Moved: There is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, folder / name)
    except FileExistsError as error:
        raise Moved from error
    finally:
        temporary.unlink()
