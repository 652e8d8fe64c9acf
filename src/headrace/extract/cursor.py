"""The place of a resource's incremental among the steps of its pipe.

An incremental may come from the default or the annotation of an argument, from an explicit argument, from a hint or
from `add_step`. Which one is in force is known only when the resource is read; this step stands in its place until
then.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.extract.inject import signature_of
from headrace.extract.state import resource_state
from headrace.extract.steps import BaseItemTransform

if TYPE_CHECKING:
    from headrace.extract.incremental import Incremental
    from headrace.extract.pipe import Pipe

_NOT_GIVEN = object()


class IncrementalResourceWrapper(BaseItemTransform):
    """Stands for the incremental of a resource and becomes it when the resource is read.

    Args:
        argument: The name of the function's argument that is an incremental, if there is one.
        default: The default of that argument.
        optional: The argument may be None, which turns the incremental off.
        kind: The cursor's type, as the argument's annotation says it.
    """

    placement_affinity: ClassVar[float] = 1.0

    def __init__(
        self,
        argument: str | None = None,
        default: Incremental[Any] | None = None,
        optional: bool = False,
        kind: Any = None,
    ) -> None:
        self.argument, self.default, self.optional, self.kind = argument, default, optional, kind
        self.hint: Incremental[Any] | None = None
        self.primary_key: Any = None
        self.active: Incremental[Any] | None = None
        self._settled: Incremental[Any] | None = None
        self._state: dict[str, Any] = {}

    def copy(self) -> IncrementalResourceWrapper:
        """A copy that is bound on its own."""
        new = IncrementalResourceWrapper(self.argument, self.default, self.optional, self.kind)
        new.hint, new.primary_key = self.hint, self.primary_key
        return new

    @property
    def incremental(self) -> Incremental[Any] | None:
        """The incremental in force, or the one that will be as far as is known now."""
        return self.active or self.hint or self.default

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self.__dict__.get("active") or self.__dict__.get("hint") or self.__dict__.get("default")
        if found is None:
            raise AttributeError(f"the resource has no incremental yet, and so no `{name}`")
        return getattr(found, name)

    def settle(self, resolved: Any, given: Any = _NOT_GIVEN) -> Incremental[Any] | None:
        """Decide which incremental is in force.

        Args:
            resolved: The argument's default, completed from the configuration.
            given: What the caller of the resource passed for it.

        Returns:
            A fresh copy, which is also the value of the argument; None when there is none.

        Raises:
            ValueError: None was given for an argument that needs an incremental.
        """
        chosen = self.hint if self.hint is not None else self._from_argument(resolved, given)
        self._settled = chosen.copy() if chosen is not None else None
        if self._settled is not None and self.kind is not None and self.hint is None:
            self._settled.declare_type_of_annotation(self.kind)
        return self._settled

    def _from_argument(self, resolved: Any, given: Any) -> Incremental[Any] | None:
        cls = incremental_class()
        base: Incremental[Any] | None = resolved if isinstance(resolved, cls) else self.default
        if given is _NOT_GIVEN:
            return base
        if given is None:
            if base is not None and not self.optional:
                return base
            if self.optional:
                return None
            raise ValueError(
                f"the argument `{self.argument}` is an incremental without a default, and None was given for it; "
                "annotate it with Optional[…] to allow that"
            )
        if isinstance(given, cls):
            return base.merge(given) if base is not None else given
        made = cls(initial_value=given)
        return base.merge(made) if base is not None else made

    def bind(self, pipe: Pipe) -> IncrementalResourceWrapper:
        """Give the incremental its resource and state."""
        if self._settled is None and self.argument is None and self.hint is not None:
            self._settled = self.hint.copy()
        self.active, self._settled = self._settled, None
        if self.active is not None:
            state = resource_state(pipe.name).get("incremental")
            self._state = {} if state is None else state
            self.active.bind(pipe.name, self._state, self.primary_key)
            self._store(pipe.name)
        return self

    def _store(self, name: str) -> None:
        # a back-fill leaves no trace in the state
        if self._state:
            resource_state(name)["incremental"] = self._state

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the item or page without rows that were seen before."""
        return item if self.active is None else self.active(item, meta)

    def can_close(self) -> bool:
        """Whether a row out of range showed that no more rows are wanted."""
        return self.active is not None and self.active.can_close()

    def finish(self, pipe: Pipe) -> None:
        """Write what the next run must know into the state; called when all items were read."""
        if self.active is not None:
            self.active.finish()
            self._store(pipe.name)
            pipe.custom_metrics.update(self.active.custom_metrics)


def incremental_class() -> type[Incremental[Any]]:
    """The class `Incremental`, loaded when first needed."""
    from headrace.extract.incremental import Incremental

    return Incremental


def find_incremental_argument(f: Callable[..., Any]) -> IncrementalResourceWrapper | None:
    """The argument of a function that is an incremental by its default or annotation, as a step."""
    parameters = [p for p in signature_of(f).parameters.values() if _may_be_incremental(p)]
    if not parameters:
        return None
    cls = incremental_class()
    hints = _type_hints(f)
    for parameter in parameters:
        hint = hints.get(parameter.name, parameter.annotation)
        found = [member for member in _members(hint) if _is_incremental(member, cls)]
        kind = next((args[0] for member in found if (args := typing.get_args(member))), None)
        if isinstance(parameter.default, cls):
            return IncrementalResourceWrapper(parameter.name, parameter.default, _is_optional(hint), kind)
        if found:
            optional = _is_optional(hint) or parameter.default is None
            return IncrementalResourceWrapper(parameter.name, None, optional, kind)
    return None


def ensure_incremental(value: Any) -> Incremental[Any]:
    """Make an incremental of a dictionary of its arguments; leave one as it is."""
    cls = incremental_class()
    return value if isinstance(value, cls) else cls(**value)


def _may_be_incremental(parameter: inspect.Parameter) -> bool:
    # decided by names, so that functions without incrementals do not load the module
    default = type(parameter.default).__name__
    return "ncremental" in default or "ncremental" in str(parameter.annotation)


def _type_hints(f: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(f)
    except Exception:  # noqa: BLE001 - annotations may name what only a type checker imports
        return {}


def _members(hint: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(hint)
    if origin is typing.Union or getattr(origin, "__name__", "") == "UnionType":
        return typing.get_args(hint)
    return (hint,)


def _is_optional(hint: Any) -> bool:
    return type(None) in _members(hint)


def _is_incremental(hint: Any, cls: type) -> bool:
    base = typing.get_origin(hint) or hint
    if isinstance(base, str):
        return "ncremental" in base
    return isinstance(base, type) and issubclass(base, cls)
