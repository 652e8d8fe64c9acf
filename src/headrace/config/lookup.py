"""One run of lookups: providers are opened once, then asked place by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headrace.config.providers import ConfigProvider, Reader, env_key
from headrace.config.registry import providers
from headrace.errors.config import LookupTrace, ValueNotSecretException

Paths = Sequence[tuple[str, ...]]


class Found(NamedTuple):
    """A value and where it was."""

    value: Any
    provider: ConfigProvider
    full_key: str


class Lookup:
    """Looks for values in the providers in use.

    For each value, places under the pipeline's name come first; then, the provider is the outer loop and the path the
    inner one: a short name in the environment beats a long path in a file.

    Args:
        pipeline_name: Outermost section of the first pass; None leaves that pass out.
    """

    __slots__ = ("passes", "readers")

    def __init__(self, pipeline_name: str | None) -> None:
        self.passes: tuple[str | None, ...] = (pipeline_name, None) if pipeline_name else (None,)
        self.readers: list[tuple[ConfigProvider, Reader]] = []
        for provider in providers():
            reader = provider.open()
            if reader is not None:
                self.readers.append((provider, reader))

    def find(self, key: str, secret: bool, paths: Paths, mapping: bool = True) -> Found | None:
        """Look for a value.

        Args:
            key: The field's name.
            secret: Whether it is a secret.
            paths: Where, in order.
            mapping: Whether a mapping is a value; if not it is passed over.

        Raises:
            ValueNotSecretException: A secret was found in a provider that must not hold any.
        """
        readers = [(p, r) for p, r in self.readers if r.may_have(key)]
        if not readers:
            return None
        for pipeline_name in self.passes:
            for provider, reader in readers:
                for path in paths if provider.supports_sections else paths[-1:]:
                    value = reader.get(key, secret, pipeline_name, path)
                    if value is None or (not mapping and isinstance(value, Mapping)):
                        continue
                    full_key = reader.full_key(key, pipeline_name, path)
                    if secret and not provider.supports_secrets:
                        raise ValueNotSecretException(provider.name, full_key)
                    return Found(value, provider, full_key)
        return None

    def may_have_section(self, name: str) -> bool:
        """Whether some value may be in a section of this name, wherever that is; False is sure."""
        return any(reader.may_have_section(name) for _, reader in self.readers)

    def trace(self, key: str, paths: Paths) -> list[LookupTrace]:
        """Every place that `find` looks at, in order; the environment is told even when it is not in use."""
        traces: list[LookupTrace] = []
        for pipeline_name in self.passes:
            for provider, reader in self.readers:
                location = next(iter(provider.present_locations), None)
                for path in paths if provider.supports_sections else paths[-1:]:
                    sections = (pipeline_name, *path) if pipeline_name else path
                    full_key = reader.full_key(key, pipeline_name, path)
                    traces.append(LookupTrace(provider.name, sections, full_key, None, location))
        return traces

    def tried_names(self, key: str, paths: Paths) -> tuple[str, ...]:
        """The environment names of all places, those without the pipeline's name first."""
        return tuple(env_key(key, name, path) for name in reversed(self.passes) for path in paths)
