"""The fields of a configuration class: what their hints say, worked out once a class."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from headrace.config.coerce import can_coerce
from headrace.config.hints import AnySecret, Hint, evaluate, own_annotations, take_apart
from headrace.errors.config import UnmatchedConfigHintResolversException

if TYPE_CHECKING:
    from headrace.config.spec import BaseConfiguration

TMethod = TypeVar("TMethod", bound=Callable[..., Any])


class Field(NamedTuple):
    """A field of a configuration class, its hint taken apart once.

    Attributes:
        name: Name of the attribute and key to look up.
        hint: The hint as written.
        specs: Configuration classes among the types.
        plain: The other types.
        optional: Whether None is a value.
        secret: Whether the value is a secret.
        final: Whether code alone may set it.
        resolvable: Whether it is looked up.
        resolver: Name of the method that tells the hint at run time.
    """

    name: str
    hint: Any
    specs: tuple[type[BaseConfiguration], ...]
    plain: tuple[Any, ...]
    optional: bool
    secret: bool
    final: bool
    resolvable: bool
    resolver: str | None = None


def make_field(name: str, hint: Any, *, secret: bool = False, resolver: str | None = None) -> Field:
    """Describe a field from its hint."""
    parts: Hint = take_apart(hint)
    specs = tuple(s for s in map(as_spec, parts.members) if s is not None)
    plain = tuple(m for m in parts.members if as_spec(m) is None)
    secret = secret or parts.secret or any(s.__secret__ for s in specs) or AnySecret in plain
    resolvable = not parts.final and not parts.not_resolved and not name.startswith("_")
    return Field(name, hint, specs, plain, parts.optional, secret, parts.final, resolvable, resolver)


def as_spec(hint: Any) -> type[BaseConfiguration] | None:
    """The configuration class that a type is, or is a generic form of; None for others."""
    hint = getattr(hint, "__origin__", hint)
    return hint if isinstance(hint, type) and hasattr(hint, "__own_hints__") else None


def resolve_type(field_name: str) -> Callable[[TMethod], TMethod]:
    """Mark a method that tells the type of a field at run time, when the other fields are known.

    Args:
        field_name: The field; the method takes the instance and returns the hint.
    """

    def mark(method: TMethod) -> TMethod:
        method.__resolves_type_of__ = field_name  # type: ignore[attr-defined]
        return method

    return mark


def fields_of(cls: type[BaseConfiguration]) -> tuple[Field, ...]:
    """The fields of a configuration class, those with a type told at run time last."""
    cached = cls.__dict__.get("__fields_cache__")
    if cached is not None:
        return cached  # type: ignore[no-any-return]
    resolvers = _resolvers(cls)
    found = [
        make_field(name, _hint_of(cls, name), secret=name in cls.__secret_fields__, resolver=resolvers.pop(name, None))
        for name in field_names(cls)
    ]
    if resolvers:
        raise UnmatchedConfigHintResolversException(cls.__name__, sorted(resolvers))
    made = tuple(sorted(found, key=lambda f: f.resolver is not None))
    cls.__fields_cache__ = made
    return made


def field_names(cls: type[Any]) -> list[str]:
    """The names of the fields of a configuration class; class variables are none."""
    return [f.name for f in dataclasses.fields(cls) if not f.name.startswith("__")]


def _resolvers(cls: type[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            target = getattr(value, "__resolves_type_of__", None) if isinstance(value, FunctionType) else None
            if target:
                found[target] = name
    return found


def _hint_of(cls: type[Any], name: str) -> Any:
    for base in cls.__mro__:
        own = base.__dict__.get("__own_hints__", {})
        if name in own:
            return own[name]
        written = own_annotations(base)
        if name in written:
            hint = evaluate(written[name], [vars(base), module_names(base)])
            if "__own_hints__" in base.__dict__:
                own[name] = hint
            return hint
    return Any


def module_names(cls: type[Any]) -> dict[str, Any]:
    """The names of the module that a class is defined in."""
    module = sys.modules.get(cls.__module__)
    return vars(module) if module else {}


def is_secret_hint(hint: Any) -> bool:
    """Whether a type hint asks for a secret: marked, or of credentials."""
    return make_field("value", hint).secret


def is_valid_hint(hint: Any) -> bool:
    """Whether values for a type hint can be looked up."""
    field = make_field("value", hint)
    return bool(field.specs) or not field.resolvable or all(map(can_coerce, field.plain))


def extract_inner_hint(hint: Any) -> Any:
    """The type inside `Optional`, `Annotated`, `Final` and `NewType`; of a union the first member."""
    members = take_apart(hint).members
    return members[0] if members else Any


def is_base_configuration_inner_hint(inner_hint: Any) -> bool:
    """Whether a type is a configuration class."""
    return as_spec(inner_hint) is not None
