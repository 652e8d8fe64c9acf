"""Sources that come with headrace, and the types that sources are made of. Nothing is loaded until it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names

_where = {
    "AnySourceFactory": "headrace.extract.factory:SourceFactory",
    "DltResource": "headrace.extract.resource:DltResource",
    "DltSource": "headrace.extract.source:DltSource",
    "SourceFactory": "headrace.extract.factory:SourceFactory",
    "SourceReference": "headrace.extract.reference:SourceReference",
    "TDataItem": "headrace.typing:TDataItem",
    "TDataItems": "headrace.typing:TDataItems",
    "UnknownSourceReference": "headrace.errors.extract:UnknownSourceReference",
    "config": "headrace.sources.config",
    "credentials": "headrace.sources.credentials",
    "incremental": "headrace.extract.incremental:Incremental",
}
__getattr__, __dir__ = lazy_names(__name__, _where)

if TYPE_CHECKING:
    from headrace.errors.extract import UnknownSourceReference as UnknownSourceReference
    from headrace.extract.factory import SourceFactory as AnySourceFactory
    from headrace.extract.factory import SourceFactory as SourceFactory
    from headrace.extract.incremental import Incremental as incremental
    from headrace.extract.reference import SourceReference as SourceReference
    from headrace.extract.resource import DltResource as DltResource
    from headrace.extract.source import DltSource as DltSource
    from headrace.typing import TDataItem as TDataItem
    from headrace.typing import TDataItems as TDataItems

__all__ = [
    "AnySourceFactory",
    "DltResource",
    "DltSource",
    "SourceFactory",
    "SourceReference",
    "TDataItem",
    "TDataItems",
    "UnknownSourceReference",
    "incremental",
]
