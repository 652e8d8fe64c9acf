"""The fields of what was read, from the shapes that extract has noted: no value is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headrace.model.jobs import SpoolFile
from headrace.model.shape import ChainShape, join_shapes
from headrace.observers.lineage.columns_paths import Places
from headrace.observers.lineage.facts import Field

ELEMENT = "_element"
_WORDS = {
    "text": "string",
    "bigint": "integer",
    "double": "number",
    "bool": "boolean",
    "doc": "struct",
    "json": "struct",
}


class _Node:
    __slots__ = ("children", "types")

    def __init__(self) -> None:
        self.children: dict[str | None, _Node] = {}
        self.types: list[str] = []

    def at(self, path: Iterable[str | None]) -> _Node:
        node = self
        for key in path:
            node = node.children.setdefault(key, _Node())
        return node

    def add(self, word: str) -> None:
        if word not in self.types:
            self.types.append(word)

    def field(self, name: str) -> Field:
        words = list(self.types)
        elements = self.children.get(None)
        named = {key: child for key, child in self.children.items() if key is not None}
        if named:
            words.append("struct")
        if elements is not None:
            words.append("array")
        real = [word for word in dict.fromkeys(words) if word != "null"]
        below = [child.field(key) for key, child in named.items()]
        if elements is not None:
            below.append(elements.field(ELEMENT))
        return Field(name=name, type="|".join(real) or ("null" if words else None), fields=below)


def fields_of(files: Iterable[SpoolFile], resource: str, table: str | None = None) -> list[Field]:
    """The fields of a resource's items: structs and arrays (with one field ``_element``) nested as in the documents.

    Args:
        files: Of the package, as `Extracted` has them.
        resource: Whose items.
        table: The root table, for resources that write into several.

    Returns:
        In the order of first sight; empty when nothing was noted (no rows, imported files).
    """
    own = [file for file in files if file.resource == resource and file.shape and table in (None, file.table)]
    if not own or len({file.table for file in own}) > 1:
        return []
    return fields_of_shape(join_shapes([ChainShape.from_dict(file.shape) for file in own]))


def fields_of_shape(shape: ChainShape) -> list[Field]:
    """The fields of documents of a shape."""
    root, places = _Node(), Places(shape)
    for table in shape.tables:
        for place in places.rows(table):
            root.at(place)
        for column in table.columns:
            words = [column.type] if column.type else [_WORDS.get(kind, kind) for kind in column.kinds]
            for place in places.values(table, column):
                for word in words:
                    root.at(place).add(word)
        for nulls in table.nulls:
            for row in places.rows(table):
                root.at((*row, *nulls)).add("null")
    return [child.field(key) for key, child in root.children.items() if key is not None]


def declared(columns: Any) -> list[Field]:
    """The columns that a location names: names, or pairs of name and type, or a mapping."""
    pairs = columns.items() if isinstance(columns, Mapping) else columns or ()
    return [Field(name=one) if isinstance(one, str) else Field(name=str(one[0]), type=str(one[1])) for one in pairs]
