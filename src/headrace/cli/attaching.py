"""From a pipeline's name on the command line to the pipeline."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from headrace.cli.failures import CliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.pipeline.pipeline import Pipeline

F = TypeVar("F", bound="Callable[..., Any]")
_KEY = "headrace.pipelines_dir"


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of pipelines that begin so."""
    from headrace.pipeline.overview import pipeline_names

    found = pipeline_names(ctx.meta.get(_KEY) or ctx.params.get("pipelines_dir"))
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _note_folder(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        ctx.meta[_KEY] = value


def pipelines_dir_option(function: F) -> F:
    """Option ``--pipelines-dir``, in front of the operation or behind it."""
    return click.option(
        "--pipelines-dir",
        type=click.Path(file_okay=False),
        expose_value=False,
        is_eager=True,  # names are completed from it
        callback=_note_folder,
        help="Folder of the working folders.",
    )(function)


def name_argument(function: F) -> F:
    """Argument NAME."""
    return click.argument("name", shell_complete=complete_name)(function)


def pipelines_dir() -> str:
    """The folder of working folders: of the option, else of the configuration."""
    given = click.get_current_context().meta.get(_KEY)
    if given:
        return str(given)
    from headrace.config.run_context import get_pipelines_dir

    return get_pipelines_dir()


def attach(name: str, **given: Any) -> Pipeline:
    """A pipeline that ran here before.

    Args:
        name: Its name.
        **given: ``destination``, ``dataset_name``: with a destination it may also be one that never ran here.

    Raises:
        CliError: There is no such pipeline.
    """
    from headrace.pipeline.overview import pipeline_names

    folder = pipelines_dir()
    if not given.get("destination") and name not in (known := pipeline_names(folder)):
        close = difflib.get_close_matches(name, known, 1)
        fix = f"did you mean `{close[0]}`? " if close else ""
        raise CliError(
            f"There is no pipeline `{name}` in {folder}.",
            why=None if known else "no pipeline ran on this machine with that folder",
            fix=f"{fix}`headrace pipeline list` has those of this machine; one of another machine comes with "
            f"`headrace pipeline sync {name} --destination D --dataset-name N`",
        )
    from headrace.pipeline.factory import attach

    return attach(name, pipelines_dir=folder, **given)
