"""Looking at the destination through a pipeline: datasets, SQL sessions, clients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.errors.destination import FSClientNotAvailable, SqlClientNotAvailable
from headrace.model.events import TablesChanged

if TYPE_CHECKING:
    from headrace.dataset.dataset import Dataset
    from headrace.load.destination import Client
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline


def dataset(p: Pipeline, schema: Schema | str | Sequence[Schema] | None) -> Dataset:
    """See `Pipeline.dataset`."""
    from headrace.dataset.dataset import Dataset

    destination = p._need_destination("dataset")
    # a pipeline that was not synchronised yet knows no schemas: the dataset then reads those stored with the tables
    if schema is None:
        chosen: Any = _all_schemas(p)
    elif isinstance(schema, str):
        chosen = p._schemas.find(schema) or schema
    else:
        chosen = schema
    first = chosen[0] if isinstance(chosen, (list, tuple)) else chosen
    if first is None or isinstance(first, str):
        first = p._destinations.blank_schema(first)
    return Dataset(destination, p._destinations.dataset_for(first), chosen, pipeline=p._destinations.facts())


def _all_schemas(p: Pipeline) -> Any:
    """The default schema, and behind it the others that share its dataset; None when none is known here."""
    name = p.default_schema_name
    if name is None or name not in p._schemas:
        return None
    names = [name]
    if p._settings.pipeline.use_single_dataset:
        names += [other for other in p._schemas if other != name]
    schemas = [p._schemas[one] for one in names]
    return schemas[0] if len(schemas) == 1 else schemas


def destination_client(p: Pipeline, schema_name: str | None) -> Client:
    """See `Pipeline.destination_client`."""
    destination = p._need_destination("destination_client")
    schema = _schema(p, schema_name)
    dataset_name = p._destinations.dataset_for(schema)
    client = destination.open(dataset_name, schema, p._destinations.facts())
    client.on_change = partial(tell_changes, p, schema.name, dataset_name)
    return client


def tell_changes(p: Pipeline, schema_name: str, dataset_name: str, changes: dict[str, str]) -> None:
    """Tell those who watch of tables that were changed by hand; there may be no run."""
    from headrace.pipeline.watching import watch

    if changes:
        watch(p)
        run_id = p.bus.run.run_id if p._folder.held else ""
        p._publish(TablesChanged(run_id=run_id, schema_name=schema_name, dataset_name=dataset_name, changes=changes))


def sql_client(p: Pipeline, schema_name: str | None) -> Any:
    """See `Pipeline.sql_client`."""
    client = destination_client(p, schema_name)
    session = getattr(client, "sql_client", None)
    if session is None:
        raise SqlClientNotAvailable("pipeline", p.pipeline_name, p._need_destination("sql_client").destination_name)
    return session


def destination_clients(p: Pipeline, schema: Schema | None) -> tuple[Client, Client | None]:
    """Clients of the destination and of the staging destination, closed."""
    schema = schema or _schema(p, None)
    dataset_name, facts = p._destinations.dataset_for(schema), p._destinations.facts()
    client = p._need_destination("destination_client").open(dataset_name, schema, facts)
    staging = p.staging
    return client, None if staging is None else staging.open(dataset_name, schema, facts)


def fs_client(p: Pipeline, schema_name: str | None) -> Any:
    """The client of a destination that keeps files."""
    client = destination_client(p, schema_name)
    if not hasattr(type(client), "fs_client"):
        raise FSClientNotAvailable(p.pipeline_name, p._need_destination("fs_client").destination_name)
    return client


def _schema(p: Pipeline, schema_name: str | None) -> Schema:
    if schema_name is not None:
        return p._schemas[schema_name]
    return p._schemas.find(p.default_schema_name) or p._destinations.blank_schema()
