"""Where a setting may be, where it is, and which of the places counts: ``headrace config explain``.

The places are those that the resolver itself would look at for the same field (`headrace.config.resolve.Scope`). No
value of a secret leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from headrace.config import known
from headrace.config.alerting import AlertsConfiguration
from headrace.config.fields import Field, fields_of
from headrace.config.lookup import Lookup
from headrace.config.providers import ConfigProvider, Reader
from headrace.config.registry import providers
from headrace.config.resolve import Scope, find_native
from headrace.config.retries import RetriesConfiguration
from headrace.config.sections import DESTINATION, LOAD, NORMALIZE, PIPELINES, SOURCES
from headrace.config.spec import BaseConfiguration
from headrace.errors.masking import HIDDEN, remember, without_secrets

Spec = type[BaseConfiguration]

SPECS: dict[str, Spec] = {
    "runtime.alerts": AlertsConfiguration,
    "runtime": known.RuntimeConfiguration,
    PIPELINES: known.PipelineConfiguration,
    "extract": known.ExtractConfiguration,
    NORMALIZE: known.NormalizeConfiguration,
    LOAD: known.LoadConfiguration,
    "retries": RetriesConfiguration,
    "schema": known.SchemaConfiguration,
    "data_writer": known.DataWriterConfiguration,
}
"""The configurations whose fields are known, by their section; the longer name first."""

# the sections that the functions which resolve them begin with
_ASKED = {LOAD: (LOAD,), NORMALIZE: (NORMALIZE,), "retries": ("retries",), "runtime.alerts": ("runtime",)}


class Place(NamedTuple):
    """A place that is looked at.

    Attributes:
        provider: Who is asked.
        key: The place as that provider spells it.
        location: The file, where it is one.
        is_set: Whether there is a value.
        is_used: Whether this is the value that counts.
        value: The value as text, if it may be shown.
    """

    provider: str
    key: str
    location: str | None
    is_set: bool
    is_used: bool
    value: str | None


class Explanation(NamedTuple):
    """Where a setting is looked up, in order, and what comes of it.

    Attributes:
        key: Its name.
        sections: The path it was asked for under.
        type: Its type, if it is a setting of headrace.
        default: What counts when nothing is set, as text.
        is_secret: Whether it is a secret; None if that is unknown.
        places: All places, the first that is set counts.
        whole: Name of the place that gives all of the configuration around it as one value (a url): it counts first.
        absent: Files that are looked for and are not there.
        also: Other settings of the same name.
    """

    key: str
    sections: tuple[str, ...]
    type: str | None
    default: str | None
    is_secret: bool | None
    places: list[Place]
    whole: str | None
    absent: list[str]
    also: list[str]

    @property
    def used(self) -> Place | None:
        """The place that counts; None when nothing is set."""
        return next((place for place in self.places if place.is_used), None)

    def asdict(self) -> dict[str, Any]:
        """A dictionary with the places as dictionaries."""
        used = self.used
        return {
            **self._asdict(),
            "places": [place._asdict() for place in self.places],
            "used": used._asdict() if used else None,
        }


def explain_setting(
    key: str,
    sections: Sequence[str] = (),
    pipeline_name: str | None = None,
    spec_of_destination: Callable[[str], Spec | None] | None = None,
) -> Explanation:
    """Say where a setting is looked up and which place counts.

    Args:
        key: Its name, or a path with dots: ``load.workers``, ``destination.postgres.credentials.password``,
            ``sources.shop.api_key``. The name alone of a setting of headrace will do.
        sections: The path in front of the key.
        pipeline_name: Also look under this pipeline's name, as its runs do.
        spec_of_destination: Gives the configuration class of a destination by name.

    Raises:
        ValueError: The key is empty.
    """
    path = [part for part in (*sections, *key.split(".")) if part]
    if not path:
        raise ValueError("the key is empty: give a name or a path, for example `load.workers`")
    also: list[str] = []
    if len(path) == 1:
        homes = [home for home, spec in SPECS.items() if _field(spec, path[0]) is not None]
        also = [f"{home}.{path[0]}" for home in homes[1:]]
        path = [*(homes[0].split(".") if homes else ()), *path]
    if path[0] == PIPELINES and len(path) > 2 and pipeline_name is None:
        pipeline_name = path[1]
    scope, spec, whole = _descend(path, pipeline_name, spec_of_destination)
    field = _field(spec, path[-1]) if spec else None
    absent = [
        where
        for p in providers()
        for where in p.locations
        if where not in p.present_locations and where is p.locations[0]
    ]
    return Explanation(
        path[-1],
        tuple(path[:-1]),
        _type_name(field),
        _default(spec, field),
        None if field is None else field.secret,
        _places(scope, path[-1], field),
        whole,
        absent,
        also,
    )


def _field(spec: Spec | None, name: str) -> Field | None:
    return next((field for field in fields_of(spec) if field.name == name), None) if spec else None


def _descend(
    path: Sequence[str], pipeline_name: str | None, spec_of_destination: Callable[[str], Spec | None] | None
) -> tuple[Scope, Spec | None, str | None]:
    """The scope in which the last name of a path is a field, its class if that is known, and a value around it."""
    scope, spec, rest = _begin(path, pipeline_name, spec_of_destination)
    whole: str | None = None
    for name in rest[:-1]:
        field = _field(spec, name)
        if field is not None and field.specs:
            native = find_native(field, field.specs, scope)
            if native is not None:
                whole = f"{native.full_key} in {native.provider.name}"
            spec = next((s for s in field.specs if _field(s, rest[-1])), field.specs[0])
        else:
            spec = None
        scope = scope.inside(name)
    return scope, spec, whole


def _begin(
    path: Sequence[str], pipeline_name: str | None, spec_of_destination: Callable[[str], Spec | None] | None
) -> tuple[Scope, Spec | None, Sequence[str]]:
    """Where the resolver begins, and the names that are left: as the functions at the end of `known` do."""
    lookup, head = Lookup(pipeline_name), path[0]
    walked: tuple[str, ...]
    pipeline: tuple[str, ...] = (PIPELINES, pipeline_name) if pipeline_name else (PIPELINES,)
    if head == PIPELINES:
        # `pipelines.shop.dataset_name` and `pipelines.dataset_name`
        named = len(path) > 2 and _field(SPECS[PIPELINES], path[1]) is None
        walked = (PIPELINES, path[1]) if named else pipeline
        return Scope(lookup, walked, None, len(walked)), SPECS[PIPELINES], path[2 if named else 1 :]
    for home, spec in SPECS.items():
        parts = home.split(".")
        if path[: len(parts)] == parts and len(path) > len(parts):
            walked = pipeline if home == "runtime" else _ASKED.get(home, ())
            return Scope(lookup, walked, spec.__section__, len(walked)), spec, path[len(parts) :]
    if head == DESTINATION and len(path) > 2:
        found = spec_of_destination(path[1]) if spec_of_destination else None
        walked = (DESTINATION, path[1])
        return Scope(lookup, walked, None, 2), found, path[2:]
    if head == SOURCES:
        return _of_source(lookup, path)
    walked = tuple(path[:-1])
    return Scope(lookup, walked, None, len(walked)), None, path[-1:]


def _of_source(lookup: Lookup, path: Sequence[str]) -> tuple[Scope, Spec | None, Sequence[str]]:
    """A source's argument, a field of its credentials, or a setting of headrace for this source."""
    for at, name in enumerate(path[1:-1], 1):
        walked = tuple(path[:at])
        if name in SPECS:
            return Scope(lookup, walked, SPECS[name].__section__, len(walked)), SPECS[name], path[at + 1 :]
        if name == "credentials":
            return Scope(lookup, walked, None, len(walked)), None, path[at:]
    walked = tuple(path[:-1])
    return Scope(lookup, walked, None, len(walked)), None, path[-1:]


