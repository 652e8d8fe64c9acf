"""From what users give as ``destination=`` to a destination."""

from __future__ import annotations

import importlib
from typing import Any

from headrace import destinations
from headrace.config.known import named_destination_type
from headrace.errors.destination import (
    InvalidDestinationReference,
    UnknownDestinationModule,
)
from headrace.load.destination import Destination

_BUILT_IN_PREFIXES = ("dlt.destinations.", "headrace.destinations.")


def resolve_destination(
    ref: Any,
    *,
    destination_name: str | None = None,
    credentials: Any = None,
    environment: str | None = None,
    **settings: Any,
) -> Destination:
    """Make a destination.

    Args:
        ref: A short name (``"duckdb"``), the name of a destination whose ``destination.<name>.destination_type`` is
            configured, a dotted path (``"package.module.Class"``), a factory (``headrace.destinations.duckdb``) or what
            a factory made.
        destination_name: The name it is configured under.
        credentials: Instead of configured ones.
        environment: A word to tell installations apart.
        **settings: Of the destination's configuration class, or its capabilities.

    Returns:
        The destination; what was given itself when there is nothing to change.

    Raises:
        UnknownDestinationModule: Nothing goes by that name.
        InvalidDestinationReference: It is no reference at all.
    """
    given = {"destination_name": destination_name, "credentials": credentials, "environment": environment, **settings}
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(ref, Destination):
        return _changed(ref, given)
    if isinstance(ref, str) and ref:
        return _by_name(ref, given)
    if callable(ref):
        made = ref(**given)
        if isinstance(made, Destination):
            return made
    raise InvalidDestinationReference(ref)


def _changed(destination: Destination, given: dict[str, Any]) -> Destination:
    changed = getattr(destination, "changed", None)
    if not given or changed is None:
        return destination
    made: Destination = changed(**given)
    return made


def _by_name(ref: str, given: dict[str, Any]) -> Destination:
    if "://" in ref:
        # it may have a password, and is told no further
        unknown = UnknownDestinationModule(f"{ref.partition('://')[0]}://…")
        unknown.fix = "a url is no name: give it to a factory, such as `headrace.destinations.postgres(url)`"
        raise unknown
    if "." not in ref:
        kind = named_destination_type(ref)
        if kind is not None and kind != ref:
            return _make(_factory(kind, named=True), kind, {"destination_name": ref, **given})
    return _make(_factory(ref), ref, given)


def _factory(ref: str, named: bool = False) -> Any:
    short = ref
    for prefix in _BUILT_IN_PREFIXES:
        if ref.startswith(prefix):
            short = ref.removeprefix(prefix)
    if "." not in short:
        if short in destinations.FACTORIES:
            return getattr(destinations, short)
        raise UnknownDestinationModule(
            ref, [f"headrace.destinations.{short}"], destination_type=ref if named else None, named_dest_attempted=True
        )
    module, _, attribute = ref.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        # a module that is there but lacks an import of its own must say so itself
        if error.name and not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise UnknownDestinationModule(ref, [ref], [error]) from error
    except AttributeError as error:
        raise UnknownDestinationModule(ref, [ref], [error]) from error


def _make(factory: Any, ref: str, given: dict[str, Any]) -> Destination:
    made = factory if isinstance(factory, Destination) else factory(**given) if callable(factory) else None
    if not isinstance(made, Destination):
        raise InvalidDestinationReference(ref)
    return made if made is not factory else _changed(made, given)
