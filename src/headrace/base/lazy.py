"""Names that are imported when first used, and errors that say what to install."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from headrace.errors import MissingDependencyException


def lazy_names(module: str, where: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` (PEP 562) for a module whose names live elsewhere.

    Args:
        module: The module's ``__name__``.
        where: Public name to ``"package.module:attribute"``, or ``"package.module"`` for a module itself.

    Returns:
        The two functions to assign in the module.
    """

    def get(name: str) -> Any:
        target = where.get(name)
        if target is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, attribute = target.partition(":")
        found: Any = importlib.import_module(home)
        if attribute:
            found = getattr(found, attribute)
        # also undoes the import system's habit of putting a submodule in the name's place
        setattr(sys.modules[module], name, found)
        return found

    def names() -> list[str]:
        return sorted({*where, *vars(sys.modules[module])})

    return get, names


def need(module: str, feature: str, extra: str | None = None) -> ModuleType:
    """Import a module that is not part of the core install.

    Args:
        module: Dotted module name.
        feature: Who needs it, in a user's words, for the error.
        extra: The extra of headrace that brings it.

    Raises:
        MissingDependencyException: It is not installed; the text has the pip line.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = f"headrace[{extra}]" if extra else module.partition(".")[0]
        raise MissingDependencyException(feature, [package]) from error
