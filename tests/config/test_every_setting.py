"""Each setting that docs/guide/settings.md has is shown to count by a test, or says why it does nothing."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from headrace.config.fields import fields_of
from headrace.config.spec import BaseConfiguration

ROOT = Path(__file__).parents[2]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("settings_tool", ROOT / "tools" / "settings.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["settings_tool"] = module
    spec.loader.exec_module(module)
    return module


tool = _load()
ALL = tool.settings()


def test_the_page_is_up_to_date() -> None:
    """If this fails: ``python tools/settings.py``."""
    assert tool.PAGE.read_text() == tool.page()


@lru_cache
def names_in(file: str) -> tuple[str, set[str]]:
    text = (ROOT / "tests" / file).read_text()
    return text, {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("setting", ALL, ids=lambda one: f"{one.section}.{one.name}")
def test_it_is_exercised(setting: Any) -> None:
    """Its test exists and speaks of it; or there is a reason for its doing nothing."""
    if setting.proof.startswith(tool.NONE):
        assert len(setting.proof) > len(tool.NONE) + 10
        return
    file, _, test = setting.proof.partition("::")
    text, functions = names_in(file)
    assert not test or test in functions, f"tests/{file} has no {test}"
    said = re.search(rf"(?i)(?<![a-z0-9]){setting.name}(?![a-z0-9])", text.replace("__", " "))
    assert said, f"tests/{file} does not speak of {setting.name}"


@pytest.mark.parametrize(
    "setting", [one for one in ALL if one.proof.startswith(tool.NONE)], ids=lambda one: f"{one.section}.{one.name}"
)
def test_what_does_nothing_is_read_by_nobody(setting: Any) -> None:
    """A setting that has come to count must not be told to do nothing: no module reads such a field of its class."""
    wanted = re.compile(rf"settings?(?:\.\w+)*\.{setting.name}\b|found\.{setting.name}\b")
    known = {"pipeline_name", "run_id", "pool_type", "credentials"}  # names that stand for something else elsewhere
    if setting.name in known:
        return
    readers = [
        path.name
        for path in (ROOT / "src").rglob("*.py")
        if path.parent.name != "config" and wanted.search(path.read_text())
    ]
    assert readers == []


def test_no_class_is_forgotten() -> None:
    """Every configuration class with fields of its own is on the page; credentials of clouds are on that of files."""
    import headrace.extract.incremental.settings

    shown = {spec for _, _, specs in tool.SECTIONS for spec in specs}
    bases = {base for spec in shown for base in spec.__mro__}

    def below(cls: type) -> set[type]:
        return {one for sub in cls.__subclasses__() for one in (sub, *below(sub))}

    others = {
        spec.__name__
        for spec in below(BaseConfiguration) - shown - bases
        if spec.__module__.startswith("headrace.") and fields_of(spec)
    }
    # of code alone: hints of sources, the mapping of incremental; keys of clouds
    clouds = ("Aws", "Azure", "Gcp", "OAuth2", "SFTP", "Hf")
    left = {name for name in others if not name.startswith(clouds) and "Factory" not in name}
    assert left <= {"Incremental", "Settings", "ItemsNormalizerConfiguration"}, left
    assert headrace.extract.incremental.settings
