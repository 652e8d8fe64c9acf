"""What a merge or replace has to know of a table chain: its tables, their columns and keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.model.tables import is_complete_column
from headrace.typing import TTableSchema


@dataclass(frozen=True)
class ChainTable:
    """One table of a chain.

    Attributes:
        name: As in the schema.
        target: Qualified name of the table.
        stage: Name of the temporary table with the load's rows, quoted.
        columns: The columns that are loaded: in the schema and in the target.
        row_key: Names a row, None when the data has none.
        root_key: In nested tables, names the root row.
        parent_key: In nested tables, names the parent row.
        depth: 0 for the root, 1 for tables nested in it, and so on.
        parent: Name of the parent table.
        gaps: Whether the root key may be NULL in the target: it was added when the table had rows already.
        types: The target's columns, each with its type in the database.
    """

    name: str
    target: str
    stage: str
    columns: list[str]
    row_key: str | None = None
    root_key: str | None = None
    parent_key: str | None = None
    depth: int = 0
    parent: str | None = None
    gaps: bool = False
    types: Mapping[str, str] = field(default_factory=dict)

    def typed(self, columns: Iterable[str]) -> dict[str, str]:
        """Columns with their types in the database."""
        there = {name.casefold(): kind for name, kind in self.types.items()}
        return {name: there.get(name.casefold(), "") for name in columns}

    @property
    def key_of_root(self) -> str | None:
        """The column that leads to the root row: the root key, or the parent key right below the root."""
        return self.root_key or (self.parent_key if self.depth == 1 else None)


@dataclass(frozen=True)
class Chain:
    """A root table and its nested tables, parents before children, with the root's merge hints.

    Attributes:
        primary_key: Columns that together name a record.
        merge_key: Columns whose values name a batch of records that is replaced as a whole.
        nullable: Key columns that may hold NULL; two NULLs count as equal there.
        hard_delete: Column that marks a row as a deletion.
        hard_delete_is_flag: The mark is a boolean that must be true; else any value but NULL is a mark.
        dedup_sort: Column and order (``asc`` or ``desc``) that say which of several rows of one primary key stays.
        deduplicated: The user vouches that no primary key comes twice in a load.
        source_filter: A condition on staged root rows; those that do not meet it are left out.
        destination_scope: A condition on root rows ``d`` of the target: those that may be deleted or retired.
        skip_unchanged: Rows that equal what is there are left alone.
        version: The column that alone tells whether a root row has changed; None lets all columns tell.
        load_id: The column with the load's id, which does not count as a change.
        row_id: The column with the row's id.
        facts: The root table's own schema, for hints of single strategies.
    """

    root: ChainTable
    nested: list[ChainTable]
    primary_key: list[str] = field(default_factory=list)
    merge_key: list[str] = field(default_factory=list)
    nullable: frozenset[str] = frozenset()
    hard_delete: str | None = None
    hard_delete_is_flag: bool = True
    dedup_sort: tuple[str, str] | None = None
    deduplicated: bool = False
    source_filter: str = ""
    destination_scope: str = ""
    skip_unchanged: bool = False
    version: str | None = None
    load_id: str | None = None
    row_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> list[ChainTable]:
        """The root and then the nested tables."""
        return [self.root, *self.nested]


def hinted(table: TTableSchema, hint: str) -> list[str]:
    """Names of the columns that carry a hint, in order; a declared column without a type yet is not in the table."""
    columns = table.get("columns", {}).items()
    return [name for name, column in columns if column.get(hint) and is_complete_column(column)]


def _first(table: TTableSchema, hint: str) -> str | None:
    return next(iter(hinted(table, hint)), None)


def depth_of(table: TTableSchema, by_name: dict[str, TTableSchema]) -> int:
    """How many tables lie above."""
    parent = table.get("parent")
    return 0 if not parent or parent not in by_name else 1 + depth_of(by_name[parent], by_name)


def chain_table(
    table: TTableSchema, *, target: str, stage: str, present: Iterable[tuple[str, str, bool]], depth: int
) -> ChainTable:
    """Facts of one table; ``present`` are the columns its target has: name, type, and whether it may be NULL."""
    present = list(present)
    there = {name.casefold(): nullable for name, _, nullable in present}
    root_key = _first(table, "root_key")
    return ChainTable(
        name=table["name"],
        target=target,
        stage=stage,
        columns=[name for name in table.get("columns", {}) if name.casefold() in there],
        row_key=_first(table, "row_key"),
        root_key=root_key,
        parent_key=_first(table, "parent_key"),
        depth=depth,
        parent=table.get("parent"),
        gaps=root_key is not None and there.get(root_key.casefold(), False),
        types={name: kind for name, kind, _ in present},
    )


def keys_of(chain: Chain, table: ChainTable) -> list[dict[str, str]]:
    """The groups of columns by which staged rows of a table are looked for."""
    single = [table.row_key, chain.version if table is chain.root else None]
    groups = [chain.primary_key, chain.merge_key] if table is chain.root else []
    wanted = [*groups, *([key] for key in single if key)]
    return [table.typed(group) for i, group in enumerate(wanted) if group and group not in wanted[:i]]


def condition_of(text: object, **places: str) -> str:
    """A condition of the user's with the names of tables in the place of its marks; empty when there is none.

    Args:
        text: SQL; ``{{`` and ``}}`` stand for braces.
        places: What stands for ``{table}``, for example.
    """
    # a comment at its end must not swallow the parenthesis
    return f"({str(text).format(**places)}\n)" if text else ""


def build_chain(
    root: TTableSchema, tables: list[ChainTable], load_id: str | None = None, row_id: str | None = None
) -> Chain:
    """Put the tables and the root's hints together."""
    columns = root.get("columns", {})
    mark, sort = _first(root, "hard_delete"), _first(root, "dedup_sort")
    primary, merge = hinted(root, "primary_key"), hinted(root, "merge_key")
    return Chain(
        root=tables[0],
        nested=tables[1:],
        primary_key=primary,
        merge_key=merge,
        nullable=frozenset(name for name in (*primary, *merge) if columns[name].get("nullable") is not False),
        hard_delete=mark,
        hard_delete_is_flag=mark is not None and columns[mark].get("data_type") == "bool",
        dedup_sort=(sort, str(columns[sort]["dedup_sort"])) if sort else None,
        deduplicated=bool(root.get("x-stage-data-deduplicated")),
        source_filter=condition_of(root.get("x-merge-source-filter"), staging_table="d"),
        destination_scope=condition_of(root.get("x-merge-destination-scope"), table="d"),
        skip_unchanged=bool(root.get("x-merge-skip-unchanged-rows")),
        version=_first(root, "x-row-version"),
        load_id=load_id,
        row_id=row_id,
        facts=dict(root),
    )
