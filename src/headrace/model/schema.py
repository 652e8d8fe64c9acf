"""`Schema`: tables, columns and settings of one source, versioned by the hash of their content.

The tables are plain dictionaries, and these dictionaries are the data: users read and change them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from headrace.errors.schema import (
    IncompatibleSchemaException,
    ParentTableNotFoundException,
    SchemaCorruptedException,
)
from headrace.model import naming as conventions
from headrace.model import schema_document as documents
from headrace.model.schema_naming import SchemaNames
from headrace.model.schema_settings import (
    STANDARD_DETECTIONS,
    STANDARD_HINTS,
    merge_hints,
)
from headrace.model.schema_text import SchemaText
from headrace.model.schema_upgrade import upgrade
from headrace.model.tables import (
    ensure_compatible_tables,
    loads_table,
    merge_table,
    table_of,
    version_table,
)
from headrace.model.tables import remove_processing_hints as without_processing_hints
from headrace.typing import (
    TSchemaTables,
    TStoredSchema,
    TTableSchema,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class Schema(SchemaText):
    """What the data of one source looks like, and by which rules it may change.

    Args:
        name: A Python identifier of at most 64 characters.
        normalizers: ``{"names": <naming convention>, "json": {"module": …, "config": …}}``; what is missing gets its
            default.

    Raises:
        InvalidSchemaName: The name cannot be one.
    """

    ENGINE_VERSION: ClassVar[int] = documents.ENGINE_VERSION

    def __init__(self, name: str, normalizers: Mapping[str, Any] | None = None) -> None:
        self._reset(name, normalizers)
        for table in (version_table(), loads_table()):
            spelled = self._names.normalized(table)
            self._tables[spelled["name"]] = spelled
        self._settings["detections"] = list(STANDARD_DETECTIONS)
        merge_hints(self._settings, self._spelled_hints(STANDARD_HINTS), replace=False)
        self._compile_settings()

    def _reset(self, name: str, normalizers: Mapping[str, Any] | None) -> None:
        self._name = documents.check_name(name)
        self._tables: TSchemaTables = {}
        self._settings: dict[str, Any] = {}
        self._stored_version = 1
        self._stored_version_hash: str | None = None
        self._previous_hashes: list[str] = []
        self._imported_version_hash: str | None = None
        self._description: str | None = None
        self._set_normalizers(normalizers or {}, None)
        self._compile_settings()

    def _set_normalizers(self, config: Mapping[str, Any], max_length: int | None) -> None:
        names = config.get("names") or conventions.default_ref()
        naming = conventions.get(names)(max_length)
        found = {**config, "names": conventions.ref_of(names)}
        found["json"] = config.get("json") or {"module": documents.RELATIONAL}
        self._names = SchemaNames(self._name, naming, found.get("use_break_path_on_normalize") is not False)
        self._normalizers: dict[str, Any] = found

    # ---- from and to documents ---------------------------------------------------------------------------------------

    @classmethod
    def from_dict(
        cls,
        d: Mapping[str, Any],
        remove_processing_hints: bool = False,
        bump_version: bool = True,
        validate_schema: bool = True,
    ) -> Self:
        """A schema of a stored document, which may be of an older layout or in the short form; it is not changed.

        Args:
            d: The document.
            remove_processing_hints: Whether to drop the marks of earlier runs.
            bump_version: Whether a changed content becomes a new version at once.
            validate_schema: Whether to look for misspelled properties and unknown types.

        Raises:
            SchemaCorruptedException: Something is missing or unknown.
            SchemaEngineNoUpgradePathException: The layout is not known.
        """
        document = documents.copy_document(dict(d))
        for key in ("name", "tables"):
            if key not in document:
                raise SchemaCorruptedException(document.get("name"), f"its document has no `{key}`.")
        document.setdefault("version", 1)
        document.setdefault("settings", {})
        document.setdefault("normalizers", {})
        upgrade(document)
        documents.apply_defaults(document)
        if remove_processing_hints:
            document["tables"] = without_processing_hints(document["tables"])
        if validate_schema:
            documents.validate(document)
        if bump_version:
            documents.bump_version(document)
        return cls.from_stored_schema(document)

    @classmethod
    def from_stored_schema(cls, stored_schema: TStoredSchema) -> Self:
        """A schema of a document of the present layout; takes over its tables and settings without copying."""
        schema = cls.__new__(cls)
        schema._take(stored_schema)
        return schema

    def _take(self, document: TStoredSchema) -> None:
        self._reset(document["name"], document.get("normalizers"))
        self._tables = document["tables"]
        for name in (self.version_table_name, self.loads_table_name):
            if name not in self._tables:
                raise SchemaCorruptedException(self._name, f"the system table `{name}` is missing.")
        self._settings = document.get("settings") or {}
        self._stored_version = document["version"]
        self._stored_version_hash = document.get("version_hash")
        self._previous_hashes = list(document.get("previous_hashes") or [])
        self._imported_version_hash = document.get("imported_version_hash")
        self._description = document.get("description")
        self._compile_settings()

    def _document(self) -> TStoredSchema:
        """The stored form with the version as it was stored, sharing tables and settings."""
        document: TStoredSchema = {
            "version": self._stored_version,
            "version_hash": self._stored_version_hash,
            "engine_version": self.ENGINE_VERSION,
            "name": self._name,
            "tables": self._tables,
            "settings": self._settings,
            "normalizers": self._normalizers,
            "previous_hashes": self._previous_hashes,
        }
        if self._imported_version_hash:
            document["imported_version_hash"] = self._imported_version_hash
        if self._description:
            document["description"] = self._description
        return document

    def _current(self) -> TStoredSchema:
        document = self._document()
        documents.bump_version(document)
        return document

    def to_dict(
        self, remove_defaults: bool = False, remove_processing_hints: bool = False, bump_version: bool = True
    ) -> TStoredSchema:
        """The stored form, as a copy.

        Args:
            remove_defaults: Whether to leave out what goes without saying, as in files that people edit.
            remove_processing_hints: Whether to leave out the marks of earlier runs.
            bump_version: Whether to state version and hash of the present content; else those last stored.
        """
        document = self._document()
        if remove_processing_hints:
            document["tables"] = without_processing_hints(document["tables"])
        if bump_version:
            documents.bump_version(document)
        document = documents.copy_document(document)
        return documents.remove_defaults(document) if remove_defaults else document

    def clone(
        self, with_name: str | None = None, remove_processing_hints: bool = False, update_normalizers: bool = False
    ) -> Self:
        """A copy.

        Args:
            with_name: Another name; the copy then starts at version 1 without history.
            remove_processing_hints: Whether to leave out the marks of earlier runs.
            update_normalizers: Whether the copy takes up what `normalizers` say by now; see `update_normalizers`.
        """
        document = documents.copy_document(self._document())
        if remove_processing_hints:
            document["tables"] = without_processing_hints(document["tables"])
        if with_name is not None and with_name != self._name:
            document.update(name=documents.check_name(with_name), version=1, version_hash=None, previous_hashes=[])
            document.pop("imported_version_hash", None)
        copy = type(self).from_stored_schema(document)
        if update_normalizers:
            copy._names = self._names
            copy.update_normalizers()
        else:
            copy._set_normalizers(self._normalizers, self.naming.max_length)
        return copy

    def replace_schema_content(self, schema: Schema, link_to_replaced_schema: bool = False) -> None:
        """Become another schema, in place.

        Args:
            schema: The one to become; it is copied.
            link_to_replaced_schema: Whether to remember the present hash among the previous ones.
        """
        replaced, max_length = self._stored_version_hash or self.version_hash, self.naming.max_length
        document = schema.to_dict()
        self._take(document)
        self._set_normalizers(self._normalizers, max_length)
        if link_to_replaced_schema and replaced != self._stored_version_hash:
            self._previous_hashes = documents.push_hash(self._previous_hashes, replaced)

    # ---- version -----------------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The version of the present content: one more than the stored one when the content has changed."""
        return int(self._current()["version"])

    @property
    def stored_version(self) -> int:
        """The version that was last stored."""
        return self._stored_version

    @property
    def version_hash(self) -> str:
        """The hash of the present content."""
        return documents.version_hash(self._document())

    @property
    def stored_version_hash(self) -> str | None:
        """The hash that was last stored; None for a new schema."""
        return self._stored_version_hash

    @property
    def previous_hashes(self) -> Sequence[str]:
        """Hashes of earlier versions, the newest first."""
        return list(self._current()["previous_hashes"])

    @property
    def is_modified(self) -> bool:
        """Whether the content differs from what was last stored."""
        return self.version_hash != self._stored_version_hash

    @property
    def is_new(self) -> bool:
        """Whether the schema was never stored."""
        return self._stored_version_hash is None

    def bump_version(self) -> tuple[int, str]:
        """Make the present content the stored version; returns version and hash."""
        document = self._current()
        self._stored_version, self._stored_version_hash = document["version"], document["version_hash"]
        self._previous_hashes = document["previous_hashes"]
        return self._stored_version, document["version_hash"]

    _bump_version = bump_version

    # ---- changes -----------------------------------------------------------------------------------------------------

    def update_table(
        self, partial_table: TTableSchema, normalize_identifiers: bool = True, merge_compound_props: bool = True
    ) -> TTableSchema:
        """Add a table, or put changes into one.

        Args:
            partial_table: The table or what changes of it: at least the name. It is not changed.
            normalize_identifiers: Whether names still have to be spelled by the naming convention.
            merge_compound_props: Whether keys add up; else a key set here replaces the stored one.

        Returns:
            What was given, with normalized names.

        Raises:
            ParentTableNotFoundException: It is nested in a table that does not exist.
            TablePropertiesConflictException: The stored table has another parent.
        """
        partial = self._names.normalized(partial_table) if normalize_identifiers else partial_table
        name, parent = partial["name"], partial.get("parent")
        if parent and parent not in self._tables:
            raise ParentTableNotFoundException(self._name, name, parent)
        stored = self._tables.get(name)
        if stored is None:
            columns = {n: {**c} for n, c in partial.get("columns", {}).items()}
            self._tables[name] = cast(TTableSchema, {**partial, "columns": columns})
        else:
            merge_table(self._name, stored, partial, merge_compound_props)
        return partial

    def update_schema(self, schema: Schema) -> None:
        """Put the tables and settings of another schema into this one."""
        for table in schema.tables.values():
            self.update_table(table, normalize_identifiers=False)
        for key, value in documents.copy_document(schema._settings).items():
            mine = self._settings.get(key)
            self._settings[key] = {**mine, **value} if isinstance(mine, dict) and isinstance(value, dict) else value
        self._compile_settings()

    def unify_schemas(self, schemas: Sequence[Schema], check_naming_convention: bool = False) -> Schema:
        """A copy of this schema with the tables of others in it.

        Raises:
            IncompatibleSchemaException: A column has two types, or (if asked) the conventions differ.
        """
        unified = self.clone()
        for other in schemas:
            if check_naming_convention and other.naming.name() != self.naming.name():
                raise IncompatibleSchemaException(
                    self._name, other.name, f"naming conventions are {self.naming.name()} and {other.naming.name()}"
                )
            for table in other.tables.values():
                stored = unified.tables.get(table["name"])
                if stored is not None:
                    ensure_compatible_tables(self._name, stored, table)
                unified.update_table(table, normalize_identifiers=False)
        return unified

    def drop_tables(self, table_names: Sequence[str]) -> list[TTableSchema]:
        """Remove tables; those nested in them have to be named too.

        Returns:
            What was removed.

        Raises:
            TableNotFound: A table does not exist.
            SchemaCorruptedException: A nested table would lose its parent.
        """
        dropped = [table_of(self._tables, self._name, name) for name in table_names]
        gone = set(table_names)
        orphans = [n for n, t in self._tables.items() if n not in gone and t.get("parent") in gone]
        if orphans:
            raise SchemaCorruptedException(
                self._name,
                f"dropping {', '.join(sorted(gone))} would leave nested tables behind: {', '.join(orphans)}.",
                fix="name the nested tables too",
            )
        for name in gone:
            del self._tables[name]
        return dropped

    def __repr__(self) -> str:
        return f"<Schema {self._name} version {self._stored_version}: {', '.join(self.data_table_names())}>"
