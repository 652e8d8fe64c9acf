"""What is run: a script, or a pipeline and a source that a module has."""

from __future__ import annotations

import importlib
import importlib.util
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base.environment import variables
from headrace.cli.failures import CliError

if TYPE_CHECKING:
    from headrace.pipeline.pipeline import Pipeline


class Target(NamedTuple):
    """``script.py``, ``script.py:name`` or ``package.module:name`` taken apart.

    Attributes:
        path: The script; None for a module.
        module: The module's name.
        name: Name of the pipeline object, empty if none is said.
    """

    path: Path | None
    module: str
    name: str


def parse_target(text: str) -> Target:
    """Take the target of a command apart.

    Raises:
        CliError: There is no such file, and it is no name of a module.
    """
    base, _, name = text.rpartition(":") if ":" in text and not Path(text).exists() else (text, "", "")
    path = Path(base)
    if path.suffix == ".py" or path.is_file():
        if not path.is_file():
            raise CliError(f"There is no script {base}.", why=f"the folder is {Path.cwd()}")
        return Target(path, path.stem, name)
    if not all(part.isidentifier() for part in base.split(".")):
        raise CliError(f"`{base}` is neither a script nor a module.", fix="give a file, or `package.module:pipeline`")
    return Target(None, base, name)


@contextmanager
def _program(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Inside, the process looks as if the script had been started by Python."""
    argv, paths = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, paths


def run_script(path: Path, arguments: Sequence[str]) -> None:
    """Run a script as ``python script.py`` does.

    Args:
        path: The script.
        arguments: Its ``sys.argv[1:]``.

    Raises:
        Exception: Whatever it raises.
        SystemExit: It ended itself.
    """
    with _program(path, arguments):
        runpy.run_path(str(path), run_name="__main__")


def load_module(target: Target) -> ModuleType:
    """Import the script or module; its ``if __name__ == "__main__"`` part is not run.

    Raises:
        CliError: There is no such module.
        Exception: Whatever it raises while it is imported.
    """
    if target.path is None:
        try:
            return importlib.import_module(target.module)
        except ModuleNotFoundError as error:
            if error.name and target.module.startswith(error.name):
                raise CliError(
                    f"There is no module `{target.module}`.", fix="run the command in the folder of the package"
                ) from error
            raise
    spec = importlib.util.spec_from_file_location(target.module, target.path)
    assert spec is not None and spec.loader is not None  # it is a file that exists
    module = importlib.util.module_from_spec(spec)
    sys.modules[target.module] = module
    sys.path.insert(0, str(target.path.parent.resolve()))
    spec.loader.exec_module(module)
    return module


def find_pipeline(module: ModuleType, name: str | None, given: Mapping[str, Any]) -> Pipeline:
    """The pipeline object of a module; one is made when it has none.

    Args:
        module: The module.
        name: A variable of the module, or the name of a pipeline; None for the only one.
        given: Arguments for a pipeline that is made.

    Raises:
        CliError: There are several, and none is named.
    """
    from headrace.pipeline.factory import pipeline
    from headrace.pipeline.pipeline import Pipeline

    found: dict[int, tuple[str, Pipeline]] = {
        id(value): (key, value) for key, value in vars(module).items() if isinstance(value, Pipeline)
    }
    for key, value in found.values():
        if name in (key, value.pipeline_name) and name is not None:
            return _changed(value, given)
    if name is None and len(found) > 1:
        names = ", ".join(key for key, _ in found.values())
        raise CliError(f"{module.__name__} has several pipelines.", fix=f"name one by --pipeline: {names}")
    if name is None and found:
        return _changed(next(iter(found.values()))[1], given)
    made: Pipeline = pipeline(name or module.__name__.rpartition(".")[2], **given)
    return made


def _changed(p: Pipeline, given: Mapping[str, Any]) -> Pipeline:
    if any(value is not None for value in given.values()):
        p._destinations.set(given.get("destination"), None, given.get("dataset_name"))
    p.activate()
    return p


def find_source(module: ModuleType, name: str | None, resources: Sequence[str], limit: int | None = None) -> Any:
    """A source or resource of a module, ready to be run.

    Args:
        module: The module.
        name: A variable of the module, or the name of a source; None for the only one.
        resources: Resources to select; all when empty.
        limit: Pages that each resource may give.

    Raises:
        CliError: There is none, or there are several and none is named.
    """
    from headrace.extract.resource import DltResource
    from headrace.extract.source import DltSource

    data = _candidate(module, name)
    if callable(data) and not isinstance(data, (DltSource, DltResource)):
        data = data()
    if resources:
        if not isinstance(data, DltSource):
            raise CliError(f"`{name}` is no source: it has no resources to choose from.", fix="leave them out")
        data = data.with_resources(*resources)
    if limit is not None:
        if not isinstance(data, (DltSource, DltResource)):
            raise CliError("--limit is for sources and resources.", why=f"this is {type(data).__name__}")
        data = data.add_limit(limit)
    return data


def _candidate(module: ModuleType, name: str | None) -> Any:
    found = source_names(module)
    if name is not None:
        if hasattr(module, name):
            return getattr(module, name)
        for key in found:
            if getattr(getattr(module, key), "name", None) == name:
                return getattr(module, key)
        raise CliError(
            f"{module.__name__} has no source `{name}`.", fix=f"it has: {', '.join(found)}" if found else None
        )
    if len(found) != 1:
        raise CliError(
            f"{module.__name__} has {'several sources' if found else 'no source'}.",
            fix=f"name one by --source: {', '.join(found)}"
            if found
            else "decorate a function with `@headrace.source` or `@headrace.resource`, or name one by --source",
        )
    return getattr(module, found[0])


def source_names(module: ModuleType) -> list[str]:
    """Variables of a module that hold sources; resources if there are no sources."""
    from headrace.extract.factory import SourceFactory
    from headrace.extract.resource import DltResource
    from headrace.extract.source import DltSource

    held = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    sources = [key for key, value in held.items() if isinstance(value, (DltSource, SourceFactory))]
    resources = [k for k, v in held.items() if isinstance(v, DltResource) and not v.is_transformer]
    return sources or resources


@contextmanager
def no_new_folders() -> Iterator[None]:
    """After an error inside, pipelines that were not there before leave no working folder."""
    from headrace.config.run_context import get_pipelines_dir
    from headrace.pipeline.folder import WorkingFolder
    from headrace.pipeline.overview import pipeline_names

    root = get_pipelines_dir()
    before = set(pipeline_names(root))
    try:
        yield
    except BaseException:
        for name in set(pipeline_names(root)) - before:
            folder = WorkingFolder(Path(root), name)
            if not any(part.exists() for part in (folder.packages, folder.schemas, folder.plans)):
                folder.remove()
        raise


@contextmanager
def printing_aside(wanted: bool) -> Iterator[None]:
    """What code of the user prints goes to standard error, if that is wanted: standard output is for one document."""
    if not wanted:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def settings(values: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables for the length of a block; None leaves one as it is."""
    with variables({name: value for name, value in values.items() if value is not None}):
        yield
