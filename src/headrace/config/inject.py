"""Fill arguments of functions from the configuration.

What can be injected is decided when a function is decorated: an argument whose default is ``dlt.config.value`` or
``dlt.secrets.value`` must be found, an argument with another default may be overridden, an argument without a default
is the caller's affair. A function without any default is returned as it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Optional, TypeVar, overload

from headrace.config.coerce import can_coerce
from headrace.config.fields import as_spec, field_names
from headrace.config.hints import Placeholder, SecretSentinel, caller_scopes, evaluate, take_apart
from headrace.config.resolve import resolve_configuration
from headrace.config.sections import ConfigSectionContext, current_sections, inject_section
from headrace.config.spec import BaseConfiguration, configspec

TFun = TypeVar("TFun", bound=Callable[..., Any])
TMergeFunc = Callable[[ConfigSectionContext, ConfigSectionContext], None]

_SPEC = "__headrace_spec__"
_LAST_DLT_CONFIG = "_dlt_config"
_ORIGINAL_ARGS = "_dlt_orig_args"
_ORDINARY = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_ONLY)


@overload
def with_config(
    func: TFun,
    /,
    spec: type[BaseConfiguration] | None = None,
    sections: str | Sequence[str] = (),
    section_arg_name: str | None = None,
    sections_merge_style: TMergeFunc = ...,
    include_defaults: bool = True,
    accept_partial: bool = False,
    initial_config: BaseConfiguration | None = None,
    base: type[BaseConfiguration] = BaseConfiguration,
    lock_context_on_injection: bool = True,
) -> TFun: ...


@overload
def with_config(
    func: None = ...,
    /,
    spec: type[BaseConfiguration] | None = None,
    sections: str | Sequence[str] = (),
    section_arg_name: str | None = None,
    sections_merge_style: TMergeFunc = ...,
    include_defaults: bool = True,
    accept_partial: bool = False,
    initial_config: BaseConfiguration | None = None,
    base: type[BaseConfiguration] = BaseConfiguration,
    lock_context_on_injection: bool = True,
) -> Callable[[TFun], TFun]: ...


def with_config(
    func: Callable[..., Any] | None = None,
    /,
    spec: type[BaseConfiguration] | None = None,
    sections: str | Sequence[str] = (),
    section_arg_name: str | None = None,
    sections_merge_style: TMergeFunc = ConfigSectionContext.prefer_incoming,
    include_defaults: bool = True,
    accept_partial: bool = False,
    initial_config: BaseConfiguration | None = None,
    base: type[BaseConfiguration] = BaseConfiguration,
    lock_context_on_injection: bool = True,
) -> Any:
    """Fill arguments that a call leaves out from the configuration.

    Args:
        func: The function.
        spec: Configuration class to resolve; by default it is made from the signature.
        sections: The path to look under; without it the path around the caller.
        section_arg_name: An argument whose value is put at the end of the path.
        sections_merge_style: How the path is joined with the one around the caller.
        include_defaults: Let the configuration override ordinary defaults too.
        accept_partial: Call the function with None for what is missing, instead of raising.
        initial_config: An object whose values are the defaults.
        base: Base of the class made from the signature.
        lock_context_on_injection: Without meaning here; kept for callers of dlt's function.

    Returns:
        The function, or a wrapper of it. Arguments that are given, None too, are never looked up. A parameter
        ``**injection_kwargs`` receives the configuration (`last_config`), the arguments as given (`get_orig_args`), and
        fields that are no arguments.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        injector = _Injector(function, spec, include_defaults, base)
        set_fun_spec(function, injector.spec)
        if not injector.needed and spec is None:
            return function
        injector.place(sections, section_arg_name, sections_merge_style, accept_partial, initial_config)

        @functools.wraps(function)
        def with_injected(*args: Any, **kwargs: Any) -> Any:
            config = injector.resolve(args, kwargs)
            new_args, new_kwargs = injector.arguments(config, args, kwargs)
            return function(*new_args, **new_kwargs)

        with_injected.__dict__["__headrace_injector__"] = injector
        set_fun_spec(with_injected, injector.spec)
        return with_injected

    return decorate if func is None else decorate(func)


