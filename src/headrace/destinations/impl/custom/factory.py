"""The factory of destinations that are functions, and the decorator that makes one."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import msgspec

from headrace.config.fields import field_names
from headrace.config.inject import spec_from_signature
from headrace.config.known import DestinationConfiguration
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.impl.custom.configuration import CustomDestinationClientConfiguration
from headrace.destinations.impl.custom.errors import UnknownCustomDestinationCallable
from headrace.load.destination import PipelineFacts
from headrace.model.capabilities import Capabilities
from headrace.model.location import Location, location_of_url

if TYPE_CHECKING:
    from headrace.destinations.impl.custom.client import CustomClient
    from headrace.load.destination import Destination
    from headrace.model.schema import Schema

CAPABILITIES = Capabilities(
    preferred_loader_file_format="arrow",
    supported_loader_file_formats=("arrow", "parquet", "jsonl"),
    naming_convention="direct",
    has_case_sensitive_identifiers=True,
    supports_ddl_transactions=False,
    supports_transactions=False,
    wei_precision=(78, 0),
    max_timestamp_precision=6,
    max_table_nesting=0,
    max_files_per_job=1,
    idempotency="none",
)
_PARALLEL = Literal["parallel", "table-sequential", "sequential"]


class destination(ConfiguredDestination):
    """A function ``(items, table, …)`` that takes rows.

    Its other arguments are found in the configuration under ``destination.<name>`` where they are left out here. It is
    called with lists of dictionaries, with record batches (``loader_file_format="parquet"``) or, with ``batch_size=0``,
    with paths of files. When it raises, it is called again with the same batch, and then with those behind it; batches
    that it has taken do not come again, except the one in hand when the process is killed.

    Args:
        destination_callable: The function, or where it is: ``module.function``.
        destination_name: The name it is configured under; the function's own name when None.
        environment: A word to tell installations apart.
        loader_file_format: See `CustomDestinationClientConfiguration`, as for the next two.
        batch_size: Rows of a call.
        naming_convention: How names of tables and columns are spelled; by default they are left as they are.
        max_table_nesting: See the configuration; None leaves it to the source.
        spec: Configuration class with the function's arguments; by default it is made from its signature.
        **settings: Arguments of the function, other settings, and `Capabilities`.

    Raises:
        UnknownCustomDestinationCallable: There is no such function.
    """

    short_name: ClassVar[str] = "destination"

    def __init__(
        self,
        destination_callable: Any = None,
        destination_name: str | None = None,
        environment: str | None = None,
        loader_file_format: str | None = None,
        batch_size: int | None = None,
        naming_convention: str | None = None,
        max_table_nesting: int | None = 0,
        spec: type[CustomDestinationClientConfiguration] | None = None,
        **settings: Any,
    ) -> None:
        self._function = _found(destination_callable)
        self._given_spec = spec
        self.spec: type[DestinationConfiguration] = self._spec_of(spec)  # type: ignore[misc] # of this function alone
        own_name = None if self._function is None else getattr(self._function, "__name__", None)
        super().__init__(
            destination_name=destination_name or own_name,
            environment=environment,
            destination_callable=destination_callable,
            loader_file_format=loader_file_format,
            batch_size=batch_size,
            naming_convention=naming_convention,
            **settings,
        )
        self.config_params["max_table_nesting"] = max_table_nesting  # None is a value here

    def _spec_of(self, spec: type[CustomDestinationClientConfiguration] | None) -> type[DestinationConfiguration]:
        base = spec or CustomDestinationClientConfiguration
        if self._function is None or spec is not None:
            return base
        made: type[Any] = spec_from_signature(self._function, inspect.signature(self._function), base=base)
        return made

    def changed(self, **settings: Any) -> destination:
        """A destination like this one with other settings; None leaves a setting as it is."""
        return super().changed(spec=self._given_spec, **settings)

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None) -> Location | None:
        """What the user has told of where the rows go (`lineage_location`)."""
        told = self.seen_configuration().lineage_location
        if not told:
            return None
        before, _, after = str(told).partition("{table_name}")
        if "://" not in before and not Path(before).is_absolute():
            return None  # words for people are no place
        place = location_of_url(before)
        # paths of interfaces and folders go on with the table's name; others have tables anyway
        return msgspec.structs.replace(place, table_path=f"{{table_name}}{after}") if place.path else place

    def raw_capabilities(self) -> Capabilities:
        """What the function takes."""
        nesting = self.config_params["max_table_nesting"]
        return msgspec.structs.replace(
            CAPABILITIES, preferred_loader_file_format=self._format(), max_table_nesting=nesting
        )

    def _format(self) -> Any:
        asked = self.config_params.get("loader_file_format")
        if asked in ("parquet", "jsonl"):
            return asked
        # rows in memory keep their types in Arrow; people who open the file themselves want text
        return "jsonl" if self.config_params.get("batch_size") == 0 else "arrow"

    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> CustomClient:
        """A client that calls the function."""
        from headrace.destinations.impl.custom.client import CustomClient

        settings: Any = self.configuration()
        function = self._function or _found(settings.destination_callable)
        if function is None:
            raise UnknownCustomDestinationCallable("")
        own = set(field_names(self.spec)) & set(list(inspect.signature(function).parameters)[2:])
        return CustomClient(
            schema,
            self.capabilities(),
            name=self.destination_name,
            function=functools.partial(function, **{name: getattr(settings, name) for name in sorted(own)}),
            batch_size=settings.batch_size,
            skip=settings.skip_dlt_columns_and_tables,
        )


def _found(ref: Any) -> Callable[..., Any] | None:
    """The function itself."""
    if ref is None or callable(ref):
        return ref  # type: ignore[no-any-return]
    module, _, attribute = str(ref).rpartition(".")
    if not module:
        raise ValueError(f"`{ref}` does not say in which module the function is: give `module.function`")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownCustomDestinationCallable(str(ref), str(error)) from error
    if not callable(found):
        raise UnknownCustomDestinationCallable(str(ref), f"it is a {type(found).__name__}")
    # it may be decorated already
    inner: Callable[..., Any] = getattr(found, "__wrapped_function__", found)
    return inner


_Factory = Callable[..., destination]


@overload
def decorator(func_or_name: Callable[..., Any], /, **settings: Any) -> _Factory: ...
@overload
def decorator(func_or_name: str, /, **settings: Any) -> Destination: ...
@overload
def decorator(
    func_or_name: None = ..., /, **settings: Any
) -> Callable[[Callable[..., Any]], Callable[..., destination]]: ...


def decorator(
    func_or_name: Any = None,
    /,
    *,
    loader_file_format: str | None = None,
    batch_size: int = 10,
    name: str | None = None,
    naming_convention: str = "direct",
    skip_dlt_columns_and_tables: bool = True,
    max_table_nesting: int | None = 0,
    spec: type[CustomDestinationClientConfiguration] | None = None,
    max_parallel_load_jobs: int | None = None,
    loader_parallelism_strategy: _PARALLEL | None = None,
    **settings: Any,
) -> Any:
    """Make a destination of a function ``(items, table, …)`` that takes rows.

        @headrace.destination(batch_size=100)
        def send(items, table, api_key: str = headrace.secrets.value):
            ...

        headrace.pipeline("events", destination=send).run(events)

    Args:
        func_or_name: The function; or the name of a kind of destination, to make one of that kind.
        loader_file_format: ``parquet`` gives record batches instead of lists of dictionaries.
        batch_size: Rows of a call; 0 gives the path of each file.
        name: The name it is configured under (``destination.<name>``); the function's own when None.
        naming_convention: How names of tables and columns are spelled; by default they are left as they are.
        skip_dlt_columns_and_tables: Keep back tables and columns that headrace adds.
        max_table_nesting: How deep nested tables may go; by default nested data stays in its row.
        spec: Configuration class with the function's arguments.
        max_parallel_load_jobs: How many files are given at the same time.
        loader_parallelism_strategy: ``sequential``: one file after the other; ``table-sequential``: of each table.
        **settings: Arguments of the function.

    Returns:
        A function that makes the destination and takes more settings; a pipeline takes it as it is.
    """
    if isinstance(func_or_name, str):
        from headrace.destinations.reference import resolve_destination

        return resolve_destination(func_or_name, destination_name=name, **settings)

    own: dict[str, Any] = {
        "destination_name": name,
        "loader_file_format": loader_file_format,
        "batch_size": batch_size,
        "naming_convention": naming_convention,
        "skip_dlt_columns_and_tables": skip_dlt_columns_and_tables,
        "max_table_nesting": max_table_nesting,
        "spec": spec,
        "max_parallel_load_jobs": max_parallel_load_jobs,
        "loader_parallelism_strategy": loader_parallelism_strategy,
        **settings,
    }
    decorate = functools.partial(_factory_of, settings=own)
    return decorate if func_or_name is None else decorate(func_or_name)


def _factory_of(function: Callable[..., Any], settings: dict[str, Any]) -> _Factory:
    @functools.wraps(function)
    def make(**more: Any) -> destination:
        given = {key: value for key, value in more.items() if value is not None}
        return destination(function, **{**settings, **given})

    make.__dict__["__wrapped_function__"] = function
    return make
