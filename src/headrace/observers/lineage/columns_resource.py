"""What column lineage must know of a resource, taken while it is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.observers.lineage.columns_model import ResourceFact

if TYPE_CHECKING:
    from headrace.extract.resource import DltResource


def describe(resource: DltResource[Any]) -> ResourceFact:
    """Steps, cursor and declarations of a resource as plain data."""
    raise NotImplementedError