def _places(scope: Scope, key: str, field: Field | None) -> list[Place]:
    secret = field is not None and field.secret
    found: list[Place] = []
    used = False
    for pipeline_name in scope.lookup.passes:
        for provider, reader in scope.lookup.readers:
            for path in scope.paths if provider.supports_sections else scope.paths[-1:]:
                value = _value(reader, key, secret, pipeline_name, path)
                place = Place(
                    provider.name,
                    reader.full_key(key, pipeline_name, path),
                    _location(provider, key, pipeline_name, path, value),
                    value is not None,
                    value is not None and not used,
                    None if value is None else _shown(key, value, field, provider),
                )
                used = used or place.is_set
                found.append(place)
    return found


def _value(reader: Reader, key: str, secret: bool, pipeline_name: str | None, path: Sequence[str]) -> Any:
    return reader.get(key, secret, pipeline_name, path) if reader.may_have(key) else None


def _location(
    provider: ConfigProvider, key: str, pipeline_name: str | None, path: Sequence[str], value: Any
) -> str | None:
    if value is None:
        return None
    location = provider.get_value_location(key, pipeline_name, *path)
    return None if location == provider.name else location


def _shown(key: str, value: Any, field: Field | None, provider: ConfigProvider) -> str:
    """A value as text, hidden unless it is known to be no secret."""
    if isinstance(value, Mapping):
        return f"a table with {', '.join(map(str, value))}" if value else "an empty table"
    unknown = field is None and provider.supports_secrets
    if (field is not None and field.secret) or unknown or without_secrets(f"{key}='{value}'") != f"{key}='{value}'":
        remember(value)
        return HIDDEN
    return without_secrets(str(value))


def _type_name(field: Field | None) -> str | None:
    if field is None:
        return None
    names = [getattr(kind, "__name__", str(kind)) for kind in (*field.specs, *field.plain)]
    return " or ".join(name.removeprefix("typing.") for name in names) or None


def _default(spec: Spec | None, field: Field | None) -> str | None:
    if spec is None or field is None or field.secret or field.specs:
        return None
    value = getattr(spec(), field.name, None)
    return None if value is None else without_secrets(str(value))
