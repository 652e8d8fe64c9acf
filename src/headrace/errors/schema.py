"""Errors about schemas, their contracts, and naming conventions.

::

    SchemaException
    ├── InvalidSchemaName                       (also ValueError)
    ├── TableNotFound                           (also KeyError)
    ├── ParentTableNotFoundException, TablePropertiesConflictException
    ├── CannotCoerceColumnException, CannotCoerceNullException
    ├── UnboundColumnException, UnboundColumnWithoutTypeException
    ├── DataValidationError                     a schema contract was violated
    ├── TableIdentifiersFrozen, ColumnNameConflictException, IncompatibleSchemaException
    ├── SchemaEngineNoUpgradePathException
    └── SchemaCorruptedException
        └── SchemaIdentifierNormalizationCollision
    NormalizersException
    ├── UnknownNamingModule, NamingTypeNotFound (also ImportError)
    └── InvalidNamingType
    NormalizerException
    └── InvalidJsonNormalizer
    PipelineException
    └── PipelineStateEngineNoUpgradePathException
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors.base import HeadraceException, PipelineException, TerminalException
from headrace.errors.masking import names_a_secret

if TYPE_CHECKING:
    from typing_extensions import Self


class SchemaException(HeadraceException):
    """Root of errors about a schema; carries its name."""

    def __init__(
        self, schema_name: str | None, what: str = "", *, why: str | None = None, fix: str | None = None
    ) -> None:
        self.schema_name = schema_name
        super().__init__(f"Schema `{schema_name}`: {what}" if schema_name else what, why=why, fix=fix)


class InvalidSchemaName(SchemaException, ValueError):
    """A schema or source has a name that cannot be one."""

    def __init__(self, schema_name: Any) -> None:
        super().__init__(
            None,
            f"{schema_name!r} cannot be the name of a schema or source.",
            why="it has to be a Python identifier of at most 64 characters",
            fix="use small letters, digits and underscores, starting with a letter",
        )
        self.schema_name = schema_name


class TableNotFound(SchemaException, KeyError):
    """The schema has no table of that name."""

    def __init__(self, schema_name: str, table_name: str) -> None:
        self.table_name = table_name
        super().__init__(schema_name, f"there is no table `{table_name}`.", fix="`schema.tables` has all names")


class ParentTableNotFoundException(SchemaException):
    """A nested table names a parent that does not exist."""

    def __init__(self, schema_name: str, table_name: str, parent_table_name: str, explanation: str = "") -> None:
        self.table_name, self.parent_table_name = table_name, parent_table_name
        super().__init__(
            schema_name,
            f"table `{table_name}` is nested in `{parent_table_name}`, which does not exist.",
            why=explanation or None,
            fix="add the parent first; nested hints need every table between the root and the nested one",
        )


class TablePropertiesConflictException(SchemaException):
    """Two versions of one table cannot be merged."""

    def __init__(self, schema_name: str, table_name: str, prop_name: str, val1: Any, val2: Any) -> None:
        self.table_name, self.prop_name, self.val1, self.val2 = table_name, prop_name, val1, val2
        super().__init__(
            schema_name,
            f"table `{table_name}` cannot be changed: its `{prop_name}` is {val1!r}, the change says {val2!r}.",
            fix="give the new table another name, or drop the old one first",
        )


class CannotCoerceColumnException(SchemaException):
    """A value or a column cannot become what the column is."""

    def __init__(
        self,
        schema_name: str,
        table_name: str,
        column_name: str,
        from_type: str | None,
        to_type: str | None,
        coerced_value: Any = None,
    ) -> None:
        self.table_name, self.column_name = table_name, column_name
        self.from_type, self.to_type, self.coerced_value = from_type, to_type, coerced_value
        super().__init__(
            schema_name,
            f"column `{table_name}.{column_name}` is `{to_type}` and cannot take `{from_type}`.",
            fix="declare the type in `columns`, or change the values with `add_map`",
        )


class UnsafeTypeChangeException(CannotCoerceColumnException, TerminalException):
    """A stored column is declared with a type that cannot hold all its values."""

    def __init__(
        self, schema_name: str, table_name: str, column_name: str, from_type: str, to_type: str, reason: str
    ) -> None:
        super().__init__(schema_name, table_name, column_name, from_type, to_type)
        self.what = (
            f"Column `{column_name}` of table `{table_name}` holds {from_type} and is now declared as {to_type}, which "
            "cannot be done without loss. Nothing was changed."
        )
        self.why = reason
        self.fix = (
            f"declare it as {from_type} again; or load the values under another column name; or drop the table and "
            'load it anew in the new type with `refresh="drop_resources"`'
        )


class CannotCoerceNullException(SchemaException):
    """A column that must have values got none."""

    def __init__(self, schema_name: str, table_name: str, column_name: str) -> None:
        self.table_name, self.column_name = table_name, column_name
        super().__init__(
            schema_name,
            f"a row of `{table_name}` has no value for `{column_name}`.",
            why="the column is not nullable; keys never are, unless declared so",
            fix='fill the value, drop the row with `add_filter`, or declare the column `"nullable": True`',
        )


class SchemaCorruptedException(SchemaException, TerminalException):
    """The schema contradicts itself; trying again cannot help."""


class SchemaIdentifierNormalizationCollision(SchemaCorruptedException):
    """Two names became one by normalization."""

    def __init__(
        self,
        schema_name: str,
        table_name: str,
        identifier_type: str,
        identifier_name: str,
        conflict_identifier_name: str,
        naming_name: str,
        collision_msg: str = "",
    ) -> None:
        self.table_name, self.identifier_type, self.naming_name = table_name, identifier_type, naming_name
        self.identifier_name, self.conflict_identifier_name = identifier_name, conflict_identifier_name
        super().__init__(
            schema_name,
            f"{identifier_type} `{identifier_name}` of table `{table_name}` gets the same name as "
            f"`{conflict_identifier_name}` in the convention `{naming_name}`.",
            why=collision_msg or None,
            fix="rename one of them, or choose a case sensitive convention in `schema.naming`",
        )


class SchemaEngineNoUpgradePathException(SchemaException):
    """A stored schema has a layout that this version cannot read."""

    def __init__(self, schema_name: str, init_engine: int, from_engine: int, to_engine: int) -> None:
        self.init_engine, self.from_engine, self.to_engine = init_engine, from_engine, to_engine
        super().__init__(
            schema_name,
            f"its layout has the version {init_engine}, this program reads up to {to_engine}.",
            why=f"there is no way on from version {from_engine}",
            fix="upgrade headrace; a newer version has probably written this schema",
        )


REDACTED = "<redacted: the column is marked sensitive, or its name says so>"


class DataValidationError(SchemaException):
    """Data or a declaration violates the schema contract (mode ``freeze``).

    Attributes:
        schema_entity: ``tables``, ``columns`` or ``data_type``.
        contract_mode: The mode that was violated.
        data_item: The offending item, when it is at hand; values of sensitive columns are not in it.
        resource_name: Where the item came from, if that is known.
        position: Number of the item among those of its table, from 0; None where there is no item.
        path: JSON path of the offending value in the item.
        seen_at: For those who look for the value: path of the raw table, path of the column, row.
    """

    _unsaid = ("data_item",)  # the values of a row belong into no trace
    resource_name: str | None = None
    position: int | None = None
    path: str | None = None
    seen_at: tuple[tuple[str, ...], tuple[str, ...], int] | None = None

    def __init__(
        self,
        schema_name: str,
        table_name: str,
        column_name: str | None,
        schema_entity: str,
        contract_mode: str,
        table_schema: Any,
        schema_contract: Mapping[str, Any],
        data_item: Any = None,
        extended_info: str | None = None,
    ) -> None:
        self.table_name, self.column_name = table_name, column_name
        self.schema_entity, self.contract_mode = schema_entity, contract_mode
        self.table_schema, self.schema_contract = table_schema, dict(schema_contract)
        self.data_item, self.extended_info = data_item, extended_info
        place = f"table `{table_name}`" + (f", column `{column_name}`" if column_name else "")
        super().__init__(
            schema_name,
            f"{place}: the contract says {schema_entity}={contract_mode}, and the data would change that.",
            why=extended_info,
            fix=f'change the data, or allow it with schema_contract={{"{schema_entity}": "evolve"}}',
        )

    def tell(
        self,
        *,
        resource: str = "",
        position: int | None = None,
        path: str = "",
        value: Any = None,
        expected: str = "",
        becomes: str = "",
    ) -> Self:
        """Say more of the value in question, in place.

        Args:
            resource: Where the item came from.
            position: Number of the item, from 0.
            path: JSON path of the value in the item.
            value: The value; `REDACTED` for one of a sensitive column.
            expected: The column's data type.
            becomes: What would become of the value if it were accepted.
        """
        self.resource_name, self.position, self.path = resource or None, position, path or None
        said = [f"resource `{resource}`"] if resource else []
        said += [f"item {position}"] if position is not None else []
        said += [f"at {path}"] if path else []
        why = ", ".join(said)
        if value is not None:
            hidden = value is REDACTED or names_a_secret(self.column_name or "")
            shown = REDACTED if hidden else _short(value)
            why += f"{': ' if why else ''}{shown}" + (f" where {expected} is expected" if expected else "")
        self.why = "; ".join(part for part in (self.extended_info, why) if part) or None
        then = f", and it becomes {becomes}" if becomes else ""
        self.fix = f'change the data, or accept it with schema_contract={{"{self.schema_entity}": "evolve"}}{then}'
        return self


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


class RejectedTableNameTaken(SchemaException):
    """The table for rejected rows has the name of a table of the data."""

    def __init__(self, schema_name: str, root_table: str, table_name: str) -> None:
        self.root_table, self.table_name = root_table, table_name
        super().__init__(
            schema_name,
            f"rejected rows of table `{root_table}` belong into `{table_name}`, which is a table of the data.",
            why="a list of the documents has the key `rejected`, or another resource has this name",
            fix="rename the key or the resource, or do not keep rejected rows of this table: "
            'additional_table_hints={"x-keep-rejected": False}',
        )


class TableIdentifiersFrozen(SchemaException):
    """A new naming convention would rename a table that has data."""

    def __init__(self, schema_name: str, table_name: str, to_naming: Any, from_naming: Any, details: str = "") -> None:
        self.table_name, self.to_naming, self.from_naming, self.details = table_name, to_naming, from_naming, details
        super().__init__(
            schema_name,
            f"changing the naming convention from `{_name(from_naming)}` to `{_name(to_naming)}` would rename "
            f"table `{table_name}` or its columns, and it has data already.",
            why=details or None,
            fix="keep the convention, drop the tables, or set `schema.allow_identifier_change_on_table_with_data=true`",
        )


def _name(naming: Any) -> str:
    return str(naming.name()) if hasattr(naming, "name") else str(naming)


class IncompatibleSchemaException(SchemaException):
    """Two schemas cannot be made one."""

    def __init__(self, schema_name: str, other_name: str, reason: str) -> None:
        self.other_name, self.reason = other_name, reason
        super().__init__(schema_name, f"it cannot be combined with schema `{other_name}`.", why=reason)


class ColumnNameConflictException(SchemaException):
    """A column has a name that the engine needs for itself."""


class UnboundColumnException(SchemaException):
    """Declared columns that must have values never got any, so their type is unknown."""

    def __init__(self, schema_name: str, table_name: str, columns: Sequence[Mapping[str, Any]]) -> None:
        self.table_name, self.columns = table_name, [dict(c) for c in columns]
        names = ", ".join(f"`{c.get('name')}`" for c in columns)
        super().__init__(
            schema_name,
            f"table `{table_name}`: no data arrived for {names}.",
            why="these columns are not nullable (keys are not) and no row had a value for them",
            fix='check the spelling of the columns, declare their `data_type`, or `"nullable": True`',
        )


class UnboundColumnWithoutTypeException(SchemaException):
    """Declared columns have no type and there is no data to take it from."""

    def __init__(self, schema_name: str, table_name: str, columns: Sequence[Mapping[str, Any]]) -> None:
        self.table_name, self.columns = table_name, [dict(c) for c in columns]
        names = ", ".join(f"`{c.get('name')}`" for c in columns)
        super().__init__(
            schema_name, f"table `{table_name}`: the type of {names} is not known.", fix="declare their `data_type`"
        )


class NormalizersException(HeadraceException):
    """Root of errors about naming conventions."""


class UnknownNamingModule(NormalizersException, ImportError):
    """A naming convention was named that cannot be found."""

    def __init__(self, naming_module: str) -> None:
        self.naming_module = naming_module
        super().__init__(
            f"there is no naming convention `{naming_module}`.",
            why="it is neither the short name of a built-in one nor a module that can be imported",
            fix="use snake_case, direct, duck_case, sql_cs_v1, sql_ci_v1, s3_tables, or `module.Class`",
        )


class NamingTypeNotFound(NormalizersException, ImportError):
    """The module exists and has no such naming convention."""

    def __init__(self, naming_module: str, naming_class: str) -> None:
        self.naming_module, self.naming_class = naming_module, naming_class
        super().__init__(f"module `{naming_module}` has no naming convention `{naming_class}`.")


class InvalidNamingType(NormalizersException):
    """What was named is not a naming convention."""

    def __init__(self, naming_module: str, naming_class: str) -> None:
        self.naming_module, self.naming_class = naming_module, naming_class
        super().__init__(
            f"`{naming_module}.{naming_class}` is not a naming convention.",
            fix="derive it from `headrace.model.naming.NamingConvention`",
        )


class NormalizerException(HeadraceException):
    """Root of errors about the normalizer of documents."""


class InvalidJsonNormalizer(NormalizerException):
    """A normalizer of documents was asked for that a schema does not have."""

    def __init__(self, required_normalizer: str, present_normalizer: str) -> None:
        self.required_normalizer, self.present_normalizer = required_normalizer, present_normalizer
        super().__init__(f"the normalizer `{required_normalizer}` is needed, the schema has `{present_normalizer}`.")


class PipelineStateEngineNoUpgradePathException(PipelineException):
    """The stored state of a pipeline has a layout that this version cannot read."""

    def __init__(self, pipeline_name: str, init_engine: int, from_engine: int, to_engine: int) -> None:
        self.init_engine, self.from_engine, self.to_engine = init_engine, from_engine, to_engine
        super().__init__(
            pipeline_name,
            f"The state of pipeline `{pipeline_name}` has the layout version {init_engine}, this program reads up to "
            f"{to_engine}.",
            why=f"there is no way on from version {from_engine}",
            fix="upgrade headrace; a newer version has probably written this state",
        )
