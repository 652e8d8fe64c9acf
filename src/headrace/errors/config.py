"""Errors of the configuration room.

::

    ConfigurationException (terminal)
    ├── ConfigFieldMissingException        (also KeyError)
    ├── ConfigFieldMissingTypeHintException, ConfigFieldTypeHintNotSupported
    ├── ConfigFileNotFoundException
    ├── ConfigProviderException ── DuplicateConfigProviderException, TomlProviderReadException
    ├── ConfigurationValueError            (also ValueError)
    │   └── ConfigValueCannotBeCoercedException
    ├── ConfigurationWrongTypeException, FinalConfigFieldException, InvalidNativeValue
    ├── UnmatchedConfigHintResolversException, ValueNotSecretException
    └── SpecException and its children      errors/specs.py
    ContainerException ── ContainerInjectableContextMangled, ContextDefaultCannotBeCreated

No text and no attribute of these errors holds the value of a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from headrace.errors.base import HeadraceException, TerminalException

_LISTED = 3  # how many missing fields an error names before it says "and more"


class LookupTrace(NamedTuple):
    """One place that was looked at.

    Attributes:
        provider: Name of the provider.
        sections: The path of sections, the pipeline's name first when it was part of it.
        key: The full key as that provider spells it.
        value: What was found; None in errors.
        provider_location: The file, when the provider reads one.
    """

    provider: str
    sections: Sequence[str]
    key: str
    value: Any = None
    provider_location: str | None = None


class LookupTraces(NamedTuple):
    """What was looked at for a field that is itself a configuration."""

    spec_name: str
    resolved_fields_set: Sequence[str]
    union_pos: int
    union_count: int
    traces: Mapping[str, Sequence[Any]]


class MissingPlace(NamedTuple):
    """A missing value and the most telling place to put it.

    Attributes:
        field: Name of the field, dotted below the configuration that was asked for.
        secret: Whether the value is a secret.
        env: The environment variable to set.
        table: The TOML table to write into, as its path of names.
        key: The key in that table.
        tried: The environment names of all places that were looked at, the best first.
    """

    field: str
    secret: bool
    env: str
    table: tuple[str, ...]
    key: str
    tried: tuple[str, ...] = ()


class ConfigurationException(HeadraceException, TerminalException):
    """Root of configuration errors; a retry without a change fails again."""


class ContainerException(HeadraceException):
    """Root of errors of injected contexts."""


class ConfigProviderException(ConfigurationException):
    """Something is wrong with a provider of values.

    Args:
        provider_name: The provider's name.
        what: What happened.
    """

    def __init__(self, provider_name: str, what: str = "", *, why: str | None = None, fix: str | None = None) -> None:
        self.provider_name = provider_name
        super().__init__(what or f"The configuration provider `{provider_name}` failed.", why=why, fix=fix)


class DuplicateConfigProviderException(ConfigProviderException):
    """Two providers have one name."""

    def __init__(self, provider_name: str) -> None:
        super().__init__(
            provider_name,
            f"A configuration provider named `{provider_name}` is registered already.",
            fix="give the new provider another `name`",
        )


class TomlProviderReadException(ConfigProviderException):
    """A TOML file cannot be read; the text never holds a line of a file with secrets."""

    def __init__(self, provider_name: str, locations: str | Sequence[str], toml_exception: str) -> None:
        self.locations = [locations] if isinstance(locations, str) else list(locations)
        super().__init__(
            provider_name,
            f"The file {', '.join(self.locations)} is not valid TOML.",
            why=toml_exception,
            fix="text needs quotes, tables are written [like.this], keys must not repeat",
        )


class ConfigFieldMissingException(ConfigurationException, KeyError):
    """Values that a configuration needs were found nowhere.

    Attributes:
        fields: Names of the missing fields.
        traces: For each of them, every place that was looked at, in order.
        places: For each missing leaf value, where to put it.
        spec_name: Name of the configuration class.
        config: The incomplete configuration, when there is one.

    Args:
        config: The incomplete configuration, or the name of its class.
        traces: See the attribute.
        places: See the attribute.
        notes: More lines to say: likely misspellings, empty files.
        needed_by: Who asked, in a user's words.
    """

    def __init__(
        self,
        config: Any,
        traces: Mapping[str, Sequence[LookupTrace | LookupTraces]],
        places: Sequence[MissingPlace] = (),
        notes: Sequence[str] = (),
        needed_by: str | None = None,
    ) -> None:
        named = isinstance(config, str)
        self.spec_name: str = config if named else type(config).__name__
        self.config = None if named else config
        self.traces = dict(traces)
        self.fields = list(traces)
        self.places = list(places)
        super().__init__(
            self._say_what(needed_by),
            why=f"{_count(self.traces)} places were looked at and none had it; all are in `error.traces`",
            fix="\n".join([*self._say_where(), *notes]),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # classes made from a function's arguments cannot be found again by name
        rebuild, (cls, args, facts) = super().__reduce__()
        return rebuild, (cls, args, {**facts, "config": None})

    def _say_what(self, needed_by: str | None) -> str:
        marked = [f"`{p.field}`" + (" (secret)" if p.secret else "") for p in self.places]
        names = marked or [f"`{f}`" for f in self.fields]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"{needed_by or f'`{self.spec_name}`'} misses {', '.join(names[:_LISTED])}{more}."

    def _say_where(self) -> Iterator[str]:
        shown = self.places[:_LISTED]
        if not shown:
            yield "set " + ", ".join(f"`{f}`" for f in self.fields)
            return
        more = ", …" if len(self.places) > _LISTED else ""
        plural = "s" if len(self.places) > 1 else ""
        yield f"set the environment variable{plural} {', '.join(p.env for p in shown)}{more}"
        file = ".dlt/secrets.toml" if any(p.secret for p in self.places) else ".dlt/config.toml"
        tables: dict[tuple[str, ...], list[str]] = {}
        for place in shown:
            tables.setdefault(place.table, []).append(f"{toml_key(place.key)} = …")
        text = "  ".join(
            (f"[{'.'.join(map(toml_key, table))}] " if table else "") + ", ".join(keys)
            for table, keys in tables.items()
        )
        yield f"or write into {file}:  {text}{more}"


class ConfigFieldMissingTypeHintException(ConfigurationException):
    """A field of a configuration class has no type."""

    def __init__(self, field_name: str, spec: type[Any]) -> None:
        self.field_name, self.typ_ = field_name, spec
        super().__init__(
            f"The field `{field_name}` of the configuration class `{spec.__name__}` has no type hint.",
            fix=f"write `{field_name}: <type> = <default>`, or ClassVar for what is no setting",
        )


class ConfigFieldTypeHintNotSupported(ConfigurationException):
    """A field of a configuration class has a type that no text can be turned into."""

    def __init__(self, field_name: str, spec: type[Any], typ_: Any) -> None:
        self.field_name, self.typ_ = field_name, typ_
        super().__init__(
            f"The field `{field_name}` of the configuration class `{spec.__name__}` has the type {typ_!r}, "
            "which cannot be looked up.",
            fix="use a plain type or a configuration class, or mark it Annotated[…, NotResolved()]",
        )


class ConfigFileNotFoundException(ConfigurationException):
    """A file that holds settings is missing."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"The configuration file {path} does not exist.")


