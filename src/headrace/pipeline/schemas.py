"""The schemas of a pipeline: live objects, each with a file that is written only when its hash has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.base import json
from headrace.base.files import write_atomic
from headrace.errors.package import SchemaFileDamaged, SchemaNotFoundError
from headrace.model.schema import Schema
from headrace.pipeline.external import ExternalSchemas

if TYPE_CHECKING:
    from headrace.typing import TStoredSchema

_SUFFIX = ".schema.json"


class SchemaStore(Mapping[str, Schema]):
    """Schemas by name.

    Args:
        folder: Where the files are; made with the first one.
        external: Files that users edit, and copies for them to read.
        prepare: Called with every schema that becomes live: sets its naming to what the destination wants.
    """

    def __init__(self, folder: Path, external: ExternalSchemas, prepare: Callable[[Schema], None]) -> None:
        self.folder, self.external, self._prepare = folder, external, prepare
        self._live: dict[str, Schema] = {}
        self._saved: dict[str, str | None] = {}
        self._stamps: dict[str, tuple[int, int] | None] = {}

    # ---- Mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Schema:
        schema = self.find(name)
        if schema is None:
            raise SchemaNotFoundError(name, str(self.folder))
        return schema

    def find(self, name: str | None) -> Schema | None:
        """The schema of a name, None when there is none."""
        return None if not name else self._live.get(name) or self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._live, *self._stored()}))

    def __len__(self) -> int:
        return len({*self._live, *self._stored()})

    def __contains__(self, name: object) -> bool:
        return name in self._live or (isinstance(name, str) and self._path(name).is_file())

    def _stored(self) -> list[str]:
        try:
            return [name.removesuffix(_SUFFIX) for name in os.listdir(self.folder) if name.endswith(_SUFFIX)]  # noqa: PTH208
        except FileNotFoundError:
            return []

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"

    # ---- reading --------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> Schema | None:
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            schema = parse_schema(json.loads(data))
        except ValueError as error:
            raise SchemaFileDamaged(str(self._path(name)), self.folder.parent.name, str(error)) from error
        self._saved[name] = schema.stored_version_hash
        self._stamps[name] = self._look(name)
        self.external.bring_in(schema)
        self._prepare(schema)
        self._live[name] = schema
        return schema

    def refresh(self) -> None:
        """Forget live schemas whose files another process has changed."""
        for name in list(self._live):
            if name in self._stamps and self._look(name) != self._stamps[name]:
                self.discard(name)

    def _look(self, name: str) -> tuple[int, int] | None:
        try:
            found = self._path(name).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size

    def beside(self, folder: Path, external: ExternalSchemas, prepare: Callable[[Schema], None]) -> SchemaStore:
        """A store of copies of all schemas, as they are in memory, in another folder; arguments as of the class."""
        made = SchemaStore(folder, external, prepare)
        for name in self:
            made.save(self[name].clone())
        return made

    # ---- changing -------------------------------------------------------------------------------------------------

    def renew(self, schema: Schema) -> None:
        """Bring a live schema up to what people want by now: its import file, the naming that is configured.

        Raises:
            TableIdentifiersFrozen: Another naming convention is asked for, and a table has data.
        """
        self.external.bring_in(schema)
        self._prepare(schema)

    def add(self, schema: Schema) -> Schema:
        """Make a schema live; an import file of the same name comes first."""
        self.external.bring_in(schema)
        self._prepare(schema)
        self._live[schema.name] = schema
        return schema

    def put(self, schema: Schema) -> None:
        """Put a schema in the place of the one of that name, in memory and on disk."""
        self._prepare(schema)
        self._live[schema.name] = schema
        self._saved.pop(schema.name, None)
        self.save(schema)

    def save(self, schema: Schema) -> bool:
        """Write the schema's file if its content is new; returns whether it was."""
        self._live[schema.name] = schema
        schema.bump_version()
        name, version_hash = schema.name, schema.stored_version_hash
        if name in self._saved and self._saved[name] == version_hash:
            return False
        self.external.keep_import(schema)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path(name), json.dumpb(schema.to_dict(bump_version=False)))
        self._saved[name], self._stamps[name] = version_hash, self._look(name)
        self.external.export(schema)
        return True

    def discard(self, name: str | None = None) -> None:
        """Throw away what was not saved, of one schema or of all; they are read again when asked for."""
        for gone in [name] if name is not None else list(self._live):
            self._live.pop(gone, None)
            self._saved.pop(gone, None)
            self._stamps.pop(gone, None)

    def remove(self, name: str) -> None:
        """Delete a schema from disk and memory."""
        self._path(name).unlink(missing_ok=True)
        self.discard(name)

    def remove_all(self) -> None:
        """Delete all schemas from disk and memory."""
        for name in self._stored():
            self._path(name).unlink(missing_ok=True)
        self.discard()


def parse_schema(document: TStoredSchema) -> Schema:
    """A schema of a stored document; only one of an older layout takes the long way."""
    if document.get("engine_version") == Schema.ENGINE_VERSION:
        return Schema.from_stored_schema(document)
    return Schema.from_dict(document)
