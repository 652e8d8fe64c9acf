"""``headrace schema`` and ``headrace pipeline schema``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headrace.cli.attaching import attach, name_argument, pipelines_dir_option
from headrace.cli.base import Command, current_output
from headrace.cli.failures import CliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.model.schema import Schema

FORMATS = ("yaml", "json", "dbml", "dot", "mermaid")
F = TypeVar("F", bound="Callable[..., Any]")


def _format_options(function: F) -> F:
    function = click.option(
        "--remove-defaults/--keep-defaults",
        default=True,
        show_default=True,
        help="Leave out what goes without saying (yaml, json).",
    )(function)
    return click.option(
        "--format", "kind", type=click.Choice(FORMATS), default="yaml", show_default=True, help="The format."
    )(function)


def schema_text(schema: Schema, kind: str, remove_defaults: bool) -> str:
    """A schema in one of `FORMATS`."""
    if kind == "json":
        return schema.to_pretty_json(remove_defaults=remove_defaults)
    if kind == "yaml":
        return schema.to_pretty_yaml(remove_defaults=remove_defaults)
    made: str = getattr(schema, f"to_{kind}")()
    return made


def _print(schema: Schema, kind: str, remove_defaults: bool) -> None:
    out = current_output()
    out.result(
        schema.to_dict(remove_defaults=remove_defaults),
        lambda: out.text(schema_text(schema, kind, remove_defaults).rstrip()),
    )


@click.command(cls=Command)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_format_options
def schema(file: Path, kind: str, remove_defaults: bool) -> None:
    """Read a schema file of any age (JSON or YAML) and show it as it is written today, or in another format."""
    _print(read_schema(file), kind, remove_defaults)


def read_schema(file: Path) -> Schema:
    """A schema from a file.

    Raises:
        CliError: The file holds no schema.
    """
    from headrace.base import json
    from headrace.errors.schema import SchemaException
    from headrace.model.schema import Schema
    from headrace.model.schema_export import from_yaml

    try:
        text = file.read_text(encoding="utf-8")
        document = json.loads(text) if file.suffix == ".json" else from_yaml(text)
        if not isinstance(document, dict) or "engine_version" not in document:
            raise ValueError("it has no `engine_version`")
        return Schema.from_dict(document)
    except (ValueError, KeyError, SchemaException) as error:
        raise CliError(
            f"{file} holds no schema that can be read.",
            why=str(error),
            fix="schema files are those of `export_schema_path`, and of `pipeline.schemas` in the working folder",
        ) from error


@click.command(cls=Command, name="schema")
@name_argument
@click.option("--schema", "schema_name", help="Its name; the default schema without it.")
@_format_options
@pipelines_dir_option
def pipeline_schema(name: str, schema_name: str | None, kind: str, remove_defaults: bool) -> None:
    """Show a schema of a pipeline."""
    p = attach(name)
    if not p.schema_names:
        raise CliError(f"Pipeline `{name}` has no schema yet.", fix="it comes with its first run")
    if schema_name is not None and schema_name not in p.schema_names:
        raise CliError(f"Pipeline `{name}` has no schema `{schema_name}`.", fix=f"it has: {', '.join(p.schema_names)}")
    _print(p.schemas[schema_name] if schema_name else p.default_schema, kind, remove_defaults)
