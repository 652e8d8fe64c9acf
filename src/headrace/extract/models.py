"""Pydantic models as columns and as validation of items."""

from __future__ import annotations

import copy
import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn

from headrace.errors.schema import REDACTED, DataValidationError
from headrace.extract.modelkeys import KnownKeys, Place
from headrace.extract.steps import BaseItemTransform
from headrace.model.contract import expand_contract
from headrace.model.types import data_type_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from typing_extensions import Self

    from headrace.extract.pipe import Pipe

_EXTRA_OF_MODE = {"evolve": "allow", "freeze": "forbid", "discard_value": "ignore", "discard_row": "forbid"}
_MODE_OF_EXTRA = {"allow": "evolve", "forbid": "freeze", "ignore": "discard_value"}


def is_model(value: Any) -> bool:
    """Whether a value is a pydantic model class; pydantic is not loaded for that."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, type) and issubclass(value, pydantic.BaseModel)


def model_hints(model: type[BaseModel], contract: Any) -> dict[str, Any]:
    """The hints that a model stands for: its columns, a validator, and a contract where none is set.

    Raises:
        NotImplementedError: The contract asks to leave out single invalid values, which models cannot.
    """
    modes = model_contract(model, contract)
    hints: dict[str, Any] = {"columns": model_columns(model)}
    if not contract:
        hints["schema_contract"] = modes
    hints["validator"] = ModelValidator(model, modes)
    return hints


def model_contract(model: type[BaseModel], contract: Any) -> dict[str, str]:
    """The contract's modes; what it leaves open follows the model: its ``extra``, and no other types."""
    columns = _MODE_OF_EXTRA[model.model_config.get("extra") or "ignore"]
    modes: dict[str, str] = {"tables": "evolve", "columns": columns, "data_type": "freeze"}
    given = contract if isinstance(contract, Mapping) else expand_contract(contract) if contract else {}
    modes.update({k: str(v) for k, v in given.items()})
    return modes


def _config(model: type[BaseModel], key: str) -> bool:
    return bool((getattr(model, "dlt_config", None) or {}).get(key))


# ---- columns --------------------------------------------------------------------------------------------------------


def model_columns(model: type[BaseModel], skip_nested: bool | None = None) -> dict[str, Any]:
    """The columns of a model's fields.

    Args:
        model: Aliases of its fields name the columns.
        skip_nested: Leave out dictionaries and lists and flatten nested models; by default as the model's
            ``dlt_config["skip_nested_types"]`` says.
    """
    flatten = _config(model, "skip_nested_types") if skip_nested is None else skip_nested
    columns: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        label = field.serialization_alias or field.alias or name
        inner, nullable = _take_apart(field.annotation)
        if inner is Any:
            continue
        if is_model(inner) and flatten:
            for child, column in model_columns(inner, skip_nested=True).items():
                full = f"{label}__{child}"
                columns[full] = {**column, "name": full, "nullable": nullable or column["nullable"]}
            continue
        data_type = _data_type(inner)
        if data_type != "json" or not flatten:
            columns[label] = {"name": label, "data_type": data_type, "nullable": nullable}
    return columns


def class_columns(kind: Any) -> dict[str, Any]:
    """The columns of the annotations of a dataclass or `TypedDict`; nothing is validated by them.

    Raises:
        ValueError: It is a class of another kind.
    """
    if not dataclasses.is_dataclass(kind) and not typing.is_typeddict(kind):
        raise ValueError(
            f"columns cannot be taken from {kind!r}: give a dictionary, a list, a pydantic model, a dataclass, "
            "a TypedDict or an Arrow schema"
        )
    columns: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        inner, nullable = _take_apart(hint)
        if inner is not Any:
            columns[name] = {"name": name, "data_type": _data_type(inner), "nullable": nullable}
    return columns


def _take_apart(hint: Any) -> tuple[Any, bool]:
    """The type that counts, and whether None is allowed; of a union, the first member counts."""
    nullable = False
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            hint = typing.get_args(hint)[0]
        elif origin is typing.Union or origin is types.UnionType:
            members = [m for m in typing.get_args(hint) if m is not type(None)]
            nullable = nullable or len(members) < len(typing.get_args(hint))
            hint = members[0]
        elif origin is typing.Literal:
            hint = type(typing.get_args(hint)[0])
        else:
            return (origin or hint), nullable


