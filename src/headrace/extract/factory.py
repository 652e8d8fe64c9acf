"""What the decorator `source` makes: a function that gives a source at each call, and knows its settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import ArgumentsOverloadException
from headrace.errors.extract import (
    ExplicitSourceNameInvalid,
    SourceDataIsNone,
    SourceIsAClassTypeError,
    SourceNotAFunction,
)
from headrace.extract.inject import argument_resolver, config_sections, module_section, signature_of
from headrace.extract.reference import SourceReference
from headrace.extract.resource import DltResource
from headrace.extract.source import DltSource
from headrace.extract.state import SourceScope, ambient_state, has_state, source_scope, state_scope
from headrace.model.schema import Schema

if TYPE_CHECKING:
    from typing_extensions import Self

_OPTIONS = (
    "name",
    "section",
    "max_table_nesting",
    "root_key",
    "schema",
    "schema_contract",
    "spec",
    "parallelized",
    "_impl_cls",
)
_loaded_schemas: dict[Path, Schema] = {}


class SourceFactory:
    """Makes sources from a function.

    Args:
        f: Returns or yields resources.
        options: The arguments of the decorator `source`.
    """

    def __init__(self, f: Callable[..., Any], **options: Any) -> None:
        self.name: str | None = None
        self.section: str | None = None
        self.max_table_nesting: int | None = None
        self.root_key: bool | None = None
        self.schema: Schema | None = None
        self.schema_contract: Any = None
        self.spec: type[Any] | None = None
        self.parallelized = False
        self._impl_cls: type[DltSource[Any]] = DltSource
        self.ref: SourceReference | None = None
        self._f = f
        self._postprocessors: list[Callable[[Any], Any]] = []
        self._check_function(options.get("name"))
        self._set(options)
        functools.update_wrapper(self, f, updated=())
        signature = signature_of(f).replace(return_annotation=self._impl_cls)
        self.__dict__["__signature__"] = signature

    def _check_function(self, name: str | None) -> None:
        if inspect.isclass(self._f):
            raise SourceIsAClassTypeError(name or "<no name>", self._f)
        if not callable(self._f):
            raise SourceNotAFunction(name or "<no name>", self._f, type(self._f))

    def _set(self, options: dict[str, Any]) -> None:
        unknown = set(options) - set(_OPTIONS)
        if unknown:
            raise TypeError(f"a source has no option {', '.join(sorted(unknown))}; it has {', '.join(_OPTIONS)}")
        if options.get("name") and options.get("schema") is not None:
            raise ArgumentsOverloadException(
                "`name` has no effect when `schema` is given: its name is used", "source()"
            )
        for option, value in options.items():
            if value is not None:
                setattr(self, option, value)
        if self.schema is not None and self.name and self.name != self.schema.name:
            if "name" in options:
                raise ExplicitSourceNameInvalid(self.name, self.schema.name)
            self.name = self.schema.name

    def clone(self, **options: Any) -> Self:
        """A copy with other options: those of the decorator `source`.

        Raises:
            TypeError: There is no such option.
        """
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._postprocessors = list(self._postprocessors)
        new._set(options)
        return new

    with_args = clone

    def add_postprocessor(self, postprocessor: Callable[[Any], Any]) -> None:
        """Change every source that is made: the function gets the source and gives the one to use."""
        self._postprocessors.append(postprocessor)

    def add_limit(
        self, max_items: int | None = None, max_time: float | None = None, count_rows: bool | None = False
    ) -> Self:
        """Limit every source that is made; see `DltSource.add_limit`."""
        self.add_postprocessor(lambda source: source.add_limit(max_items, max_time, count_rows))
        return self

    def register(self) -> Self:
        """Make the source known under ``<module>.<function>``; functions inside of functions are not."""
        name, module = getattr(self._f, "__qualname__", ""), getattr(self._f, "__module__", None)
        if module and name and "<locals>" not in name:
            self.ref = SourceReference(f"{module}.{name}", self.spec, self, self.full_section, self.full_name)
            SourceReference.register(self.ref)
        return self

    @property
    def full_name(self) -> str:
        """The name that sources get."""
        if self.schema is not None:
            return self.schema.name
        return self.name or getattr(self._f, "__name__", None) or type(self._f).__name__

    @property
    def full_section(self) -> str:
        """The configuration section that arguments are looked for in."""
        return self.section or module_section(self._f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and make a source of what it gives; of an async function, a coroutine.

        Raises:
            SourceDataIsNone: It gives None.
            InvalidSchemaName: The name cannot be that of a schema.
        """
        signature_of(self._f).bind_partial(*args, **kwargs)
        scope = SourceScope(self.full_name, self.full_section, self._new_schema())
        if inspect.iscoroutinefunction(inspect.unwrap(self._f)):
            return self._make_later(scope, args, kwargs)
        with self._entered(scope):
            data = self._call(scope, args, kwargs)
            if inspect.isgenerator(data):
                data = list(data)
            return self._finish(scope, data)

    async def _make_later(self, scope: SourceScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._entered(scope):
            return self._finish(scope, await self._call(scope, args, kwargs))

    def _call(self, scope: SourceScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        resolver = argument_resolver(self._f, ("sources", scope.section, scope.name), self.spec)
        all_args, all_kwargs = resolver(*args, **kwargs)
        return self._f(*all_args, **all_kwargs)

    def _entered(self, scope: SourceScope) -> ExitStack:
        stack = ExitStack()
        if not has_state() and ambient_state() is None:
            stack.enter_context(state_scope({}))
        stack.enter_context(source_scope(scope))
        stack.enter_context(config_sections(("sources", scope.section, scope.name)))
        return stack

    def _finish(self, scope: SourceScope, data: Any) -> Any:
        if data is None:
            raise SourceDataIsNone(scope.name)
        source: Any = self._impl_cls.from_data(scope.schema, scope.section, data)
        if self.max_table_nesting is not None:
            source.max_table_nesting = self.max_table_nesting
        if self.root_key is not None:
            source.root_key = self.root_key
        if self.schema_contract is not None:
            source.schema_contract = self.schema_contract
        if self.parallelized:
            source.parallelize()
        for postprocessor in self._postprocessors:
            source = postprocessor(source)
        return source

    def _new_schema(self) -> Schema:
        if self.schema is not None:
            return self.schema.clone()
        found = _schema_beside(self._f, self.full_name)
        return found.clone() if found is not None else Schema(self.full_name)


def _schema_beside(f: Callable[..., Any], name: str) -> Schema | None:
    """The schema in a file ``<name>.schema.yaml`` or ``.json`` next to the module of a source."""
    module = inspect.getmodule(inspect.unwrap(f))
    path = getattr(module, "__file__", None)
    if not path:
        return None
    for suffix in ("yaml", "json"):
        file = Path(path).parent / f"{name}.schema.{suffix}"
        if file in _loaded_schemas:
            return _loaded_schemas[file]
        if file.is_file():
            _loaded_schemas[file] = Schema.from_dict(_read(file), remove_processing_hints=True)
            return _loaded_schemas[file]
    return None


def _read(file: Path) -> dict[str, Any]:
    if file.suffix == ".json":
        from headrace.base import json

        document: dict[str, Any] = json.loads(file.read_bytes())
        return document
    from headrace.model.schema_export import from_yaml

    return from_yaml(file.read_text("utf-8"))


def resource_factory(resource: DltResource[Any], f: Callable[..., Any]) -> SourceFactory:
    """A source with one resource, under the resource's name: so that resources can be found by reference too."""

    @functools.wraps(f)
    def make(*args: Any, **kwargs: Any) -> Any:
        return resource(*args, **kwargs) if resource._pipe.function is not None else resource

    return _ResourceFactory(make, name=resource.name, section=resource.section)


class _ResourceFactory(SourceFactory):
    def _call(self, scope: SourceScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # the arguments of a resource are looked up when it is read
        return self._f(*args, **kwargs)
