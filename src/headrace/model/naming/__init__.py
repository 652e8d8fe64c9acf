"""Naming conventions, and how they are found by name."""

from __future__ import annotations

import importlib
import os
from functools import lru_cache
from types import ModuleType
from typing import Any

from headrace.errors.schema import (
    InvalidNamingType,
    NamingTypeNotFound,
    UnknownNamingModule,
)
from headrace.model.naming.base import NamingConvention

__all__ = ["BUILT_IN", "NamingConvention", "default_ref", "get", "ref_of"]

BUILT_IN = ("snake_case", "direct", "duck_case", "sql_cs_v1", "sql_ci_v1", "s3_tables")
_CLASS = "NamingConvention"
_COMPATIBLE = "dlt.common.normalizers.naming."


def default_ref() -> str:
    """The name of the convention that a schema gets when nobody asked for one."""
    return os.environ.get("DLT_DEFAULT_NAMING_MODULE", "snake_case")


def get(ref: str | type[NamingConvention] | ModuleType) -> type[NamingConvention]:
    """Find a naming convention.

    Args:
        ref: A short name (``snake_case``), a module with a class ``NamingConvention``, ``module.Class``, or the class
            or module itself.

    Raises:
        UnknownNamingModule: There is no such module.
        NamingTypeNotFound: The module has no such class.
        InvalidNamingType: The class is not a naming convention.
    """
    if isinstance(ref, ModuleType):
        return _of_module(ref, _CLASS)
    if isinstance(ref, type):
        if not _is_convention(ref):
            raise InvalidNamingType(ref.__module__, ref.__qualname__)
        return ref
    return _by_name(ref)


def ref_of(ref: str | type[NamingConvention] | ModuleType) -> str:
    """The text by which a schema remembers a convention."""
    if isinstance(ref, str):
        return ref
    found = get(ref)
    return found.name() if found.__module__.startswith(__name__) else f"{found.__module__}.{found.__qualname__}"


@lru_cache(maxsize=64)
def _by_name(ref: str) -> type[NamingConvention]:
    # stored schemas may name the modules of the library that this one is compatible with
    parts = ref.removeprefix(_COMPATIBLE).split(".")
    if parts[0] in BUILT_IN and parts[1:] in ([], [_CLASS]):
        return _of_module(importlib.import_module(f"{__name__}.{parts[0]}"), _CLASS)
    namespace = os.environ.get("DLT_DEFAULT_NAMING_NAMESPACE")
    for path in [f"{namespace}.{ref}", ref] if namespace else [ref]:
        module = _import(path)
        if module is not None:
            return _of_module(module, _CLASS)
    home, _, name = ref.rpartition(".")
    module = _import(home) if home else None
    if module is None:
        raise UnknownNamingModule(ref)
    return _of_module(module, name)


def _import(path: str) -> ModuleType | None:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        # a missing module *inside* the convention is an error of its own
        if error.name and (path == error.name or path.startswith(error.name + ".")):
            return None
        raise


def _of_module(module: ModuleType, name: str) -> type[NamingConvention]:
    found: Any = getattr(module, name, None)
    if found is None:
        raise NamingTypeNotFound(module.__name__, name)
    if not _is_convention(found):
        raise InvalidNamingType(module.__name__, name)
    return found  # type: ignore[no-any-return]


def _is_convention(found: Any) -> bool:
    # by shape as well: conventions written for the compatible library are accepted
    return isinstance(found, type) and (
        issubclass(found, NamingConvention)
        or all(callable(getattr(found, m, None)) for m in ("normalize_identifier", "make_path", "break_path", "name"))
    )
