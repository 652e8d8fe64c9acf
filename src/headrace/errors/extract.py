"""Errors of sources, resources and pipes.

::

    DltSourceException
    ├── DltResourceException        names the resource
    │   └── InvalidResourceDataType and its kinds
    ├── SourceExhausted, SourceDataIsNone, ResourcesNotFoundError …
    PipeException                   names the pipe
    └── ResourceExtractionError …   the user's own error is its cause
    PipelineException
    └── ResourceNameNotAvailable, SourceSectionNotAvailable, PipelineStateNotAvailable
"""

from __future__ import annotations

import inspect
from typing import Any

from headrace.errors.base import ReferenceImportError
from headrace.errors.columns import (
    DataWriterException,
    FileImportNotFound,
    InvalidDataItem,
    UnsupportedArrowTypeException,
)
from headrace.errors.pipe import (
    CreatePipeException,
    InvalidStepFunctionArguments,
    PipeException,
    PipeGenInvalid,
    PipeItemProcessingError,
    PipelineStateNotAvailable,
    PipeNotBoundToData,
    ResourceExtractionError,
    ResourceNameNotAvailable,
    SourceSectionNotAvailable,
    UnclosablePipe,
)
from headrace.errors.source import (
    CurrentSourceNotAvailable,
    CurrentSourceSchemaNotAvailable,
    DltSourceException,
    ExplicitSourceNameInvalid,
    ExtractorException,
    InconsistentTableTemplate,
    InvalidSourceReference,
    ResourcesNotFoundError,
    SourceDataIsNone,
    SourceExhausted,
    SourceIsAClassTypeError,
    SourceNotAFunction,
    UnknownSourceReference,
)

__all__ = [
    "CreatePipeException",
    "CurrentSourceNotAvailable",
    "CurrentSourceSchemaNotAvailable",
    "DataItemRequiredForDynamicTableHints",
    "DataLocationKindRequired",
    "DataWriterException",
    "DeletingResourcesNotSupported",
    "DltResourceException",
    "DltSourceException",
    "ExplicitSourceNameInvalid",
    "ExtractorException",
    "FileImportNotFound",
    "InconsistentTableTemplate",
    "IncrementalUnboundError",
    "InvalidDataItem",
    "InvalidParallelResourceDataType",
    "InvalidParentResourceDataType",
    "InvalidParentResourceIsAFunction",
    "InvalidResourceDataType",
    "InvalidResourceDataTypeBasic",
    "InvalidResourceDataTypeIsNone",
    "InvalidResourceDataTypeMultiplePipes",
    "InvalidResourceReturnsResource",
    "InvalidSourceReference",
    "InvalidStepFunctionArguments",
    "InvalidTransformerDataTypeGeneratorFunctionRequired",
    "InvalidTransformerGeneratorFunction",
    "ParametrizedResourceUnbound",
    "PipeException",
    "PipeGenInvalid",
    "PipeItemProcessingError",
    "PipeNotBoundToData",
    "PipelineStateNotAvailable",
    "ReferenceImportError",
    "ResourceExtractionError",
    "ResourceFunctionExpected",
    "ResourceNameMissing",
    "ResourceNameNotAvailable",
    "ResourceNotATransformer",
    "ResourceNotFoundError",
    "ResourcesNotFoundError",
    "SourceDataIsNone",
    "SourceExhausted",
    "SourceIsAClassTypeError",
    "SourceNotAFunction",
    "SourceSectionNotAvailable",
    "UnclosablePipe",
    "UnknownSourceReference",
    "UnsupportedArrowTypeException",
]


