"""`DltResource`: a named stream of items, with the steps they go through and hints on their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from headrace.errors.base import TypeErrorWithKnownTypes, ValueErrorWithKnownValues
from headrace.errors.extract import (
    DataLocationKindRequired,
    InvalidParallelResourceDataType,
    InvalidResourceDataType,
    ParametrizedResourceUnbound,
    ResourceNotATransformer,
)
from headrace.extract.functions import ResourceFunction
from headrace.extract.hints import TResourceHints
from headrace.extract.materials import data_of, parent_pipe_of
from headrace.extract.pipe import Pipe
from headrace.extract.state import peek_resource_state
from headrace.extract.stepped import WithSteps
from headrace.model.location import path_of_text

if TYPE_CHECKING:
    from typing_extensions import Self

TDataItem = TypeVar("TDataItem")
_SUBTYPES = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")  # of DIRECT transformations in OpenLineage


class DltResource(WithSteps, Iterable[Any], Generic[TDataItem]):
    """A named stream of items. Made by the decorators `resource` and `transformer`, or by `from_data`.

    Args:
        pipe: Data and steps.
        hints: As made by `make_hints`.
        selected: Whether its items are loaded when it is part of a source.
        section: The configuration section of its arguments.
    """

    Empty: ClassVar[Any] = None
    source_name: str | None = None

    def __init__(
        self,
        pipe: Pipe,
        hints: TResourceHints | None,
        selected: bool,
        *,
        section: str | None = None,
        args_bound: bool = False,
    ) -> None:
        super().__init__()
        self._pipe = pipe
        self.selected = selected
        self.section = section
        self.source_name = None
        self.column_sources: dict[str, dict[str, Any]] = {}  # from `map_columns`; never changed in place
        # set by decorators: what a call gives, when the function itself makes a resource or its name
        self._after_bind: Callable[[Any], Any] | None = None
        if hints:
            self.merge_hints(hints)
        self._dress()

    @classmethod
    def from_data(
        cls,
        data: Any,
        name: str | None = None,
        section: str | None = None,
        hints: TResourceHints | None = None,
        selected: bool = True,
        data_from: Any = None,
        inject_config: bool = False,
        spec: type[Any] | None = None,
        base_spec: type[Any] | None = None,
    ) -> Self:
        """Make a resource of any data.

        Args:
            data: Items: an iterable, generator, function, frame, awaitable … ; a resource is given back as it is.
            name: Needed for data without a name of its own.
            section: The configuration section of the arguments of a function.
            hints: As made by `make_hints`.
            selected: Whether its items are loaded when it is part of a source.
            data_from: The resource whose items a transformer takes; makes it one.
            inject_config: Look for arguments in the configuration.
            spec: The configuration class of the arguments.
            base_spec: What a configuration class made for them derives from.

        Raises:
            ResourceNameMissing: The data has no name.
            InvalidResourceDataType: It cannot be made into items.
        """
        if isinstance(data, DltResource):
            return data  # type: ignore[return-value]
        if isinstance(data, Pipe):
            return cls(data, hints, selected, section=section)
        name, material = data_of(data, name, is_transformer=data_from is not None)
        if isinstance(material, ResourceFunction):
            material.section, material.spec, material.base_spec = section, spec, base_spec
            material.inject = inject_config
        parent = parent_pipe_of(name, data_from, DltResource) if data_from is not None else None
        resource = cls(Pipe(name, [material], parent), hints, selected, section=section)
        if isinstance(material, ResourceFunction) and material.incremental is not None:
            resource._pipe.append_step(material.incremental.copy())
            resource._sync_incremental()
        return resource

    # ---- what it is ----

    @property
    def requires_args(self) -> bool:
        """Whether its function needs arguments that have no value yet."""
        function = self._pipe.function
        return function is not None and function.requires_args

    @property
    def args_bound(self) -> bool:
        """Whether it was called with arguments, or is made of plain data."""
        function = self._pipe.function
        return function is None or function.args_bound

    @property
    def explicit_args(self) -> dict[str, Any]:
        """The arguments it was called with, by name."""
        function = self._pipe.function
        return function.explicit_args if function is not None else {}

    @property
    def custom_metrics(self) -> dict[str, Any]:
        """Metrics that steps and functions wrote in the last extract."""
        return self._pipe.custom_metrics

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Where the items come from: tables, files, endpoints; the list itself."""
        return self._pipe.inputs

    def add_input(self, location: dict[str, Any], replace: bool = False) -> Self:
        """Tell where the items come from, for the trace and for lineage.

        Called when the resource is made, or by its running function (``current.resource().add_input(...)``) when the
        place is known only then. One call a place, with all tables, endpoints or files that are read there; a place
        that was told already is not told twice. `headrace.sources.inputs` makes locations of what connects to a place.

        Args:
            location: Fields of `headrace.model.location.TDataLocation`; those that are None are left out. ``kind`` is
                the source's name unless given. Secrets must not be in it; those that are found are hidden.
            replace: Forget what was told before.

        Returns:
            The resource.

        Raises:
            TypeErrorWithKnownTypes: ``location`` is no dictionary.
            DataLocationKindRequired: ``kind`` is missing, and the resource is in no source yet.
        """
        if not isinstance(location, dict):
            raise TypeErrorWithKnownTypes("location", location, ["TDataLocation"])
        told = {name: value for name, value in location.items() if value is not None}
        if not told.get("kind"):
            if not self.source_name:
                raise DataLocationKindRequired(self.name)
            told["kind"] = self.source_name
        told.update(path_of_text(told))
        if replace:
            self._pipe.inputs.clear()
        if told not in self._pipe.inputs:
            self._pipe.inputs.append(told)
        return self

    def map_columns(
        self,
        columns: Mapping[str, str | Sequence[Any]],
        *,
        subtype: str = "TRANSFORMATION",
        description: str = "",
        masking: bool = False,
        keep_others: bool = False,
    ) -> Self:
        """Tell which fields of the input columns are made of, for lineage, where functions of yours make them.

        Args:
            columns: Column (``table.column`` for one of a nested table) to the field or fields it is made of: names,
                paths such as ``actor.login`` or ``commits[*].sha``, or pairs of an input's name (or the end of it) and
                a path. An empty list: made by the code, of no field.
            subtype: ``IDENTITY``, ``TRANSFORMATION`` or ``AGGREGATION``.
            description: What is done, for people.
            masking: The value cannot be got back: a hash, a redaction.
            keep_others: The functions leave all columns that were not named as they came.

        Raises:
            ValueErrorWithKnownValues: There is no such subtype.
        """
        if subtype not in _SUBTYPES:
            raise ValueErrorWithKnownValues("subtype", subtype, _SUBTYPES)
        new = dict(self.column_sources)
        for column, fields in columns.items():
            listed = [fields] if isinstance(fields, str) else fields
            pairs = [("", f) if isinstance(f, str) else (str(f[0]), str(f[1])) for f in listed]
            new[column] = {"fields": pairs, "subtype": subtype, "description": description, "masking": masking}
        if keep_others:
            new[""] = {}
        self.column_sources = new
        return self

    @property
    def parallelized(self) -> bool:
        """Whether its items are drawn in threads."""
        return self._pipe.parallelized

    @property
    def state(self) -> dict[str, Any]:
        """The state of the resource, to look at; inside of functions use `current.resource_state`."""
        return peek_resource_state(self.source_name or "", self.name)

    # ---- arguments ----

    def bind(self, *args: Any, **kwargs: Any) -> Self:
        """Give the function its arguments, in place.

        Raises:
            TypeError: They were given already, or do not fit the function.
        """
        function = self._pipe.function
        if function is None or function.args_bound:
            raise TypeError(
                f"resource `{self.name}` takes no arguments: they were given before, or it is made of plain data"
            )
        self._pipe.replace_gen(function.bind(args, kwargs, self.name))
        self._dress()
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Self:
        """A copy with arguments; see `bind`."""
        bound = self._clone().bind(*args, **kwargs)
        if self._after_bind is not None:
            made: Self = self._after_bind(bound)
            return made
        return bound

    def parallelize(self) -> Self:
        """Draw the items in a thread, so that several resources wait for their sources at the same time.

        Raises:
            InvalidParallelResourceDataType: The data is no generator.
        """
        gen, function = self._pipe.gen, self._pipe.function
        is_generator = hasattr(gen, "gi_frame") or hasattr(gen, "ag_frame")
        if function is not None:
            is_generator = function.is_transformer or function.is_generator()
        if not is_generator:
            raise InvalidParallelResourceDataType(self.name, gen, type(gen))
        self._pipe.parallelized = True
        return self

    # ---- piping ----

    def pipe_data_from(self, data_from: Any) -> Self:
        """Take items of another resource (or its pipe), in place.

        Raises:
            ResourceNotATransformer: This resource makes its own items.
        """
        function = self._pipe.function
        if function is None or not function.is_transformer:
            raise ResourceNotATransformer(self.name, "it makes its items itself, and so nothing can be piped into it")
        self._pipe.parent = parent_pipe_of(self.name, data_from, DltResource)
        return self

    def __or__(self, transform: Any) -> Any:
        """Pipe the items into a transformer, or map them with a function."""
        if isinstance(transform, DltResource):
            return transform.pipe_data_from(self)
        return self.add_map(transform)

    def __ror__(self, data: Any) -> Self:
        """Pipe plain data into this transformer."""
        return self.pipe_data_from(DltResource.from_data(data, name=f"{self.name}_data"))

    # ---- copies ----

    def with_name(self, new_name: str, new_section: str | None = None) -> Self:
        """A copy under another name, and so with state, settings and by default a table of its own."""
        return self._clone(new_name=new_name, new_section=new_section)

    def _clone(self, *, new_name: str | None = None, new_section: str | None = None, pipe: Pipe | None = None) -> Self:
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._pipe = pipe if pipe is not None else self._pipe.clone(new_name)
        new._hints = _copy_hints(self._hints)
        new._hints_variants = {name: _copy_hints(h) for name, h in self._hints_variants.items()}
        if new_section:
            new.section = new_section
            if new._pipe.function is not None:
                new._pipe.function.section = new_section
        new._dress()
        return new

    # ---- reading ----

    def __iter__(self) -> Iterator[Any]:
        """Read the items, without loading anything; pages are unrolled.

        Raises:
            ParametrizedResourceUnbound: Arguments are missing.
            ResourceExtractionError: The function failed.
        """
        from headrace.extract.source import source_of

        yield from source_of(self)

    def check_bound(self) -> None:
        """Check that the function has all its arguments.

        Raises:
            ParametrizedResourceUnbound: It has not.
        """
        function = self._pipe.function
        if function is not None and function.requires_args:
            kind = "transformer" if function.is_transformer else "resource"
            raise ParametrizedResourceUnbound(
                self.name, function.__name__, function.signature, kind, "arguments without a default were not given"
            )

    def _dress(self) -> None:
        """Look like the function that the resource was made from."""
        function = self._pipe.function
        self.__dict__["__name__"] = self.__dict__["__qualname__"] = self.name
        if function is not None:
            self.__dict__["__doc__"] = getattr(function.f, "__doc__", None)
            self.__dict__["__module__"] = getattr(function.f, "__module__", __name__)
            self.__dict__["__signature__"] = function.signature.replace(return_annotation=type(self))

    def __repr__(self) -> str:
        parts = [f"name={self.name!r}", f"section={self.section!r}", f"write_disposition={self.write_disposition!r}"]
        if self._pipe.parent is not None:
            parts.append(f"parent={self._pipe.parent.name!r}")
        kind = "transformer" if self.is_transformer else "resource"
        return f"<@headrace.{kind}({', '.join(parts)})>"

    def __str__(self) -> str:
        kind = "transformer" if self.is_transformer else "resource"
        source = f" of source `{self.source_name}`" if self.source_name else ""
        lines = [f"The {kind} `{self.name}`{source}, section `{self.section}`."]
        if self._pipe.parent is not None:
            lines.append(f"It takes items of `{self._pipe.parent.name}`.")
        if self.requires_args and self._pipe.function is not None:
            lines.append(f"It needs arguments: {self._pipe.function.signature}")
        lines.append("Iterate over it to see its items: list(resource). Generators can be read only once.")
        return "\n".join(lines)


# stands for "no resource yet" as the parent of a transformer
DltResource.Empty = DltResource(Pipe("__empty"), None, False)


def _copy_hints(hints: TResourceHints) -> TResourceHints:
    copied = dict(hints)
    if isinstance(copied.get("columns"), dict):
        copied["columns"] = {name: dict(column) for name, column in copied["columns"].items()}
    return copied


__all__ = ["DltResource", "InvalidResourceDataType"]
