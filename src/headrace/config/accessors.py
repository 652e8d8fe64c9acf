"""``dlt.config`` and ``dlt.secrets``: read and set single values by their dotted path."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeVar, overload

from headrace.config import registry
from headrace.config.coerce import coerce, guess
from headrace.config.current import ResolvedValue, get_pipeline_name, record_resolved
from headrace.config.fields import as_spec
from headrace.config.hints import CONFIG_VALUE, SECRET_VALUE, Placeholder, take_apart
from headrace.config.lookup import Found, Lookup
from headrace.config.providers import ConfigProvider, env_key
from headrace.errors.config import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
    MissingPlace,
)
from headrace.errors.masking import remember

T = TypeVar("T")


class Accessor:
    """Dictionary-like access to all values; ``value`` is the placeholder for defaults of arguments.

    A key is a path of sections and a name with dots between. Places are not searched upwards: a key names one place
    in each provider.

    Args:
        secret: Whether the values are secrets.
    """

    def __init__(self, secret: bool) -> None:
        self._secret = secret

    @property
    def value(self) -> Any:
        """Default of an argument that the configuration must give."""
        return self._placeholder()

    def _placeholder(self) -> Placeholder:
        return SECRET_VALUE if self._secret else CONFIG_VALUE

    @property
    def default_type(self) -> Any:
        """The type of values when none is asked for."""
        from headrace.config.hints import TSecretValue

        return TSecretValue if self._secret else Any

    @property
    def config_providers(self) -> Sequence[ConfigProvider]:
        """The providers in the order they are asked."""
        return registry.providers()

    @property
    def writable_provider(self) -> ConfigProvider:
        """The provider that takes assignments: in memory, no file is written.

        Raises:
            ConfigurationException: There is none.
        """
        for provider in registry.providers():
            if provider.is_writable and provider.supports_secrets == self._secret:
                return provider
        raise ConfigurationException(f"No provider takes {'secrets' if self._secret else 'values'}.")

    @staticmethod
    def register_provider(provider: ConfigProvider) -> None:
        """Ask one more provider, behind the others.

        Raises:
            DuplicateConfigProviderException: There is one of that name.
        """
        registry.add_provider(provider)

    def __getitem__(self, field: str) -> Any:
        found = self._find(field)
        if found is None:
            raise self._missing(field)
        return guess(found.value)

    def __setitem__(self, field: str, value: Any) -> None:
        *sections, key = field.split(".")
        self.writable_provider.set_value(key, value, None, *sections)

    def __contains__(self, field: object) -> bool:
        return isinstance(field, str) and self._find(field) is not None

    @overload
    def get(self, field: str) -> Any: ...

    @overload
    def get(self, field: str, expected_type: type[T]) -> T | None: ...

    @overload
    def get(self, field: str, expected_type: Any) -> Any: ...

    def get(self, field: str, expected_type: Any = None) -> Any:
        """Read a value.

        Args:
            field: The dotted path.
            expected_type: Type to turn the value into; a configuration class reads a table or its own notation.

        Returns:
            The value, None when there is none.

        Raises:
            ConfigValueCannotBeCoercedException: The value does not have the form of the type; a ValueError.
        """
        found = self._find(field)
        if found is None:
            return None
        if expected_type is None:
            return guess(found.value)
        spec = as_spec(expected_type)
        if spec is not None:
            from headrace.config.resolve import resolve_configuration

            *sections, _ = field.split(".")
            return resolve_configuration(spec(), sections=sections, explicit_value=found.value, accept_partial=True)
        members = take_apart(expected_type).members or (Any,)
        try:
            return coerce(found.value, members[0])
        except (ValueError, TypeError):
            pass
        # raised outside the handler: a parser's error holds the value
        *_, key = field.split(".")
        hidden = self._secret or found.provider.supports_secrets
        raise ConfigValueCannotBeCoercedException(
            key, None if hidden else found.value, members[0], key=found.full_key, provider=found.provider.name
        )

    def _find(self, field: str) -> Found | None:
        *sections, key = field.split(".")
        # secrets are found in providers for secrets only; settings are found everywhere
        lookup = Lookup(None)
        if self._secret:
            lookup.readers = [(p, r) for p, r in lookup.readers if p.supports_secrets]
        found = lookup.find(key, self._secret, (tuple(sections),))
        if found is not None:
            if self._secret:
                remember(found.value)
            hidden = self._secret or found.provider.supports_secrets
            record_resolved(
                ResolvedValue(
                    key,
                    None if hidden else found.value,
                    None,
                    self._secret,
                    tuple(sections),
                    found.provider.name,
                    found.full_key,
                    get_pipeline_name(),
                    provider=found.provider,
                )
            )
        return found

    def _missing(self, field: str) -> ConfigFieldMissingException:
        from headrace.config.explain import notes

        *sections, key = field.split(".")
        path = tuple(sections)
        lookup = Lookup(None)
        name = env_key(key, None, path)
        place = MissingPlace(field, self._secret, name, path, key, (name,))
        who = f"`{self._placeholder().name.rpartition('.')[0]}[{field!r}]`"
        return ConfigFieldMissingException(
            who, {field: lookup.trace(key, (path,))}, [place], notes([place], lookup), who
        )

    def __repr__(self) -> str:
        return f"<{self._placeholder().name.rpartition('.')[0]}>"


class _ConfigAccessor(Accessor):
    """``headrace.config`` is an accessor and a package: as attribute of ``headrace`` it answers for both."""

    __name__ = __package__  # makes ``import headrace.config.known as known`` find the submodule

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(sys.modules[__package__], name)


config: Accessor = _ConfigAccessor(secret=False)
secrets: Accessor = Accessor(secret=True)