def _data_type(kind: Any) -> str:
    if not isinstance(kind, type):
        return "text"
    if typing.is_typeddict(kind) or (
        issubclass(kind, (Mapping, Sequence, set, frozenset)) and not issubclass(kind, (str, bytes))
    ):
        return "json"
    try:
        return data_type_of(kind)
    except TypeError:
        return "text"


# ---- validation -----------------------------------------------------------------------------------------------------


class ModelLoss(NamedTuple):
    """An item, or a value of it, that a model refused.

    Attributes:
        item: As it came.
        position: Its number among the items that the validator saw, from 0.
        place: Of the value in it.
        rule: As in `model.rejected`.
    """

    item: Any
    position: int
    place: Place
    rule: str


Report = Callable[[list[ModelLoss], Any], None]
"""Takes the losses of a page, and the mark of the page."""


class ModelValidator(BaseItemTransform):
    """Validates items with a model, by the modes of a contract, and gives them as dictionaries.

    Args:
        model: The model.
        modes: Of the contract: ``columns`` for fields that the model does not have, ``data_type`` for values it
            refuses.

    Attributes:
        report: Told of items and values that are let go; None to tell nobody.
        sensitive: Fields whose values must not be shown.
    """

    placement_affinity: ClassVar[float] = 0.9

    def __init__(self, model: type[BaseModel], modes: Mapping[str, str]) -> None:
        self.column_mode, self.data_mode = modes["columns"], modes["data_type"]
        if self.data_mode == "discard_value":
            raise NotImplementedError(
                "schema_contract data_type=discard_value cannot be had with a pydantic model: "
                "a model validates whole items; use freeze, discard_row or evolve"
            )
        self.model, self.modes = model, dict(modes)
        self.is_authoritative = _config(model, "is_authoritative_model")
        self._keep_models = _config(model, "return_validated_models")
        self._adapter: Any = None
        self._known: KnownKeys | None = None
        self._seen = 0
        self.report: Report | None = None
        self.sensitive: frozenset[str] = frozenset()
        self.table_name = ""

    def bind(self, pipe: Pipe) -> Self:
        """Make the validating model, which differs from the given one by what the contract says."""
        from pydantic import TypeAdapter

        self.table_name = pipe.name
        if self._adapter is None:
            adapted = _Adapted(_EXTRA_OF_MODE[self.column_mode], lenient=self.data_mode == "evolve")
            items: Any = list.__class_getitem__(adapted.model(self.model))
            self._adapter = TypeAdapter(items)
            if self.column_mode == "discard_value":
                self._known = KnownKeys(self.model)
        self._seen = 0
        return self

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the valid item, or None; for a page, the valid items of it.

        Raises:
            DataValidationError: An item is not valid, and the contract says freeze.
        """
        if isinstance(item, list):
            return self._dump(self._valid(item, meta)) if item else item
        found = self._dump(self._valid([item], meta))
        return found[0] if found else None

    def _dump(self, models: list[BaseModel]) -> list[Any]:
        if self._keep_models:
            return models
        return [m.model_dump(by_alias=True) for m in models]

    def _valid(self, items: list[Any], meta: Any) -> list[Any]:
        # instances of the model itself are no instances of the adapted one
        items = [i.model_dump(by_alias=True) if hasattr(i, "model_dump") else i for i in items]
        first, self._seen = self._seen, self._seen + len(items)
        losses: list[ModelLoss] = []
        found = self._check(list(range(len(items))), items, first, losses)
        if self._known is not None:
            gone = {loss.position - first for loss in losses}
            for at, item in enumerate(items):
                if at not in gone:
                    places = self._known.unknown(item)
                    losses += [ModelLoss(item, first + at, place, "columns:discard_value") for place in places]
        if losses and self.report is not None:
            self.report(losses, meta)
        return found

    def _check(self, left: list[int], items: list[Any], first: int, losses: list[ModelLoss]) -> list[Any]:
        """Validate the items at some places; those that are not valid become losses, or an error."""
        from pydantic import ValidationError

        try:
            found: list[Any] = self._adapter.validate_python([items[at] for at in left])
            return found
        except ValidationError as error:
            bad = self._judge(error, left, items, first)
        losses += [ModelLoss(items[at], first + at, place, rule) for at, (place, rule) in bad.items()]
        return self._check([at for at in left if at not in bad], items, first, losses)

    def _judge(
        self, error: ValidationError, left: list[int], items: list[Any], first: int
    ) -> dict[int, tuple[Place, str]]:
        """Which items are to be left out, and for what; raises when one must not be."""
        bad: dict[int, tuple[Place, str]] = {}
        for found in error.errors(include_url=False):
            entity = "columns" if found["type"] == "extra_forbidden" else "data_type"
            mode = self.column_mode if entity == "columns" else self.data_mode
            at, *place = found["loc"] or (0,)
            index = left[at] if isinstance(at, int) and at < len(left) else None
            if mode != "discard_row" or index is None:
                self._refuse(error, found, entity, mode, place, None if index is None else (index, items[index]), first)
            else:
                bad.setdefault(index, (tuple(place), f"{entity}:{mode}"))
        return bad

    def _refuse(
        self, error: ValidationError, found: Any, entity: str, mode: str, place: Any, item: Any, first: int
    ) -> NoReturn:
        column = ".".join(map(str, place))
        hidden = str(place[0]) in self.sensitive if place else False
        data = None if item is None else self._without_sensitive(item[1])
        refusal = DataValidationError(
            "", self.table_name, column, entity, mode, None, self.modes, data, _message(found, hidden)
        )
        refusal.tell(
            resource=self.table_name,
            position=None if item is None else first + item[0],
            path=json_path(place),
            # of a field that is missing, pydantic gives the whole item
            value=REDACTED if hidden else None if found["type"] == "missing" else found.get("input"),
            expected="no such field" if entity == "columns" else "",
        )
        # the text of pydantic's own error shows values: it stays the context, and is not printed
        raise refusal from None

    def _without_sensitive(self, item: Any) -> Any:
        if not self.sensitive or not isinstance(item, Mapping):
            return item
        return {key: REDACTED if key in self.sensitive else value for key, value in item.items()}


def _message(found: Any, hidden: bool) -> str:
    return "the value is not valid" if hidden else str(found["msg"])


def json_path(place: Sequence[str | int]) -> str:
    """A place in an item as pydantic gives it, as a JSON path."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


