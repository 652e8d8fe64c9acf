"""What column lineage is made of: where a resource's values come from, apart from the names of datasets.

Paths are relative to an item that the resource read. `columns.resolve` puts the datasets of a run in.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from headrace.model.location import Location
from headrace.observers.lineage.facts import FieldRef, Transformation

ELEMENT = "_element"
"""How a field path spells the elements of a list, as the schema facet does."""

StepKind = Literal["map", "filter", "limit"]


class StepFact(msgspec.Struct, omit_defaults=True):
    """A step that items go through: it makes new items, drops some, or ends early; ``name`` says what it is called."""

    kind: StepKind
    name: str = ""


class CursorFact(msgspec.Struct, omit_defaults=True):
    """The incremental: the place of its cursor (None for elements of lists), the rows' ``order``, its function.

    The cursor is read from items that went through the functions ``after``.
    """

    path: list[str | None]
    order: str = ""
    function: str = ""
    after: list[str] = []


class Declared(msgspec.Struct, omit_defaults=True):
    """What `DltResource.map_columns` said of a column: fields as (input, field), the input empty for the only one."""

    fields: list[tuple[str, str]]
    subtype: str = "TRANSFORMATION"
    description: str = ""
    masking: bool = False


class QueryFact(msgspec.Struct, omit_defaults=True):
    """A relation whose rows were read: the text of a SQL model, and the dataset it asks, where that is known."""

    text: str
    place: Location | None = None
    destination: str = ""


class ResourceFact(msgspec.Struct, omit_defaults=True):
    """What column lineage must know of a resource; plain data, taken while the resource is at hand (see `describe`).

    Attributes:
        name: Of the resource.
        steps: Behind its function, in the order in which items go through them. Steps that change nothing are left
            out.
        through: Functions of the user that made its items of those of its parents; empty for no transformer.
        parents: Names of the resources it takes items from, nearest first.
        cursor: Its incremental, None without one.
        declared: By column, or ``table.column`` for a column of another table than the resource's own.
        keep_others: The user said that columns which are not declared are as they came.
        queries: Relations whose rows were read.
        unseen: Nobody looked at it: the package was extracted while lineage was off, and does not say what its columns
            went through.
    """

    name: str
    steps: list[StepFact] = []
    through: list[str] = []
    parents: list[str] = []
    cursor: CursorFact | None = None
    declared: dict[str, Declared] = {}
    keep_others: bool = False
    queries: list[QueryFact] = []
    unseen: bool = False


class Source(msgspec.Struct, omit_defaults=True):
    """A field that a column, or a whole table, depends on.

    Attributes:
        path: Keys from the item down to the value; None for the elements of a list. Empty for the whole input.
        transformations: How the value came to be.
        dataset: Which input, as the end of its name; empty for the resource's own.
        parent: The input is one of the resources that the items were taken from.
    """

    path: list[str | None]
    transformations: list[Transformation] = []
    dataset: str = ""
    parent: bool = False

    @property
    def field(self) -> str:
        """The path as OpenLineage spells it: joined by dots, ``_element`` for elements."""
        return ".".join(ELEMENT if part is None else part for part in self.path)


class TableLineage(msgspec.Struct, omit_defaults=True):
    """Column lineage of one table as one resource writes it.

    Attributes:
        columns: By column its sources. An empty list: the job makes the values (generated columns, and all columns of
            a resource without a declared input): ``inputFields: []`` in columnLineage, an input ``{"type": "JOB"}``
            in the explicit facet.
        indirect: What the whole table depends on.
        unknown: Columns of which nobody knows where they come from; they have no entry in ``columns``.
        through: Functions that made the items of those of other resources: they count where the resource has no input
            of its own.
        declared: Columns that the user has said the sources of.
    """

    columns: dict[str, list[Source]] = {}
    indirect: list[Source] = []
    unknown: list[str] = []
    through: str = ""
    declared: list[str] = []


class TableEdges(msgspec.Struct, omit_defaults=True):
    """`TableLineage` with the datasets of a run; ``columns`` and ``indirect`` go into `facts.Output` as they are.

    A `FieldRef` in ``indirect`` whose field is empty means the whole dataset: the columnLineage facet has no way to say
    that and leaves it out, the explicit lineage facet states it as an input without ``field``.
    """

    columns: dict[str, list[FieldRef]] = {}
    indirect: list[FieldRef] = []
    unknown: list[str] = []


def json_path(path: list[str | None]) -> str:
    """The path as JSONPath, exact for any key: ``$.payload.commits[*].sha``, ``$['Order ID']``."""
    parts = ["$"]
    for key in path:
        if key is None:
            parts.append("[*]")
        elif key.isidentifier() and key != ELEMENT:
            parts.append(f".{key}")
        else:
            escaped = key.replace("\\", "\\\\").replace("'", "\\'")
            parts.append(f"['{escaped}']")
    return "".join(parts)


SchemaDocument = dict[str, Any]