class DltResourceException(DltSourceException):
    """Root of the errors of resources; names the resource."""

    def __init__(
        self,
        resource_name: str | None,
        what: str,
        *,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.resource_name = resource_name
        super().__init__(what, why=why, fix=fix)


class ResourceNameMissing(DltResourceException):
    """Data without a name of its own was given without a name."""

    def __init__(self) -> None:
        super().__init__(
            None,
            "The data has no name.",
            why="only functions and generators have a name of their own",
            fix="give `table_name=` to `run()`, or `name=` to `resource()`",
        )


class DataLocationKindRequired(DltResourceException):
    """A place was told without its kind, and there is no source that it could be named after."""

    def __init__(self, resource_name: str) -> None:
        super().__init__(
            resource_name,
            "The location that was told has no `kind`.",
            why="the source's name stands for it, and the resource is in no source yet: it is when the source's "
            "function returns",
            fix='give one: add_input({"kind": "…", …})',
        )


class ResourceNotFoundError(DltResourceException, KeyError):
    """A resource is missing where it was looked for."""

    def __init__(self, resource_name: str, context: str) -> None:
        self.context = context
        super().__init__(resource_name, f"There is no resource `{resource_name}`: {context}")


class InvalidResourceDataType(DltResourceException):
    """A resource cannot be made from this kind of data."""

    def __init__(
        self,
        resource_name: str | None,
        item: Any,
        _typ: type[Any],
        msg: str = "",
        *,
        fix: str | None = None,
    ) -> None:
        self._item, self.typ = item, _typ
        kind = getattr(_typ, "__name__", str(_typ))
        super().__init__(
            resource_name,
            f"Resource `{resource_name}` cannot be made from data of the type `{kind}`.",
            why=msg or None,
            fix=fix or "give a list of items, a generator, or a function that yields items",
        )


class InvalidParallelResourceDataType(InvalidResourceDataType):
    """Only generators can run in parallel."""

    def __init__(self, resource_name: str, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            "only generators and generator functions can be `parallelized`",
        )


class InvalidResourceDataTypeBasic(InvalidResourceDataType):
    """A single document or string was given where many items are expected."""

    def __init__(self, resource_name: str | None, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            "a single document or string is one item, and a resource is made of many",
            fix="put it in a list: `[item]`",
        )


class InvalidResourceDataTypeIsNone(InvalidResourceDataType):
    """There is no data."""

    def __init__(self, resource_name: str | None, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            "most often the return statement of a function is missing",
        )


class InvalidResourceDataTypeMultiplePipes(InvalidResourceDataType):
    """Two resources of one source have the same name."""

    def __init__(self, resource_name: str, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            "another resource of the source has this name",
            fix=f'rename one of them: `resource.with_name("other_{resource_name}")`',
        )


class InvalidTransformerDataTypeGeneratorFunctionRequired(InvalidResourceDataType):
    """A transformer is made from something that is no function."""

    def __init__(self, resource_name: str | None, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            "a transformer is called with items of another resource",
            fix="decorate a function that takes the item as its first argument",
        )


class InvalidTransformerGeneratorFunction(DltResourceException):
    """The function of a transformer cannot take an item."""

    def __init__(
        self,
        resource_name: str | None,
        func_name: str,
        sig: inspect.Signature,
        code: int,
    ) -> None:
        self.func_name, self.sig, self.code = func_name, sig, code
        why = {
            1: "it takes no arguments",
            2: "its first argument cannot be given by position",
            3: "its first argument has the name of none that can hold an item",
        }
        super().__init__(
            resource_name,
            f"Function `{func_name}{sig}` cannot be a transformer.",
            why=why.get(code),
            fix="let its first argument be the item",
        )


class InvalidResourceReturnsResource(InvalidResourceDataType):
    """A resource yielded another resource."""

    def __init__(self, resource_name: str, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            "it yields another resource as if that were data",
            fix="return the resource instead of yielding it, or yield from it",
        )


class ResourceFunctionExpected(InvalidResourceDataType):
    """`@resource` was put on something that is no function."""

    def __init__(self, resource_name: str | None, item: Any, _typ: type[Any]) -> None:
        super().__init__(resource_name, item, _typ, "a function is expected here")


class InvalidParentResourceDataType(InvalidResourceDataType):
    """``data_from`` of a transformer is no resource."""

    def __init__(self, resource_name: str | None, item: Any, _typ: type[Any]) -> None:
        super().__init__(
            resource_name,
            item,
            _typ,
            f"`data_from` of transformer `{resource_name}` must be a resource",
            fix="decorate the function with `@resource`",
        )


class InvalidParentResourceIsAFunction(DltResourceException):
    """``data_from`` of a transformer is a bare function."""

    def __init__(self, resource_name: str | None, func_name: str) -> None:
        self.func_name = func_name
        super().__init__(
            resource_name,
            f"`data_from` of transformer `{resource_name}` is the plain function `{func_name}`.",
            fix=f"decorate `{func_name}` with `@resource`",
        )


class DeletingResourcesNotSupported(DltResourceException):
    """Resources cannot be taken out of a source."""

    def __init__(self, source_name: str, resource_name: str) -> None:
        self.source_name = source_name
        super().__init__(
            resource_name,
            f"Resource `{resource_name}` cannot be deleted from source `{source_name}`.",
            fix="select the others with `with_resources`, or set `resource.selected = False`",
        )


class ParametrizedResourceUnbound(DltResourceException):
    """A resource that takes arguments is read without them."""

    def __init__(
        self,
        resource_name: str,
        func_name: str,
        sig: inspect.Signature,
        kind: str,
        error: str,
    ) -> None:
        self.func_name, self.sig, self.kind, self.error = (
            func_name,
            str(sig),
            kind,
            error,
        )
        super().__init__(
            resource_name,
            f"The {kind} `{resource_name}` needs its arguments {sig}.",
            why=error,
            fix=f"call it: `{resource_name}(…)`, or bind in place: `source.{resource_name}.bind(…)`",
        )


class ResourceNotATransformer(DltResourceException):
    """Data is piped into a resource that takes none."""

    def __init__(self, resource_name: str, msg: str) -> None:
        super().__init__(
            resource_name,
            f"Resource `{resource_name}` is not a transformer.",
            why=msg,
            fix="decorate its function with `@transformer`",
        )


class DataItemRequiredForDynamicTableHints(DltResourceException):
    """A hint is a function of the item, and there is no item."""

    def __init__(self, resource_name: str, hint_name: str) -> None:
        self.hint_name = hint_name
        super().__init__(
            resource_name,
            f"The hint `{hint_name}` of resource `{resource_name}` is a function of the item, and no item is at hand.",
            fix="pass one: `resource.compute_table_schema(item)`",
        )


class IncrementalUnboundError(DltResourceException):
    """An incremental is used before it knows its resource and state."""

    def __init__(self, cursor_path: str) -> None:
        self.cursor_path = cursor_path
        super().__init__(
            "",
            f"The incremental on `{cursor_path}` is not bound to a resource yet.",
            fix="use it as an argument of a resource function, or add it with `resource.add_step`",
        )