class _Adapted:
    """Makes models like given ones but for what they do with unknown fields and wrong types."""

    def __init__(self, extra: str, lenient: bool) -> None:
        self.extra, self.lenient = extra, lenient
        self._made: dict[type, type] = {}

    def model(self, model: type[Any]) -> type[Any]:
        from pydantic import create_model

        if model in self._made:
            return self._made[model]
        self._made[model] = model  # models that refer to themselves keep the reference as it is
        fields: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            annotation = self._annotation(field.annotation)
            if annotation is not field.annotation:
                fields[name] = (annotation, copy.copy(field))
        made: type[Any] = create_model(
            model.__name__, __base__=model, __module__=model.__module__, __cls_kwargs__={"extra": self.extra}, **fields
        )
        self._made[model] = made
        return made

    def _annotation(self, hint: Any) -> Any:
        found = self._inside(hint)
        return typing.Union[found, Any] if self.lenient else found  # noqa: UP007

    def _inside(self, hint: Any) -> Any:
        if is_model(hint):
            return self.model(hint)
        args = typing.get_args(hint)
        if not args or typing.get_origin(hint) is typing.Literal:
            return hint
        new = tuple(self._inside(a) if isinstance(a, type) or typing.get_args(a) else a for a in args)
        if new == args:
            return hint
        origin = typing.get_origin(hint)
        if origin is types.UnionType or origin is typing.Union:
            return typing.Union[new]  # noqa: UP007
        if hasattr(hint, "copy_with"):
            return hint.copy_with(new)
        return origin[new] if origin is not None else hint
