"""Errors of sources. `headrace.errors.extract` re-exports all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.errors.base import HeadraceException, ReferenceImportError


class ExtractorException(HeadraceException):
    """An item could not be handed to the package."""


# ---- sources --------------------------------------------------------------------------------------------------------


class DltSourceException(HeadraceException):
    """Root of the errors of sources."""


class SourceDataIsNone(DltSourceException):
    """A source function returned nothing."""

    def __init__(self, source_name: str) -> None:
        self.source_name = source_name
        super().__init__(
            f"The function of source `{source_name}` returned None.",
            fix="return or yield resources from it; most often the return statement is missing",
        )


class SourceExhausted(DltSourceException):
    """A source whose iterators were used up is extracted again."""

    def __init__(self, source_name: str) -> None:
        self.source_name = source_name
        super().__init__(
            f"Source `{source_name}` was read to its end already.",
            why="it holds a generator or an iterator, which Python can run only once",
            fix="call the source function again, or make resources from functions instead of from generator objects",
        )


class ResourcesNotFoundError(DltSourceException):
    """Resources were asked for that the source does not have."""

    def __init__(
        self, source_name: str, available_resources: Iterable[str], requested_resources: Iterable[str]
    ) -> None:
        self.source_name = source_name
        self.available_resources, self.requested_resources = set(available_resources), set(requested_resources)
        self.not_found_resources = self.requested_resources - self.available_resources
        super().__init__(
            f"Source `{source_name}` has no resource {_names(sorted(self.not_found_resources))}.",
            fix=f"choose from {_names(sorted(self.available_resources))}",
        )


class SourceNotAFunction(DltSourceException):
    """`@source` was put on something that cannot be called."""

    def __init__(self, source_name: str, item: Any, _typ: type[Any]) -> None:
        self.source_name, self.typ = source_name, _typ
        super().__init__(
            f"Source `{source_name}` is made from a {_typ.__name__}, which is not a function.",
            fix="decorate a function that returns resources",
        )


class SourceIsAClassTypeError(DltSourceException):
    """`@source` was put on a class."""

    def __init__(self, source_name: str, _typ: type[Any]) -> None:
        self.source_name, self.typ = source_name, _typ
        super().__init__(
            f"Source `{source_name}` is made from the class `{_typ.__name__}`.",
            fix="give the class a `__call__` method and pass an instance of it to `source()`",
        )


class ExplicitSourceNameInvalid(DltSourceException):
    """A source has a schema of another name."""

    def __init__(self, source_name: str, schema_name: str) -> None:
        self.source_name, self.schema_name = source_name, schema_name
        super().__init__(
            f"Source `{source_name}` was given a schema named `{schema_name}`.",
            why="a source is known by the name of its schema",
            fix="leave out `name`, or give a schema of that name",
        )


class CurrentSourceNotAvailable(DltSourceException):
    """The current source was asked for outside of extraction."""

    def __init__(self) -> None:
        super().__init__(
            "There is no current source here.",
            why="it is only known while functions of resources run",
            fix="call it inside a function decorated with `@resource` or `@transformer`",
        )


class CurrentSourceSchemaNotAvailable(DltSourceException):
    """The schema of the current source was asked for outside of sources and resources."""

    def __init__(self) -> None:
        super().__init__(
            "There is no current source schema here.",
            fix="call it inside a function decorated with `@source`, `@resource` or `@transformer`",
        )


class InconsistentTableTemplate(DltSourceException):
    """Hints of a resource contradict each other."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("The hints of a resource contradict each other.", why=reason)


class UnknownSourceReference(ReferenceImportError, DltSourceException, KeyError):
    """No source is registered, or can be imported, under a name."""

    def __init__(self, ref: str, qualified_refs: Sequence[str], traces: Sequence[str] = ()) -> None:
        self.ref, self.qualified_refs, self.traces = ref, list(qualified_refs), list(traces)
        super().__init__(
            f"No source is known as `{ref}`.",
            why="tried " + "; ".join([*self.qualified_refs, *self.traces]),
            fix="import the module of the source first, or name it as `module.function`",
        )


class InvalidSourceReference(DltSourceException):
    """The text is no reference to a source."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"{ref!r} is no reference to a source.", fix="write `name` or `module.function`")


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "(none)"
