"""`@source`, `@resource`, `@transformer`, `@defer`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from headrace.errors.extract import (
    InvalidResourceDataType,
    InvalidTransformerDataTypeGeneratorFunctionRequired,
)
from headrace.extract.factory import SourceFactory, resource_factory
from headrace.extract.hints import make_hints
from headrace.extract.inject import config_sections, module_section
from headrace.extract.resource import DltResource
from headrace.extract.source import DltSource

TFun = TypeVar("TFun", bound=Callable[..., Any])


@overload
def source(
    func: Callable[..., Any],
    /,
    name: str | None = None,
    section: str | None = None,
    max_table_nesting: int | None = None,
    root_key: bool | None = None,
    schema: Any = None,
    schema_contract: Any = None,
    spec: type[Any] | None = None,
    parallelized: bool = False,
    _impl_cls: type[DltSource[Any]] = DltSource,
) -> SourceFactory: ...


@overload
def source(
    func: None = None,
    /,
    name: str | None = None,
    section: str | None = None,
    max_table_nesting: int | None = None,
    root_key: bool | None = None,
    schema: Any = None,
    schema_contract: Any = None,
    spec: type[Any] | None = None,
    parallelized: bool = False,
    _impl_cls: type[DltSource[Any]] = DltSource,
) -> Callable[[Callable[..., Any]], SourceFactory]: ...


def source(
    func: Any = None,
    /,
    name: str | None = None,
    section: str | None = None,
    max_table_nesting: int | None = None,
    root_key: bool | None = None,
    schema: Any = None,
    schema_contract: Any = None,
    spec: type[Any] | None = None,
    parallelized: bool = False,
    _impl_cls: type[DltSource[Any]] = DltSource,
) -> Any:
    """Turn a function that returns or yields resources into one that makes a source at each call.

    Arguments of the function that are not given are looked up in the configuration: those with the default
    ``config.value`` or ``secrets.value`` must be found there, others with a default may be.

    Args:
        func: The function.
        name: Name of the source and of its schema; by default the function's.
        section: The configuration is read under ``sources.<section>.<name>``; by default the module's name.
        max_table_nesting: How many levels of nested tables are made; deeper data becomes JSON.
        root_key: Whether nested rows carry the key of their root row.
        schema: An explicit schema.
        schema_contract: The contract of all tables without one of their own.
        spec: The configuration class of the arguments, instead of one made from them.
        parallelized: Draw items of all resources in threads.

    Returns:
        The factory, or a decorator.

    Raises:
        SourceNotAFunction: It cannot be called.
        SourceIsAClassTypeError: It is a class.
        ArgumentsOverloadException: Both a name and a schema are given.
    """
    options = {
        "name": name,
        "section": section,
        "max_table_nesting": max_table_nesting,
        "root_key": root_key,
        "schema": schema,
        "schema_contract": schema_contract,
        "spec": spec,
        "parallelized": parallelized,
        "_impl_cls": _impl_cls,
    }

    def decorate(f: Callable[..., Any]) -> SourceFactory:
        return SourceFactory(f, **options).register()

    return decorate if func is None else decorate(func)


# size: the arguments are those that users know, and each is handed on
def resource(
    data: Any = None,
    /,
    name: Any = None,
    table_name: Any = None,
    max_table_nesting: int | None = None,
    write_disposition: Any = None,
    columns: Any = None,
    primary_key: Any = None,
    merge_key: Any = None,
    schema_contract: Any = None,
    table_format: Any = None,
    file_format: Any = None,
    references: Any = None,
    nested_hints: Any = None,
    selected: bool = True,
    spec: type[Any] | None = None,
    parallelized: bool = False,
    incremental: Any = None,
    _impl_cls: type[DltResource[Any]] = DltResource,
    section: Any = None,
    _base_spec: type[Any] | None = None,
    standalone: bool | None = None,
    data_from: Any = None,
) -> Any:
    """Turn a function that yields items, or any data, into a resource.

    Arguments of the function that are not given are looked up in the configuration when the resource is read, as for
    `source`.

    Args:
        data: A function, generator, iterable, frame, awaitable; without it a decorator is given.
        name: Name of the resource; by default the function's. A function gets the arguments as a dictionary.
        table_name: Name of the table, or a function of the item; by default the resource's name.
        max_table_nesting: How many levels of nested tables are made.
        write_disposition: ``append``, ``replace``, ``merge``, ``skip``, a dictionary with options, or a function of
            the item.
        columns: Columns by name, a sequence of columns, a pydantic model, or a function of the item.
        primary_key: Column or columns, or a function of the item.
        merge_key: The same.
        schema_contract: A mode, or modes by entity.
        table_format: ``delta``, ``iceberg``, ``hive``, ``native``.
        file_format: Format of loader files.
        references: References to other tables.
        nested_hints: Hints of nested tables, by path.
        selected: Whether its items are loaded when it is part of a source.
        spec: The configuration class of the arguments.
        parallelized: Draw items in a thread.
        incremental: The cursor; wins over one among the arguments.
        section: The configuration section; by default the module's name.
        standalone: Without meaning here; kept for callers of dlt's function.
        data_from: The resource whose items the function takes; makes it a transformer.

    Raises:
        ResourceNameMissing: The data has no name.
        InvalidResourceDataType: It cannot be made into items.
    """
    hints = make_hints(
        table_name=table_name,
        write_disposition=write_disposition,
        columns=columns,
        primary_key=primary_key,
        merge_key=merge_key,
        schema_contract=schema_contract,
        table_format=table_format,
        file_format=file_format,
        references=references,
        incremental=incremental,
        nested_hints=nested_hints,
    )
    if max_table_nesting is not None:
        hints["max_table_nesting"] = max_table_nesting
    maker = _Maker(name, section, hints, selected, spec, _base_spec, parallelized, _impl_cls, data_from)
    return maker.decorate if data is None else maker.make(data)


class _Maker:
    """Makes resources of functions and data, with the arguments of the decorator at hand."""

    def __init__(
        self,
        name: Any,
        section: Any,
        hints: dict[str, Any],
        selected: bool,
        spec: type[Any] | None,
        base_spec: type[Any] | None,
        parallelized: bool,
        impl_cls: type[DltResource[Any]],
        data_from: Any,
    ) -> None:
        self.name, self.section, self.hints, self.selected = name, section, hints, selected
        self.spec, self.base_spec = spec, base_spec
        self.parallelized, self.impl_cls, self.data_from = parallelized, impl_cls, data_from

    def make(self, data: Any) -> Any:
        if isinstance(data, DltResource):
            return data
        if callable(data) and not hasattr(data, "__arrow_c_stream__"):
            return self.decorate(data)
        if callable(self.name):
            raise TypeError(
                "the `name` of a resource made of data must be text; only resources of functions may compute it"
            )
        return self._finish(self._from(data, self.name, self.section))

    def decorate(self, f: Any) -> Any:
        if not callable(f):
            return self.make(f)
        if isinstance(f, DltResource):
            return f
        name = None if callable(self.name) else self.name
        section = None if callable(self.section) else self.section
        made = self._finish(self._from(f, name, section or module_section(f), inject=True))
        if callable(self.name) or callable(self.section) or _returns_resource(f):
            made._after_bind = self._settle
        self._register(made, f)
        return made

    def _from(self, data: Any, name: str | None, section: str | None, inject: bool = False) -> DltResource[Any]:
        return self.impl_cls.from_data(
            data,
            name,
            section,
            self.hints,
            self.selected,
            self.data_from,
            inject_config=inject,
            spec=self.spec,
            base_spec=self.base_spec,
        )

    def _finish(self, made: DltResource[Any]) -> DltResource[Any]:
        return made.parallelize() if self.parallelized else made

    def _register(self, made: DltResource[Any], f: Callable[..., Any]) -> None:
        if not made.is_transformer:
            made.__dict__["ref"] = resource_factory(made, f).register().ref

    def _settle(self, bound: DltResource[Any]) -> DltResource[Any]:
        """After a call: give the resource the name that was computed, or the one that the function makes."""
        function = bound._pipe.function
        arguments = dict(bound.explicit_args)
        if function is not None:
            defaults = {n: p.default for n, p in function.signature.parameters.items() if p.default is not p.empty}
            arguments = {**defaults, **arguments}
        name = self.name(arguments) if callable(self.name) else bound.name
        section = self.section(arguments) if callable(self.section) else bound.section
        if name != bound.name or section != bound.section:
            bound = bound.with_name(name, section)
        return self._inner(bound) if function is not None and _returns_resource(function.f) else bound

    def _inner(self, bound: DltResource[Any]) -> DltResource[Any]:
        function = bound._pipe.function
        assert function is not None
        with config_sections(("sources", bound.section or "", bound.name)):
            made = function.resolve(bound.name, bound.incremental)()
        if not isinstance(made, DltResource):
            raise InvalidResourceDataType(
                bound.name,
                made,
                type(made),
                f"the function is annotated to return a resource, not a {type(made).__name__}",
            )
        if callable(self.name):
            made = made.with_name(bound.name)
        if self.hints:
            made.merge_hints(self.hints)
        return made


def _returns_resource(f: Callable[..., Any]) -> bool:
    target = inspect.unwrap(f)
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        return False
    annotation = getattr(target, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        name = annotation.partition("[")[0].rpartition(".")[2]
        return name == "DltResource" or ("Resource" in name and _resolves_to_resource(target))
    annotation = getattr(annotation, "__origin__", annotation)
    return isinstance(annotation, type) and issubclass(annotation, DltResource)


def _resolves_to_resource(f: Callable[..., Any]) -> bool:
    import typing

    try:
        found = typing.get_type_hints(f).get("return")
    except Exception:  # noqa: BLE001 - annotations may name what only a type checker imports
        return False
    return isinstance(found, type) and issubclass(found, DltResource)


# size: the arguments are those that users know, and each is handed on
def transformer(
    f: Any = None,
    /,
    data_from: Any = None,
    name: Any = None,
    table_name: Any = None,
    max_table_nesting: int | None = None,
    write_disposition: Any = None,
    columns: Any = None,
    primary_key: Any = None,
    merge_key: Any = None,
    schema_contract: Any = None,
    table_format: Any = None,
    file_format: Any = None,
    references: Any = None,
    nested_hints: Any = None,
    selected: bool = True,
    spec: type[Any] | None = None,
    parallelized: bool = False,
    section: Any = None,
    standalone: bool | None = None,
    _impl_cls: type[DltResource[Any]] = DltResource,
) -> Any:
    """Turn a function that takes an item of another resource into a resource of what it makes of it.

    Items are given as the first argument, pages as pages. The function returns or yields items. Other arguments are as
    for `resource`.

    Args:
        f: The function; without it a decorator is given.
        data_from: The resource whose items it takes; it can also be piped in later: ``users | details``.
        name: See `resource`, as for all that follow.

    Raises:
        InvalidTransformerDataTypeGeneratorFunctionRequired: It is no function.
        InvalidTransformerGeneratorFunction: It cannot take an item.
        InvalidParentResourceIsAFunction: ``data_from`` is a plain function.
    """
    if f is not None and not callable(f):
        raise InvalidTransformerDataTypeGeneratorFunctionRequired(name, f, type(f))
    return resource(
        f,
        name=name,
        table_name=table_name,
        max_table_nesting=max_table_nesting,
        write_disposition=write_disposition,
        columns=columns,
        primary_key=primary_key,
        merge_key=merge_key,
        schema_contract=schema_contract,
        table_format=table_format,
        file_format=file_format,
        references=references,
        nested_hints=nested_hints,
        selected=selected,
        spec=spec,
        parallelized=parallelized,
        section=section,
        standalone=standalone,
        _impl_cls=_impl_cls,
        data_from=DltResource.Empty if data_from is None else data_from,
    )


def defer(f: TFun) -> Callable[..., Callable[[], Any]]:
    """Make a function that is computed in the thread pool: calling it gives a promise, which resources yield or return.

    Args:
        f: Computes one item or page.
    """

    @functools.wraps(f)
    def promise(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        return functools.partial(f, *args, **kwargs)

    return promise
