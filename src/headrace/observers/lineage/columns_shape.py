"""The shape of what a resource read, as fields of an input: the schema facet of inputs that no catalog describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.model.shape import ChainShape, join_shapes
from headrace.observers.lineage.columns_model import ELEMENT, ResourceFact
from headrace.observers.lineage.columns_paths import Place, Places
from headrace.observers.lineage.facts import Field

if TYPE_CHECKING:
    from headrace.model.events import Extracted

STRUCT, ARRAY = "struct", "array"


def input_fields(fact: Extracted, resource: ResourceFact) -> list[Field]:
    """Fields of the items that a resource read, nested as they were, with the kinds of values as types.

    An array has one field ``_element``. A place with several kinds names them all: ``bigint | text``.

    Args:
        fact: What extract sealed.
        resource: Where its own code changed the items, their shape is not that of the input: no fields then.

    Returns:
        Empty when nothing is known.
    """
    if resource.through or any(step.kind == "map" for step in resource.steps):
        return []
    shapes: dict[str, list[ChainShape]] = {}
    for file in fact.files:
        if file.resource == resource.name and not file.others and file.shape:
            shapes.setdefault(file.table, []).append(ChainShape.from_dict(file.shape))
    root = _Node()
    for found in shapes.values():
        root.take(join_shapes(found))
    return root.fields()


class _Node:
    """A place in the documents."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.children: dict[str | None, _Node] = {}

    def take(self, shape: ChainShape) -> None:
        places = Places(shape)
        for table in shape.tables:
            for row in places.rows(table):
                self._at(row)
            for column in table.columns:
                for place in places.values(table, column):
                    node = self._at(place)
                    node.kinds += [k for k in ([column.type] if column.type else column.kinds) if k not in node.kinds]
            for path in table.nulls:
                for row in places.rows(table):
                    self._at((*row, *path))

    def _at(self, place: Place) -> _Node:
        node = self
        for key in place:
            node = node.children.setdefault(key, _Node())
        return node

    def fields(self) -> list[Field]:
        return [child._field(key) for key, child in self.children.items()]

    def _field(self, key: str | None) -> Field:
        kinds = list(self.kinds)
        if None in self.children:
            kinds.append(ARRAY)
        if any(k is not None for k in self.children):
            kinds.append(STRUCT)
        return Field(name=ELEMENT if key is None else key, type=" | ".join(kinds) or None, fields=self.fields())
