"""Pydantic models as columns and as validation of items."""

from __future__ import annotations

import copy
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.errors.schema import DataValidationError
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


class ModelValidator(BaseItemTransform):
    """Validates items with a model, by the modes of a contract, and gives them as dictionaries.

    Args:
        model: The model.
        modes: Of the contract: ``columns`` for fields that the model does not have, ``data_type`` for values it
            refuses.
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
        self.table_name = ""

    def bind(self, pipe: Pipe) -> Self:
        """Make the validating model, which differs from the given one by what the contract says."""
        from pydantic import TypeAdapter

        self.table_name = pipe.name
        if self._adapter is None:
            adapted = _Adapted(_EXTRA_OF_MODE[self.column_mode], lenient=self.data_mode == "evolve")
            items: Any = list.__class_getitem__(adapted.model(self.model))
            self._adapter = TypeAdapter(items)
        return self

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Give the valid item, or None; for a page, the valid items of it.

        Raises:
            DataValidationError: An item is not valid, and the contract says freeze.
        """
        if isinstance(item, list):
            return self._dump(self._valid(item)) if item else item
        found = self._dump(self._valid([item]))
        return found[0] if found else None

    def _dump(self, models: list[BaseModel]) -> list[Any]:
        if self._keep_models:
            return models
        return [m.model_dump(by_alias=True) for m in models]

    def _valid(self, items: list[Any]) -> list[Any]:
        from pydantic import ValidationError

        # instances of the model itself are no instances of the adapted one
        items = [i.model_dump(by_alias=True) if hasattr(i, "model_dump") else i for i in items]
        try:
            found: list[Any] = self._adapter.validate_python(items)
            return found
        except ValidationError as error:
            bad = self._judge(error, items)
            return self._valid([i for at, i in enumerate(items) if at not in bad])

    def _judge(self, error: ValidationError, items: list[Any]) -> set[int]:
        """Which items are to be left out; raises when one must not be."""
        bad: set[int] = set()
        for found in error.errors(include_url=False):
            entity = "columns" if found["type"] == "extra_forbidden" else "data_type"
            mode = self.column_mode if entity == "columns" else self.data_mode
            at, *path = found["loc"] or (0,)
            if mode != "discard_row" or not isinstance(at, int):
                column = ".".join(map(str, path))
                data = items[at] if isinstance(at, int) and at < len(items) else None
                raise DataValidationError(
                    "", self.table_name, column, entity, mode, None, self.modes, data, str(found["msg"])
                ) from error
            bad.add(at)
        return bad


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