class ConfigurationValueError(ConfigurationException, ValueError):
    """A setting has a value that makes no sense."""


class ConfigValueCannotBeCoercedException(ConfigurationValueError):
    """A value was found that cannot be turned into the field's type.

    Args:
        field_name: The field.
        field_value: The value; give None when it is or may be a secret.
        hint: The type wanted.
        key: The full key it was found under.
        provider: The provider it was found in.
    """

    def __init__(
        self, field_name: str, field_value: Any, hint: Any, *, key: str | None = None, provider: str | None = None
    ) -> None:
        self.field_name, self.field_value, self.hint = field_name, field_value, hint
        self.key, self.provider = key, provider
        where = f", found as {key} in {provider}," if key else ""
        shown = f" {field_value!r:.60}" if field_value is not None else ""
        super().__init__(
            f"The value{shown} of `{field_name}`{where} cannot be read as `{hint_name(hint)}`.",
            fix="correct the value at that place",
        )


class ConfigurationWrongTypeException(ConfigurationException):
    """Something other than a configuration object was given to be resolved."""

    def __init__(self, _typ: type) -> None:
        self.typ = _typ
        super().__init__(
            f"A configuration object is needed, and a `{_typ.__name__}` was given.",
            fix="give an instance of a class marked with @configspec",
        )


