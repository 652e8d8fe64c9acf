"""Schemas as text for people: JSON, YAML, DBML, Graphviz, Mermaid."""

from __future__ import annotations

import html
import importlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from headrace.base import json
from headrace.errors import MissingDependencyException
from headrace.model import tables as tb
from headrace.typing import TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema


def to_pretty_json(document: Mapping[str, Any]) -> str:
    """A stored schema as indented JSON."""
    return json.dumps(document, pretty=True)


# ---- YAML ------------------------------------------------------------------------------------------------------------

# text that needs no quotes whatever version of YAML reads it; "on" and "y" are booleans to some
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./()+-]+)*")
_RESERVED = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"})


def to_pretty_yaml(document: Mapping[str, Any]) -> str:
    """A stored schema as YAML."""
    return "\n".join(_yaml_lines(document, 0)) + "\n"


def from_yaml(text: str) -> dict[str, Any]:
    """Read a schema that people wrote as YAML.

    Raises:
        MissingDependencyException: pyyaml is not installed.
        ValueError: The text is not YAML.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise MissingDependencyException("Reading a schema written as YAML", ["pyyaml"]) from error
    try:
        return cast("dict[str, Any]", yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"the schema is not valid YAML: {error}") from error


def _yaml_lines(value: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, (Mapping, list, tuple)) and inner:
                yield f"{pad}{_yaml_scalar(key)}:"
                yield from _yaml_lines(inner, depth + (not isinstance(inner, (list, tuple))))
            else:
                yield f"{pad}{_yaml_scalar(key)}: {_yaml_scalar(inner)}"
    else:
        for inner in value:
            if isinstance(inner, (Mapping, list, tuple)) and inner:
                first, *rest = _yaml_lines(inner, depth + 1)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {_yaml_scalar(inner)}"


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    # JSON is YAML: quoted text, numbers, booleans, null, empty lists and dictionaries
    return json.dumps(value)


# ---- diagrams --------------------------------------------------------------------------------------------------------


class Arrow(NamedTuple):
    """A reference from columns of one table to columns of another.

    Attributes:
        many: Whether several rows may point to one.
    """

    table: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    label: str = ""
    many: bool = True


def chosen_tables(schema: Schema, include_dlt_tables: bool) -> list[TTableSchema]:
    """The tables to draw: those of the source, then those of the engine."""
    tables = schema.data_tables(include_incomplete=True)
    return [*tables, *schema.dlt_tables()] if include_dlt_tables else tables


def arrows(
    schema: Schema, tables: list[TTableSchema], loads: bool = True, parents: bool = True, roots: bool = True
) -> list[Arrow]:
    """All references between tables, those that users declared and those that the engine makes.

    Args:
        schema: The schema.
        tables: The tables that are drawn; references to others are left out.
        loads: Whether to follow load ids and schema versions to the system tables.
        parents: Whether to follow nested rows to their parents.
        roots: Whether to follow nested rows to their roots.
    """
    found: list[Arrow] = []
    for table in tables:
        name = table["name"]
        for reference in table.get("references", ()):
            columns, to_columns = tuple(reference["columns"]), tuple(reference["referenced_columns"])
            found.append(Arrow(name, columns, reference["referenced_table"], to_columns, many=False))
        if parents and table.get("parent"):
            found += _keyed(schema, table, "parent_key", table["parent"], "_dlt_parent")
        if roots and table.get("parent"):
            found += _keyed(schema, table, "root_key", schema.get_root_table(name)["name"], "_dlt_root")
        load_id = schema.normalize_column_name(tb.C_DLT_LOAD_ID)
        if loads and load_id in table.get("columns", {}):
            target = schema.normalize_column_name(tb.C_DLT_LOADS_TABLE_LOAD_ID)
            found.append(Arrow(name, (load_id,), schema.loads_table_name, (target,), "_dlt_load"))
    if loads:
        for ours, theirs in (("version_hash", "schema_version_hash"), ("schema_name", "schema_name")):
            here, there = schema.normalize_column_name(theirs), schema.normalize_column_name(ours)
            found.append(Arrow(schema.loads_table_name, (here,), schema.version_table_name, (there,), "_dlt_schema"))
    drawn = {t["name"] for t in tables}
    return [a for a in found if a.table in drawn and a.to_table in drawn]


def _keyed(schema: Schema, table: TTableSchema, prop: str, to_table: str, label: str) -> list[Arrow]:
    here = tb.get_first_column_name_with_prop(table, prop)
    there = tb.get_first_column_name_with_prop(schema.get_table(to_table), "row_key")
    return [Arrow(table["name"], (here,), to_table, (there,), label)] if here and there else []


def to_mermaid(
    schema: Schema, hide_columns: bool = False, hide_descriptions: bool = False, include_dlt_tables: bool = True
) -> str:
    """An entity diagram for Mermaid."""
    tables = chosen_tables(schema, include_dlt_tables)
    lines = ["erDiagram"]
    for table in tables:
        lines.append(f"    {_mermaid_name(table['name'])} {{")
        for column in () if hide_columns else table.get("columns", {}).values():
            key = " PK" if column.get("primary_key") or column.get("row_key") else ""
            said = "" if hide_descriptions else column.get("description")
            text = f' "{_one_line(said)}"' if said else ""
            lines.append(
                f"        {column.get('data_type', 'unknown')} {_mermaid_column(str(column.get('name')))}{key}{text}"
            )
        lines.append("    }")
    for arrow in arrows(schema, tables):
        ends = "}|--||" if arrow.many else "||--|{"
        lines.append(f'    {_mermaid_name(arrow.table)} {ends} {_mermaid_name(arrow.to_table)} : "{arrow.label}"')
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.replace('"', "'").split())


def _mermaid_name(name: str) -> str:
    return name if re.fullmatch(r"\w+", name, re.ASCII) else f'"{_one_line(name)}"'


def _mermaid_column(name: str) -> str:
    # quotes are not allowed around attribute names
    return re.sub(r"[^\w-]", "_", name)


def to_dbml(schema: Schema, include_dlt_tables: bool = True, group_by_resource: bool = False, **which: bool) -> str:
    """The schema in the database markup language of dbdiagram.io; ``which`` are arguments of `arrows`."""
    tables = chosen_tables(schema, include_dlt_tables)
    blocks = [_dbml_table(table) for table in tables]
    for arrow in arrows(schema, tables, **which):
        sign = ">" if arrow.many else "-"
        blocks.append(
            f"Ref: {_dbml_end(arrow.table, arrow.columns)} {sign} {_dbml_end(arrow.to_table, arrow.to_columns)}"
        )
    if group_by_resource:
        for resource, chain in tb.group_tables_by_resource({t["name"]: t for t in tables}).items():
            inside = "\n".join(f"    {_quoted(t['name'])}" for t in chain)
            blocks.append(f"TableGroup {_quoted(resource)} {{\n{inside}\n}}")
    return "\n\n".join(blocks) + "\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


def _dbml_end(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(map(_quoted, columns))
    return f"{_quoted(table)}.{names if len(columns) == 1 else f'({names})'}"


def _dbml_table(table: TTableSchema) -> str:
    lines = [f"Table {_quoted(table['name'])} {{"]
    for name, column in table.get("columns", {}).items():
        marks = ["pk"] if column.get("primary_key") else []
        marks += ["unique"] if column.get("unique") else []
        marks += [] if tb.is_nullable_column(column) else ["not null"]
        marks += [f"note: {_dbml_text(column['description'])}"] if column.get("description") else []
        settings = f" [{', '.join(marks)}]" if marks else ""
        lines.append(f"    {_quoted(name)} {_quoted(column.get('data_type', 'unknown'))}{settings}")
    if table.get("description"):
        lines.append(f"    Note: {_dbml_text(table['description'])}")
    return "\n".join([*lines, "}"])


def _dbml_text(text: str | None) -> str:
    return "'" + " ".join((text or "").replace("\\", "\\\\").replace("'", "\\'").split()) + "'"


def to_dot(schema: Schema, include_dlt_tables: bool = True, group_by_resource: bool = False, **which: bool) -> str:
    """A Graphviz diagram; ``which`` are arguments of `arrows`."""
    tables = chosen_tables(schema, include_dlt_tables)
    lines = [f"digraph {_quoted(schema.name)} {{", '    graph [rankdir="LR"];', '    node [shape="plain"];']
    groups = tb.group_tables_by_resource({t["name"]: t for t in tables}) if group_by_resource else {}
    grouped = {t["name"] for chain in groups.values() for t in chain}
    for at, (resource, chain) in enumerate(groups.items()):
        lines.append(f"    subgraph cluster_{at} {{\n        label={_quoted(resource)};")
        lines.extend(f"        {_dot_table(t)}" for t in chain)
        lines.append("    }")
    lines.extend(f"    {_dot_table(t)}" for t in tables if t["name"] not in grouped)
    for arrow in arrows(schema, tables, **which):
        for here, there in zip(arrow.columns, arrow.to_columns, strict=False):
            ends = f"{_quoted(arrow.table)}:{_quoted(here)} -> {_quoted(arrow.to_table)}:{_quoted(there)}"
            lines.append(f"    {ends} [label={_quoted(arrow.label)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_table(table: TTableSchema) -> str:
    rows = [f"<tr><td><b>{html.escape(table['name'])}</b></td></tr>"]
    for name, column in table.get("columns", {}).items():
        bold = "" if tb.is_nullable_column(column) else " <b>NN</b>"
        text = f"{html.escape(name)} : {column.get('data_type', 'unknown')}{bold}"
        rows.append(f'<tr><td align="left" port="{html.escape(name)}">{text}</td></tr>')
    return (
        f'{_quoted(table["name"])} [label=<<table border="0" cellborder="1" cellspacing="0">{"".join(rows)}</table>>];'
    )
