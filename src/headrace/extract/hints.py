"""Hints: what a resource says about its tables, as dictionaries; made, checked, merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, is_typeddict

from headrace.columns.arrow import is_arrow_schema
from headrace.errors import ValueErrorWithKnownValues
from headrace.errors.extract import DltResourceException, InconsistentTableTemplate
from headrace.extract.dispositions import check_disposition
from headrace.model.contract import expand_contract
from headrace.typing import TDataType, TWriteDisposition

TResourceHints = dict[str, Any]
TResourceNestedHints = dict[str, Any]

MERGED_BY_NAME = ("columns",)
NOT_TABLE_HINTS = frozenset({"incremental", "validator", "original_columns", "max_table_nesting", "nested_hints"})
"""Hints that do not become properties of a table, and so are never functions of an item."""

_NESTED = frozenset(
    {"columns", "original_columns", "validator", "primary_key", "merge_key", "write_disposition", "references"}
    | {"schema_contract", "table_format", "file_format", "table_name", "parent_table_name", "nested_hints"}
)


def make_hints(
    table_name: Any = None,
    parent_table_name: Any = None,
    write_disposition: Any = None,
    columns: Any = None,
    primary_key: Any = None,
    merge_key: Any = None,
    schema_contract: Any = None,
    table_format: Any = None,
    file_format: Any = None,
    additional_table_hints: Mapping[str, Any] | None = None,
    references: Any = None,
    incremental: Any = None,
    nested_hints: Any = None,
) -> TResourceHints:
    """Put hints together, for `with_hints` and `merge_hints`.

    Args:
        table_name: Name, or a function of the item.
        parent_table_name: The table this one is nested in.
        write_disposition: ``append``, ``replace``, ``merge``, ``skip``, or a dictionary with ``disposition`` and
            options.
        columns: Columns by name, a sequence of columns, a pydantic model, a dataclass, a `TypedDict`, an Arrow schema.
        primary_key: Column or columns.
        merge_key: Column or columns.
        schema_contract: A mode, or modes by entity.
        table_format: ``delta``, ``iceberg``, ``hive``, ``native``.
        file_format: Format of loader files.
        additional_table_hints: More properties of the table, mostly ``x-…``.
        references: References to other tables.
        incremental: The cursor of the resource.
        nested_hints: Hints of nested tables, by path.

    Returns:
        A dictionary with what was given; None counts as not given, an empty value as "remove".

    Raises:
        InconsistentTableTemplate: A hint is a function of the item and the table name is not.
        ValueErrorWithKnownValues: A disposition, strategy or contract mode is unknown.
    """
    given = {
        "table_name": table_name,
        "parent_table_name": parent_table_name,
        "write_disposition": write_disposition,
        "primary_key": primary_key,
        "merge_key": merge_key,
        "schema_contract": schema_contract,
        "table_format": table_format,
        "file_format": file_format,
        "references": references,
        "nested_hints": nested_hints,
    }
    hints: TResourceHints = {k: v for k, v in given.items() if v is not None}
    if incremental is not None:
        from headrace.extract.cursor import ensure_incremental

        hints["incremental"] = ensure_incremental(incremental)
    if columns is not None:
        _set_columns(hints, columns)
    hints.update(additional_table_hints or {})
    check_values(hints)
    check_dynamic(hints)
    return hints


def make_nested_hints(
    columns: Any = None,
    primary_key: Any = None,
    merge_key: Any = None,
    write_disposition: Any = None,
    schema_contract: Any = None,
    references: Any = None,
    **more: Any,
) -> TResourceNestedHints:
    """Put the hints of a nested table together.

    Args:
        columns: Columns by name, a sequence of columns, or a pydantic model.
        primary_key: Column or columns; with a key of its own the table stops being nested.
        merge_key: Column or columns; the same.
        write_disposition: Of a table with a key of its own.
        schema_contract: A mode, or modes by entity.
        references: References to other tables.
        more: ``table_format``, ``file_format``, and more properties of the table.
    """
    hints = make_hints(
        columns=columns,
        primary_key=primary_key,
        merge_key=merge_key,
        write_disposition=write_disposition,
        schema_contract=schema_contract,
        references=references,
    )
    hints.update({k: v for k, v in more.items() if v is not None})
    return hints


def _set_columns(hints: TResourceHints, columns: Any) -> None:
    from headrace.extract.models import is_model, model_hints

    hints["original_columns"] = columns
    if is_model(columns):
        for key, value in model_hints(columns, hints.get("schema_contract")).items():
            hints.setdefault(key, value)
    elif callable(columns) and not isinstance(columns, type):
        hints["columns"] = lambda item: as_columns(columns(item))
    else:
        hints["columns"] = as_columns(columns)


def as_columns(columns: Any) -> dict[str, Any]:
    """Columns in any accepted form as a dictionary of copies by name; each column has its name in it.

    Args:
        columns: A dictionary by name, a sequence of columns, a pydantic model, a dataclass, a `TypedDict`, or an Arrow
            schema.

    Raises:
        ValueError: A column of a sequence has no name, or it is a class of another kind.
        TypeError: A column is no dictionary.
        ValueErrorWithKnownValues: A data type is unknown.
    """
    from headrace.extract.models import class_columns, is_model, model_columns

    if is_model(columns):
        return model_columns(columns)
    if isinstance(columns, type) or is_typeddict(columns):
        return class_columns(columns)
    if is_arrow_schema(columns):
        from headrace.columns.arrow_schema import columns_of

        return columns_of(columns)
    if isinstance(columns, Mapping):
        return {name: {**_checked(name, column), "name": name} for name, column in columns.items()}
    found = {}
    for column in columns:
        if not isinstance(column, Mapping) or not column.get("name"):
            raise ValueError(f"a column in a list must be a dictionary with a `name`, and this one is {column!r}")
        found[column["name"]] = dict(_checked(column["name"], column))
    return found


def _checked(name: str, column: Any) -> Mapping[str, Any]:
    if not isinstance(column, Mapping):
        raise TypeError(
            f"column `{name}` must be a dictionary of its hints, such as {{'data_type': 'text'}}, and is {column!r}"
        )
    data_type = column.get("data_type")
    if data_type is not None and data_type not in get_args(TDataType):
        raise ValueErrorWithKnownValues(f"columns.{name}.data_type", data_type, get_args(TDataType))
    return column


def check_values(hints: Mapping[str, Any]) -> None:
    """Check the hints that have known values.

    Raises:
        ValueErrorWithKnownValues: One is unknown.
        InconsistentTableTemplate: References are incomplete.
    """
    disposition = hints.get("write_disposition")
    if disposition and not callable(disposition):
        if isinstance(disposition, str):
            if disposition not in get_args(TWriteDisposition):
                raise ValueErrorWithKnownValues("write_disposition", disposition, get_args(TWriteDisposition))
        else:
            check_disposition(disposition)
    contract = hints.get("schema_contract")
    if contract and not callable(contract):
        expand_contract(contract)
    references = hints.get("references")
    if references and not callable(references):
        for reference in references:
            if len(reference.get("columns", ())) != len(reference.get("referenced_columns", ())):
                raise InconsistentTableTemplate(
                    f"the reference to `{reference.get('referenced_table')}` lists more columns on one side"
                )


def check_dynamic(hints: Mapping[str, Any]) -> None:
    """Check that the table name is a function of the item when another hint is.

    Raises:
        InconsistentTableTemplate: It is not.
    """
    dynamic = [name for name in hints if is_dynamic(hints, name)]
    if dynamic and not callable(hints.get("table_name")) and dynamic != ["nested_hints"]:
        raise InconsistentTableTemplate(
            f"the hint {dynamic[0]!r} is a function of the item, and so `table_name` has to be one too; "
            f"it is {hints.get('table_name')!r}"
        )


def is_dynamic(hints: Mapping[str, Any], name: str) -> bool:
    """Whether a hint is a function of the item."""
    if name in NOT_TABLE_HINTS or name.startswith("x-"):
        return False
    return callable(hints[name])


def merge_hints(old: Mapping[str, Any], new: Mapping[str, Any]) -> TResourceHints:
    """Hints with newer ones put over them.

    Columns are merged by name. An empty value in ``new`` removes what was there.
    """
    merged: TResourceHints = dict(old)
    for name, value in new.items():
        if name == "columns" and value and not callable(value):
            before = old.get("columns") or {}
            before = {} if callable(before) else before
            merged["columns"] = {**before, **{c: {**before.get(c, {}), **v} for c, v in value.items()}}
        elif name == "columns" and not value:
            merged["columns"] = {}
            merged.pop("original_columns", None)
        elif name == "validator":
            merged["validator"] = value
        # an empty tuple as primary key is kept: it tells the incremental not to look for duplicates
        elif _is_empty(value) and value != ():
            merged.pop(name, None)
        else:
            merged[name] = value
    merged.setdefault("columns", {})
    check_dynamic(merged)
    return merged


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, Mapping, Sequence)) and not value)


def check_variant(resource_name: str, hints: Mapping[str, Any]) -> str:
    """Check hints for a variant of the resource's table; gives the variant's table name.

    Raises:
        ValueError: The table has no name.
        InconsistentTableTemplate: There are functions or an incremental among the hints.
    """
    table = hints.get("table_name")
    if not table or not isinstance(table, str):
        raise ValueError(
            f"hints for a variant of a table of resource `{resource_name}` need the name of that table: "
            "give `table_name` as text"
        )
    if hints.get("incremental"):
        raise InconsistentTableTemplate(
            f"`incremental` belongs to resource `{resource_name}`, not to its table variant `{table}`"
        )
    for name in hints:
        if name != "table_name" and is_dynamic(hints, name):
            raise InconsistentTableTemplate(f"the hint `{name}` of table variant `{table}` is a function of the item")
    return table


def check_nested(resource_name: str, hints: Mapping[str, Any]) -> None:
    """Check the hints of a nested table.

    Raises:
        DltResourceException: There is one that a nested table cannot have.
    """
    unknown = [h for h in hints if h not in _NESTED and not h.startswith("x-")]
    if unknown:
        raise DltResourceException(
            resource_name,
            f"Nested hints of resource `{resource_name}` have {', '.join(f'`{u}`' for u in unknown)}.",
            why="nested tables have columns, keys, a write disposition, a contract, formats and references",
        )


DynamicHint = Callable[[Any], Any]
