"""The resources of a source, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headrace.errors.extract import (
    DeletingResourcesNotSupported,
    InvalidResourceDataTypeMultiplePipes,
    ResourceNotFoundError,
    ResourcesNotFoundError,
)
from headrace.extract.pipe import Pipe, clone_pipes
from headrace.extract.resource import DltResource


class DltResourceDict(dict[str, DltResource[Any]]):
    """Resources by name. What is added is copied, so that the source may change it.

    Args:
        source_name: For errors.
        source_section: Given to resources without a section.
    """

    def __init__(self, source_name: str, source_section: str) -> None:
        super().__init__()
        self.source_name, self.source_section = source_name, source_section
        # copies of pipes by the identity of the original: a parent that several share is copied once
        self._copies: dict[int, Pipe] = {}
        self._originals: list[Pipe] = []  # keeps the identities valid

    @property
    def selected(self) -> dict[str, DltResource[Any]]:
        """The resources whose items are loaded."""
        return {name: r for name, r in self.items() if r.selected}

    @property
    def extracted(self) -> list[DltResource[Any]]:
        """All resources that are read: the selected ones, and those whose items they take, in the source or not."""
        found: list[DltResource[Any]] = []
        seen: set[int] = set()
        for resource in self.selected.values():
            for pipe in resource._pipe.chain():
                if id(pipe) not in seen:
                    seen.add(id(pipe))
                    found.append(self.find(pipe) or self._outside(pipe))
        return found

    def _outside(self, pipe: Pipe) -> DltResource[Any]:
        """The resource of a pipe that is read only for its transformers, and no part of the source."""
        if pipe.resource is not None:
            return pipe.resource._clone(pipe=pipe)
        return DltResource(pipe, None, False, section=self.source_section)

    @property
    def selected_dag(self) -> list[tuple[str, str]]:
        """Who gives items to whom, as pairs of names; a resource that makes its own items is paired with itself."""
        edges: list[tuple[str, str]] = []
        for resource in self.selected.values():
            for pipe in resource._pipe.chain():
                edge = (pipe.parent.name if pipe.parent is not None else pipe.name, pipe.name)
                if edge not in edges:
                    edges.append(edge)
        return edges

    @property
    def pipes(self) -> list[Pipe]:
        """Pipes of all resources."""
        return [r._pipe for r in self.values()]

    @property
    def selected_pipes(self) -> list[Pipe]:
        """Pipes of the selected resources."""
        return [r._pipe for r in self.selected.values()]

    def find(self, pipe: Pipe) -> DltResource[Any] | None:
        """The resource of a pipe, if it is in the source."""
        return next((r for r in self.values() if r._pipe is pipe), None)

    def with_pipe(self, pipe: Pipe) -> DltResource[Any]:
        """The resource of a pipe.

        Raises:
            ResourceNotFoundError: It is not in the source.
        """
        found = self.find(pipe)
        if found is None:
            raise ResourceNotFoundError(pipe.name, f"source `{self.source_name}` reads it only for a transformer")
        return found

    def select(self, *resource_names: str) -> dict[str, DltResource[Any]]:
        """Select exactly these resources, and give them.

        Raises:
            ResourcesNotFoundError: The source does not have one.
        """
        missing = set(resource_names) - set(self)
        if missing:
            raise ResourcesNotFoundError(self.source_name, self.keys(), resource_names)
        for resource in self.values():
            resource.selected = resource.name in resource_names
        return self.selected

    def add(self, *resources: DltResource[Any]) -> None:
        """Copy resources into the source.

        Raises:
            InvalidResourceDataTypeMultiplePipes: There is one of that name.
        """
        for resource in resources:
            if resource.name in self:
                raise InvalidResourceDataTypeMultiplePipes(resource.name, resource, type(resource))
        self._originals += [p for r in resources for p in r._pipe.chain()]
        for resource in resources:
            if resource.name in self:
                raise InvalidResourceDataTypeMultiplePipes(resource.name, resource, type(resource))
            (pipe,) = clone_pipes([resource._pipe], self._copies)
            self.adopt(resource._clone(pipe=pipe))

    def adopt(self, resource: DltResource[Any]) -> None:
        """Take a resource as it is."""
        resource.source_name = self.source_name
        resource.section = resource.section or self.source_section
        super().__setitem__(resource.name, resource)

    def hold(self, resource: DltResource[Any]) -> None:
        """Find a resource here that belongs to nobody."""
        super().__setitem__(resource.name, resource)

    def detach(self, resource_name: str | None = None) -> DltResource[Any]:
        """A copy of a resource that belongs to no source; without a name, of the only selected one.

        Raises:
            ResourceNotFoundError: There is none of that name.
        """
        if resource_name is None:
            names = list(self.selected)
            if len(names) != 1:
                raise ResourceNotFoundError(
                    "", f"{len(names)} resources of `{self.source_name}` are selected: name one"
                )
            resource_name = names[0]
        if resource_name not in self:
            raise ResourceNotFoundError(resource_name, f"source `{self.source_name}` does not have it")
        (pipe,) = clone_pipes([self[resource_name]._pipe])
        found = self[resource_name]._clone(pipe=pipe)
        found.source_name = None
        return found

    def copy_into(self, other: DltResourceDict, names: Iterable[str] | None = None) -> None:
        """Copy resources with their selection into another source; shared parents stay shared."""
        copies: dict[int, Pipe] = {}
        for name in names if names is not None else self:
            (pipe,) = clone_pipes([self[name]._pipe], copies)
            other.adopt(self[name]._clone(pipe=pipe))

    def __setitem__(self, name: str, resource: DltResource[Any]) -> None:
        if resource.name != name:
            raise ValueError(f"resource `{resource.name}` cannot be put under the name `{name}`: use with_name first")
        if name in self:
            # replacing is for changed copies of a resource; its pipe is taken as it is
            self.adopt(resource)
        else:
            self.add(resource)

    def __delitem__(self, name: str) -> None:
        raise DeletingResourcesNotSupported(self.source_name, name)

    def connected_components(self) -> list[Sequence[str]]:
        """Names of the selected resources in groups that share items, in order of definition."""
        groups: list[tuple[set[int], list[str]]] = []
        for name, resource in self.selected.items():
            pipes = {id(p) for p in resource._pipe.chain()}
            members = [name]
            rest = []
            for seen, names in groups:
                if seen & pipes:
                    pipes |= seen
                    members = names + members
                else:
                    rest.append((seen, names))
            groups = [*rest, (pipes, members)]
        order = list(self)
        found = [sorted(names, key=order.index) for _, names in groups]
        return sorted(found, key=lambda names: order.index(names[0]))

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()
