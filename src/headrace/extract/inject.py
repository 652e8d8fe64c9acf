"""The way from extract to the configuration: arguments of sources and resources are filled in here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def argument_resolver(
    f: Callable[..., Any], sections: tuple[str, ...], spec: type[Any] | None, base_spec: type[Any] | None = None
) -> Callable[..., Arguments]:
    """Make a function that completes the arguments for another one from the configuration.

    The arguments are found once, before the function is called, and not at each call: a transformer is called for each
    item.

    Args:
        f: The function whose signature says which arguments there are.
        sections: Where to look: ``("sources", <section>, <name>)``.
        spec: The configuration class to use instead of one made from the signature.
        base_spec: The class that a made one derives from.

    Returns:
        A function that takes the explicit arguments and gives all of them.
    """
    from headrace.config.inject import with_config

    @functools.wraps(f)
    def capture(*args: Any, **kwargs: Any) -> Arguments:
        return args, kwargs

    options: dict[str, Any] = {"spec": spec, "sections": sections}
    if base_spec is not None:
        options["base"] = base_spec
    resolver: Callable[..., Arguments] = with_config(capture, **options)
    return resolver


@contextmanager
def config_sections(sections: tuple[str, ...]) -> Iterator[None]:
    """Make a section path the current one for look-ups inside of functions."""
    from headrace.config.sections import config_section_context

    with config_section_context(*sections):
        yield


def signature_of(f: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function; that of built-in ones without any takes no arguments."""
    try:
        return inspect.signature(f)
    except ValueError:
        return inspect.Signature()


def module_section(f: Callable[..., Any]) -> str:
    """The configuration section of a function: ``__source_name__`` of its module, or the module's short name.

    A script that is run has the name of its file.
    """
    module = inspect.getmodule(inspect.unwrap(f))
    if module is None:
        return getattr(f, "__module__", None) or "sources"
    named = getattr(module, "__source_name__", None)
    if isinstance(named, str):
        return named
    name = module.__name__
    if name == "__main__":
        path = getattr(module, "__file__", None)
        if path:
            from pathlib import PurePath

            return PurePath(path).stem
    return name.rpartition(".")[2]
