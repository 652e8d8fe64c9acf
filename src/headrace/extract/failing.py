"""Errors of users' code, told with the resource they belong to."""

from __future__ import annotations

from typing import Any, NoReturn

from headrace.errors.base import PipelineException
from headrace.errors.extract import DltSourceException, ExtractorException, PipeException, ResourceExtractionError
from headrace.errors.masking import without_secrets
from headrace.extract.nodes import Node

# errors that already say which resource they are about
CLEAR = (PipelineException, DltSourceException, PipeException, ExtractorException)


def fail(node: Node, where: Any, kind: str, error: BaseException) -> NoReturn:
    """Say which resource an error of the user's code belongs to."""
    if isinstance(error, CLEAR) or not isinstance(error, Exception):
        raise error
    text = without_secrets(str(error))  # drivers like to show the connection string
    # the text of a KeyError is the key and nothing else
    why = f"{type(error).__name__}: {text}" if text else type(error).__name__
    raise ResourceExtractionError(node.pipe.name, where, why, kind) from error


def step_name(node: Node, index: int) -> Any:
    """What a step of a resource is called in errors."""
    step = node.steps[index]
    if index == 0 and node.pipe.parent is not None:
        return node.pipe.gen
    return getattr(step, "__name__", None) or type(step).__name__
