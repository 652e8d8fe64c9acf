"""What a type hint says about a setting: its types, whether it is optional, secret, final or never looked up."""

from __future__ import annotations

import builtins
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypeVar, Union

if TYPE_CHECKING:
    from typing import TypeAlias

_T = TypeVar("_T")


class SecretSentinel:
    """Mark in `Annotated`: the value is a secret."""


class AnySecret:
    """Stands for a secret of any type; calling it gives the value back."""

    def __new__(cls, value: Any) -> Any:
        """Give the value back."""
        return value


if TYPE_CHECKING:
    TSecretValue: TypeAlias = Annotated[Any, SecretSentinel]
    TSecretStrValue: TypeAlias = Annotated[str, SecretSentinel]
else:
    TSecretValue = Annotated[AnySecret, SecretSentinel]
    TSecretStrValue = Annotated[str, SecretSentinel]


class NotResolved:
    """Mark in `Annotated`: the field is set by code and never looked up (unless ``not_resolved`` is False)."""

    def __init__(self, not_resolved: bool = True) -> None:
        self.not_resolved = not_resolved

    def __bool__(self) -> bool:
        return self.not_resolved


class Placeholder:
    """Stands in an argument's default for a value that the configuration will fill in.

    Args:
        name: How users write it.
        secret: Whether the value is a secret.
    """

    __slots__ = ("name", "secret")

    def __init__(self, name: str, secret: bool) -> None:
        self.name, self.secret = name, secret

    def __repr__(self) -> str:
        return f"<{self.name}: to be filled in from the configuration>"

    def __copy__(self) -> Placeholder:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Placeholder:
        return self

    def __reduce__(self) -> Any:
        return (placeholder, (self.secret,))


CONFIG_VALUE: Final = Placeholder("dlt.config.value", False)
SECRET_VALUE: Final = Placeholder("dlt.secrets.value", True)


def placeholder(secret: bool) -> Placeholder:
    """The placeholder for a secret or for an ordinary value."""
    return SECRET_VALUE if secret else CONFIG_VALUE


class Hint(NamedTuple):
    """A hint taken apart.

    Attributes:
        members: The types without wrappers; several for a union.
        optional: Whether None is a value.
        secret: Whether it is marked as a secret.
        final: Whether it is Final.
        not_resolved: Whether it is marked as never looked up.
    """

    members: tuple[Any, ...]
    optional: bool = False
    secret: bool = False
    final: bool = False
    not_resolved: bool = False


def take_apart(hint: Any) -> Hint:
    """Remove `Annotated`, `Optional`, `Union`, `Final`, `NewType` and type variables from a hint."""
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        return Hint((), optional=True) if hint is type(None) else Hint((hint,))
    if hint is None:
        return Hint((), optional=True)
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _with_marks(take_apart(hint.__origin__), hint.__metadata__)
    if origin is Union or origin is types.UnionType:
        return _join([take_apart(member) for member in typing.get_args(hint)])
    if origin is Final or hint is Final:
        inner = typing.get_args(hint)
        return (take_apart(inner[0]) if inner else Hint((Any,)))._replace(final=True)
    if isinstance(hint, TypeVar):
        return take_apart(hint.__bound__ if hint.__bound__ is not None else Any)
    supertype = getattr(hint, "__supertype__", None)  # NewType
    if supertype is None:
        supertype = getattr(hint, "__value__", None)  # the `type` statement of 3.12
    return Hint((hint,)) if supertype is None else take_apart(supertype)


def _with_marks(hint: Hint, marks: Sequence[Any]) -> Hint:
    for mark in marks:
        if mark is SecretSentinel or isinstance(mark, SecretSentinel):
            hint = hint._replace(secret=True)
        elif mark is NotResolved:
            hint = hint._replace(not_resolved=True)
        elif isinstance(mark, NotResolved):
            hint = hint._replace(not_resolved=bool(mark))
    return hint


