"""What a user says about an incremental: a configuration class, so that every field can come from the configuration."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from headrace.config.coerce import can_coerce, coerce
from headrace.config.fields import resolve_type
from headrace.config.spec import BaseConfiguration, configspec
from headrace.errors.base import ValueErrorWithKnownValues
from headrace.errors.config import ConfigurationValueError
from headrace.errors.incremental import IncrementalCursorPathMissing
from headrace.extract.incremental.cursor import Cursor, compile_cursor

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LastValueFunc", "OnCursorValueMissing", "Settings", "TCursorValue", "TIncrementalRange"]

TCursorValue = TypeVar("TCursorValue")
LastValueFunc = Callable[[Sequence[Any]], Any]
OnCursorValueMissing = Literal["raise", "include", "exclude"]
TIncrementalRange = Literal["open", "closed"]

_FUNCTIONS: dict[str, Callable[..., Any]] = {"max": max, "min": min}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "row_order": (None, "asc", "desc"),
    "on_cursor_value_missing": ("raise", "include", "exclude"),
    "range_start": ("closed", "open"),
    "range_end": ("open", "closed"),
}


@configspec
class Settings(BaseConfiguration, Generic[TCursorValue]):
    """The fields of an incremental. See `Incremental` for what they mean."""

    cursor_path: str = None  # type: ignore[assignment]
    initial_value: Any | None = None
    end_value: Any | None = None
    row_order: Literal["asc", "desc"] | None = None
    allow_external_schedulers: bool | None = None
    on_cursor_value_missing: OnCursorValueMissing = "raise"
    lag: float | None = None
    range_start: TIncrementalRange = "closed"
    range_end: TIncrementalRange = "open"

    # code, and so not to be looked up
    _IN_CODE: ClassVar[tuple[str, ...]] = ("last_value_func", "primary_key")

    def __init__(
        self,
        cursor_path: str | None = None,
        initial_value: TCursorValue | None = None,
        last_value_func: LastValueFunc | Literal["min", "max"] | None = max,
        primary_key: str | Sequence[str] | Callable[[Any], str | Sequence[str]] | None = None,
        end_value: TCursorValue | None = None,
        row_order: Literal["asc", "desc"] | None = None,
        allow_external_schedulers: bool | None = None,
        on_cursor_value_missing: OnCursorValueMissing = "raise",
        lag: float | None = None,
        range_start: TIncrementalRange = "closed",
        range_end: TIncrementalRange = "open",
    ) -> None:
        if cursor_path:
            compile_cursor(cursor_path)  # a path that is none is told where it is written
            self.cursor_path = cursor_path
        self.initial_value, self.end_value = initial_value, end_value
        self.last_value_func: Callable[..., Any] = _function(last_value_func)
        self.primary_key = primary_key
        self.row_order = row_order
        self.allow_external_schedulers = allow_external_schedulers
        self.on_cursor_value_missing = on_cursor_value_missing
        self.lag = lag
        self.range_start, self.range_end = range_start, range_end
        self._value_type: Any = None
        self._check_choices()

    # a step is itself and no other, however alike their settings
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _check_choices(self) -> None:
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise ValueErrorWithKnownValues(name, value, known)

    def compiled(self, resource: str = "") -> Cursor:
        """The compiled cursor path.

        Raises:
            IncrementalCursorPathMissing: None was given.
        """
        if not self.cursor_path:
            raise IncrementalCursorPathMissing(resource, None)
        return compile_cursor(self.cursor_path)

    # ---- type of the cursor ----------------------------------------------------------------------------------------

    def get_incremental_value_type(self) -> Any:
        """The cursor's type: the generic argument, else that of ``initial_value``, else `Any`."""
        declared = getattr(self, "__orig_class__", None)
        args = typing.get_args(declared) if declared is not None else ()
        kind = self._value_type if self._value_type is not None else (args[0] if args else None)
        if kind is not None and kind is not Any and not isinstance(kind, TypeVar):
            return kind
        return Any if self.initial_value is None else type(self.initial_value)

    def declare_type(self, kind: Any) -> Self:
        """Say the cursor's type, as an annotation of an argument does; returns itself."""
        if kind is not Any and not isinstance(kind, TypeVar):
            self._value_type = kind
        return self

    def declare_type_of_annotation(self, kind: Any) -> None:
        """Take the type of the argument's annotation, unless the incremental says one itself."""
        if self._value_type is None and getattr(self, "__orig_class__", None) is None:
            self.declare_type(kind)

    # texts of the configuration become values of the cursor's type

    @resolve_type("initial_value")
    def _type_of_initial_value(self) -> Any:
        kind = self.get_incremental_value_type()
        return kind | None if isinstance(kind, type) and can_coerce(kind) else Any | None

    @resolve_type("end_value")
    def _type_of_end_value(self) -> Any:
        return self._type_of_initial_value()

    # ---- copies ----------------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """An unbound copy with the same settings."""
        made = super().copy()
        made._forget()
        return made

    def _forget(self) -> None:
        """Drop what belongs to a run."""

    def merge(self, other: Settings[Any]) -> Self:
        """A copy in which what the other one says replaces what this one says.

        Fields that are None in the other do not count; fields with a default other than None (``last_value_func``,
        ``on_cursor_value_missing``, the range's ends) always do, as in dlt.
        """
        made = self.copy()
        for name in (*self, *self._IN_CODE):
            value = getattr(other, name)
            if value is not None:
                setattr(made, name, value)
        if other._value_type is not None or hasattr(other, "__orig_class__"):
            made.declare_type(other.get_incremental_value_type())
        return made

    def with_cursor(self, cursor: str) -> Self:
        """A copy on another cursor path."""
        made = self.copy()
        made.cursor_path = cursor
        made.compiled()
        return made

    def parse_native_representation(self, native_value: Any) -> None:
        """Take a plain value as ``initial_value``, or an incremental or a mapping of arguments over the own ones."""
        if isinstance(native_value, Mapping) and not isinstance(native_value, Settings):
            native_value = type(self)(**native_value)
        if isinstance(native_value, Settings):
            self.__dict__.update(self.merge(native_value).__dict__)
        elif isinstance(native_value, str) and can_coerce(kind := self.get_incremental_value_type()):
            self.initial_value = coerce(native_value, kind)
        else:
            self.initial_value = native_value

    @classmethod
    def ensure_instance(cls, value: Any) -> Self:
        """An incremental from itself or from a mapping of its arguments."""
        return value if isinstance(value, cls) else cls(**value)

    # ---- what follows from the fields ------------------------------------------------------------------------------

    def get_cursor_column_name(self) -> str | None:
        """The field, when the cursor is a field of the row itself and can get a hint in the schema; else None."""
        return self.compiled().field if self.cursor_path else None

    def is_unique_cursor(self) -> bool:
        """Whether the cursor alone is the primary key, so that no two rows share a value."""
        name, key = self.get_cursor_column_name(), self.primary_key
        if name is None or key is None or callable(key):
            return False
        return [name] == ([key] if isinstance(key, str) else list(key))

    def on_resolved(self) -> None:
        """Check the fields against each other.

        Raises:
            ConfigurationValueError: ``end_value`` without ``initial_value``, or on the wrong side of it.
            ValueErrorWithKnownValues: A field has a value outside the known ones.
        """
        self._check_choices()
        self.compiled()
        if self.end_value is not None and self.initial_value is None:
            raise ConfigurationValueError(
                f"The incremental on `{self.cursor_path}` has an end_value and no initial_value.",
                fix="give initial_value as well: a range needs both ends",
            )
        self.check_range()

    def check_range(self) -> None:
        """Check that the range does not run backwards.

        Raises:
            ConfigurationValueError: ``end_value`` lies before ``initial_value``, or cannot be compared with it.
        """
        first, last = self.initial_value, self.end_value
        if first is None or last is None:
            return
        try:
            wrong = bool(self.last_value_func((first, last)) != last)
        except TypeError as error:
            raise ConfigurationValueError(
                f"initial_value and end_value of the incremental on `{self.cursor_path}` cannot be compared.",
                why=str(error),
                fix="give both in the type of the cursor",
            ) from error
        if wrong:
            raise ConfigurationValueError(
                f"The incremental on `{self.cursor_path}` ends at {last!r}, before its initial_value {first!r}.",
                fix="swap them, or choose the other last_value_func",
            )

    def __repr__(self) -> str:
        shown = {**self, "primary_key": self.primary_key}
        shown["last_value_func"] = getattr(self.last_value_func, "__name__", repr(self.last_value_func))
        hidden = {"on_cursor_value_missing": "raise", "range_start": "closed", "range_end": "open"}
        parts = [f"{k}={v!r}" for k, v in shown.items() if v is not None and hidden.get(k) != v]
        return f"<incremental({', '.join(parts)})>"


def _function(given: LastValueFunc | str | None) -> Callable[..., Any]:
    if given is None:
        return max
    if isinstance(given, str):
        if given not in _FUNCTIONS:
            raise ValueErrorWithKnownValues("last_value_func", given, list(_FUNCTIONS))
        return _FUNCTIONS[given]
    if not callable(given):
        raise ValueErrorWithKnownValues("last_value_func", given, [*_FUNCTIONS, "a function of two values"])
    return given
