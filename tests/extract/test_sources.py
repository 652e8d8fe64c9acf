"""Sources: making them, choosing resources, copies, exhaustion, references."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.errors import ArgumentsOverloadException
from headrace.errors.extract import (
    CurrentSourceNotAvailable,
    CurrentSourceSchemaNotAvailable,
    DeletingResourcesNotSupported,
    InvalidResourceDataTypeMultiplePipes,
    PipelineStateNotAvailable,
    ResourceNameNotAvailable,
    ResourcesNotFoundError,
    SourceDataIsNone,
    SourceIsAClassTypeError,
    SourceNotAFunction,
    SourceSectionNotAvailable,
    UnknownSourceReference,
)
from headrace.model.schema import Schema
from headrace.sources import DltSource, SourceReference
from tests.extract.fakes import run


@hr.resource
def users() -> Iterator[Any]:
    yield {"id": 1}


@hr.transformer(data_from=users)
def details(user: Any) -> Iterator[Any]:
    yield {"of": user["id"]}


@hr.transformer(data_from=details)
def deep(detail: Any) -> Any:
    return detail


@hr.resource
def lone() -> Iterator[Any]:
    yield {"lone": 1}


@hr.source
def shop() -> Any:
    return users, details, lone


class TestMaking:
    def test_name_section_and_resources(self) -> None:
        source = shop()
        assert (source.name, source.section, source.schema.name) == ("shop", "test_sources", "shop")
        assert list(source.resources) == ["users", "details", "lone"]
        assert source.users.name == "users"
        with pytest.raises(AttributeError, match="details"):
            _ = source.nothing

    def test_the_source_has_copies(self) -> None:
        source = shop()
        assert source.users is not users
        assert source.details._pipe.parent is source.users._pipe
        source.users.add_map(lambda i: {**i, "mapped": True})
        assert list(users) == [{"id": 1}]
        assert list(source.users) == [{"id": 1, "mapped": True}]

    def test_generators_of_resources_and_plain_data(self) -> None:
        @hr.source
        def yields() -> Iterator[Any]:
            yield users
            yield lone

        assert list(yields().resources) == ["users", "lone"]
        named_like_the_source = hr.source(lambda: [{"a": 1}], name="plain")()
        assert list(named_like_the_source.resources) == ["plain"]
        assert list(named_like_the_source) == [{"a": 1}]

    def test_async_sources(self) -> None:
        @hr.source
        async def later() -> Any:
            await asyncio.sleep(0)
            return users

        assert list(asyncio.run(later()).resources) == ["users"]

    def test_objects_with_a_call(self) -> None:
        class Maker:
            def __call__(self, n: int = 2) -> Any:
                return hr.resource([1] * n, name="r")

        assert list(hr.source(Maker(), name="made")(3)) == [1, 1, 1]

    def test_what_is_no_source(self) -> None:
        with pytest.raises(SourceDataIsNone):
            hr.source(lambda: None, name="x")()
        with pytest.raises(SourceNotAFunction):
            hr.source(5)  # type: ignore[call-overload]
        with pytest.raises(SourceIsAClassTypeError):
            hr.source(type("K", (), {}))
        with pytest.raises(InvalidResourceDataTypeMultiplePipes):
            hr.source(lambda: (users, users().add_limit(1)), name="x")()
        with pytest.raises(ArgumentsOverloadException):
            hr.source(lambda: users, schema=Schema("a"), name="b")

    def test_settings_of_the_schema(self) -> None:
        source = hr.source(lambda: users, name="x", max_table_nesting=1, root_key=True, schema_contract="freeze")()
        assert (source.max_table_nesting, source.root_key, source.schema_contract) == (1, True, "freeze")
        assert source.schema.to_dict()["normalizers"]["json"]["config"] == {
            "max_nesting": 1,
            "root_key_propagation": True,
        }
        copy = source.clone()
        source.max_table_nesting, source.root_key = 3, False
        assert (source.max_table_nesting, source.root_key) == (3, False)
        assert (copy.max_table_nesting, copy.root_key) == (1, True)
        source.max_table_nesting = None
        assert source.max_table_nesting is None

    def test_an_explicit_schema(self) -> None:
        schema = Schema("given")
        source = hr.source(lambda: users, schema=schema)()
        assert source.name == "given"
        assert source.schema is not schema

    def test_a_schema_file_beside_the_module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        schema = Schema("beside")
        schema.update_table({"name": "t", "columns": {"a": {"name": "a", "data_type": "text"}}})
        from headrace.base import json

        (tmp_path / "beside.schema.json").write_bytes(json.dumpb(schema.to_dict()))
        (tmp_path / "beside_module.py").write_text(
            "import headrace as hr\n@hr.source\ndef beside():\n    return hr.resource([1], name='r')\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        import beside_module  # type: ignore[import-not-found]

        assert "t" in beside_module.beside().schema.tables

    def test_a_class_of_ones_own(self) -> None:
        class Mine(DltSource):  # type: ignore[type-arg]
            pass

        made = hr.source(lambda: users, name="x", _impl_cls=Mine)()
        assert isinstance(made, Mine)
        assert isinstance(made.with_resources("users"), Mine)


class TestFactories:
    def test_copies_with_other_options(self) -> None:
        other = shop.clone(name="other", section="elsewhere", max_table_nesting=2)
        source = other()
        assert (source.name, source.section, source.max_table_nesting) == ("other", "elsewhere", 2)
        assert shop().name == "shop"
        assert shop.with_args(parallelized=True)().users.parallelized
        with pytest.raises(TypeError, match="colour"):
            shop.clone(colour="red")

    def test_postprocessors(self) -> None:
        factory = shop.clone()
        factory.add_postprocessor(lambda source: source.with_resources("lone"))
        assert list(factory()) == [{"lone": 1}]
        assert len(shop().selected_resources) == 3

    def test_limits(self) -> None:
        factory = hr.source(lambda: hr.resource([1, 2, 3], name="r"), name="x").add_limit(2)
        assert list(factory()) == [1, 2]


class TestChoosing:
    def test_with_resources(self) -> None:
        source = shop()
        chosen = source.with_resources("details")
        assert list(chosen.selected_resources) == ["details"]
        assert len(source.selected_resources) == 3
        assert list(chosen) == [{"of": 1}]
        assert [r.name for r in chosen.resources.extracted] == ["details", "users"]
        with pytest.raises(ResourcesNotFoundError, match="nothing"):
            source.with_resources("nothing")

    def test_select_in_place(self) -> None:
        source = shop()
        assert list(source.resources.select("lone")) == ["lone"]
        source.users.selected = True
        assert list(source.resources.selected) == ["users", "lone"]

    def test_resources_that_start_unselected(self) -> None:
        quiet = hr.resource([1], name="quiet", selected=False)
        assert list(hr.source(lambda: [quiet, lone], name="x")()) == [{"lone": 1}]

    def test_add_and_detach(self) -> None:
        source = shop()
        source.resources.add(deep)
        assert source.deep._pipe.parent is source.details._pipe
        alone = source.resources.detach("users")
        assert alone is not source.users
        assert alone.source_name is None
        with pytest.raises(DeletingResourcesNotSupported):
            del source.resources["users"]
        with pytest.raises(ValueError, match="other"):
            source.resources["other"] = users
        source.users = users().add_map(lambda i: {"new": 1})
        assert list(source.users) == [{"new": 1}]

    def test_parents_outside_of_the_source_are_read_too(self) -> None:
        source = hr.source(lambda: deep, name="x")()
        assert list(source) == [{"of": 1}]
        assert [r.name for r in source.resources.extracted] == ["deep", "details", "users"]
        assert run(source).rows == {"deep": [{"of": 1}]}

    def test_decompose(self) -> None:
        parts = hr.source(lambda: (users, details, deep, lone), name="x")()
        assert [list(s.selected_resources) for s in parts.decompose("scc")] == [["users", "details", "deep"], ["lone"]]
        assert [list(s.selected_resources) for s in parts.with_resources("deep", "lone").decompose("none")] == [
            ["deep", "lone"]
        ]
        with pytest.raises(ValueError, match="strategy"):
            parts.decompose("other")

    def test_limits_and_threads_for_all(self) -> None:
        source = hr.source(lambda: (hr.resource([1, 2], name="a"), users), name="x")().add_limit(1)
        assert sorted(map(str, source)) == ["1", "{'id': 1}"]
        assert source.parallelize().users.parallelized

    def test_discover_schema(self) -> None:
        made = hr.resource(
            [], name="r", columns={"a": {"data_type": "text"}}, nested_hints={"n": {"columns": {"b": {}}}}
        )
        dynamic = hr.resource([], name="d", table_name=lambda i: i["k"])
        source = hr.source(lambda: (made, dynamic), name="x")()
        assert list(source.discover_schema().data_table_names(include_incomplete=True)) == ["r", "r__n"]
        assert "r" not in source.schema.tables
        assert "z" in source.with_resources("d").discover_schema({"k": "z"}).tables


def test_exhausted() -> None:
    source = hr.source(lambda: hr.resource((i for i in [1]), name="g"), name="x")()
    assert not source.exhausted
    assert list(source) == [1]
    assert source.exhausted
    again = shop()
    list(again)
    assert not again.exhausted


def test_copies_share_generators() -> None:
    source = hr.source(lambda: hr.resource((i for i in [1]), name="g"), name="x")()
    assert list(source.clone("y")) == [1]
    assert list(source) == []
    assert source.clone("y").name == "y"


class TestContext:
    def test_outside(self) -> None:
        for ask, error in [
            (hr.current.resource_name, ResourceNameNotAvailable),
            (hr.current.pipe, ResourceNameNotAvailable),
            (hr.current.source, CurrentSourceNotAvailable),
            (hr.current.resource, CurrentSourceNotAvailable),
            (hr.current.resource_metrics, CurrentSourceNotAvailable),
            (hr.current.source_state, SourceSectionNotAvailable),
            (hr.current.resource_state, SourceSectionNotAvailable),
            (hr.current.source_schema, CurrentSourceSchemaNotAvailable),
        ]:
            with pytest.raises(error):
                ask()
        with pytest.raises(PipelineStateNotAvailable):
            hr.current.source_state("x")

    def test_inside_a_source_function(self) -> None:
        found: list[Any] = []

        @hr.source
        def looks() -> Any:
            hr.current.source_state()["k"] = 1
            hr.current.source_schema().settings["mine"] = 2
            with pytest.raises(CurrentSourceNotAvailable):
                hr.current.source()
            found.append(hr.current.source_schema().name)
            return users

        assert looks().schema.settings["mine"] == 2
        assert found == ["looks"]

    def test_reading_without_a_pipeline_keeps_no_state(self) -> None:
        def counts() -> Iterator[Any]:
            state = hr.current.resource_state()
            state["n"] = state.get("n", 0) + 1
            yield state["n"]

        made = hr.resource(counts)
        assert list(made) == [1]
        assert list(made) == [1]
        assert made.state == {}

    def test_reading_does_not_leak_context_between_items(self) -> None:
        for _ in shop():
            with pytest.raises(ResourceNameNotAvailable):
                hr.current.resource_name()


class TestReferences:
    def test_by_module_and_function(self) -> None:
        assert SourceReference.from_reference(f"{__name__}.shop").name == "shop"
        made = SourceReference.from_reference(f"{__name__}.shop", name="other", section="s")
        assert (made.name, made.section) == ("other", "s")

    def test_functions_inside_of_functions_are_not_known(self) -> None:
        @hr.source
        def hidden() -> Any:
            return users

        assert hidden.ref is None
        with pytest.raises(UnknownSourceReference):
            SourceReference.from_reference(f"{__name__}.hidden")

    def test_resources_are_sources_too(self) -> None:
        source = SourceReference.from_reference(f"{__name__}.users")
        assert (source.name, list(source)) == ("users", [{"id": 1}])

    def test_a_package_named_sources(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "sources").mkdir()
        (tmp_path / "sources" / "mine.py").write_text(
            "import headrace as hr\n@hr.source\ndef mine(n=1):\n    return hr.resource([n], name='r')\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        sys.modules.pop("sources", None)
        assert list(SourceReference.from_reference("mine", source_kwargs={"n": 5})) == [5]

    def test_unknown_names_say_what_was_tried(self) -> None:
        with pytest.raises(UnknownSourceReference, match=r"headrace\.sources\.nothing\.nothing") as caught:
            SourceReference.find("nothing")
        assert isinstance(caught.value, KeyError)
