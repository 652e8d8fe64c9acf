"""Fill a configuration: find every field along the path of sections, convert it, complete nested configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headrace.base.logs import get_logger
from headrace.config.coerce import coerce, json_object, takes_mapping
from headrace.config.current import ResolvedValue, get_pipeline_name, record_resolved
from headrace.config.fields import Field, fields_of, make_field
from headrace.config.hints import Placeholder
from headrace.config.lookup import Found, Lookup
from headrace.config.providers import ENVIRONMENT, EXPLICIT_VALUES_PROVIDER_NAME, env_key
from headrace.config.sections import Path, current_sections, section_paths
from headrace.config.spec import BaseConfiguration, CredentialsConfiguration, TConfiguration
from headrace.errors.config import (
    ConfigFieldMissingException,
    ConfigurationWrongTypeException,
    ConfigValueCannotBeCoercedException,
    FinalConfigFieldException,
    InvalidNativeValue,
    LookupTrace,
    LookupTraces,
    MissingPlace,
)
from headrace.errors.masking import remember

Traces = dict[str, list[Any]]


class Missing(NamedTuple):
    """What a configuration lacks: the traces by field, and the places of the leaf values."""

    traces: Traces
    places: list[MissingPlace]


class Scope(NamedTuple):
    """Where the fields of one configuration are looked up.

    Attributes:
        lookup: The run of lookups.
        walked: Sections that are dropped from the right.
        kept: The section that stays last.
        base: How many of the walked sections say who asks.
        above: Names of the fields that lead here, for messages.
    """

    lookup: Lookup
    walked: Path
    kept: str | None
    base: int
    above: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the fields are looked up, in order."""
        return section_paths(self.walked, self.kept, self.base)

    def inside(self, field: str) -> Scope:
        """The scope of a nested configuration."""
        walked = (*self.walked, self.kept) if self.kept else self.walked
        return Scope(self.lookup, walked, field, self.base, (*self.above, field))


def resolve_configuration(
    config: TConfiguration,
    *,
    sections: Sequence[str] = (),
    explicit_value: Any = None,
    accept_partial: bool = False,
) -> TConfiguration:
    """Fill a configuration object.

    Args:
        config: The object; its field values are the defaults.
        sections: The path to look under; without it the path around the caller.
        explicit_value: A mapping of field values, another instance, or a value in the class's own notation; what it has
            is not looked up.
        accept_partial: Return an incomplete object instead of raising.

    Returns:
        The same object, complete.

    Raises:
        ConfigFieldMissingException: Values were found nowhere.
        ConfigValueCannotBeCoercedException: A value does not have the form of its type.
        InvalidNativeValue: A value in the class's own notation cannot be read.
        ValueNotSecretException: A secret was found where none must be kept.
    """
    if not isinstance(config, BaseConfiguration):
        raise ConfigurationWrongTypeException(type(config))
    around = current_sections()
    path = (sections,) if isinstance(sections, str) else tuple(sections) or around.sections
    lookup = Lookup(around.pipeline_name or get_pipeline_name())
    kept = config.__section__
    scope = Scope(lookup, path, kept, len(path))
    if explicit_value is None and kept and _reads_notation(type(config)) and not config.is_resolved():
        found = lookup.find(kept, config.__secret__, section_paths(path), mapping=False)
        if found is not None and _can_read(type(config), found.value):
            explicit_value = found.value
    resolved, missing = resolve_fields(config, scope, explicit_value, accept_partial)
    if missing is not None and not accept_partial:
        raise _explain(resolved, missing, lookup)
    return resolved


def resolve_fields(
    config: TConfiguration, scope: Scope, explicit_value: Any = None, accept_partial: bool = False
) -> tuple[TConfiguration, Missing | None]:
    """Fill the fields of a configuration within a scope; says what is missing instead of raising."""
    explicit = _explicit_fields(config, explicit_value, scope)
    if isinstance(explicit, BaseConfiguration):
        return explicit, None  # type: ignore[return-value]
    if config.is_resolved() and not explicit:
        return config, None
    traces: Traces = {}
    places: list[MissingPlace] = []
    set_now: list[str] = []
    for field in fields_of(type(config)):
        if field.resolver:
            field = make_field(field.name, getattr(config, field.resolver)(), secret=field.secret)
        missing = _resolve_field(config, field, scope, explicit, accept_partial, set_now)
        if field.secret:
            remember(getattr(config, field.name))
        if missing is not None:
            traces[field.name] = missing.traces[field.name]
            places.extend(missing.places)
    config.__dict__["__resolved_fields_set__"] = tuple(set_now)
    return config, _finish(config, traces, places)


def _finish(config: BaseConfiguration, traces: Traces, places: list[MissingPlace]) -> Missing | None:
    if not traces:
        config.__dict__["__exception__"] = None
        config.resolve()
        return None
    config.__dict__["__exception__"] = ConfigFieldMissingException(type(config).__name__, traces, places)
    config.call_method_in_mro("on_partial")  # may fill in what is missing and call resolve()
    return None if config.is_resolved() else Missing(traces, places)


