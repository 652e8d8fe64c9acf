"""What users write for OpenLineage's client: a transport and a transformer."""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.serde import Serde
from openlineage.client.transport import Config, Transport
from openlineage.client.transport.transform import EventTransformer


@attr.define
class Address(Config):
    where: str = ""

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> Address:
        return cls(where=params["where"])


class Own(Transport):
    kind = "own"
    config_class = Address
    taken: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    fails: ClassVar[list[Exception]] = []

    def __init__(self, config: Address) -> None:
        self.where = config.where

    def emit(self, event: Any) -> None:
        if Own.fails:
            raise Own.fails.pop()
        Own.taken.append((self.where, Serde.to_dict(event)))


class Elsewhere(EventTransformer):
    def transform(self, event: Any) -> Any:
        if event.job.name == "not_this":
            return None
        event.job.namespace = self.properties["namespace"]
        parent = event.run.facets.get("parent")
        if parent is not None:
            parent.job.namespace = self.properties["namespace"]
        return event
