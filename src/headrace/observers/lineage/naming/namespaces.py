"""The user's map of namespaces: ``lineage.namespaces = {"old" = "new"}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from headrace.observers.lineage.facts import Dataset, DatasetId, FieldRef, Output

D = TypeVar("D", bound=Dataset)


class Namespaces:
    """Replaces namespaces: hosts that have several names get one, and lists of hosts.

    Args:
        given: Old to new. An old one that ends in ``*`` stands for all that begin with what is before it; a new one
            that ends in ``*`` keeps what the star stood for. An old one without a star counts as a whole. Exact ones
            go first, then the longest beginning.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        given = given or {}
        self._exact = {_bare(old): new for old, new in given.items() if not old.endswith("*")}
        stars = [(old[:-1], new) for old, new in given.items() if old.endswith("*")]
        self._prefixes = sorted(stars, key=lambda pair: len(pair[0]), reverse=True)

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes)

    def of(self, namespace: str) -> str:
        """The namespace to use instead; the same one where nothing is said."""
        found = self._exact.get(_bare(namespace))
        if found is not None:
            return found
        for beginning, new in self._prefixes:
            if namespace.startswith(beginning):
                return new[:-1] + namespace[len(beginning) :] if new.endswith("*") else new
        return namespace

    def id(self, dataset: DatasetId) -> DatasetId:
        """The dataset with its namespace replaced."""
        new = self.of(dataset.namespace)
        return dataset if new == dataset.namespace else DatasetId(new, dataset.name)

    def apply(self, dataset: D) -> D:
        """The dataset with all namespaces in it replaced: its own, those of its symlinks and of fields it came from."""
        if not self:
            return dataset
        own = self.id(dataset.id)
        links = [(self.of(space), name, kind) for space, name, kind in dataset.symlinks]
        links = [link for link in links if link[:2] != (own.namespace, own.name)]
        changed = msgspec.structs.replace(dataset, id=own, symlinks=links)
        if isinstance(changed, Output):
            changed.columns = {column: self._refs(refs) for column, refs in changed.columns.items()}
            changed.indirect = self._refs(changed.indirect)
        return changed

    def _refs(self, refs: list[FieldRef]) -> list[FieldRef]:
        return [msgspec.structs.replace(ref, dataset=self.id(ref.dataset)) for ref in refs]


def _bare(namespace: str) -> str:
    """Without the slash that people put at the end; ``inmemory://`` keeps its own."""
    return namespace if namespace.endswith("://") else namespace.rstrip("/")
