"""Begin a project: a script made of a template, files of settings with what has to be filled in, requirements."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any, NamedTuple

from headrace.base.version import VERSION
from headrace.cli.failures import CliError
from headrace.config.fields import fields_of
from headrace.errors.config import MissingPlace

PLACEHOLDER = "<configure me>"
GITIGNORE = ("secrets.toml", "*.duckdb", "*.wal", "__pycache__/")


class Template(NamedTuple):
    """A script to begin with.

    Attributes:
        help: What it loads.
        config: Settings of the source for config.toml, with examples.
        secrets: Names of those for secrets.toml.
        requires: Packages besides headrace.
    """

    help: str
    config: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


TEMPLATES: dict[str, Template] = {
    "default": Template("Rows made in Python: merge, and a cursor. Runs at once."),
    "api": Template("Pages of a web API with a token.", {"base_url": "https://api.example.com"}, ("api_key",)),
    "files": Template("CSV and Parquet files of a folder.", {"folder": "data"}),
    "sql": Template("A table of a database, by SQLAlchemy.", {"table": "orders"}, ("url",), ("sqlalchemy>=2.0",)),
}


class Project(NamedTuple):
    """What was written.

    Attributes:
        script: The script.
        created: Files that are new.
        changed: Files to which something was added.
        kept: Files that were there, and left alone.
        fill_in: Settings that have to be filled in, as ``file: key``.
        add: Lines for a requirements.txt that was there.
    """

    script: str
    created: list[str]
    changed: list[str]
    kept: list[str]
    fill_in: list[str]
    add: list[str]


def destinations() -> dict[str, str]:
    """The kinds of destinations, and what each is in a sentence."""
    from headrace import destinations as known

    texts = {name: (getattr(known, name).__doc__ or "").strip().replace("``", "`") for name in sorted(known.FACTORIES)}
    return {
        name: text.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")
        for name, text in texts.items()
    }


def init_project(
    folder: Path,
    source: str,
    destination: str = "duckdb",
    template: str | None = None,
    overwrite: Callable[[str], bool] = lambda _: False,
) -> Project:
    """Write a project, or add a script to one.

    Args:
        folder: Where; made if it is missing.
        source: Name of the source; that of a template takes it.
        destination: A kind of destination, or a name for one that is configured.
        template: One of `TEMPLATES`, where the name does not say it.
        overwrite: Asked with the path of a script that is there.

    Raises:
        CliError: There is no such template, or the script may not be overwritten.
        UnknownDestinationModule: There is no such destination.
    """
    kind = template or (source if source in TEMPLATES else "default")
    if kind not in TEMPLATES:
        raise CliError(f"There is no template `{kind}`.", fix=f"use one of: {', '.join(TEMPLATES)}")
    name = re.sub(r"\W+", "_", source.strip()).strip("_").lower()
    if not name.isidentifier():
        raise CliError(f"`{source}` cannot be the name of a source.", fix="letters, digits and _, a letter first")
    missing = missing_settings(destination)
    project = Project(f"{name}_pipeline.py", [], [], [], [], [])
    if (folder / project.script).exists() and not overwrite(project.script):
        raise CliError(f"{project.script} is there already: nothing was changed.", fix="give the source another name")
    _write(folder, project.script, _script(kind, name, destination), project)
    _settings(folder, name, kind, missing, project)
    _lines(folder, ".gitignore", GITIGNORE, project)
    _requirements(folder, [_headrace(destination), *TEMPLATES[kind].requires], project)
    return project


def missing_settings(destination: str) -> list[MissingPlace]:
    """What has to be configured for a destination; the resolver itself tells, with nothing configured.

    Raises:
        UnknownDestinationModule: There is no such destination.
    """
    from headrace.config.registry import providers_scope
    from headrace.destinations.reference import resolve_destination
    from headrace.errors.config import ConfigFieldMissingException, ConfigurationException

    place: Any = resolve_destination(destination)
    with providers_scope():
        try:
            place.configuration()
        except ConfigFieldMissingException as error:
            return [*error.places, *_passwords(place, error.places)]
        except ConfigurationException:
            pass  # what it needs cannot be told without some of it
    return []


def _passwords(place: Any, missing: Sequence[MissingPlace]) -> list[MissingPlace]:
    """Secrets of the credentials that something is missing of: most places want a password, though not all do."""
    tables = {one.table for one in missing if one.table[-1] == "credentials"}
    spec = place.spec.credentials_type()
    if not tables or spec is None:
        return []
    known = {one.key for one in missing}
    [table] = tables
    secrets = [
        field.name for field in fields_of(spec) if field.secret and field.name not in known and str in field.plain
    ]
    return [MissingPlace(f"credentials.{name}", True, "", table, name) for name in secrets]


def _script(kind: str, name: str, destination: str) -> str:
    text = resources.files("headrace.cli.templates").joinpath(f"{kind}.py").read_text(encoding="utf-8")
    for old, new in (
        ("example_source", f"{name}_source" if name in ("headrace", "requests", "sqlalchemy", "pyarrow") else name),
        ("example_pipeline", name),
        ("example_data", f"{name}_data"),
        ('destination="duckdb"', f'destination="{destination}"'),
    ):
        text = text.replace(old, new)
    return text


def _write(folder: Path, name: str, text: str, project: Project, private: bool = False) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (project.changed if path.exists() else project.created).append(name)
    # secrets are for the user alone, from the first byte on
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _settings(folder: Path, name: str, kind: str, missing: list[MissingPlace], project: Project) -> None:
    template = TEMPLATES[kind]
    section = ("sources", f"{name}_pipeline", name)
    # a user, a host and a password belong together, and to one table
    whole = {place.table for place in missing if place.secret or place.table[-1] == "credentials"}
    secret = [(place.table, place.key, PLACEHOLDER) for place in missing if place.table in whole]
    plain = [(place.table, place.key, PLACEHOLDER) for place in missing if place.table not in whole]
    plain += [(section, key, example) for key, example in template.config.items()]
    secret += [(section, key, PLACEHOLDER) for key in template.secrets]
    _toml(folder, ".dlt/config.toml", "Settings. Secrets go into secrets.toml.", plain, project)
    _toml(folder, ".dlt/secrets.toml", "Secrets: this file stays on this machine.", secret, project, private=True)


def _toml(
    folder: Path,
    name: str,
    title: str,
    values: list[tuple[tuple[str, ...], str, str]],
    project: Project,
    private: bool = False,
) -> None:
    import tomlkit

    path = folder / name
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    if not path.exists():
        document.add(tomlkit.comment(title))
    before = tomlkit.dumps(document)
    for table, key, value in values:
        where: Any = document
        for at, part in enumerate(table):
            if part not in where:
                where[part] = tomlkit.table(is_super_table=at < len(table) - 1)
            where = where[part]
        if key not in where:
            where[key] = value
            if value == PLACEHOLDER:
                project.fill_in.append(f"{name}: {'.'.join((*table, key))}")
    # a blank line in front of each table
    text = re.sub(r"(\n[^#\n][^\n]*)\n(?=\[)", r"\1\n\n", tomlkit.dumps(document))
    if path.exists() and tomlkit.dumps(document) == before:
        project.kept.append(name)
    else:
        _write(folder, name, text, project, private)


def _lines(folder: Path, name: str, wanted: tuple[str, ...], project: Project) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in wanted if line not in text.splitlines()]
    if not missing:
        project.kept.append(name)
        return
    gap = "" if not text or text.endswith("\n") else "\n"
    _write(folder, name, text + gap + "".join(f"{line}\n" for line in missing), project)


def _headrace(destination: str) -> str:
    """The requirement, with the extra that is named like the destination if there is one."""
    try:
        extras = metadata.metadata("headrace").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        extras = []
    return f"headrace{f'[{destination}]' if destination in extras else ''}>={VERSION}"


def _requirements(folder: Path, wanted: list[str], project: Project) -> None:
    path = folder / "requirements.txt"
    if not path.exists():
        _write(folder, "requirements.txt", "".join(f"{line}\n" for line in wanted), project)
        return
    project.kept.append("requirements.txt")
    have = path.read_text(encoding="utf-8")
    project.add.extend(line for line in wanted if line not in have.splitlines())
