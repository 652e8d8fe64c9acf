"""``python tools/settings.py``: makes docs/guide/settings.md of the configuration classes and tools/settings.toml.

Types and defaults come from the classes, meanings from the file beside this one; a setting that one of them lacks is an
error. tests/config/test_every_setting.py checks that the page is up to date and that each setting has a test.
"""

from __future__ import annotations

import inspect
import sys
import types
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import tomlkit

from headrace.config import known
from headrace.config.alerting import AlertsConfiguration
from headrace.config.fields import Field, fields_of
from headrace.config.lineage import LineageConfiguration
from headrace.config.retries import RetriesConfiguration
from headrace.config.spec import BaseConfiguration
from headrace.config.vaults import VaultProviderConfiguration
from headrace.destinations.impl.custom.configuration import CustomDestinationClientConfiguration
from headrace.destinations.impl.duckdb.configuration import DuckDbClientConfiguration, DuckDbCredentials
from headrace.destinations.impl.dummy.configuration import DummyClientConfiguration
from headrace.destinations.impl.filesystem.catalogsettings import IcebergCatalogConfiguration
from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration
from headrace.destinations.impl.postgres.configuration import PostgresClientConfiguration, PostgresCredentials
from headrace.destinations.impl.sqlalchemy.configuration import SqlalchemyClientConfiguration, SqlalchemyCredentials

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guide" / "settings.md"
MEANINGS = Path(__file__).with_suffix(".toml")
NONE = "none: "

# section, what it is about, classes whose fields it has
SECTIONS: list[tuple[str, str, tuple[type[BaseConfiguration], ...]]] = [
    ("runtime", "Logs, alerts, what is sent on.", (known.RuntimeConfiguration,)),
    ("runtime.alerts", "Who is told what. Lists may be texts with commas.", (AlertsConfiguration,)),
    ("pipelines.<name>", "Of one pipeline; most are arguments of `pipeline()` too.", (known.PipelineConfiguration,)),
    ("retries", "What `run` repeats by itself.", (RetriesConfiguration,)),
    ("extract", "Reading; also under `sources.<section>.<name>`.", (known.ExtractConfiguration,)),
    ("normalize", "Making loader files.", (known.NormalizeConfiguration,)),
    ("load", "Loading packages.", (known.LoadConfiguration,)),
    ("lineage", "Events of OpenLineage: what is told, and to whom.", (LineageConfiguration,)),
    ("schema", "Names; also under `sources.<schema name>`.", (known.SchemaConfiguration,)),
    (
        "data_writer",
        "Loader files; also under `normalize`.",
        (known.DataWriterConfiguration, known.CsvFormatConfiguration, known.ParquetFormatConfiguration),
    ),
    ("providers.<vault>_secrets", "Vaults: `airflow`, `google`, `aws`.", (VaultProviderConfiguration,)),
    ("destination.<name>", "Every destination has these.", (known.DwhWithStagingConfiguration,)),
    ("destination.postgres", "", (PostgresClientConfiguration,)),
    ("destination.postgres.credentials", "Or a url in their place.", (PostgresCredentials,)),
    ("destination.duckdb", "", (DuckDbClientConfiguration,)),
    ("destination.duckdb.credentials", "Or a path, or a url.", (DuckDbCredentials,)),
    ("destination.sqlalchemy", "", (SqlalchemyClientConfiguration,)),
    ("destination.sqlalchemy.credentials", "Or a url; else as those of PostgreSQL.", (SqlalchemyCredentials,)),
    ("destination.filesystem", "Credentials: [files](../destinations/filesystem.md).", (FilesystemConfiguration,)),
    ("iceberg_catalog", "The catalog of Iceberg tables.", (IcebergCatalogConfiguration,)),
    ("destination.destination", "Functions of your own.", (CustomDestinationClientConfiguration,)),
    ("destination.dummy", "What goes wrong, for tests.", (DummyClientConfiguration,)),
]
HEAD = """# All settings

<!-- made by tools/settings.py of tools/settings.toml and the configuration classes: change those -->

Each can be an environment variable (`LOAD__WORKERS=4`) or stand in `.dlt/config.toml`, secrets in `.dlt/secrets.toml`:
[where is looked](configuration.md). `headrace config explain KEY` tells what counts. Settings that are accepted for
the sake of files of dlt's and do nothing are marked so.
"""


class Setting(NamedTuple):
    """One setting.

    Attributes:
        section: Its section.
        name: Its name there.
        field: What the class says.
        default: Its default.
        meaning: In words.
        proof: The test that shows its effect, or ``none: `` and why it has none.
    """

    section: str
    name: str
    field: Field
    default: Any
    meaning: str
    proof: str


def settings() -> list[Setting]:
    """All settings, in the order of the page.

    Raises:
        SystemExit: A class and the file of meanings do not have the same settings.
    """
    told: dict[str, Any] = tomlkit.parse(MEANINGS.read_text()).unwrap()
    found = []
    shared = {f.name for f in fields_of(known.DwhWithStagingConfiguration)}
    for section, _, specs in SECTIONS:
        here = dict(told.get(section, {}))
        for spec in specs:
            default = spec()
            for field in fields_of(spec):
                if not field.resolvable or _elsewhere(section, field.name, spec, shared):
                    continue
                if field.name not in here:
                    sys.exit(f"{MEANINGS.name} says nothing of [{section}] {field.name}")
                meaning, proof = here.pop(field.name)
                found.append(Setting(section, field.name, field, getattr(default, field.name, None), meaning, proof))
        if here:
            sys.exit(f"{MEANINGS.name} has [{section}] {', '.join(here)}, and no class has it")
    return found


def _elsewhere(section: str, name: str, spec: type[BaseConfiguration], shared: set[str]) -> bool:
    """Whether a field stands in another section's table already."""
    if section == "destination.sqlalchemy.credentials":
        return name not in inspect.get_annotations(spec)
    own = name in inspect.get_annotations(spec) and name != "credentials"
    return section.startswith("destination.") and section != "destination.<name>" and name in shared and not own


def kind(hint: Any) -> str:
    """A type, in a reader's words."""
    origin, members = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in members)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(one) for one in members if one is not type(None)))
    words = {str: "text", int: "number", float: "number", bool: "true, false", dict: "mapping", list: "list"}
    plain = origin or hint
    if hasattr(hint, "__metadata__"):
        return kind(members[0])
    if isinstance(plain, type) and issubclass(plain, BaseConfiguration):
        return "section"
    return words.get(plain, "any")


def shown(setting: Setting) -> str:
    """A default, as it would be written."""
    value = setting.default
    if value is None or isinstance(value, BaseConfiguration):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = value.encode("unicode_escape").decode() if isinstance(value, str) else str(value)
    return f"`{text}`".replace("|", "\\|")


def row(setting: Setting) -> str:
    """One line of a table."""
    secret = ", secret" if setting.field.secret else ""
    meaning = setting.meaning
    if setting.proof.startswith(NONE):
        meaning += f" **No effect:** {setting.proof.removeprefix(NONE)}."
    return f"| `{setting.name}` | {kind(setting.field.hint)}{secret} | {shown(setting)} | {meaning} |"


def page() -> str:
    """The page."""
    parts = [HEAD]
    found = settings()
    for section, about, _ in SECTIONS:
        rows = [row(one) for one in found if one.section == section]
        lines = ["| setting | is | default | meaning |", "|---|---|---|---|", *rows]
        parts.append("\n".join([f"## `{section}`\n", *([f"{about}\n"] if about else []), *lines]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(ROOT)}: {len(settings())} settings")
