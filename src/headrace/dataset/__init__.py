"""Reading back what was loaded: datasets, and relations that are tables or queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

# first, because loading the submodule puts it in the place of the function below
from headrace.dataset.dataset import Dataset
from headrace.dataset.relation import Relation

if TYPE_CHECKING:
    from headrace.model.schema import Schema

__all__ = ["Dataset", "Relation", "dataset"]


def dataset(
    destination: Any,
    dataset_name: str,
    schema: Schema | str | Sequence[Schema] | None = None,
) -> Dataset:
    """A dataset without a pipeline.

    Args:
        destination: A destination, or what `pipeline(destination=…)` takes.
        dataset_name: The dataset, as it is called at the destination.
        schema: The schema or schemas; a name is looked up in the dataset; None takes the newest schema stored there.
    """
    return Dataset(destination, dataset_name, schema)
