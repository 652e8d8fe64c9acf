"""Column lineage of a package: which column of which table holds which field of the input. Pure functions.

How it fits together (for `collect` and `events`):

1. While a resource is at hand (end of extract, the pipeline's thread): `columns_resource.describe(resource)`, plain data,
   a few microseconds; keep it with the package.
2. On the worker: ``lineage = edges(extracted, schema, described)``: table to `TableLineage`. ``extracted`` is the
   journal's fact, ``schema`` the document the package was normalized with.
3. ``lineage = memory.merged(resource, lineage, schema)`` (`columns_memory.ColumnMemory`): columns that this load did not
   bring are filled in from earlier ones.
4. ``resolve(lineage[table], inputs, parents)`` gives `TableEdges` with `FieldRef`s for `facts.Output`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.observers.lineage.columns_model import ResourceFact, TableEdges, TableLineage
from headrace.observers.lineage.facts import DatasetId

if TYPE_CHECKING:
    from headrace.model.events import Extracted
    from headrace.model.schema import Schema


def edges(
    fact: Extracted,
    schema: Mapping[str, Any] | Schema,
    resource: ResourceFact,
    tables: Collection[str] | None = None,
    models: Mapping[str, str] | None = None,
) -> dict[str, TableLineage]:
    """The column lineage of what one resource wrote into a package.

    Args:
        fact: What extract sealed: spool files and the shapes of what is in them.
        schema: Of the package, after normalize. A `Schema` is changed (marks of evolution): give a copy. Give one for
            many resources of a package: it is made only once then.
        resource: As `columns_resource.describe` took it.
        tables: Only these tables; all that the resource writes by default.
        models: Text of SQL models by the path of their spool file; those left out have unknown columns.

    Returns:
        By table, nested ones included.
    """
    raise NotImplementedError


def resolve(lineage: TableLineage, inputs: Sequence[DatasetId], parents: Sequence[DatasetId] = ()) -> TableEdges:
    """Name the datasets.

    Args:
        lineage: Of one table.
        inputs: The resource's own inputs; none when nobody declared any.
        parents: Inputs of the resources it takes items from.
    """
    raise NotImplementedError
