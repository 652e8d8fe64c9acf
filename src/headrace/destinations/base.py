"""What factories of destinations share: names, settings, overridden capabilities."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from headrace.config.known import DestinationConfiguration, destination_settings
from headrace.load.destination import Destination
from headrace.model.capabilities import Capabilities

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("headrace")

TYPE_PREFIX = "dlt.destinations."
"""Kinds are written into pipeline states as the field writes them, so that a state serves both."""


class ConfiguredDestination(Destination):
    """A destination made of explicit settings and of those found in the configuration.

    Args:
        destination_name: The name it is configured under; the kind's own name when None.
        environment: A word to tell installations apart.
        **settings: Fields of the configuration class and of `Capabilities`; None means not given. Others are dropped
            with a warning.
    """

    short_name: ClassVar[str]
    spec: ClassVar[type[DestinationConfiguration]]
    _settings_seen: Any = None

    def __init__(self, *, destination_name: str | None = None, environment: str | None = None, **settings: Any) -> None:
        self.config_params: dict[str, Any] = {}
        self.caps_params: dict[str, Any] = {}
        given = {**settings, "environment": environment}
        self._take({name: value for name, value in given.items() if value is not None})
        self.is_named = destination_name is not None and destination_name != self.short_name
        self.destination_name = destination_name or self.short_name

    def _take(self, settings: dict[str, Any]) -> None:
        fields, facts = self.spec.get_resolvable_fields(), set(Capabilities.__struct_fields__)
        for name, value in settings.items():
            if name in fields:
                self.config_params[name] = value
            elif name in facts:
                self.caps_params[name] = tuple(value) if isinstance(value, list) else value
            else:
                logger.warning(
                    "destination `%s`: the argument `%s` is neither a setting of it nor a capability; it is dropped",
                    self.short_name,
                    name,
                )

    def changed(self, **settings: Any) -> Self:
        """A destination like this one with other settings; None leaves a setting as it is."""
        kept = {
            "destination_name": self.destination_name if self.is_named else None,
            **self.config_params,
            **self.caps_params,
        }
        kept.update({name: value for name, value in settings.items() if value is not None})
        return type(self)(**kept)

    @property
    def destination_type(self) -> str:
        """For example ``dlt.destinations.duckdb``; for classes of other packages where they are."""
        kind = type(self)
        own = kind.__module__.startswith("headrace.")
        return TYPE_PREFIX + self.short_name if own else f"{kind.__module__}.{kind.__qualname__}"

    @property
    def destination_description(self) -> str:
        """The name for people, with the kind where they differ."""
        return f"{self.destination_name} ({self.short_name})" if self.is_named else self.short_name

    @abstractmethod
    def raw_capabilities(self) -> Capabilities:
        """What this kind can do, before the user's overrides."""

    def capabilities(self) -> Capabilities:
        """What it can do."""
        raw = self.raw_capabilities()
        return msgspec.structs.replace(raw, **self.caps_params) if self.caps_params else raw

    def configuration(self) -> Any:
        """Its settings, resolved: explicit ones first, then those under ``destination.<name>``.

        Raises:
            ConfigFieldMissingException: A setting it needs is nowhere.
        """
        found = destination_settings(self.spec(), self.destination_name, dict(self.config_params))
        found.destination_name = self.destination_name
        found.destination_type = self.destination_type
        self._settings_seen = found
        return found

    def seen_configuration(self) -> Any:
        """Its settings as they were when they were last resolved; resolved now if they never were.

        Cheap: finding credentials may ask files and services.
        """
        return self._settings_seen if self._settings_seen is not None else self.configuration()

    def __getstate__(self) -> dict[str, Any]:
        """Settings that were found stay in this process."""
        return {**self.__dict__, "_settings_seen": None}

    @staticmethod
    def from_reference(
        ref: Any,
        credentials: Any = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> Destination | None:
        """See `headrace.destinations.reference.resolve_destination`."""
        from headrace.destinations.reference import resolve_destination

        if ref is None:
            return None
        return resolve_destination(
            ref, destination_name=destination_name, credentials=credentials, environment=environment, **settings
        )

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self.destination_description})"
