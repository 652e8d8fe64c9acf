"""Schemas as text for people: JSON, YAML, DBML, Graphviz, Mermaid."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from headrace.base import json
from headrace.model import tables as tb
from headrace.model.references import LOAD, PARENT, ROOT, SCHEMA_NAME, SCHEMA_VERSION
from headrace.typing import TColumnSchema, TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema


def to_pretty_json(document: Mapping[str, Any]) -> str:
    """A stored schema as indented JSON."""
    return json.dumps(document, pretty=True)


# ---- YAML ------------------------------------------------------------------------------------------------------------


def to_pretty_yaml(document: Mapping[str, Any]) -> str:
    """A stored schema as YAML, in the order of the document."""
    import yaml

    return yaml.safe_dump(document, allow_unicode=True, default_flow_style=False, sort_keys=False)


def from_yaml(text: str) -> dict[str, Any]:
    """Read a schema that people wrote as YAML.

    Raises:
        ValueError: The text is not YAML.
    """
    import yaml

    try:
        return cast("dict[str, Any]", yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"the schema is not valid YAML: {error}") from error


# ---- diagrams --------------------------------------------------------------------------------------------------------


def chosen_tables(schema: Schema, include_dlt_tables: bool) -> list[TTableSchema]:
    """The tables to draw: those of the source, then those of the engine."""
    tables = schema.data_tables(include_incomplete=True)
    return [*tables, *schema.dlt_tables()] if include_dlt_tables else tables


def drawn_references(
    schema: Schema, tables: list[TTableSchema], loads: bool = True, parents: bool = True, roots: bool = True
) -> list[Mapping[str, Any]]:
    """The references to draw.

    Args:
        schema: The schema.
        tables: The tables that are drawn; references from and to others are left out.
        loads: Whether to follow load ids and schema versions to the system tables.
        parents: Whether to follow nested rows to their parents.
        roots: Whether to follow nested rows to their roots.
    """
    chosen = {PARENT: parents, ROOT: roots, LOAD: loads, SCHEMA_VERSION: loads, SCHEMA_NAME: loads}
    drawn = {t["name"] for t in tables}
    return [
        cast("Mapping[str, Any]", r)
        for r in schema.references
        if chosen.get(r.get("label") or "", True) and r.get("table") in drawn and r["referenced_table"] in drawn
    ]


def _ends(reference: Mapping[str, Any]) -> tuple[str, str]:
    """How many rows stand on either side: ``zero``, ``one``, ``many``."""
    here, _, there = str(reference.get("cardinality") or _UNSAID).partition("_to_")
    return here, there


_UNSAID = "one_to_many"
_MERMAID = {"zero": ("|o", "o|"), "one": ("||", "||"), "many": ("}|", "|{")}
_DBML = {("many", "many"): "<>", ("one", "many"): "<", ("many", "one"): ">"}


def _columns(table: TTableSchema) -> Iterator[tuple[str, TColumnSchema]]:
    """Columns that have a type: a destination knows no others."""
    return ((n, c) for n, c in table.get("columns", {}).items() if tb.is_complete_column(c))


def to_mermaid(
    schema: Schema, hide_columns: bool = False, hide_descriptions: bool = False, include_dlt_tables: bool = True
) -> str:
    """An entity diagram for Mermaid."""
    tables = chosen_tables(schema, include_dlt_tables)
    lines = ["erDiagram"]
    for table in tables:
        lines.append(f"    {_mermaid_name(table['name'])} {{")
        for name, column in () if hide_columns else _columns(table):
            marks = [m for m, prop in (("PK", "primary_key"), ("UK", "unique")) if column.get(prop)]
            keys = f" {','.join(marks)}" if marks else ""
            said = "" if hide_descriptions else column.get("description")
            text = f' "{_one_line(said)}"' if said else ""
            lines.append(f"        {column['data_type']} {_mermaid_column(name)}{keys}{text}")
        lines.append("    }")
    for reference in drawn_references(schema, tables):
        here, there = _ends(reference)
        ends = f"{_MERMAID[here][0]}--{_MERMAID[there][1]}"
        sides = f"{_mermaid_name(reference['table'])} {ends} {_mermaid_name(reference['referenced_table'])}"
        lines.append(f'    {sides} : "{_one_line(reference.get("label") or "")}"')
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.replace('"', "'").split())


def _mermaid_name(name: str) -> str:
    return name if re.fullmatch(r"\w+", name, re.ASCII) else f'"{_one_line(name)}"'


def _mermaid_column(name: str) -> str:
    # quotes are not allowed around attribute names
    return re.sub(r"[^\w-]", "_", name)


def to_dbml(schema: Schema, include_dlt_tables: bool = True, group_by_resource: bool = False, **which: bool) -> str:
    """The schema in the database markup language of dbdiagram.io; ``which`` are arguments of `drawn_references`."""
    tables = chosen_tables(schema, include_dlt_tables)
    blocks = [_dbml_table(table) for table in tables]
    for reference in drawn_references(schema, tables, **which):
        here = _dbml_end(reference["table"], reference["columns"])
        there = _dbml_end(reference["referenced_table"], reference["referenced_columns"])
        blocks.append(f"Ref: {here} {_DBML.get(_ends(reference), '-')} {there}")
    if group_by_resource:
        for resource, chain in _groups(schema, tables).items():
            inside = "\n".join(f"    {_quoted(t['name'])}" for t in chain)
            blocks.append(f"TableGroup {_quoted(resource)} {{\n{inside}\n}}")
    return "\n\n".join(blocks) + "\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


def _groups(schema: Schema, tables: list[TTableSchema]) -> dict[str, list[TTableSchema]]:
    """Tables by resource; those of the engine are one group."""
    groups = tb.group_tables_by_resource({t["name"]: t for t in tables if not schema.is_dlt_table(t["name"])})
    own = [t for t in tables if schema.is_dlt_table(t["name"])]
    return {**groups, schema.dlt_prefix: own} if own else groups


def _dbml_end(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(map(_quoted, columns))
    return f"{_quoted(table)}.{names if len(columns) == 1 else f'({names})'}"


def _dbml_table(table: TTableSchema) -> str:
    lines = [f"Table {_quoted(table['name'])} {{"]
    for name, column in _columns(table):
        marks = ["pk"] if column.get("primary_key") else []
        marks += ["unique"] if column.get("unique") else []
        marks += [] if tb.is_nullable_column(column) else ["not null"]
        marks += [f"note: {_dbml_text(column['description'])}"] if column.get("description") else []
        settings = f" [{', '.join(marks)}]" if marks else ""
        lines.append(f"    {_quoted(name)} {_quoted(column['data_type'])}{settings}")
    if table.get("description"):
        lines.append(f"    Note: {_dbml_text(table['description'])}")
    return "\n".join([*lines, "}"])


def _dbml_text(text: str | None) -> str:
    return "'" + " ".join((text or "").replace("\\", "\\\\").replace("'", "\\'").split()) + "'"


def to_dot(schema: Schema, include_dlt_tables: bool = True, group_by_resource: bool = False, **which: bool) -> str:
    """A Graphviz diagram; ``which`` are arguments of `drawn_references`."""
    tables = chosen_tables(schema, include_dlt_tables)
    lines = [f"digraph {_quoted(schema.name)} {{", '    graph [rankdir="LR"];', '    node [shape="plain"];']
    groups = _groups(schema, tables) if group_by_resource else {}
    grouped = {t["name"] for chain in groups.values() for t in chain}
    for at, (resource, chain) in enumerate(groups.items()):
        lines.append(f"    subgraph cluster_{at} {{\n        label={_quoted(resource)};")
        lines.extend(f"        {_dot_table(t)}" for t in chain)
        lines.append("    }")
    lines.extend(f"    {_dot_table(t)}" for t in tables if t["name"] not in grouped)
    for reference in drawn_references(schema, tables, **which):
        for here, there in zip(reference["columns"], reference["referenced_columns"], strict=False):
            start = f"{_quoted(reference['table'])}:{_quoted(here)}"
            end = f"{_quoted(reference['referenced_table'])}:{_quoted(there)}"
            lines.append(f"    {start} -> {end} [label={_quoted(reference.get('label') or '')}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_table(table: TTableSchema) -> str:
    rows = [f"<tr><td><b>{html.escape(table['name'])}</b></td></tr>"]
    for name, column in _columns(table):
        bold = "" if tb.is_nullable_column(column) else " <b>NN</b>"
        text = f"{html.escape(name)} : {column['data_type']}{bold}"
        rows.append(f'<tr><td align="left" port="{html.escape(name)}">{text}</td></tr>')
    return (
        f'{_quoted(table["name"])} [label=<<table border="0" cellborder="1" cellspacing="0">{"".join(rows)}</table>>];'
    )
