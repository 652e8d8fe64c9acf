"""Values from TOML files: ``secrets.toml`` and ``config.toml`` of the project and of the user.

Files are parsed again only when their time or size has changed. Text may refer to environment variables: ``${NAME}`` is
replaced when the value is looked up, ``${NAME:-text}`` has a default, ``$${`` stands for ``${``.
"""

# os.path: these places are asked at every lookup, and pathlib takes many times as long
# ruff: noqa: PTH109, PTH113, PTH116, PTH117, PTH118, PTH123

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from headrace.config import run_context
from headrace.config.documents import DocProvider, DocReader, merge, paths_of
from headrace.config.providers import Reader
from headrace.errors.config import ConfigurationValueError, TomlProviderReadException

CONFIG_TOML: Final = "config.toml"
SECRETS_TOML: Final = "secrets.toml"
SECRETS_TOML_KEY: Final = "dlt_secrets_toml"

_REFERENCE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class _Document(NamedTuple):
    values: dict[str, Any]
    keys: frozenset[str]
    refers: bool
    paths: tuple[str, ...]


_EMPTY = _Document({}, frozenset(), False, ())
_files: dict[str, tuple[tuple[int, int, int], dict[str, Any], bool]] = {}
_merged: dict[tuple[Any, ...], _Document] = {}


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML text.

    Raises:
        ValueError: It is not valid TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    import tomlkit

    return dict(tomlkit.parse(text).unwrap())


def expand(value: Any, where: str) -> Any:
    """Replace references to environment variables in text, also inside lists and mappings.

    Args:
        value: What a file holds.
        where: Name of the place, for the error.

    Raises:
        ConfigurationValueError: A variable without a default is not set.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _replacement(match, where), value) if "${" in value else value
    if isinstance(value, Mapping):
        return {k: expand(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [expand(v, where) for v in value]
    return value


def _replacement(match: re.Match[str], where: str) -> str:
    if match[1]:
        return match[1]
    value = os.environ.get(match[2], match[3])
    if value is None:
        raise ConfigurationValueError(
            f"`{where}` refers to the environment variable {match[2]}, which is not set.",
            fix=f"set {match[2]}, or give a default: ${{{match[2]}:-text}}; for the characters as they are write $${{",
        )
    return value


class _ExpandingReader(DocReader):
    def get(self, key: str, secret: bool, pipeline_name: str | None, sections: Sequence[str]) -> Any:
        value = super().get(key, secret, pipeline_name, sections)
        return None if value is None else expand(value, self.full_key(key, pipeline_name, sections))


class SettingsTomlProvider(DocProvider):
    """Values of a TOML file that may be in several folders.

    Args:
        name: Unique name.
        supports_secrets: Whether secrets may be in it.
        file_name: Name of the file.
        resolvable_dirs: Folders, the strongest first; None follows the run context.
        global_dir: One more folder, the weakest.
    """

    def __init__(
        self,
        name: str,
        supports_secrets: bool,
        file_name: str,
        resolvable_dirs: Sequence[str] | None = None,
        global_dir: str | None = None,
    ) -> None:
        super().__init__()
        self._name, self._secrets, self._file_name = name, supports_secrets, file_name
        self._dirs = None if resolvable_dirs is None else [*resolvable_dirs, *([global_dir] if global_dir else [])]

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
        dirs = self._dirs
        if dirs is None:
            context = run_context.current()
            dirs = [context.settings_dir, *context.global_settings_dirs]
        return [os.path.join(folder, self._file_name) for folder in dirs]

    @property
    def present_locations(self) -> Sequence[str]:
        """Files that are there."""
        return [path for path in self.locations if os.path.isfile(path)]

    def document(self) -> Mapping[str, Any]:
        """The document as it is now."""
        values = self._read().values
        return merge(values, self._config_doc) if self._config_doc else values

    def get_value(self, key: str, hint: Any, pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look at one place."""
        reader = self.open() or DocReader({})
        return reader.get(key, False, pipeline_name, sections), reader.full_key(key, pipeline_name, sections)

    def get_value_location(self, key: str, pipeline_name: str | None, *sections: str) -> str:
        """The file that holds the value of a place."""
        for path in self.present_locations:
            found = _file(path)
            if found and DocReader(found[1]).get(key, False, pipeline_name, sections) is not None:
                return path
        return self.name

    def open(self) -> Reader | None:
        """Begin a run of lookups."""
        read = self._read()
        if self._config_doc:
            return _ExpandingReader(self.document())
        if not read.values:
            return None
        return _ExpandingReader(read.values, read.keys) if read.refers else DocReader(read.values, read.keys)

    def known_keys(self) -> Iterator[tuple[str, ...]]:
        """The places that hold something."""
        return paths_of(self.document())

    def _read(self) -> _Document:
        """The files joined, from the cache when none of them has changed."""
        found = [(path, content) for path in self.locations if (content := self._content(path)) is not None]
        if not found:
            return self._fallback()
        key = tuple((path, content[0]) for path, content in found)
        document = _merged.get(key)
        if document is None:
            values: dict[str, Any] = {}
            for _, content in reversed(found):
                values = merge(values, content[1])
            keys = frozenset(name for path in paths_of(values) for name in path)
            document = _Document(values, keys, any(c[2] for _, c in found), tuple(p for p, _ in found))
            if len(_merged) > 256:
                _merged.clear()
            _merged[key] = document
        return document

    def _content(self, path: str) -> tuple[tuple[int, int, int], dict[str, Any], bool] | None:
        return _file(path, self._name)

    def _fallback(self) -> _Document:
        """Notebook platforms keep secrets of their own; they count when there is no file."""
        if "google.colab" not in sys.modules and "streamlit" not in sys.modules:
            return _EMPTY
        from headrace.config.notebooks import notebook_document

        values = notebook_document(self._file_name, self._secrets)
        return _Document(values, frozenset(n for p in paths_of(values) for n in p), False, ()) if values else _EMPTY


