"""Schema files for people: an import folder that decides, an export folder that shows."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base import json
from headrace.base.files import write_atomic
from headrace.errors.schema import SchemaCorruptedException
from headrace.model.schema_export import from_yaml, to_pretty_yaml

if TYPE_CHECKING:
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")
_FORMATS = ("yaml", "json")
_FIX = "mend the file, or take it away: it is written again from the pipeline's schema"


class ExternalSchemas:
    """Imports and exports schemas of a pipeline.

    Args:
        import_path: Folder of schemas that people edit: a changed file replaces the pipeline's schema.
        export_path: Folder that gets a copy whenever a schema changes.
        file_format: ``yaml`` (also None) or ``json``.
    """

    def __init__(self, import_path: str | None, export_path: str | None, file_format: str | None = None) -> None:
        self.import_path = Path(import_path) if import_path else None
        self.export_path = Path(export_path) if export_path else None
        self.file_format = file_format or "yaml"
        self._writes = True

    def to_read(self) -> ExternalSchemas:
        """The same files, of which none is written."""
        made = ExternalSchemas(None, None, self.file_format)
        made.import_path, made._writes = self.import_path, False
        return made

    def bring_in(self, schema: Schema) -> bool:
        """Replace the schema by its import file, if that has changed since; returns whether it did.

        Raises:
            SchemaCorruptedException: The file holds no valid schema.
        """
        found = self._find(schema.name)
        if found is None:
            return False
        from headrace.model.schema import Schema as Made

        imported = Made.from_dict(found)
        if any("x-normalizer" in table for table in imported.tables.values()):
            logger.warning(
                "the import file of schema `%s` has marks of earlier runs (`x-normalizer`): remove them",
                schema.name,
            )
        content = imported.version_hash
        if content == schema._imported_version_hash:
            return False
        logger.info("schema `%s` is replaced by its import file", schema.name)
        schema.replace_schema_content(imported, link_to_replaced_schema=True)
        schema._imported_version_hash = content
        return True

    def has(self, name: str) -> bool:
        """Whether there is an import file for a schema."""
        return self._find(name) is not None

    def bring_back(self, schema: Schema, dropped: Iterable[str]) -> None:
        """Declare dropped tables again as the import file has them."""
        found = self._find(schema.name)
        if found is None:
            return
        from headrace.model.schema import Schema as Made

        imported = Made.from_dict(found).tables
        for name in reversed([name for name in dropped if name in imported]):
            schema.update_table(imported[name])

    def keep_import(self, schema: Schema) -> None:
        """Write the first version of a schema into the import folder, for people to go on from."""
        if self.import_path is None or not self._writes or self._find(schema.name) is not None:
            return
        path = self._write(self.import_path, schema, without_marks=True)
        written = self._parse(path, schema.name)
        from headrace.model.schema import Schema as Made

        schema._imported_version_hash = Made.from_dict(written).version_hash

    def export(self, schema: Schema) -> None:
        """Write a copy into the export folder."""
        if self.export_path is not None:
            self._write(self.export_path, schema)

    def _find(self, name: str) -> dict[str, Any] | None:
        if self.import_path is None:
            return None
        for file_format in _FORMATS:
            path = self.import_path / f"{name}.schema.{file_format}"
            if path.is_file():
                return self._parse(path, name)
        return None

    def _parse(self, path: Path, name: str) -> dict[str, Any]:
        text = path.read_text("utf-8")
        try:
            found: Any = from_yaml(text) if path.suffix == ".yaml" else json.loads(text)
        except ValueError as error:
            what = f"its file {path} cannot be read."
            raise SchemaCorruptedException(name, what, why=str(error), fix=_FIX) from error
        if not isinstance(found, dict):
            raise SchemaCorruptedException(name, f"its file {path} holds no document of a schema.", fix=_FIX)
        return found

    def _write(self, folder: Path, schema: Schema, without_marks: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        document = schema.to_dict(remove_defaults=True, remove_processing_hints=without_marks)
        text = to_pretty_yaml(document) if self.file_format == "yaml" else json.dumps(document, pretty=True)
        path = folder / f"{schema.name}.schema.{self.file_format}"
        write_atomic(path, text.encode("utf-8"))
        return path
