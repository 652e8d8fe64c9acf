"""Keys of items that a pydantic model passes over: found without validating twice."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

Place = tuple[str | int, ...]


class KnownKeys:
    """The keys that a model takes, and those of the models in it.

    What cannot be told in advance counts as known: models whose own code looks at the raw item, and values that may be
    of several models.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._keys: frozenset[str] | None = frozenset()
        self._below: dict[str, KnownKeys] = {}
        self._read(model, {})

    @classmethod
    def _of(cls, model: type[BaseModel], made: dict[type, KnownKeys]) -> KnownKeys:
        if model not in made:
            new = made[model] = cls.__new__(cls)
            new._keys, new._below = frozenset(), {}
            new._read(model, made)
        return made[model]

    def _read(self, model: type[BaseModel], made: dict[type, KnownKeys]) -> None:
        made[model] = self
        decorators = model.__pydantic_decorators__.model_validators.values()
        if any(d.info.mode in ("before", "wrap") for d in decorators):
            self._keys = None
            return
        by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
        keys: set[str] = set()
        for name, field in model.model_fields.items():
            own = _labels(field.validation_alias or field.alias)
            own |= {name} if by_name or not own else set()
            keys |= own
            inner = _model_in(field.annotation)
            if inner is not None:
                below = self._of(inner, made)
                self._below.update(dict.fromkeys(own, below))
        self._keys = frozenset(keys)

    def unknown(self, item: Any) -> Iterator[Place]:
        """Places of keys that the model does not have."""
        if self._keys is None or not isinstance(item, Mapping):
            return
        if not item.keys() <= self._keys:
            yield from ((str(key),) for key, value in item.items() if key not in self._keys and value is not None)
        for key, below in self._below.items():
            value = item.get(key)
            if isinstance(value, Mapping):
                yield from ((key, *place) for place in below.unknown(value))
            elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
                for at, one in enumerate(value):
                    yield from ((key, at, *place) for place in below.unknown(one))


def _labels(alias: Any) -> set[str]:
    if alias is None:
        return set()
    if isinstance(alias, str):
        return {alias}
    choices = getattr(alias, "choices", None)
    if choices is not None:
        return {label for choice in choices for label in _labels(choice)}
    path = getattr(alias, "path", None)
    return {str(path[0])} if path else set()


def _model_in(hint: Any) -> Any:
    """The one model that a field holds, alone or in a list; None when there is none, or more than one."""
    from pydantic import BaseModel

    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    origin = typing.get_origin(hint)
    if origin is None or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return None
    found = [m for arg in typing.get_args(hint) if arg is not type(None) and (m := _model_in(arg)) is not None]
    others = [a for a in typing.get_args(hint) if a is not type(None)]
    return found[0] if len(found) == 1 and (len(others) == 1 or origin is typing.Annotated) else None
