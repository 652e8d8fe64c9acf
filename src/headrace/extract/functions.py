"""The function behind a resource: its arguments, bound or to be found, and how it is called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from headrace.errors.extract import InvalidTransformerGeneratorFunction, ParametrizedResourceUnbound
from headrace.extract.cursor import IncrementalResourceWrapper, find_incremental_argument
from headrace.extract.inject import Arguments, argument_resolver, signature_of
from headrace.extract.state import current_scope

_ITEM = object()


class ResourceFunction:
    """A function that makes items, with the arguments it will be called with.

    Args:
        f: The user's function: it returns or yields items; of a transformer, it takes one first.
        section: The configuration section its arguments are looked for in.
        spec: The configuration class for its arguments.
        base_spec: What a configuration class made for it derives from.
        is_transformer: It takes an item first.
        inject: Look for missing arguments in the configuration.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        section: str | None = None,
        *,
        spec: type[Any] | None = None,
        base_spec: type[Any] | None = None,
        is_transformer: bool = False,
        inject: bool = False,
    ) -> None:
        self.f = f
        self.section = section
        self.spec, self.base_spec = spec, base_spec
        self.is_transformer = is_transformer
        self.inject = inject
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.args_bound = False
        self.config_name: str | None = None
        self.full_signature = signature_of(f)
        self.signature = self._without_item()
        self.incremental = find_incremental_argument(f)
        self._resolvers: dict[tuple[str, ...], Callable[..., Arguments]] = {}

    @property
    def __name__(self) -> str:
        f = self.f.func if isinstance(self.f, functools.partial) else self.f
        return getattr(f, "__name__", None) or type(f).__name__

    def _without_item(self) -> inspect.Signature:
        parameters = list(self.full_signature.parameters.values())
        if self.is_transformer:
            parameters = parameters[1:]
        return self.full_signature.replace(parameters=parameters)

    @property
    def takes_meta(self) -> bool:
        """Whether the engine passes the item's meta."""
        return self.is_transformer and "meta" in self.signature.parameters

    @property
    def requires_args(self) -> bool:
        """Whether an argument without a default has no value yet."""
        try:
            self._check(strictly=True)
        except TypeError:
            return True
        return False

    @property
    def has_arguments(self) -> bool:
        """Whether there is anything to bind."""
        return bool(self.signature.parameters)

    @property
    def explicit_args(self) -> dict[str, Any]:
        """The arguments given so far, by name."""
        return dict(self.signature.bind_partial(*self.args, **self.kwargs).arguments)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> ResourceFunction:
        """A copy with arguments; its settings are those of the name that the resource has now, whatever comes later.

        Raises:
            TypeError: The function does not take them, or needs more.
        """
        bound = self.copy()
        bound.args, bound.kwargs, bound.args_bound, bound.config_name = args, kwargs, True, name
        bound._check(strictly=True)
        return bound

    def copy(self) -> ResourceFunction:
        """A copy that can be bound on its own."""
        new = ResourceFunction.__new__(ResourceFunction)
        new.__dict__.update(self.__dict__)
        return new

    def _check(self, strictly: bool) -> None:
        kwargs = dict(self.kwargs)
        if self.takes_meta:
            kwargs["meta"] = None
        bind = self.signature.bind if strictly else self.signature.bind_partial
        bind(*self.args, **kwargs)

    def is_generator(self) -> bool:
        """Whether calling it gives a generator at once, and runs nothing."""
        f = inspect.unwrap(self.f.func if isinstance(self.f, functools.partial) else self.f)
        return inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f)

    def resolve(self, name: str, incremental: IncrementalResourceWrapper | None) -> Callable[..., Any]:
        """Find all arguments, and give the function with them.

        Args:
            name: Of the resource.
            incremental: The cursor of the resource, which may be one of the arguments.

        Raises:
            ParametrizedResourceUnbound: An argument without a default has no value.
            ConfigFieldMissingException: One marked as a setting was not found.
        """
        try:
            self._check(strictly=True)
        except TypeError as error:
            kind = "transformer" if self.is_transformer else "resource"
            raise ParametrizedResourceUnbound(name, self.__name__, self.signature, kind, str(error)) from error
        args, kwargs = self._arguments(name, incremental)
        if self.is_transformer:
            return self._after_item(args, kwargs)
        return functools.partial(self.f, *args, **kwargs) if args or kwargs else self.f

    def _arguments(self, name: str, incremental: IncrementalResourceWrapper | None) -> Arguments:
        item = (_ITEM,) if self.is_transformer else ()
        bound = self.full_signature.bind_partial(*item, *self.args, **self.kwargs)
        argument = incremental.argument if incremental is not None else None
        explicit = bound.arguments.pop(argument, _ITEM) if argument else _ITEM
        if self.inject and self.full_signature.parameters:
            if argument and incremental is not None and incremental.default is None:
                bound.arguments[argument] = None
            args, kwargs = self._resolver(name)(*bound.args, **bound.kwargs)
            bound = self.full_signature.bind_partial(*args, **kwargs)
        if argument and incremental is not None:
            found = bound.arguments.get(argument)
            given = () if explicit is _ITEM else (explicit,)
            bound.arguments[argument] = incremental.settle(found, *given)
        # partials of transformers must not fix the meta, which is given with each item
        bound.arguments.pop("meta", None) if self.takes_meta else None
        return bound.args, bound.kwargs

    def _after_item(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
        """The transformer as a function of the item alone, made once and called for each item."""
        parameters = list(self.full_signature.parameters.values())
        by_name = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters[1 : len(args)])
        if by_name:
            named = {p.name: value for p, value in zip(parameters[1:], args[1:], strict=False)}
            return functools.partial(self.f, **named, **kwargs)

        def call(item: Any, **more: Any) -> Any:
            return self.f(item, *args[1:], **kwargs, **more)

        return call

    def _resolver(self, name: str) -> Callable[..., Arguments]:
        scope = current_scope()
        shared = scope is not None and scope.shares_section and self.section
        section = scope.section if shared and scope is not None else self.section
        name = self.config_name or name
        sections = ("sources", section, name) if section else ("sources", name)
        if sections not in self._resolvers:
            self._resolvers[sections] = argument_resolver(self.f, sections, self.spec, self.base_spec)
        return self._resolvers[sections]


def check_transformer_function(name: str | None, f: Callable[..., Any]) -> None:
    """Check that the first argument of a function can take an item.

    Raises:
        InvalidTransformerGeneratorFunction: It cannot.
    """
    signature = signature_of(f)
    parameters = list(signature.parameters.values())
    label = getattr(f, "__name__", type(f).__name__)
    if not parameters:
        raise InvalidTransformerGeneratorFunction(name, label, signature, 1)
    first = parameters[0]
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD, first.VAR_POSITIONAL):
        raise InvalidTransformerGeneratorFunction(name, label, signature, 2)
    if first.name == "meta":
        raise InvalidTransformerGeneratorFunction(name, label, signature, 3)
