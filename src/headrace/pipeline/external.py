"""Schema files for people: an import folder that decides, an export folder that shows."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base import json
from headrace.base.files import write_atomic
from headrace.errors.base import MissingDependencyException

if TYPE_CHECKING:
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")
_FORMATS = ("yaml", "json")


class ExternalSchemas:
    """Imports and exports schemas of a pipeline.

    Args:
        import_path: Folder of schemas that people edit: a changed file replaces the pipeline's schema.
        export_path: Folder that gets a copy whenever a schema changes.
        file_format: ``yaml`` or ``json``; None takes YAML if PyYAML is installed.
    """

    def __init__(self, import_path: str | None, export_path: str | None, file_format: str | None = None) -> None:
        self.import_path = Path(import_path) if import_path else None
        self.export_path = Path(export_path) if export_path else None
        self._format = file_format

    @property
    def file_format(self) -> str:
        """The format in which files are written."""
        if self._format is None:
            self._format = "yaml" if importlib.util.find_spec("yaml") else "json"
        return self._format

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

    def keep_import(self, schema: Schema) -> None:
        """Write the first version of a schema into the import folder, for people to go on from."""
        if self.import_path is None or self._find(schema.name) is not None:
            return
        path = self._write(self.import_path, schema, without_marks=True)
        written = self._parse(path)
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
                return self._parse(path)
        return None

    def _parse(self, path: Path) -> dict[str, Any]:
        text = path.read_text("utf-8")
        found: dict[str, Any] = _yaml().safe_load(text) if path.suffix == ".yaml" else json.loads(text)
        return found

    def _write(self, folder: Path, schema: Schema, without_marks: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        document = schema.to_dict(remove_defaults=True, remove_processing_hints=without_marks)
        if self.file_format == "yaml":
            text = _yaml().safe_dump(document, allow_unicode=True, default_flow_style=False, sort_keys=False)
        else:
            text = json.dumps(document, pretty=True)
        path = folder / f"{schema.name}.schema.{self.file_format}"
        write_atomic(path, text.encode("utf-8"))
        return path


def _yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise MissingDependencyException("A schema file in YAML", ["pyyaml"]) from error
