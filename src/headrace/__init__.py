"""headrace: load data from APIs, files and databases into tables.

The public names are those of dlt, so ``import headrace as dlt`` is all that most scripts need. Nothing heavy is loaded
until a name is used.

    import headrace

    pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    info = pipeline.run([{"id": 1, "items": [{"sku": "a"}]}], table_name="orders")
    print(info)
"""

from __future__ import annotations

import logging as _logging
import sys as _sys
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING, Any

from headrace.base.lazy import lazy_names as _lazy_names
from headrace.base.version import VERSION as __version__

_where = {
    "Dataset": "headrace.dataset.dataset:Dataset",
    "DltResource": "headrace.extract.resource:DltResource",
    "DltSource": "headrace.extract.source:DltSource",
    "Pipeline": "headrace.pipeline.pipeline:Pipeline",
    "Relation": "headrace.dataset.relation:Relation",
    "Schema": "headrace.model.schema:Schema",
    "TCredentials": "headrace.config.spec:CredentialsConfiguration",
    "TSecretStrValue": "headrace.config.hints:TSecretStrValue",
    "TSecretValue": "headrace.config.hints:TSecretValue",
    "attach": "headrace.pipeline.factory:attach",
    "config": "headrace.config.accessors:config",
    "current": "headrace.current",
    "dataset": "headrace.dataset:dataset",
    "defer": "headrace.extract.decorators:defer",
    "destination": "headrace.destinations.impl.custom.factory:decorator",
    "destinations": "headrace.destinations",
    "lineage": "headrace.lineage",
    "mark": "headrace.extract.mark",
    "pipeline": "headrace.pipeline.factory:pipeline",
    "progress": "headrace.progress",
    "resource": "headrace.extract.decorators:resource",
    "run": "headrace.pipeline.factory:run",
    "secrets": "headrace.config.accessors:secrets",
    "source": "headrace.extract.decorators:source",
    "sources": "headrace.sources",
    "transformer": "headrace.extract.decorators:transformer",
}
_HIDES_A_PACKAGE = frozenset({"config", "dataset", "pipeline"})


class _Headrace(_ModuleType):
    """Keeps the public objects `pipeline`, `dataset` and `config` in front of the packages of the same names.

    The import system sets a package's attribute when a submodule is loaded for the first time, whenever that is; here
    is the only place that sees every such attempt.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HIDES_A_PACKAGE and isinstance(value, _ModuleType):
            return
        super().__setattr__(name, value)


__getattr__, __dir__ = _lazy_names(__name__, _where)
_sys.modules[__name__].__class__ = _Headrace
_logging.getLogger("headrace").addHandler(_logging.NullHandler())

if TYPE_CHECKING:
    from headrace import current as current
    from headrace import destinations as destinations
    from headrace import lineage as lineage
    from headrace import progress as progress
    from headrace import sources as sources
    from headrace.config.accessors import config as config
    from headrace.config.accessors import secrets as secrets
    from headrace.config.hints import TSecretStrValue as TSecretStrValue
    from headrace.config.hints import TSecretValue as TSecretValue
    from headrace.config.spec import CredentialsConfiguration as TCredentials
    from headrace.dataset import dataset as dataset  # type: ignore[no-redef] # a module has the name too
    from headrace.dataset.dataset import Dataset as Dataset
    from headrace.dataset.relation import Relation as Relation
    from headrace.destinations.impl.custom.factory import decorator as destination
    from headrace.extract import mark as mark
    from headrace.extract.decorators import defer as defer
    from headrace.extract.decorators import resource as resource
    from headrace.extract.decorators import source as source
    from headrace.extract.decorators import transformer as transformer
    from headrace.extract.resource import DltResource as DltResource
    from headrace.extract.source import DltSource as DltSource
    from headrace.model.schema import Schema as Schema
    from headrace.pipeline.factory import attach as attach
    from headrace.pipeline.factory import pipeline as pipeline
    from headrace.pipeline.factory import run as run
    from headrace.pipeline.pipeline import Pipeline as Pipeline

__all__ = [
    "Dataset",
    "Pipeline",
    "Relation",
    "Schema",
    "TCredentials",
    "TSecretStrValue",
    "TSecretValue",
    "__version__",
    "attach",
    "config",
    "current",
    "dataset",
    "defer",
    "destination",
    "destinations",
    "mark",
    "pipeline",
    "progress",
    "resource",
    "run",
    "secrets",
    "source",
    "sources",
    "transformer",
]