def _explicit_fields(config: BaseConfiguration, value: Any, scope: Scope) -> dict[str, Any] | BaseConfiguration:
    """Take an explicit value apart into fields; a complete configuration is taken whole."""
    if value is None or isinstance(value, Placeholder):
        return {}
    if isinstance(value, BaseConfiguration):
        if value.is_resolved() and isinstance(value, type(config)):
            return value
        return value.as_dict_nondefault()
    if isinstance(value, Mapping):
        return {k: v for k, v in value.items() if not isinstance(v, Placeholder)}
    return _parse_into(config, value, scope.above or ((scope.kept,) if scope.kept else ()))


def _resolve_field(
    config: BaseConfiguration,
    field: Field,
    scope: Scope,
    explicit: Mapping[str, Any],
    accept_partial: bool,
    set_now: list[str],
) -> Missing | None:
    """Give one field its value; says what is missing."""
    name = field.name
    if name in explicit:
        value = explicit[name]
        if field.final and value != getattr(config, name):
            raise FinalConfigFieldException(type(config).__name__, name)
        set_now.append(name)
        if value is None or not field.specs or not field.resolvable:
            setattr(config, name, value)
            return None if value is not None or field.optional else _missing_explicit(field, scope)
        return _resolve_nested(config, field, scope, value, accept_partial)
    if not field.resolvable:
        return None if field.optional or getattr(config, name) is not None else _missing_explicit(field, scope)
    if field.specs:
        return _resolve_nested(config, field, scope, None, accept_partial)
    found = scope.lookup.find(name, field.secret, scope.paths, takes_mapping(field.plain))
    if found is None:
        return None if field.optional or getattr(config, name) is not None else _missing_value(field, scope)
    value = _convert(field, found)
    _record(config, field, value, getattr(config, name), scope, found)
    set_now.append(name)
    setattr(config, name, value)
    return None


# nested configurations


class _Tries:
    """What came of trying the classes of a field one by one."""

    __slots__ = ("places", "traces", "unread", "was_read")

    def __init__(self) -> None:
        self.traces: list[LookupTraces] = []
        self.places: list[MissingPlace] = []
        self.unread: list[InvalidNativeValue] = []
        self.was_read = False


def _resolve_nested(
    config: BaseConfiguration, field: Field, scope: Scope, explicit: Any, accept_partial: bool
) -> Missing | None:
    """Complete a field that is a configuration: the first of its classes that resolves."""
    if explicit is not None and _is_plain(explicit, field):
        setattr(config, field.name, explicit)
        return None
    default = getattr(config, field.name)
    candidates = _candidates(field, explicit, default)
    native = None if explicit is not None else find_native(field, candidates, scope)
    tries = _Tries()
    for position, spec in enumerate(candidates, 1):
        given = explicit
        if given is None and native is not None and _can_read(spec, native.value):
            given = native.value
        try:
            made, missing = resolve_fields(_instance(spec, default), scope.inside(field.name), given, accept_partial)
        except InvalidNativeValue as error:
            tries.unread.append(error)
            continue
        tries.was_read = tries.was_read or isinstance(given, str)
        if missing is None and native is not None:
            _record(config, field, made, None, scope, native)
        if missing is None or accept_partial:
            setattr(config, field.name, made)
        if missing is None:
            return None
        tries.traces.append(_nested_trace(made, missing, position, len(candidates)))
        tries.places = tries.places or missing.places
        if accept_partial:
            return Missing({field.name: tries.traces}, tries.places)
    raw = native.value if explicit is None and native is not None else explicit
    return _none_resolved(config, field, scope, raw, explicit is None, tries)


def _none_resolved(
    config: BaseConfiguration, field: Field, scope: Scope, raw: Any, may_be_none: bool, tries: _Tries
) -> Missing | None:
    """Decide what a field is when none of its classes resolved: plain text, an error, nothing, or missing."""
    if isinstance(raw, str) and not tries.was_read and str in field.plain:
        setattr(config, field.name, raw)  # the field takes text, and no class can read it: it is just text
        return None
    if tries.unread and not tries.traces:
        raise tries.unread[0]
    if may_be_none and field.optional:
        setattr(config, field.name, None)
        return None
    return Missing({field.name: tries.traces or _missing_value(field, scope).traces[field.name]}, tries.places)


def _instance(spec: type[BaseConfiguration], default: Any) -> BaseConfiguration:
    """Make the object to fill; its values are the defaults."""
    if isinstance(default, BaseConfiguration):
        return default.copy() if isinstance(default, spec) else spec()
    return spec.from_init_value(default)


def _candidates(field: Field, explicit: Any, default: Any) -> Sequence[type[BaseConfiguration]]:
    """The classes to try: only its own for an instance that was given; that of a default first."""
    if isinstance(explicit, BaseConfiguration):
        return (type(explicit),)
    if isinstance(default, BaseConfiguration):
        return (type(default), *(s for s in field.specs if not isinstance(default, s)))
    return field.specs