def _join(parts: Sequence[Hint]) -> Hint:
    members = tuple(dict.fromkeys(m for part in parts for m in part.members))
    return Hint(
        members,
        optional=any(p.optional for p in parts),
        secret=any(p.secret for p in parts),
        final=any(p.final for p in parts),
        not_resolved=any(p.not_resolved for p in parts),
    )


def is_class_var(hint: Any) -> bool:
    """Whether an annotation, evaluated or text, is a ClassVar."""
    if isinstance(hint, str):
        return hint.rpartition("ClassVar")[0] in ("", "typing.", "t.") and "ClassVar" in hint.partition("[")[0]
    return hint is ClassVar or typing.get_origin(hint) is ClassVar


def own_annotations(cls: type[Any]) -> dict[str, Any]:
    """The annotations written in a class itself, not in its bases; some may still be text."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return dict(annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF))
    return dict(inspect.get_annotations(cls))


def evaluate(text: Any, scopes: Sequence[Mapping[str, Any]]) -> Any:
    """Turn an annotation given as text into what it names.

    Args:
        text: The annotation; other than text, only forward references inside it are replaced.
        scopes: Names to look in, innermost first.

    Returns:
        The hint; names that are known nowhere (as those under ``if TYPE_CHECKING``) stand for `Any` in it.
    """
    if isinstance(text, typing.ForwardRef):
        text = text.__forward_arg__
    names = _Names(scopes)
    if not isinstance(text, str):
        return _without_references(text, names)
    try:
        hint = eval(text, {}, names)  # the text is the program's own annotation
    except Exception:  # noqa: BLE001  annotations may run any code
        return Any
    # quoted annotations are text twice over in modules that postpone annotations
    if isinstance(hint, (str, typing.ForwardRef)):
        return evaluate(hint, scopes)
    return _without_references(hint, names)


def has_text(hint: Any) -> bool:
    """Whether a hint is text or has text inside that must be evaluated."""
    return isinstance(hint, str) or _has_reference(hint)


def _without_references(hint: Any, names: _Names) -> Any:
    if not _has_reference(hint):
        return hint
    holder = type("Holder", (), {"__annotations__": {"hint": hint}})
    try:
        return typing.get_type_hints(holder, {}, names, include_extras=True)["hint"]
    except Exception:  # noqa: BLE001  annotations may run any code
        return Any


def _has_reference(hint: Any) -> bool:
    if isinstance(hint, typing.ForwardRef):
        return True
    inner = (*typing.get_args(hint), getattr(hint, "__origin__", None))
    return not isinstance(hint, str) and any(_has_reference(h) for h in inner if h is not None and h is not hint)


class _Names(dict[str, Any]):
    """The names that an annotation may use; unknown ones are `Any`."""

    def __init__(self, scopes: Sequence[Mapping[str, Any]]) -> None:
        self.scopes = scopes

    def __missing__(self, name: str) -> Any:
        for scope in self.scopes:
            if name in scope:
                return scope[name]
        return getattr(builtins, name, Any)


def caller_scopes(depth: int = 2, limit: int = 8) -> list[Mapping[str, Any]]:
    """The local names of the calling frames: annotations of local classes and functions may use them."""
    scopes: list[Mapping[str, Any]] = []
    frame = sys._getframe(depth) if hasattr(sys, "_getframe") else None
    while frame is not None and len(scopes) < limit:
        if frame.f_locals is not frame.f_globals and frame.f_globals.get("__name__") != __name__:
            scopes.append(frame.f_locals)
        frame = frame.f_back
    return scopes


def is_literal(hint: Any) -> bool:
    """Whether a hint is `Literal[...]`."""
    return typing.get_origin(hint) is Literal


def plain_origin(hint: Any) -> Any:
    """The class behind a generic hint: ``list`` for ``List[int]``; other hints as they are."""
    return typing.get_origin(hint) or hint


def is_callable_hint(hint: Any) -> bool:
    """Whether a hint is a callable's."""
    return plain_origin(hint) in (Callable, typing.Callable, types.FunctionType)