class FinalConfigFieldException(ConfigurationException):
    """A field that is Final was to be changed."""

    def __init__(self, spec_name: str, field: str) -> None:
        self.spec_name, self.field = spec_name, field
        super().__init__(f"The field `{field}` of `{spec_name}` is final and cannot be set.")


class InvalidNativeValue(ConfigurationException):
    """A value in a configuration's own notation (a connection string, a JSON key file) cannot be read.

    Args:
        spec: The configuration class.
        native_value_type: Type of the value; the value itself may be secret and is not kept.
        embedded_sections: Where it was found.
        inner_exception: What the class said.
    """

    def __init__(
        self,
        spec: type[Any],
        native_value_type: type[Any],
        embedded_sections: Sequence[str],
        inner_exception: BaseException | None = None,
    ) -> None:
        self.spec, self.native_value_type = spec, native_value_type
        self.embedded_sections = tuple(embedded_sections)
        # only our own errors are known to hold no secrets
        own = isinstance(inner_exception, HeadraceException)
        self.inner_exception = inner_exception if own else None
        where = ".".join(self.embedded_sections)
        super().__init__(
            f"`{spec.__name__}` cannot read the {native_value_type.__name__} given"
            + (f" as `{where}`" if where else "")
            + " (the value may be secret and is not shown).",
            why=str(inner_exception) if own else None,
        )


class UnmatchedConfigHintResolversException(ConfigurationException):
    """`@resolve_type` names fields that the configuration class does not have."""

    def __init__(self, spec_name: str, field_names: Sequence[str]) -> None:
        self.spec_name, self.field_names = spec_name, list(field_names)
        super().__init__(
            f"`{spec_name}` tells the types of {', '.join(field_names)}, which are no fields of it.",
            fix="declare the fields, or correct the names given to @resolve_type",
        )


class ValueNotSecretException(ConfigurationException):
    """A secret was found where secrets must not be kept."""

    def __init__(self, provider_name: str, key: str) -> None:
        self.provider_name, self.key = provider_name, key
        super().__init__(
            f"The secret `{key}` was found in {provider_name}, which must not hold secrets.",
            fix="move it to .dlt/secrets.toml or into an environment variable",
        )


class ContainerInjectableContextMangled(ContainerException):
    """A context was replaced while somebody was inside it."""

    def __init__(self, spec: type[Any], existing_config: Any, expected_config: Any) -> None:
        self.spec, self.existing_config, self.expected_config = spec, existing_config, expected_config
        super().__init__(f"The context `{spec.__name__}` was replaced while it was in use.")


class ContextDefaultCannotBeCreated(ContainerException, KeyError):
    """A context is asked for that nobody has put in place."""

    def __init__(self, spec: type[Any]) -> None:
        self.spec = spec
        super().__init__(f"The context `{spec.__name__}` is not there and has no default.")


def toml_key(name: str) -> str:
    """Write a name as a TOML key, quoted when it must be."""
    bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def hint_name(hint: Any) -> str:
    """A type as people write it."""
    if isinstance(hint, type) and not getattr(hint, "__args__", None):
        return hint.__name__
    return str(hint).replace("typing.", "")


def _count(traces: Mapping[str, Sequence[Any]]) -> int:
    total = 0
    for of_field in traces.values():
        for trace in of_field:
            total += _count(trace.traces) if isinstance(trace, LookupTraces) else 1
    return total