def _is_plain(value: Any, field: Field) -> bool:
    """Whether an explicit value is one of the field's other types and not text, which a configuration may read."""
    if isinstance(value, (str, Mapping, BaseConfiguration)):
        return False
    return any(isinstance(kind, type) and isinstance(value, kind) for kind in field.plain)


def find_native(field: Field, candidates: Sequence[type[BaseConfiguration]], scope: Scope) -> Found | None:
    """Look for a value in the notation of the nested configuration, under the field's own name."""
    if not any(map(_reads_notation, candidates)):
        return None
    paths = scope.paths
    if scope.kept and not scope.above:
        paths = tuple(dict.fromkeys((*paths, *section_paths(scope.walked))))
    return scope.lookup.find(field.name, field.secret, paths, mapping=False)


def _reads_notation(spec: type[BaseConfiguration]) -> bool:
    return _has_parser(spec) or issubclass(spec, CredentialsConfiguration)


def _has_parser(spec: type[BaseConfiguration]) -> bool:
    return spec.parse_native_representation is not BaseConfiguration.parse_native_representation


def _can_read(spec: type[BaseConfiguration], value: Any) -> bool:
    """Whether to hand a value that was found to a class; without a parser of its own it reads JSON only."""
    return _has_parser(spec) or (issubclass(spec, CredentialsConfiguration) and json_object(value) is not None)


def _parse_into(config: BaseConfiguration, value: Any, where: Sequence[str]) -> dict[str, Any] | BaseConfiguration:
    """Let a configuration read a value in its own notation; gives the fields that this has set."""
    before = dict(config)
    try:
        config.parse_native_representation(value)
        problem: BaseException | None = None
    except (ValueError, TypeError, NotImplementedError) as error:
        problem = error
    if problem is not None:
        as_object = json_object(value)  # JSON of an object is read by every class
        if as_object is None:
            # raised outside the handler: a parser's error may hold the value
            raise InvalidNativeValue(type(config), type(value), tuple(where), problem)
        config._apply_init_value(as_object)
    if config.is_resolved():
        return config
    return {name: given for name, given in config.items() if given is not before[name]}


# values


def _convert(field: Field, found: Found) -> Any:
    """Turn what was found into one of the field's types."""
    members = field.plain or (Any,)
    value = found.value
    if isinstance(value, str) and value.startswith("<configure me>"):
        get_logger("headrace.config").warning(
            "%s in %s still has the example value that `init` wrote", found.full_key, found.provider.name
        )
    for member in members:
        try:
            return coerce(value, member)
        except (ValueError, TypeError):
            continue
    open_to_view = not field.secret and found.provider.name in (ENVIRONMENT, "config.toml")
    shown = value if open_to_view and not isinstance(value, Mapping) else None
    hint = members[0] if len(members) == 1 else field.hint
    raise ConfigValueCannotBeCoercedException(field.name, shown, hint, key=found.full_key, provider=found.provider.name)


def _record(config: BaseConfiguration, field: Field, value: Any, default: Any, scope: Scope, found: Found) -> None:
    # what stands among secrets is treated as one, whatever the field is declared to be
    among = found.provider.supports_secrets and found.provider.name != ENVIRONMENT
    hidden = field.secret or among or isinstance(value, BaseConfiguration)
    sections = (*scope.walked, scope.kept) if scope.kept else scope.walked
    record_resolved(
        ResolvedValue(
            field.name,
            None if hidden else value,
            None if hidden else default,
            field.secret,
            sections,
            found.provider.name,
            found.full_key,
            scope.lookup.passes[0],
            type(config).__name__,
            found.provider,
        )
    )


# what is missing


def _missing_value(field: Field, scope: Scope) -> Missing:
    traces = scope.lookup.trace(field.name, scope.paths)
    return Missing({field.name: list(traces)}, [_place(field, scope)])


def _missing_explicit(field: Field, scope: Scope) -> Missing:
    trace = LookupTrace(EXPLICIT_VALUES_PROVIDER_NAME, (), field.name, None)
    return Missing({field.name: [trace]}, [_place(field, scope)])


def _place(field: Field, scope: Scope) -> MissingPlace:
    best = scope.paths[0]
    return MissingPlace(
        ".".join((*scope.above, field.name)),
        field.secret,
        env_key(field.name, None, best),
        best,
        field.name,
        scope.lookup.tried_names(field.name, scope.paths),
    )


def _nested_trace(config: BaseConfiguration, missing: Missing, position: int, count: int) -> LookupTraces:
    return LookupTraces(type(config).__name__, config.__resolved_fields_set__, position, count, missing.traces)


def _explain(config: BaseConfiguration, missing: Missing, lookup: Lookup) -> ConfigFieldMissingException:
    from headrace.config.explain import notes

    return ConfigFieldMissingException(
        config, missing.traces, missing.places, notes(missing.places, lookup), config.__needed_by__
    )
