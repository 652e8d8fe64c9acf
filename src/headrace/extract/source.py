"""`DltSource`: resources that share a schema, a state and a part of the configuration."""

from __future__ import annotations

import contextvars
import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from headrace.errors.extract import ResourcesNotFoundError
from headrace.extract.inject import config_sections
from headrace.extract.iterate import Flow
from headrace.extract.parallel import END
from headrace.extract.pipe import Pipe
from headrace.extract.resource import DltResource
from headrace.extract.resources import DltResourceDict
from headrace.extract.settings import ExtractSettings
from headrace.extract.state import SourceScope, ambient_state, has_state, source_scope, state_scope
from headrace.model.schema import Schema

if TYPE_CHECKING:
    from typing_extensions import Self

TItem = TypeVar("TItem")


class DltSource(Iterable[Any], Generic[TItem]):
    """Resources that share a schema, a state and a part of the configuration. Made by the decorator `source`.

    Args:
        schema: Its name is the source's name.
        section: The part of the configuration: ``sources.<section>``.
        resources: They are copied.

    Raises:
        InvalidResourceDataTypeMultiplePipes: Two have the same name.
    """

    def __init__(self, schema: Schema, section: str, resources: Sequence[DltResource[Any]] = ()) -> None:
        self._schema = schema
        self.section = section
        # resources of a source are configured in its section; those thrown together by `run` keep their own
        self.shares_section = True
        self._resources = DltResourceDict(schema.name, section)
        if resources:
            self._resources.add(*resources)

    @classmethod
    def from_data(cls, schema: Schema, section: str, data: Any) -> Self:
        """Make a source of a resource, of an iterable of resources, or of any other data.

        Data without a name becomes a resource with the source's name.
        """
        if isinstance(data, DltSource):
            return data  # type: ignore[return-value]
        if isinstance(data, DltResource):
            return cls(schema, section, [data])
        if isinstance(data, (list, tuple)) or _is_iterator(data):
            items = list(data)
            if items and isinstance(items[0], DltResource):
                return cls(schema, section, [DltResource.from_data(item) for item in items])
            return cls(schema, section, [DltResource.from_data(items, schema.name)] if items else [])
        return cls(schema, section, [DltResource.from_data(data, getattr(data, "__name__", schema.name))])

    # ---- what it is ----

    @property
    def name(self) -> str:
        """The name, which is that of the schema."""
        return self._schema.name

    @property
    def schema(self) -> Schema:
        """Tables and settings; changed in place when the source is extracted."""
        return self._schema

    @schema.setter
    def schema(self, value: Schema) -> None:
        self._schema = value
        self._resources.source_name = value.name

    @property
    def resources(self) -> DltResourceDict:
        """The resources by name."""
        return self._resources

    @property
    def selected_resources(self) -> dict[str, DltResource[Any]]:
        """The resources whose items are loaded."""
        return self._resources.selected

    @property
    def max_table_nesting(self) -> int | None:
        """How many levels of nested tables are made; None for no limit."""
        found: int | None = json_config(self._schema).get("max_nesting")
        return found

    @max_table_nesting.setter
    def max_table_nesting(self, value: int | None) -> None:
        _set_json_config(self._schema, "max_nesting", value)

    @property
    def root_key(self) -> bool | None:
        """Whether nested rows carry the key of their root row; None leaves it to the write disposition."""
        found: bool | None = json_config(self._schema).get("root_key_propagation")
        return found

    @root_key.setter
    def root_key(self, value: bool | None) -> None:
        _set_json_config(self._schema, "root_key_propagation", value)

    @property
    def schema_contract(self) -> Any:
        """The contract of all tables without one of their own."""
        return self._schema.settings.get("schema_contract")

    @schema_contract.setter
    def schema_contract(self, value: Any) -> None:
        self._schema.set_schema_contract(value)

    @property
    def exhausted(self) -> bool:
        """Whether a generator of a selected resource was read to its end."""
        return any(p.exhausted for r in self._resources.selected.values() for p in r._pipe.chain())

    @property
    def state(self) -> dict[str, Any]:
        """The state of the source, to look at; inside of functions use `current.source_state`."""
        found: dict[str, Any] = (ambient_state() or {}).get("sources", {}).get(self.name, {})
        return found

    @property
    def run(self) -> Any:
        """`run` of the active pipeline with this source as its data."""
        return _pipeline_run(self)

    # ---- choosing and changing ----

    def with_resources(self, *resource_names: str) -> DltSource[Any]:
        """A copy in which exactly these resources are selected.

        Raises:
            ResourcesNotFoundError: The source does not have one.
        """
        missing = set(resource_names) - set(self._resources)
        if missing:
            raise ResourcesNotFoundError(self.name, self._resources.keys(), resource_names)
        new = self.clone()
        new._resources.select(*resource_names)
        return new

    def add_limit(
        self, max_items: int | None = None, max_time: float | None = None, count_rows: bool | None = False
    ) -> DltSource[Any]:
        """Limit all selected resources that make their own items; see `DltResource.add_limit`."""
        for resource in self._resources.extracted:
            if not resource.is_transformer:
                resource.add_limit(max_items, max_time, count_rows)
        return self

    def parallelize(self) -> DltSource[Any]:
        """Draw items of all selected resources in threads; those that are no generators stay as they are."""
        from headrace.errors.extract import InvalidParallelResourceDataType

        for resource in self._resources.selected.values():
            try:
                resource.parallelize()
            except InvalidParallelResourceDataType:
                continue
        return self

    def decompose(self, strategy: str) -> list[DltSource[Any]]:
        """Copies with a part of the selected resources each, to be run on their own.

        Args:
            strategy: ``none`` for one copy with all, ``scc`` for one for each group of resources that share items.

        Raises:
            ValueErrorWithKnownValues: The strategy is unknown.
        """
        if strategy == "none":
            return [self.clone()]
        if strategy == "scc":
            return [self.with_resources(*names) for names in self._resources.connected_components()]
        from headrace.errors import ValueErrorWithKnownValues

        raise ValueErrorWithKnownValues("strategy", strategy, ["none", "scc"])

    def clone(self, with_name: str | None = None) -> DltSource[Any]:
        """A copy with its own schema and pipes; generators and iterators are shared.

        Args:
            with_name: Name of the copy and of its schema.
        """
        new = type(self)(self._schema.clone(with_name=with_name), self.section)
        new.shares_section = self.shares_section
        self._resources.copy_into(new._resources)
        return new

    def discover_schema(self, item: Any = None, meta: Any = None) -> Schema:
        """The schema with the tables that hints of selected resources describe, without reading items.

        Args:
            item: For hints that are functions of an item; without it such resources are left out.
            meta: A mark that names another table.
        """
        schema = self._schema.clone()
        for resource in self._resources.selected.values():
            if (resource.has_dynamic_table_name or resource.has_other_dynamic_hints) and item is None:
                continue
            for table in resource.compute_tables(schema.naming, item, meta):
                schema.update_table(table)
        return schema

    # ---- reading ----

    def scope(self) -> SourceScope:
        """What is current while this source is read."""
        return SourceScope(self.name, self.section, self._schema, self, self.shares_section)

    def __iter__(self) -> Iterator[Any]:
        """Read the items of all selected resources, without loading anything; pages are unrolled."""
        yield from items_of(self._resources.selected_pipes, self)

    def __getattr__(self, name: str) -> DltResource[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._resources[name]
        except KeyError:
            known = ", ".join(f"`{n}`" for n in self._resources) or "(none)"
            raise AttributeError(f"source `{self.name}` has no resource `{name}`; it has {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, DltResource):
            self._resources[name] = value
        else:
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        names = list(self._resources)
        return f"<@headrace.source(name={self.name!r}, section={self.section!r}, resources={names!r})>"

    def __str__(self) -> str:
        lines = [f"Source `{self.name}`, section `{self.section}`, with {len(self._resources)} resources:"]
        for r in self._resources.values():
            kind = "transformer" if r.is_transformer else "resource"
            parent = f", takes items of `{r._pipe.parent.name}`" if r._pipe.parent is not None else ""
            lines.append(f"  {kind} `{r.name}` is {'' if r.selected else 'not '}selected{parent}")
        lines.append("Iterate over it to see its items: list(source). Generators can be read only once.")
        return "\n".join(lines)


def items_of(pipes: Sequence[Pipe], source: DltSource[Any]) -> Iterator[Any]:
    """Read pipes one item at a time, in a context of their own; state goes nowhere unless a step has opened one."""
    found: deque[Any] = deque()

    def collect(item: Any, meta: Any) -> None:
        found.extend(item) if isinstance(item, list) else found.append(item)

    context = contextvars.copy_context()
    scopes = ExitStack()
    turns: Iterator[None] | None = None
    try:
        context.run(_enter, scopes, source)
        flow = Flow(pipes, chunk=1, **context.run(ExtractSettings.configured).flow_options())
        for node in flow.nodes:
            node.out = collect
        turns = flow.turns()
        context.run(flow.prepare)
        while context.run(next, turns, END) is not END:
            while found:
                yield found.popleft()
        yield from found
    finally:
        if turns is not None:
            context.run(turns.close)  # type: ignore[attr-defined]
        context.run(scopes.close)


def _enter(stack: ExitStack, source: DltSource[Any]) -> None:
    if not has_state():
        stack.enter_context(state_scope(copy.deepcopy(ambient_state() or {})))
    stack.enter_context(source_scope(source.scope()))
    stack.enter_context(config_sections(("sources", source.section, source.name)))


def source_of(resource: DltResource[Any]) -> Iterator[Any]:
    """Read a resource that is in no source, under a source made for the purpose."""
    schema = Schema(resource.source_name or _default_name())
    source: DltSource[Any] = DltSource(schema, resource.section or schema.name)
    source.shares_section = False
    source.resources.hold(resource)
    yield from items_of([resource._pipe], source)


def _default_name() -> str:
    from headrace.config.current import get_pipeline_name

    name = get_pipeline_name()
    return name if name and name.isidentifier() else "source"


def json_config(schema: Schema) -> dict[str, Any]:
    """A copy of the settings of a schema's normalizer of documents."""
    return dict((schema.normalizers.get("json") or {}).get("config") or {})


def _set_json_config(schema: Schema, key: str, value: Any) -> None:
    config = {k: v for k, v in json_config(schema).items() if k != key}
    if value is not None:
        config[key] = value
    # replaced and not changed: copies of a schema share the inner dictionaries
    json = {k: v for k, v in (schema.normalizers.get("json") or {}).items() if k != "config"}
    schema.normalizers["json"] = {**json, "config": config} if config else json


def _pipeline_run(data: Any) -> Any:
    from functools import partial

    from headrace import current

    return partial(current.pipeline().run, data=data)


def _is_iterator(data: Any) -> bool:
    return hasattr(data, "__next__") and type(data).__module__.partition(".")[0] != "pyarrow"
