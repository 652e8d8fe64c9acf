"""Arguments of functions are filled from the configuration."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from typing import Any

import pytest

from headrace.config import (
    BaseConfiguration,
    ConfigSectionContext,
    CredentialsConfiguration,
    TSecretStrValue,
    config_section_context,
    configspec,
    create_resolved_partial,
    get_fun_spec,
    get_orig_args,
    inject_section,
    last_config,
    resolve_configuration,
    with_config,
)
from headrace.config import config as dlt_config
from headrace.config import secrets as dlt_secrets
from headrace.config.current import get_pipeline_name, pipeline_name_scope, resolved_traces, set_pipeline_name
from headrace.errors.config import ConfigFieldMissingException, InvalidNativeValue


@configspec
class Login(CredentialsConfiguration):
    user: str = None
    password: TSecretStrValue = None

    def parse_native_representation(self, native_value: Any) -> None:
        if not isinstance(native_value, str) or not native_value.startswith("login:"):
            raise ValueError(native_value)
        self.user, _, self.password = native_value[6:].partition("/")


@configspec
class Page(BaseConfiguration):
    size: int = None
    start: int = 0


class Engine:
    pass


def every_kind(
    a,
    b=dlt_config.value,
    c: int = dlt_secrets.value,
    d=5,
    e: str = None,  # noqa: RUF013  as users write it
    f=None,
    *,
    g: float = 1.0,
    h: Login = dlt_secrets.value,
    i: Login = None,
    j: Login | None = None,
    k: Login | Engine | str = dlt_secrets.value,
    m: int = 3,
    engine: Engine = None,
):
    return locals()


def test_the_configuration_class_of_a_function_is_that_of_dlt() -> None:
    spec = get_fun_spec(with_config(every_kind))
    assert spec.__name__ == "EveryKindConfiguration"
    assert [(f.name, f.default) for f in dataclasses.fields(spec)] == [
        ("b", None),
        ("c", None),
        ("d", 5),
        ("e", None),
        ("f", None),
        ("g", 1.0),
        ("h", None),
        ("i", None),
        ("j", None),
        ("k", None),
        ("m", 3),
    ]


def test_arguments_left_out_are_looked_up_and_given_ones_are_not(monkeypatch) -> None:
    for name, value in {"S1__B": "bv", "C": "7", "S1__S2__D": "9", "E": "ee", "F": "ff", "A": "AAA", "M": "4"}.items():
        monkeypatch.setenv(name, value)
    function = with_config(every_kind, sections=("s1", "s2"))
    found = function(1, h="login:a/b", k="login:c/d")
    assert {n: v for n, v in found.items() if n in "abcdefgijm"} == {
        "a": 1,
        "b": "bv",
        "c": 7,
        "d": 9,
        "e": "ee",
        "f": "ff",
        "g": 1.0,
        "i": None,
        "j": None,
        "m": 4,
    }
    assert (found["h"].user, found["k"].password, found["engine"]) == ("a", "d", None)
    found = function(1, dlt_config.value, d=5, e=None, h={"user": "x", "password": "y"}, k=(engine := Engine()))
    assert (found["b"], found["d"], found["e"], found["h"].user) == ("bv", 5, None, "x")
    assert found["k"] is engine
    assert function(1, h="login:a/b", k="no login")["k"] == "no login"
    with pytest.raises(InvalidNativeValue):
        function(1, h="no login", k="x")
    with pytest.raises(TypeError, match="'a'"):
        function(h="login:a/b", k="login:c/d")


def test_none_for_what_must_be_found_is_an_error(monkeypatch) -> None:
    monkeypatch.setenv("KEY", "v")

    @with_config
    def load(key=dlt_config.value):
        return key

    assert load() == "v" and load("given") == "given"
    with pytest.raises(ConfigFieldMissingException) as raised:
        load(None)
    assert raised.value.fields == ["key"]
    assert "load" in str(raised.value).splitlines()[0]


def test_a_function_without_defaults_is_returned_as_it_is() -> None:
    def plain(a, *rest, b, **more):
        return a

    assert with_config(plain) is plain
    assert list(get_fun_spec(plain).get_resolvable_fields()) == []


def test_wrapped_functions_look_like_the_original() -> None:
    wrapped = with_config(every_kind)
    assert wrapped.__name__ == "every_kind" and inspect.signature(wrapped) == inspect.signature(every_kind)


def test_positional_only_and_star_arguments_work(monkeypatch) -> None:
    monkeypatch.setenv("B", "2")
    monkeypatch.setenv("D", "4")

    @with_config
    def odd(a, b: int = 1, /, c=3, *rest, d: int = 0, **more):
        return a, b, c, rest, d, more

    assert odd(1) == (1, 2, 3, (), 4, {})
    assert odd(1, 9, 8, 7, x=5) == (1, 9, 8, (7,), 4, {"x": 5})


def test_injection_kwargs_receive_configuration_and_original_arguments(monkeypatch) -> None:
    monkeypatch.setenv("S1__A", "av")

    @with_config(sections="s1")
    def load(a=dlt_config.value, **injection_kwargs):
        return last_config(**injection_kwargs), get_orig_args(**injection_kwargs), injection_kwargs["z"]

    config, original, z = load(z=1)
    assert (config.a, original, z) == ("av", ((), {"z": 1}), 1)


def test_a_given_class_is_resolved_and_handed_over(monkeypatch) -> None:
    monkeypatch.setenv("S1__SIZE", "3")

    @with_config(spec=Page, sections=("s1",))
    def by_name(size=None, start=9, **kwargs):
        return size, start, kwargs

    @with_config(spec=Page, sections=("s1",))
    def whole(page: Page = None, **injection_kwargs):
        return page, injection_kwargs["size"]

    assert by_name() == (3, 0, {})
    assert whole() == (Page(3), 3)
    ready = resolve_configuration(Page(8))
    assert whole(ready)[0] is ready


def test_a_base_class_adds_fields(monkeypatch) -> None:
    monkeypatch.setenv("SIZE", "3")

    @with_config(base=Page)
    def load(key="k", **injection_kwargs):
        return key, injection_kwargs["size"]

    assert load() == ("k", 3)


def test_a_section_can_be_an_argument(monkeypatch) -> None:
    monkeypatch.setenv("PIPELINES__ONE__X", "1")

    @with_config(sections=("pipelines",), section_arg_name="name")
    def load(name, x: int = 0):
        return x

    assert (load("one"), load("two"), load(name="one")) == (1, 0, 1)


def test_partial_and_initial_configurations(monkeypatch) -> None:
    @with_config(accept_partial=True)
    def partial(a=dlt_config.value):
        return a

    assert partial() is None

    @with_config(spec=Page, initial_config=Page(size=4))
    def with_initial(size=None):
        return size

    assert with_initial() == 4


def test_defaults_can_be_kept_from_the_configuration(monkeypatch) -> None:
    monkeypatch.setenv("A", "1")
    monkeypatch.setenv("B", "2")

    @with_config(include_defaults=False)
    def load(a=dlt_config.value, b="default"):
        return a, b

    assert load() == ("1", "default")


def test_the_path_around_the_caller_counts_and_merge_styles_differ(monkeypatch) -> None:
    for name in ("SOURCES__OUTER__RES__X", "SOURCES__INNER__RES__X", "SOURCES__OUTER__SRC__X"):
        monkeypatch.setenv(name, name)
    path = ("sources", "inner", "res")

    def look(x=dlt_config.value):
        return x

    incoming = with_config(look, sections=path)
    existing = with_config(look, sections=path, sections_merge_style=ConfigSectionContext.prefer_existing)
    resource = with_config(look, sections=path, sections_merge_style=ConfigSectionContext.resource_merge_style)
    nowhere = with_config(look)
    assert resource() == "SOURCES__INNER__RES__X"
    with config_section_context("sources", "outer", "src"):
        assert incoming() == "SOURCES__INNER__RES__X"
        assert existing() == nowhere() == "SOURCES__OUTER__SRC__X"
        assert resource() == "SOURCES__OUTER__RES__X"


def test_contexts_of_threads_are_apart() -> None:
    seen: dict[str, Any] = {}

    def work(name: str, ready: threading.Barrier) -> None:
        with pipeline_name_scope(name), inject_section(ConfigSectionContext(None, ("sources", name))):
            ready.wait(60)
            from headrace.config.sections import current_sections

            seen[name] = (get_pipeline_name(), current_sections().sections)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=work, args=(f"p{n}", barrier)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {f"p{n}": (f"p{n}", ("sources", f"p{n}")) for n in range(4)}


def test_a_thread_without_a_pipeline_of_its_own_sees_that_of_the_program() -> None:
    set_pipeline_name("main")
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(get_pipeline_name()))
    thread.start()
    thread.join()
    assert seen == ["main"]


def test_a_function_can_be_bound_to_values_found_now(monkeypatch) -> None:
    monkeypatch.setenv("KEY", "first")

    @with_config
    def load(item, key=dlt_config.value):
        return item, key

    bound = create_resolved_partial(load)
    monkeypatch.setenv("KEY", "second")
    assert (bound(1), load(1), bound(1, key="given")) == ((1, "first"), (1, "second"), (1, "given"))


def test_annotations_as_text_may_name_local_classes() -> None:
    @configspec
    class Local(BaseConfiguration):
        a: int = 1

    @with_config
    def load(local: Local = None, other: Local | None = None):
        return local

    assert load() == Local(1)


def test_found_values_are_noted_without_secrets(monkeypatch) -> None:
    monkeypatch.setenv("S__USER", "me")
    monkeypatch.setenv("S__KEY", "hunter2")

    @with_config(sections=("s",))
    def load(user="nobody", key=dlt_secrets.value, size=3):
        return None

    load()
    notes = {t.key: t for t in resolved_traces()}
    assert set(notes) == {"user", "key"}
    assert (notes["user"].value, notes["user"].default_value, notes["user"].found_at) == ("me", "nobody", "S__USER")
    assert notes["key"].is_secret and "hunter2" not in repr(notes)
    assert notes["user"].sections == ("s",) and notes["user"].provider_name == "Environment Variables"


def test_incremental_like_generic_configurations_are_filled(monkeypatch) -> None:
    """An argument whose default is a configuration object is looked up below the argument's name."""
    from typing import Generic, TypeVar

    T = TypeVar("T")

    @configspec
    class Cursor(BaseConfiguration, Generic[T]):
        path: str = None
        initial_value: Any | None = None

    monkeypatch.setenv("UPDATED__INITIAL_VALUE", "2024")

    @with_config
    def by_default(updated=Cursor("updated_at")):
        return updated

    @with_config
    def by_hint(updated: Cursor[int] = Cursor("updated_at", 5)):
        return updated

    for function in (by_default, by_hint):
        assert (function().path, function().initial_value) == ("updated_at", "2024")
        assert function(Cursor("other")).path == "other"
