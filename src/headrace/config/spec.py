"""Configuration classes: typed fields that are looked up, and objects that behave like mappings.

::

    @configspec
    class ApiConfiguration(BaseConfiguration):
        base_url: str = None
        api_key: TSecretStrValue = None
        page_size: int = 100

A field whose type is not Optional and whose value stays None is missing. `resolve_configuration` fills an instance.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, overload

from headrace.config.coerce import can_coerce, json_object
from headrace.config.fields import Field, fields_of, make_field, module_names
from headrace.config.fields import resolve_type as resolve_type
from headrace.config.hints import (
    Placeholder,
    caller_scopes,
    evaluate,
    has_text,
    is_class_var,
    own_annotations,
    take_apart,
)
from headrace.errors.config import (
    ConfigFieldMissingTypeHintException,
    ConfigFieldTypeHintNotSupported,
)

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[Any], Any]:
        """Only type checkers read the real one."""
        return lambda decorated: decorated


TAnyClass = TypeVar("TAnyClass", bound=type[Any])
TConfiguration = TypeVar("TConfiguration", bound="BaseConfiguration")

_SCALARS = (str, int, float, bool, bytes, tuple, type(None))


class _Shape(NamedTuple):
    plain: dict[str, Any]
    factories: tuple[tuple[str, Callable[[], Any]], ...]
    init: tuple[str, ...]
    names: frozenset[str]
    order: tuple[str, ...]


@dataclass_transform(eq_default=False, field_specifiers=(dataclasses.Field, dataclasses.field))
@overload
def configspec(cls: TAnyClass, init: bool = True) -> TAnyClass: ...


@overload
def configspec(cls: None = ..., init: bool = True) -> Callable[[TAnyClass], TAnyClass]: ...


def configspec(cls: Any = None, init: bool = True) -> Any:
    """Turn an annotated class into a configuration class.

    Args:
        cls: The class; `BaseConfiguration` is added to its bases when it is missing.
        init: For type checkers, as in dataclasses; the constructor takes the fields in their order unless the class or
            a base of it has its own.

    Returns:
        The class, now a dataclass. Fields without a default have None; lists, dictionaries and configurations as
        defaults are copied for each instance.

    Raises:
        ConfigFieldMissingTypeHintException: An attribute has no type hint.
        ConfigFieldTypeHintNotSupported: A field has a type that cannot be looked up.
    """
    if cls is None:
        return lambda decorated: configspec(decorated, init)
    if not issubclass(cls, BaseConfiguration):
        body = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
        bases = tuple(b for b in cls.__bases__ if b is not object)
        cls = type(cls)(cls.__name__, (*bases, BaseConfiguration), body)
    names = own_annotations(cls)
    _check_hints_are_there(cls, names)
    _settle_defaults(cls, names)
    if not cls.__doc__:
        cls.__doc__ = f"Configuration {cls.__name__}."  # or dataclasses would spend time on making one
    cls = dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    _settle_hints(cls, names)
    return cls


def _check_hints_are_there(cls: type[Any], names: Mapping[str, Any]) -> None:
    inherited = getattr(cls, "__dataclass_fields__", {})
    for name, value in vars(cls).items():
        if name in names or name.startswith("__") or name == "_abc_impl" or name in inherited:
            continue
        described = hasattr(type(value), "__get__") or hasattr(type(value), "__set__") or isinstance(value, type)
        if not described and not callable(value):
            raise ConfigFieldMissingTypeHintException(name, cls)


def _settle_defaults(cls: type[Any], names: dict[str, Any]) -> None:
    """Give every field a default that instances may share or copy."""
    for name, hint in list(names.items()):
        if is_class_var(hint):
            continue
        if name.startswith("__"):
            cls.__annotations__.pop(name)  # `__section__: str = ...` of older code is no field
            names.pop(name)
            continue
        if not hasattr(cls, name):
            setattr(cls, name, None)
            continue
        value = vars(cls).get(name)
        if isinstance(value, Placeholder):
            setattr(cls, name, None)
            if value.secret:
                cls.__secret_fields__ = cls.__secret_fields__ | {name}
        elif isinstance(value, (list, dict, set, BaseConfiguration)):
            setattr(cls, name, dataclasses.field(default_factory=_copier(value)))


def _copier(value: Any) -> Callable[[], Any]:
    return lambda: value.copy()


def _settle_hints(cls: type[Any], names: Mapping[str, Any]) -> None:
    """Check what can be checked now; hints that are text wait until the class is used, unless they are local."""
    local = "<locals>" in cls.__qualname__
    known: dict[str, Any] = {}
    for name, hint in names.items():
        if is_class_var(hint):
            continue
        if local:
            hint = evaluate(hint, [*caller_scopes(3), module_names(cls)])
        if not has_text(hint):
            known[name] = hint
            _check_supported(cls, make_field(name, hint))
    cls.__own_hints__ = known
    cls.__fields_cache__ = None
    cls.__shape_cache__ = None


def _check_supported(cls: type[Any], field: Field) -> None:
    if not field.resolvable or field.specs:
        return
    if len(field.plain) == 1 and not isinstance(field.plain[0], str) and not can_coerce(field.plain[0]):
        raise ConfigFieldTypeHintNotSupported(field.name, cls, field.plain[0])


@dataclasses.dataclass(init=False, repr=False, eq=False)
class BaseConfiguration(MutableMapping[str, Any]):
    """Base of all configuration classes: attributes, and the same as a mapping."""

    __section__: ClassVar[str | None] = None
    """The natural section of the class: always the last of the path that is looked at."""
    __recommended_sections__: ClassVar[Any] = None
    __secret__: ClassVar[bool] = False
    __secret_fields__: ClassVar[frozenset[str]] = frozenset()
    __needed_by__: ClassVar[str | None] = None
    __own_hints__: ClassVar[dict[str, Any]] = {}
    __fields_cache__: ClassVar[tuple[Field, ...] | None] = None
    __shape_cache__: ClassVar[_Shape | None] = None
    __is_resolved__: ClassVar[Any] = False
    __exception__: ClassVar[Any] = None
    __resolved_fields_set__: ClassVar[Any] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance with all defaults, also for classes whose constructor does not call that of the base."""
        self = super().__new__(cls)
        shape = _shape(cls)
        values = self.__dict__
        values.update(shape.plain)
        for name, factory in shape.factories:
            values[name] = factory()
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            self._bind(args, kwargs)
        after = getattr(self, "__post_init__", None)
        if after is not None:
            after()

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = _shape(type(self)).init
        who = type(self).__name__
        if len(args) > len(names):
            raise TypeError(f"{who}() takes {len(names)} values, {len(args)} were given")
        for name, value in zip(names, args, strict=False):
            setattr(self, name, value)
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(f"{who}() has no field `{name}`")
            if name in names[: len(args)]:
                raise TypeError(f"{who}() got two values for `{name}`")
            setattr(self, name, value)

    # making

    @classmethod
    def from_init_value(cls, init_value: Any = None) -> Self:
        """Make an instance from a mapping, from another instance, or from a value in the class's own notation."""
        self = cls()
        self._apply_init_value(init_value)
        return self

    def _apply_init_value(self, init_value: Any) -> None:
        if init_value is None:
            return
        if isinstance(init_value, Mapping):
            known = _shape(type(self)).names
            self.update({k: v for k, v in init_value.items() if k in known})
        else:
            self.parse_native_representation(init_value)

    def parse_native_representation(self, native_value: Any) -> None:
        """Fill the fields from a value in the class's own notation; here JSON text of an object.

        Raises:
            ValueError: The value has another form; the text must not hold the value.
        """
        parsed = json_object(native_value)
        if parsed is None:
            raise ValueError(f"`{type(self).__name__}` reads a JSON object only")
        self._apply_init_value(parsed)

    def to_native_representation(self) -> Any:
        """The value in the class's own notation, secrets included.

        Raises:
            ValueError: The class has no such notation.
        """
        raise ValueError(f"`{type(self).__name__}` has no notation of its own")

    def copy(self) -> Self:
        """A copy that shares the values."""
        return copy.copy(self)

    # state

    def resolve(self) -> None:
        """Call the `on_resolved` hooks, those of base classes first, and mark the instance as complete."""
        self.call_method_in_mro("on_resolved")
        self.__dict__["__is_resolved__"] = True

    def is_resolved(self) -> bool:
        """Whether the instance was completed."""
        return bool(self.__is_resolved__)

    def is_partial(self) -> bool:
        """Whether a resolution ended with values missing."""
        return self.__exception__ is not None and not self.__is_resolved__

    def is_field_resolved(self, name: str) -> bool:
        """Whether a value for the field was found, other than the default."""
        return name in self.__resolved_fields_set__

    def call_method_in_mro(self, method_name: str) -> None:
        """Call a method of each class that defines it, those of base classes first."""
        for cls in reversed(type(self).__mro__):
            method = vars(cls).get(method_name)
            if isinstance(method, FunctionType):
                method(self)

    # fields

    @classmethod
    def get_resolvable_fields(cls) -> dict[str, Any]:
        """Name and hint of the fields that are looked up."""
        return {f.name: f.hint for f in fields_of(cls) if f.resolvable}

    def as_dict_nondefault(self) -> dict[str, Any]:
        """The fields whose values differ from their defaults."""
        shape = _shape(type(self))
        made = {name: factory() for name, factory in shape.factories}
        defaults = {**shape.plain, **made}
        return {k: v for k, v in self.items() if not _same(v, defaults.get(k))}

    # mapping

    def __getitem__(self, key: str) -> Any:
        if key not in _shape(type(self)).names:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in _shape(type(self)).names:
            raise KeyError(key)
        setattr(self, key, value)

    def __delitem__(self, key: str) -> None:
        raise KeyError("fields of a configuration cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(_shape(type(self)).order)

    def __len__(self) -> int:
        return len(_shape(type(self)).order)

    def __bool__(self) -> bool:
        return True

    # text

    def __repr__(self) -> str:
        shown = ", ".join(f"{f.name}={_show(f, getattr(self, f.name, None))}" for f in fields_of(type(self)))
        return f"{type(self).__name__}({shown})"

    def __str__(self) -> str:
        return repr(self)


@configspec
class CredentialsConfiguration(BaseConfiguration):
    """Base of all credentials: secret as a whole, kept in the section `credentials`."""

    __section__: ClassVar[str | None] = "credentials"
    __secret__: ClassVar[bool] = True

    def to_session_credentials(self) -> dict[str, str]:
        """What a session of the service takes; some services know only the native notation."""
        return {}


class CredentialsWithDefault:
    """Mix-in: the machine may have credentials of its own (a role, a login of a command line tool)."""

    _default_credentials: Any = None

    def has_default_credentials(self) -> bool:
        """Whether the machine's own credentials were found."""
        return self._default_credentials is not None

    def _set_default_credentials(self, credentials: Any) -> None:
        self._default_credentials = credentials

    def default_credentials(self) -> Any:
        """The machine's own credentials; None when there are none."""
        return self._default_credentials


def _shape(cls: type[Any]) -> _Shape:
    cached = cls.__dict__.get("__shape_cache__")
    if cached is not None:
        return cached  # type: ignore[no-any-return]
    plain: dict[str, Any] = {}
    factories: list[tuple[str, Callable[[], Any]]] = []
    init: list[str] = []
    order: list[str] = []
    for field in dataclasses.fields(cls):
        if field.name.startswith("__"):
            continue
        order.append(field.name)
        if field.default_factory is not dataclasses.MISSING:
            factories.append((field.name, field.default_factory))
        else:
            plain[field.name] = None if field.default is dataclasses.MISSING else field.default
            if not isinstance(getattr(cls, field.name, None), property):
                plain[field.name] = getattr(cls, field.name, plain[field.name])
        if field.init and not _is_final(field.type):
            init.append(field.name)
    shape = _Shape(plain, tuple(factories), tuple(init), frozenset(order), tuple(order))
    cls.__shape_cache__ = shape
    return shape


def _is_final(hint: Any) -> bool:
    return hint.partition("[")[0].rpartition(".")[2] == "Final" if isinstance(hint, str) else take_apart(hint).final


def _same(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except Exception:  # noqa: BLE001  values compare as they like
        return False


def _show(field: Field, value: Any) -> str:
    if value is None or isinstance(value, BaseConfiguration):
        return repr(value)
    if field.secret:
        return "***"
    if isinstance(value, Mapping):
        return f"{{{len(value)} keys}}"  # options often carry a password
    return f"{value!r:.120}" if isinstance(value, (*_SCALARS, list)) else f"<{type(value).__name__}>"
