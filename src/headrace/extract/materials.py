"""What resources can be made of."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator
from functools import partial
from typing import Any

from headrace.columns.arrow import is_arrow_like
from headrace.errors.extract import (
    InvalidParentResourceDataType,
    InvalidParentResourceIsAFunction,
    InvalidResourceDataType,
    InvalidResourceDataTypeBasic,
    InvalidResourceDataTypeIsNone,
    InvalidTransformerDataTypeGeneratorFunctionRequired,
    ResourceNameMissing,
)
from headrace.extract.functions import ResourceFunction, check_transformer_function
from headrace.extract.items import META, QUERY, kind_of
from headrace.extract.pipe import Pipe


def data_of(data: Any, name: str | None, *, is_transformer: bool = False) -> tuple[str, Any]:
    """The name and the first step of a pipe for some data.

    Args:
        data: Anything a resource can be made of.
        name: The name that was given.
        is_transformer: The data must be a function that takes items.

    Raises:
        ResourceNameMissing: Nothing has a name.
        InvalidResourceDataType: The data cannot be made into items.
    """
    if data is None:
        raise InvalidResourceDataTypeIsNone(name, data, type(data))
    is_function = callable(data) and not is_arrow_like(data)
    if is_transformer:
        if not is_function:
            raise InvalidTransformerDataTypeGeneratorFunctionRequired(name, data, type(data))
        check_transformer_function(name, data)
    if is_function:
        return _named(name, data), ResourceFunction(data, is_transformer=is_transformer)
    if is_arrow_like(data) or kind_of(data) in (META, QUERY):
        return _named(name, None), [data]
    if isinstance(data, (str, bytes, dict)):
        raise InvalidResourceDataTypeBasic(name, data, type(data))
    if isinstance(data, Awaitable):
        return _named(name, data), iter((data,))
    if isinstance(data, (Iterator, AsyncIterable)):
        return _named(name, data), data
    if isinstance(data, Iterable):
        return _named(name, None), data
    raise InvalidResourceDataType(name, data, type(data))


def _named(name: str | None, data: Any) -> str:
    found = name or getattr(data.func if isinstance(data, partial) else data, "__name__", None)
    if not found:
        raise ResourceNameMissing()
    return str(found)


def parent_pipe_of(name: str, data_from: Any, resource_class: type[Any]) -> Pipe | None:
    """The pipe that a transformer takes items from.

    Raises:
        InvalidParentResourceIsAFunction: It is given as a plain function.
        InvalidParentResourceDataType: It is no resource.
    """
    if isinstance(data_from, Pipe):
        return data_from
    if isinstance(data_from, resource_class):
        pipe: Pipe = data_from._pipe
        pipe.resource = data_from  # its hints count though it may be part of no source
        return None if pipe.is_empty else pipe
    if callable(data_from):
        raise InvalidParentResourceIsAFunction(name, getattr(data_from, "__name__", str(data_from)))
    raise InvalidParentResourceDataType(name, data_from, type(data_from))
