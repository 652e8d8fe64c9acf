"""Places are looked at in the order of dlt 1.31: the vectors in lookup_order.json were made by running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from headrace.config import (
    BaseConfiguration,
    ConfigSectionContext,
    CredentialsConfiguration,
    TSecretStrValue,
    configspec,
    inject_section,
    resolve_configuration,
    with_config,
)
from headrace.config import config as dlt_config
from headrace.config import secrets as dlt_secrets
from headrace.config.current import pipeline_name_scope, set_pipeline_name
from headrace.errors.config import ConfigFieldMissingException

VECTORS = json.loads((Path(__file__).parent / "lookup_order.json").read_text())
SECTIONS = {
    "none": (),
    "one": ("s1",),
    "three": ("s1", "s2", "s3"),
    "source": ("sources", "mymod", "shop"),
    "source_same": ("sources", "shop", "shop"),
    "source_two": ("sources", "shop"),
    "source_four": ("sources", "m", "n", "extract"),
    "destination": ("destination", "postgres"),
    "named": ("destination", "my_prod"),
}


@configspec
class Cred(CredentialsConfiguration):
    user: str = None
    password: TSecretStrValue = None


@configspec
class Plain(BaseConfiguration):
    a: int = None


@configspec
class Own(BaseConfiguration):
    a: int = None
    __section__: ClassVar[str] = "own"


@configspec
class Inner(BaseConfiguration):
    b: int = None
    credentials: Cred = None


@configspec
class Outer(BaseConfiguration):
    x: str = None
    inner: Inner = None
    other: Own = None


@configspec
class OuterOwn(BaseConfiguration):
    x: str = None
    inner: Inner = None
    __section__: ClassVar[str] = "outer"


@configspec
class Dest(BaseConfiguration):
    credentials: Cred = None


@configspec
class Choice(BaseConfiguration):
    credentials: Cred | Own = None


@with_config(sections=("sources", "mymod", "shop"))
def source(api_key=dlt_config.value, secret=dlt_secrets.value, creds: Cred = dlt_secrets.value):
    raise AssertionError


@with_config(sections=("sources", "mod", "items"), sections_merge_style=ConfigSectionContext.resource_merge_style)
def resource(page=dlt_config.value):
    raise AssertionError


@with_config(sections=("pp",), section_arg_name="name")
def named(name, p=dlt_config.value):
    raise AssertionError


@with_config
def bare(p=dlt_config.value):
    raise AssertionError


def tried(error: ConfigFieldMissingException) -> dict[str, list[str]]:
    return flat(error.traces)


def flat(traces: dict[str, Any], above: str = "") -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for field, of_field in traces.items():
        for trace in of_field:
            if hasattr(trace, "spec_name"):
                out.update(flat(trace.traces, f"{above}{field}[{trace.spec_name}]."))
            else:
                out.setdefault(above + field, []).append(trace.key)
    return out


@pytest.mark.parametrize("label", SECTIONS)
@pytest.mark.parametrize("spec", [Plain, Own, Outer, OuterOwn, Dest, Choice, Cred], ids=lambda s: s.__name__)
def test_configurations_look_where_dlt_looks(spec: type[BaseConfiguration], label: str) -> None:
    with pytest.raises(ConfigFieldMissingException) as raised:
        resolve_configuration(spec(), sections=SECTIONS[label])
    assert tried(raised.value) == VECTORS[f"{spec.__name__}@{label}"]


@pytest.mark.parametrize("label", SECTIONS)
@pytest.mark.parametrize("spec", [Plain, Own, Outer, OuterOwn, Dest, Choice, Cred], ids=lambda s: s.__name__)
def test_a_pipeline_name_adds_a_first_pass(spec: type[BaseConfiguration], label: str) -> None:
    context = ConfigSectionContext(pipeline_name="my_pipe", sections=SECTIONS[label])
    with inject_section(context), pytest.raises(ConfigFieldMissingException) as raised:
        resolve_configuration(spec())
    assert tried(raised.value) == VECTORS[f"{spec.__name__}@{label} in my_pipe"]


@pytest.mark.parametrize("label", ["source()", "resource()", "named()", "bare()"])
def test_functions_look_where_dlt_looks(label: str) -> None:
    call = {"source()": source, "resource()": resource, "named()": lambda: named("nm"), "bare()": bare}[label]
    with pytest.raises(ConfigFieldMissingException) as raised:
        call()
    assert tried(raised.value) == VECTORS[label]


@pytest.mark.parametrize("sections", [("sources", "mymod", "shop"), ("extract",), ("sources", "x")])
@pytest.mark.parametrize("function", [source, resource, bare], ids=lambda f: f.__name__)
def test_functions_in_a_context_look_where_dlt_looks(function: Any, sections: tuple[str, ...]) -> None:
    with inject_section(ConfigSectionContext("p", sections)), pytest.raises(ConfigFieldMissingException) as raised:
        function()
    assert tried(raised.value) == VECTORS[f"{function.__name__}() in {'.'.join(sections)}"]


def test_the_active_pipeline_is_the_outermost_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__MYMOD__SHOP__A", "1")
    monkeypatch.setenv("PIPE__A", "2")
    sections = SECTIONS["source"]
    assert resolve_configuration(Plain(), sections=sections).a == 1
    set_pipeline_name("pipe")
    assert resolve_configuration(Plain(), sections=sections).a == 2
    with pipeline_name_scope(None):
        assert resolve_configuration(Plain(), sections=sections).a == 1


def test_a_short_name_in_the_environment_beats_a_long_path_in_a_file(monkeypatch, write_toml) -> None:
    write_toml("config.toml", "[sources.mymod.shop]\na = 3\n")
    assert resolve_configuration(Plain(), sections=SECTIONS["source"]).a == 3
    monkeypatch.setenv("A", "4")
    assert resolve_configuration(Plain(), sections=SECTIONS["source"]).a == 4


def test_the_pipelines_pass_in_a_file_beats_the_environment_without_it(monkeypatch, write_toml) -> None:
    write_toml("config.toml", "[pipe]\na = 3\n")
    monkeypatch.setenv("SOURCES__MYMOD__SHOP__A", "4")
    set_pipeline_name("pipe")
    assert resolve_configuration(Plain(), sections=SECTIONS["source"]).a == 3


def test_secrets_file_beats_config_file(write_toml) -> None:
    write_toml("config.toml", "a = 3\n")
    write_toml("secrets.toml", "a = 5\n")
    assert resolve_configuration(Plain()).a == 5