class _Injector:
    """What is known of a function once: its arguments, its configuration class, where to look."""

    def __init__(
        self,
        function: Callable[..., Any],
        spec: type[BaseConfiguration] | None,
        include_defaults: bool,
        base: type[BaseConfiguration],
    ) -> None:
        self.function = function
        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())
        self.parameters = parameters
        self.spec = spec or spec_from_signature(function, self.signature, include_defaults, base)
        fields = frozenset(field_names(self.spec))
        ordinary = [p for p in parameters if p.kind in _ORDINARY]
        self.injected = frozenset(p.name for p in ordinary if p.name in fields)
        self.needed = bool(fields)
        self.positional = [p.name for p in ordinary if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        self.positional_only = [p.name for p in ordinary if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        self.takes_extras = any(
            p.kind is inspect.Parameter.VAR_KEYWORD and p.name == "injection_kwargs" for p in parameters
        )
        self.extras = fields - self.injected
        self.spec_argument = next((p.name for p in ordinary if p.annotation in (self.spec, self.spec.__name__)), None)

    def place(
        self,
        sections: str | Sequence[str],
        section_arg_name: str | None,
        merge_style: TMergeFunc,
        accept_partial: bool,
        initial_config: BaseConfiguration | None,
    ) -> None:
        """Set where to look."""
        self.sections = (sections,) if isinstance(sections, str) else tuple(sections)
        self.section_arg_name, self.merge_style = section_arg_name, merge_style
        self.accept_partial, self.initial_config = accept_partial, initial_config

    def resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseConfiguration:
        """The configuration of one call."""
        given = dict(zip(self.positional, args, strict=False))
        given.update(kwargs)
        if self.spec_argument and isinstance(given.get(self.spec_argument), self.spec):
            handed: BaseConfiguration = given[self.spec_argument]
            if handed.is_resolved():
                return handed
        known = kwargs.get(_LAST_DLT_CONFIG)
        if isinstance(known, BaseConfiguration):
            return known
        config = self.initial_config.copy() if self.initial_config is not None else self.spec()
        explicit = {k: v for k, v in given.items() if k in self.injected and not isinstance(v, Placeholder)}
        context = ConfigSectionContext(None, self._path(given), self.merge_style)
        if not context.sections and current_sections().sections == ():
            return resolve_configuration(config, explicit_value=explicit, accept_partial=self.accept_partial)
        with inject_section(context):
            return resolve_configuration(config, explicit_value=explicit, accept_partial=self.accept_partial)

    def _path(self, given: dict[str, Any]) -> tuple[str, ...]:
        if not self.section_arg_name:
            return self.sections
        value = given.get(self.section_arg_name)
        if value is None and self.section_arg_name in self.signature.parameters:
            value = self.signature.parameters[self.section_arg_name].default
        return (*self.sections, value) if isinstance(value, str) and value else self.sections

    def arguments(
        self, config: BaseConfiguration, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments to call with."""
        new_args = list(args)
        for index, name in enumerate(self.positional[: len(args)]):
            if name in self.injected:
                new_args[index] = getattr(config, name)
        # arguments that only a position can give, up to the last that has a value
        for name in self.positional_only[len(args) :]:
            parameter = self.signature.parameters[name]
            if name not in self.injected and parameter.default is inspect.Parameter.empty:
                break
            new_args.append(getattr(config, name) if name in self.injected else parameter.default)
        filled = frozenset(self.positional[: len(new_args)])
        new_kwargs = {
            k: v for k, v in kwargs.items() if k not in (_LAST_DLT_CONFIG, _ORIGINAL_ARGS) or self.takes_extras
        }
        for name in self.injected - filled:
            new_kwargs[name] = getattr(config, name)
        if self.spec_argument and self.spec_argument not in filled:
            new_kwargs[self.spec_argument] = config
        if self.takes_extras:
            new_kwargs.update({name: getattr(config, name) for name in self.extras if name not in new_kwargs})
            new_kwargs[_LAST_DLT_CONFIG] = config
            new_kwargs.setdefault(_ORIGINAL_ARGS, (args, kwargs))
        return new_args, new_kwargs


def spec_from_signature(
    function: Callable[..., Any],
    signature: inspect.Signature,
    include_defaults: bool = True,
    base: type[BaseConfiguration] = BaseConfiguration,
) -> type[BaseConfiguration]:
    """Make a configuration class from a function's arguments.

    Args:
        function: The function; the class is named after it.
        signature: Its signature.
        include_defaults: Take arguments with ordinary defaults too.
        base: Base of the class; arguments named like its fields are taken from it.
    """
    hints: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    inherited = frozenset(field_names(base))
    for parameter in signature.parameters.values():
        if parameter.kind not in _ORDINARY or parameter.name in inherited:
            continue
        if not isinstance(parameter.default, Placeholder) and (
            parameter.default is inspect.Parameter.empty or not include_defaults
        ):
            continue
        hint = _argument_hint(function, parameter)
        if hint is None:
            continue
        hints[parameter.name] = hint
        marked = isinstance(parameter.default, Placeholder)
        defaults[parameter.name] = None if marked else parameter.default
    label = getattr(function, "__name__", None) or type(function).__name__
    name = "".join(part[:1].upper() + part[1:] for part in label.replace("<lambda>", "lambda").split("_"))
    body: dict[str, Any] = {
        **defaults,
        "__annotations__": hints,
        "__module__": getattr(function, "__module__", __name__),
        "__doc__": f"Arguments of `{label}` that the configuration can give.",
        "__needed_by__": f"`{label}` of {getattr(function, '__module__', '?')}",
    }
    return configspec(type(name + "Configuration", (base,), body))


def _argument_hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The type of an argument; None when values for it cannot be looked up."""
    default = parameter.default
    marked = isinstance(default, Placeholder)
    hint: Any = parameter.annotation
    if hint is inspect.Parameter.empty:
        hint = Any if marked or default is None else _type_of(default)
    elif isinstance(hint, str):
        hint = _evaluate(function, hint, default)
    parts = take_apart(hint)
    specs = [s for s in map(as_spec, parts.members) if s is not None]
    known = bool(specs) or (bool(parts.members) and all(map(can_coerce, parts.members)))
    if not known:
        if not marked and not (len(parts.members) > 1 and any(map(can_coerce, parts.members))):
            return None
        hint = hint if specs or len(parts.members) > 1 else Any
    if default is None and not parts.optional:
        hint = Optional[hint]  # noqa: UP045  the hint is a value here
    if marked and default.secret and not parts.secret:
        hint = Annotated[hint, SecretSentinel]
    return hint


def _type_of(default: Any) -> Any:
    return type(default) if as_spec(type(default)) or can_coerce(type(default)) else object


def _evaluate(function: Callable[..., Any], text: str, default: Any) -> Any:
    inner = inspect.unwrap(function)
    scopes: list[Any] = [getattr(inner, "__globals__", {})]
    if "<locals>" in getattr(inner, "__qualname__", ""):
        scopes = [*caller_scopes(4, 16), *scopes]
    hint = evaluate(text, scopes)
    if hint is Any and not isinstance(default, Placeholder) and default is not None:
        return _type_of(default)
    return hint


def set_fun_spec(f: Callable[..., Any], spec: type[BaseConfiguration]) -> None:
    """Remember the configuration class of a function."""
    try:
        setattr(f, _SPEC, spec)
    except (AttributeError, TypeError):
        _SPECS[id(f)] = (f, spec)


def get_fun_spec(f: Callable[..., Any]) -> type[BaseConfiguration] | None:
    """The configuration class of a function; None when it was not decorated."""
    found = getattr(f, _SPEC, None)
    if found is None and id(f) in _SPECS:
        found = _SPECS[id(f)][1]
    return found


_SPECS: dict[int, tuple[Any, type[BaseConfiguration]]] = {}  # of built-in callables, which take no attributes


def last_config(**injection_kwargs: Any) -> Any:
    """The configuration of the running call, from its ``**injection_kwargs``."""
    return injection_kwargs[_LAST_DLT_CONFIG]


def get_orig_args(**injection_kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the running call as they were given, from its ``**injection_kwargs``."""
    return injection_kwargs[_ORIGINAL_ARGS]  # type: ignore[no-any-return]


def create_resolved_partial(f: Callable[..., Any], config: BaseConfiguration | None = None) -> Callable[..., Any]:
    """Bind a decorated function to a configuration that is resolved now, not at each call.

    Args:
        f: The function.
        config: The configuration; by default it is resolved here.
    """
    injector: _Injector | None = getattr(f, "__headrace_injector__", None)
    if injector is None:
        return f
    bound = config if config is not None else injector.resolve((), {})

    @functools.wraps(f)
    def partial(*args: Any, **kwargs: Any) -> Any:
        new_args, new_kwargs = injector.arguments(_override(bound, injector, args, kwargs), args, kwargs)
        return injector.function(*new_args, **new_kwargs)

    return partial


def _override(
    config: BaseConfiguration, injector: _Injector, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> BaseConfiguration:
    given = {**dict(zip(injector.positional, args, strict=False)), **kwargs}
    changed = {k: v for k, v in given.items() if k in injector.injected and not isinstance(v, Placeholder)}
    if not changed:
        return config
    copy = config.copy()
    copy.update(changed)
    return copy
