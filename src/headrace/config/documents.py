"""Providers whose values are a document of nested mappings: in memory, from a function; base of files and vaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from headrace.config.providers import ConfigProvider, Reader


class DocProvider(ConfigProvider):
    """Base of providers whose values are a document of nested mappings.

    Args:
        config_doc: The document; it is changed by `set_value`.
    """

    def __init__(self, config_doc: dict[str, Any] | None = None) -> None:
        self._config_doc: dict[str, Any] = {} if config_doc is None else config_doc

    def document(self) -> Mapping[str, Any]:
        """The document as it is now."""
        return self._config_doc

    def get_value(self, key: str, hint: Any, pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look at one place."""
        reader = DocReader(self.document())
        return reader.get(key, False, pipeline_name, sections), reader.full_key(key, pipeline_name, sections)

    def set_value(self, key: str, value: Any, pipeline_name: str | None, *sections: str) -> None:
        """Set a value in memory."""
        node = self._config_doc
        for section in filter(None, (pipeline_name, *sections)):
            inner = node.get(section)
            if not isinstance(inner, dict):
                inner = node[section] = {}
            node = inner
        old = node.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            node[key] = merge(old, value)
        else:
            node[key] = value

    @property
    def supports_secrets(self) -> bool:
        """Whether secrets may be kept here."""
        return True

    @property
    def supports_sections(self) -> bool:
        """Whether values are kept under paths."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look at."""
        return not self.document()

    @property
    def is_writable(self) -> bool:
        """Whether values can be set."""
        return True

    def open(self) -> Reader | None:
        """Begin a run of lookups."""
        document = self.document()
        return DocReader(document) if document else None

    def known_keys(self) -> Iterator[tuple[str, ...]]:
        """The places that hold something."""
        return paths_of(self.document())

    def to_toml(self) -> str:
        """The document as TOML text, secrets included."""
        import tomlkit

        return tomlkit.dumps(dict(self.document()))


class DocReader(Reader):
    """Reads a document of nested mappings.

    Args:
        document: The document.
        keys: All its keys, when they are known already.
    """

    def __init__(self, document: Mapping[str, Any], keys: frozenset[str] | None = None) -> None:
        self.document, self.keys = document, keys

    def may_have(self, key: str) -> bool:
        """Whether some path may end in this key."""
        return self.keys is None or key in self.keys

    def get(self, key: str, secret: bool, pipeline_name: str | None, sections: Sequence[str]) -> Any:
        """The value at one place."""
        node: Any = self.document
        if pipeline_name:
            node = node.get(pipeline_name)
            if not isinstance(node, Mapping):
                return None
        for section in sections:
            if section:
                node = node.get(section)
                if not isinstance(node, Mapping):
                    return None
        return node.get(key)

    def full_key(self, key: str, pipeline_name: str | None, sections: Sequence[str]) -> str:
        """How the place is spelt."""
        return ".".join(filter(None, (pipeline_name, *sections, key)))


class DictionaryProvider(DocProvider):
    """Values of a dictionary, set for a block of code: ``with provider.values({...}):``."""

    NAME = "Dictionary Provider"

    def __init__(self) -> None:
        super().__init__()

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.NAME

    @contextmanager
    def values(self, v: dict[str, Any]) -> Iterator[None]:
        """Answer from this document within the block."""
        before, self._config_doc = self._config_doc, v
        try:
            yield
        finally:
            self._config_doc = before


class CustomLoaderDocProvider(DocProvider):
    """Values of a document that a function loads, once, at the first lookup.

    Args:
        name: Unique name.
        loader: Returns the document.
        supports_secrets: Whether secrets may be in it.
        locations: Where the function reads from, for messages.
    """

    def __init__(
        self,
        name: str,
        loader: Callable[[], dict[str, Any]],
        supports_secrets: bool = True,
        locations: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self._name, self._loader, self._secrets = name, loader, supports_secrets
        self._locations = list(locations or [])
        self._loaded = False

    def document(self) -> Mapping[str, Any]:
        """The document as it is now."""
        if not self._loaded:
            self._config_doc = merge(dict(self._loader()), self._config_doc)
            self._loaded = True
        return self._config_doc

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._name

    @property
    def supports_secrets(self) -> bool:
        """Whether secrets may be kept here."""
        return self._secrets

    @property
    def locations(self) -> Sequence[str]:
        """Files that are looked for."""
        return self._locations


def merge(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Join two documents key by key; the second wins."""
    joined = dict(weak)
    for key, value in strong.items():
        old = joined.get(key)
        joined[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return joined


def paths_of(document: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all values of a document, and of its tables."""
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from paths_of(value, (*above, key))
