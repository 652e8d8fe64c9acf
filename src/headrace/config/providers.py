"""Where values come from: the environment, TOML files, dictionaries, and what users register.

A provider answers `get_value` for one exact place. For a run of lookups the resolver calls `open`, which gives a
`Reader`: a view that may be a snapshot and that can say quickly that it knows nothing of a key.
"""

# os.path: these places are asked at every lookup, and pathlib takes many times as long
# ruff: noqa: PTH112, PTH113, PTH118, PTH123

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from headrace.config.fields import is_secret_hint

SECRETS_DIR = "/run/secrets"
"""Where container platforms mount secrets as files."""

EXPLICIT_VALUES_PROVIDER_NAME = "ExplicitValues"
ENVIRONMENT = "Environment Variables"


class Reader(ABC):
    """A provider's values during one run of lookups."""

    @abstractmethod
    def may_have(self, key: str) -> bool:
        """Whether some path may end in this key; False saves looking at the paths."""

    def may_have_section(self, name: str) -> bool:
        """Whether some path may lead through a section of this name."""
        return self.may_have(name)

    @abstractmethod
    def get(self, key: str, secret: bool, pipeline_name: str | None, sections: Sequence[str]) -> Any:
        """The value at one place; None when there is none."""

    @abstractmethod
    def full_key(self, key: str, pipeline_name: str | None, sections: Sequence[str]) -> str:
        """How the provider spells a place."""


class ConfigProvider(ABC):
    """A source of values. Subclasses implement `get_value` and the properties."""

    @abstractmethod
    def get_value(self, key: str, hint: Any, pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look at one place.

        Args:
            key: The field's name.
            hint: Its type; tells whether it is a secret.
            pipeline_name: The outermost section, when given.
            sections: The path.

        Returns:
            The value, None when there is none, and the full key as this provider spells it.
        """

    def get_value_location(self, key: str, pipeline_name: str | None, *sections: str) -> str:
        """Where the value of a place is kept: a file's path, or the provider's name."""
        return next(iter(self.present_locations), self.name)

    def set_value(self, key: str, value: Any, pipeline_name: str | None, *sections: str) -> None:
        """Set a value in memory.

        Raises:
            NotImplementedError: The provider is read-only.
        """
        raise NotImplementedError(f"{self.name} cannot be written to")

    @property
    @abstractmethod
    def name(self) -> str:
        """Name, unique among the providers in use."""

    @property
    @abstractmethod
    def supports_secrets(self) -> bool:
        """Whether secrets may be kept here."""

    @property
    @abstractmethod
    def supports_sections(self) -> bool:
        """Whether values are kept under paths of sections."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look at."""
        return False

    @property
    def is_writable(self) -> bool:
        """Whether `set_value` works."""
        return False

    @property
    def locations(self) -> Sequence[str]:
        """Files that are looked for."""
        return []

    @property
    def present_locations(self) -> Sequence[str]:
        """Files that are there."""
        return []

    def open(self) -> Reader | None:
        """Begin a run of lookups; None when there is nothing to look at."""
        return None if self.is_empty else _AskProvider(self)

    def known_keys(self) -> Iterator[tuple[str, ...]]:
        """The places that hold something, as paths, to find misspellings."""
        return iter(())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class _AskProvider(Reader):
    def __init__(self, provider: ConfigProvider) -> None:
        self.provider = provider

    def may_have(self, key: str) -> bool:
        return True

    def get(self, key: str, secret: bool, pipeline_name: str | None, sections: Sequence[str]) -> Any:
        return self.provider.get_value(key, _hint(secret), pipeline_name, *sections)[0]

    def full_key(self, key: str, pipeline_name: str | None, sections: Sequence[str]) -> str:
        return ".".join(filter(None, (pipeline_name, *sections, key)))


def _hint(secret: bool) -> Any:
    from headrace.config.hints import TSecretValue

    return TSecretValue if secret else Any


def env_key(key: str, pipeline_name: str | None, sections: Sequence[str]) -> str:
    """The environment variable of a place: ``PIPELINE__SECTION__KEY``."""
    return "__".join(filter(None, (pipeline_name, *sections, key))).upper()


class EnvironProvider(ConfigProvider):
    """Environment variables; secrets may also be files in `/run/secrets`."""

    @staticmethod
    def get_key_name(key: str, *sections: str) -> str:
        """The environment variable of a place."""
        return env_key(key, None, sections)

    def get_value(self, key: str, hint: Any, pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look at one place."""
        name = env_key(key, pipeline_name, sections)
        if is_secret_hint(hint):
            content = _secret_file(name)
            if content is not None:
                return content, name
        return os.environ.get(name), name

    def set_value(self, key: str, value: Any, pipeline_name: str | None, *sections: str) -> None:
        """Set a value in memory."""
        raise NotImplementedError("set os.environ instead")

    @property
    def name(self) -> str:
        """The provider's name."""
        return ENVIRONMENT

    @property
    def supports_secrets(self) -> bool:
        """Whether secrets may be kept here."""
        return True

    @property
    def supports_sections(self) -> bool:
        """Whether values are kept under paths."""
        return True

    def open(self) -> Reader | None:
        """Begin a run of lookups."""
        return _EnvironReader()

    def known_keys(self) -> Iterator[tuple[str, ...]]:
        """The places that hold something."""
        return (tuple(name.split("__")) for name in os.environ)


class _EnvironReader(Reader):
    """A snapshot: one pass over the environment is cheaper than asking it for every path."""

    def __init__(self) -> None:
        self.values = dict(os.environ)
        self.last = {name.rpartition("__")[2] for name in self.values}
        self.files = os.path.isdir(SECRETS_DIR)

    def may_have(self, key: str) -> bool:
        return self.files or "__" in key or key.upper() in self.last

    def may_have_section(self, name: str) -> bool:
        mark = f"{name.upper()}__"
        return self.files or any(mark in key for key in self.values)

    def get(self, key: str, secret: bool, pipeline_name: str | None, sections: Sequence[str]) -> Any:
        name = env_key(key, pipeline_name, sections)
        if secret and self.files:
            content = _secret_file(name)
            if content is not None:
                return content
        return self.values.get(name)

    def full_key(self, key: str, pipeline_name: str | None, sections: Sequence[str]) -> str:
        return env_key(key, pipeline_name, sections)


def _secret_file(name: str) -> str | None:
    """Read a mounted secret: a file, or a folder with a file of its own name; it is put into the environment too."""
    base = name.lower().replace("_", "-")
    path = os.path.join(SECRETS_DIR, base)
    if os.path.isdir(path):
        path = os.path.join(path, base)
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as file:
        content = file.read().strip()
    os.environ[name] = content
    return content