class SecretsTomlProvider(SettingsTomlProvider):
    """``secrets.toml``: secrets and other values.

    Args:
        settings_dir: Folder of the project's file; None follows the run context.
        global_dir: Folder of the user's file.
    """

    def __init__(self, settings_dir: str | None = None, global_dir: str | None = None) -> None:
        super().__init__(SECRETS_TOML, True, SECRETS_TOML, None if settings_dir is None else [settings_dir], global_dir)


class ConfigTomlProvider(SettingsTomlProvider):
    """``config.toml``: everything that is not secret. For the arguments see `SecretsTomlProvider`."""

    def __init__(self, settings_dir: str | None = None, global_dir: str | None = None) -> None:
        super().__init__(CONFIG_TOML, False, CONFIG_TOML, None if settings_dir is None else [settings_dir], global_dir)


class StringTomlProvider(DocProvider):
    """Values of TOML text.

    Args:
        toml_string: The text.

    Raises:
        TomlProviderReadException: It is not valid TOML.
    """

    def __init__(self, toml_string: str) -> None:
        super().__init__(_parse(toml_string, "memory", "(text)"))
        self._refers = "${" in toml_string

    def open(self) -> Reader | None:
        """Begin a run of lookups."""
        return _ExpandingReader(self._config_doc) if self._config_doc else None

    def update(self, toml_string: str) -> None:
        """Replace the document."""
        self._config_doc = _parse(toml_string, "memory", "(text)")

    @property
    def name(self) -> str:
        """The provider's name."""
        return "memory"


def _file(path: str, provider: str = SECRETS_TOML) -> tuple[tuple[int, int, int], dict[str, Any], bool] | None:
    """Parse a file, unless it is as it was; None when it is not there."""
    path = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    try:
        stat = os.stat(path)
    except OSError:
        return None
    stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    cached = _files.get(path)
    if cached is not None and cached[0] == stamp:
        return cached
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except IsADirectoryError:
        return None
    _files[path] = cached = (stamp, _parse(text, provider, path), "${" in text)
    return cached


def _parse(text: str, provider: str, location: str) -> dict[str, Any]:
    problem = ""
    try:
        return parse_toml(text)
    except ValueError as error:
        problem = _position(str(error))
    # outside the handler: the parser's error would carry the text of the file with it
    raise TomlProviderReadException(provider, location, problem)


def _position(message: str) -> str:
    """The line and column of a parser's message; the rest may quote the file."""
    found = re.search(r"at (line \d+,? col(?:umn)? \d+|end of document)", message)
    return f"the parser stopped at {found[1]}" if found else "the parser gave up"
