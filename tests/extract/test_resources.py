"""What resources are made of, how they take arguments, how they are piped and copied."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import headrace as hr
from headrace.errors.extract import (
    InvalidParallelResourceDataType,
    InvalidParentResourceDataType,
    InvalidParentResourceIsAFunction,
    InvalidResourceDataType,
    InvalidResourceDataTypeBasic,
    InvalidResourceReturnsResource,
    InvalidTransformerDataTypeGeneratorFunctionRequired,
    InvalidTransformerGeneratorFunction,
    ParametrizedResourceUnbound,
    PipeGenInvalid,
    PipeNotBoundToData,
    ResourceExtractionError,
    ResourceNameMissing,
    ResourceNotATransformer,
)
from headrace.sources import DltResource


def numbers(n: int = 3) -> Iterator[dict[str, int]]:
    for i in range(n):
        yield {"i": i}


def give(item: Any) -> Any:
    return item


async def slowly() -> AsyncIterator[dict[str, int]]:
    for i in range(3):
        await asyncio.sleep(0)
        yield {"i": i}


async def at_once() -> list[dict[str, int]]:
    return [{"i": 0}, {"i": 1}, {"i": 2}]


@pytest.mark.parametrize(
    "data",
    [
        [{"i": 0}, {"i": 1}, {"i": 2}],
        numbers,
        numbers(),
        iter(list(numbers())),
        lambda: [{"i": 0}, [{"i": 1}, {"i": 2}]],
        lambda: (n for n in numbers()),
        lambda: [numbers()],
        slowly,
        at_once,
        lambda: [slowly()],
        lambda: [at_once()],
        lambda: [lambda: [{"i": 0}, {"i": 1}, {"i": 2}]],
        tuple(numbers()),
    ],
)
def test_any_data_gives_its_items(data: Any) -> None:
    assert list(hr.resource(data, name="items")) == [{"i": 0}, {"i": 1}, {"i": 2}]


def test_async_generator_and_coroutine_objects() -> None:
    assert list(hr.resource(slowly(), name="a")) == list(numbers())
    assert list(hr.resource(at_once(), name="a")) == list(numbers())


def test_frames_and_arrow_are_one_item() -> None:
    for frame in (pd.DataFrame({"a": [1]}), pa.table({"a": [1]})):
        assert next(iter(hr.resource(frame, name="x"))) is frame
        assert next(iter(hr.resource(functools.partial(give, frame), name="x"))) is frame


def test_odd_items_pass_as_they_are() -> None:
    point = collections.namedtuple("point", "x y")(1, 2)
    made = dataclasses.make_dataclass("made", ["x"])(1)
    items = [1, "a", None, (1, 2), {1}, point, made, b"x", range(2)]
    assert list(hr.resource(items, name="x")) == [1, "a", (1, 2), {1}, point, made, b"x", range(2)]


def test_a_function_that_returns_one_document_gives_one_item() -> None:
    assert list(hr.resource(lambda: {"a": 1}, name="x")) == [{"a": 1}]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"a": 1}, InvalidResourceDataTypeBasic),
        ("text", InvalidResourceDataTypeBasic),
        (5, InvalidResourceDataType),
    ],
)
def test_data_that_is_no_stream_is_refused(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        hr.resource(data, name="x")


def test_data_without_a_name_is_refused() -> None:
    with pytest.raises(ResourceNameMissing):
        hr.resource([1])


@pytest.mark.parametrize("value", [None, 1, "text"])
def test_a_function_must_give_something_to_iterate(value: Any) -> None:
    with pytest.raises(PipeGenInvalid):
        list(hr.resource(lambda: value, name="x"))


def test_names_come_from_functions_and_generators() -> None:
    assert hr.resource(numbers).name == "numbers"
    assert hr.resource(numbers()).name == "numbers"
    assert hr.resource(numbers, name="other").name == "other"


def test_a_resource_of_a_resource_is_itself() -> None:
    made = hr.resource(numbers)
    assert hr.resource(made, name="x") is made


def test_functions_can_be_read_again_and_generators_cannot() -> None:
    assert list(hr.resource(numbers)) == list(hr.resource(numbers))
    once = hr.resource(numbers())
    assert list(once) == list(numbers())
    assert list(once) == []


def test_resources_look_like_their_functions() -> None:
    @hr.resource
    def users(page: int = 1) -> Iterator[Any]:
        """All users."""
        yield page

    assert users.__name__ == "users"
    assert users.__doc__ == "All users."
    assert str(inspect.signature(users)).startswith("(page: 'int' = 1)")


class TestArguments:
    def test_a_call_gives_a_bound_copy(self) -> None:
        made = hr.resource(lambda x, y=2: [{"x": x, "y": y}], name="p")
        bound = made(1)
        assert list(bound) == [{"x": 1, "y": 2}]
        assert (made.args_bound, made.requires_args) == (False, True)
        assert (bound.args_bound, bound.requires_args, bound.explicit_args) == (True, False, {"x": 1})

    def test_bind_changes_the_resource_itself(self) -> None:
        made = hr.resource(lambda x: [x], name="p")
        assert made.bind(5) is made
        assert list(made) == [5]

    def test_a_second_call_is_refused(self) -> None:
        with pytest.raises(TypeError):
            hr.resource(numbers)(1)(2)
        with pytest.raises(TypeError):
            hr.resource([1], name="x")()

    def test_wrong_arguments_are_refused_at_once(self) -> None:
        with pytest.raises(TypeError):
            hr.resource(numbers)(wrong=1)

    def test_missing_arguments_are_named(self) -> None:
        with pytest.raises(ParametrizedResourceUnbound, match="x"):
            list(hr.resource(lambda x: [x], name="p"))

    def test_a_name_can_be_computed_from_arguments(self) -> None:
        @hr.resource(name=lambda args: f"events_{args['kind']}")
        def events(kind: str) -> Iterator[Any]:
            yield {"kind": kind}

        assert events.name == "events"
        assert events("x").name == "events_x"
        assert list(events("x")) == [{"kind": "x"}]

    def test_a_function_may_return_the_resource(self) -> None:
        @hr.resource(primary_key="id")
        def chosen(n: int) -> DltResource:  # type: ignore[type-arg]
            return hr.resource(numbers, name=f"r{n}")(n)

        made = chosen(2)
        assert made.name == "r2"
        assert list(made) == [{"i": 0}, {"i": 1}]
        assert made.compute_table_schema()["columns"]["id"]["primary_key"]


class TestPiping:
    def test_items_flow_into_transformers(self) -> None:
        @hr.transformer
        def twice(item: Any) -> Iterator[Any]:
            yield item
            yield item

        assert list(hr.resource([1, 2], name="a") | twice) == [1, 1, 2, 2]

    def test_pages_flow_as_pages(self) -> None:
        count = hr.transformer(lambda page: {"n": len(page)}, name="count")
        assert list(hr.resource([[1, 2], [3]], name="a") | count) == [{"n": 2}, {"n": 1}]

    def test_plain_data_and_functions_in_pipes(self) -> None:
        inc = hr.transformer(lambda i: i + 1, name="inc")
        assert list([1, 2] | inc) == [2, 3]
        assert list(hr.resource([1], name="a") | (lambda i: i * 10)) == [10]

    def test_chains_and_arguments(self) -> None:
        a = hr.resource([1, 2], name="a")
        add = hr.transformer(lambda i, n: i + n, name="add", data_from=a)
        more = hr.transformer(lambda i, n=1: (i * n for _ in range(2)), name="more")
        assert list(add(10) | more(2)) == [22, 22, 24, 24]

    def test_transformers_may_be_methods_of_every_kind(self) -> None:
        async def later(item: int) -> dict[str, int]:
            return {"later": item}

        async def stream(item: int) -> AsyncIterator[int]:
            yield item
            yield -item

        a = hr.resource([1, 2], name="a")
        assert sorted(i["later"] for i in a | hr.transformer(later)) == [1, 2]
        assert sorted(a | hr.transformer(stream)) == [-2, -1, 1, 2]
        assert sorted(a | hr.transformer(hr.defer(lambda i: i), name="d")) == [1, 2]

    def test_transformers_get_the_mark(self) -> None:
        t = hr.transformer(lambda item, meta: {"table": meta.table_name}, name="t")
        assert list(hr.resource([hr.mark.with_table_name({}, "x")], name="a") | t) == [{"table": "x"}]

    def test_what_cannot_be_piped(self) -> None:
        a = hr.resource([1], name="a")
        with pytest.raises(ResourceNotATransformer):
            a | hr.resource(numbers)
        with pytest.raises(InvalidTransformerDataTypeGeneratorFunctionRequired):
            hr.transformer([1], name="x")
        with pytest.raises(InvalidTransformerGeneratorFunction):
            hr.transformer(lambda: 1, name="x")
        with pytest.raises(InvalidParentResourceDataType):
            hr.transformer(lambda i: i, name="x", data_from=5)
        with pytest.raises(InvalidParentResourceIsAFunction):
            hr.transformer(lambda i: i, name="x", data_from=numbers)
        with pytest.raises(PipeNotBoundToData):
            list(hr.transformer(lambda i: i, name="x"))
        with pytest.raises(ParametrizedResourceUnbound):
            list(a | hr.transformer(lambda i, n: i, name="x"))

    def test_a_yielded_resource_is_refused(self) -> None:
        inner = hr.resource(numbers)
        with pytest.raises(InvalidResourceReturnsResource):
            list(hr.resource(lambda: [inner], name="x"))

    def test_a_shared_resource_is_read_once_for_all(self) -> None:
        reads = []

        def counted() -> Iterator[int]:
            reads.append(1)
            yield from (1, 2)

        @hr.source
        def s() -> Any:
            a = hr.resource(counted, name="a")
            return a, a | hr.transformer(lambda i: i, name="b"), a | hr.transformer(lambda i: i, name="c")

        assert sorted(s()) == [1, 1, 1, 2, 2, 2]
        assert reads == [1]


class TestCopies:
    def test_with_name_is_another_resource(self) -> None:
        a = hr.resource(numbers, name="a")
        b = a.with_name("b", "elsewhere")
        b.add_map(lambda i: {"b": i})
        b.apply_hints(columns={"x": {"data_type": "text"}})
        assert (a.name, b.name, b.table_name, b.section) == ("a", "b", "b", "elsewhere")
        assert list(a) == list(numbers())
        assert a.columns == {}

    def test_a_set_table_name_survives(self) -> None:
        assert hr.resource([1], name="a", table_name="t").with_name("b").table_name == "t"

    def test_a_class_of_ones_own(self) -> None:
        class Mine(DltResource):  # type: ignore[type-arg]
            pass

        made = hr.resource(numbers, _impl_cls=Mine)
        assert isinstance(made, Mine)
        assert isinstance(made(1).with_name("x"), Mine)


def test_parallelizing_data_is_refused() -> None:
    with pytest.raises(InvalidParallelResourceDataType):
        hr.resource([1], name="x", parallelized=True)


class TestErrors:
    @pytest.mark.parametrize(
        ("made", "kind"),
        [
            (lambda boom: hr.resource(lambda: (boom() for _ in "x"), name="r"), "generator"),
            (lambda boom: hr.resource(boom, name="r"), "function"),
            (lambda boom: hr.resource([1], name="r").add_map(lambda i: boom()), "transform"),
            (lambda boom: hr.resource(lambda: [hr.defer(boom)()], name="r"), "future"),
            (lambda boom: hr.resource(lambda: iter([iter(lambda: boom(), 1)]), name="r"), "generator"),
        ],
    )
    def test_errors_name_the_resource_and_keep_the_cause(self, made: Any, kind: str) -> None:
        def boom() -> None:
            raise KeyError("mine")

        with pytest.raises(ResourceExtractionError) as caught:
            list(made(boom))
        assert (caught.value.pipe_name, caught.value.kind) == ("r", kind)
        assert isinstance(caught.value.__cause__, KeyError)

    def test_generators_are_closed_when_reading_stops(self) -> None:
        closed = []

        def tidy() -> Iterator[int]:
            try:
                yield from range(10)
            finally:
                closed.append(1)

        for _ in hr.resource(tidy):
            break
        assert closed == [1]
