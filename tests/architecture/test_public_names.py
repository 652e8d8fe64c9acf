"""`import headrace` is light, and its public names stay what they are in any order of imports."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import headrace

HEAVY = [
    *("pyarrow", "duckdb", "numpy", "pandas", "polars", "requests", "sqlglot", "fsspec", "tomlkit", "tenacity"),
    *("pydantic", "tqdm", "rich"),
]
MODULES = {"current", "destinations", "lineage", "mark", "progress", "sources"}
FUNCTIONS = {
    "attach", "dataset", "defer", "destination", "pipeline", "resource", "run", "source", "transformer",
}  # fmt: skip


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    found = python(f"import sys, headrace; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert found == "[]"


def test_a_pipeline_object_loads_nothing_heavy(tmp_path: Path) -> None:
    """Making a pipeline imports neither Arrow nor the destination's driver."""
    code = (
        "import sys, headrace\n"
        f"headrace.pipeline('p', pipelines_dir={str(tmp_path)!r}, destination='duckdb', dataset_name='d')\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert python(code) == "[]"


def test_import_loads_little() -> None:
    """It takes about 10 ms on a quiet machine: what `bench` measures follows from what is loaded."""
    code = "import sys; before = set(sys.modules); import headrace; print(len(set(sys.modules) - before))"
    assert int(python(code)) < 100


@pytest.mark.parametrize("name", headrace.__all__)
def test_public_names_are_there(name: str) -> None:
    found = getattr(headrace, name)
    assert isinstance(found, ModuleType) == (name in MODULES)
    assert isinstance(found, FunctionType) == (name in FUNCTIONS)


def test_star_import_and_dir() -> None:
    names: dict[str, object] = {}
    exec("from headrace import *", names)
    assert set(headrace.__all__) - {"__version__"} <= set(names)
    assert set(headrace.__all__) <= set(dir(headrace))


@pytest.mark.parametrize("name", ["pipeline", "dataset", "config"])
@pytest.mark.parametrize("late", [True, False])
def test_objects_stay_in_front_of_packages_of_the_same_name(name: str, late: bool) -> None:
    """The import system must not put the package in the object's place, whichever comes first."""
    steps = [f"before = headrace.{name}", f"import headrace.{name}"]
    code = "; ".join(["import headrace, types", *(steps if not late else steps[::-1])])
    code += f"; assert headrace.{name} is before; print(isinstance(before, types.ModuleType))"
    assert python(code) == "False"


def test_submodules_stay_importable() -> None:
    assert importlib.import_module("headrace.pipeline.pipeline").Pipeline is headrace.Pipeline
    from headrace.config.spec import CredentialsConfiguration

    assert headrace.TCredentials is CredentialsConfiguration


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        headrace.nothing  # noqa: B018


def test_version_is_that_of_the_project() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    found = re.search(r'^version = "(.+)"$', project.read_text(), re.MULTILINE)
    assert found is not None
    assert headrace.__version__ == found[1]


def test_pytest_is_for_the_testing_package_alone() -> None:
    """Nothing that users run needs what only tests have."""
    root = Path(headrace.__file__).parent
    users = [p for p in root.rglob("*.py") if re.search(r"^\s*(import|from) pytest", p.read_text(), re.MULTILINE)]
    assert {p.relative_to(root).parts[0] for p in users} == {"testing"}
