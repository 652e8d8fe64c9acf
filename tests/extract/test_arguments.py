"""Arguments from the configuration, and incrementals among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import pytest

import headrace as hr
from headrace.errors.config import ConfigFieldMissingException
from headrace.errors.extract import ParametrizedResourceUnbound
from tests.extract.fakes import run

incremental = hr.sources.incremental
SECTION = "SOURCES__TEST_ARGUMENTS"


@hr.resource
def plain(key: str = hr.config.value, other: int = 5) -> Iterator[Any]:
    yield {"key": key, "other": other}


@hr.source
def shop(key: str = hr.config.value) -> Any:
    @hr.resource
    def inner(given: str = key, key: str = hr.config.value) -> Iterator[Any]:
        yield {"given": given, "key": key}

    return plain, inner


class TestConfiguration:
    @pytest.fixture(autouse=True)
    def _values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{SECTION}__KEY", "section")
        monkeypatch.setenv(f"{SECTION}__PLAIN__KEY", "plain")
        monkeypatch.setenv(f"{SECTION}__SHOP__KEY", "shop")
        monkeypatch.setenv(f"{SECTION}__PLAIN__OTHER", "7")

    def test_resources_and_sources_find_theirs(self) -> None:
        assert list(plain) == [{"key": "plain", "other": 7}]
        assert list(shop()) == [{"key": "plain", "other": 7}, {"given": "shop", "key": "section"}]

    def test_explicit_arguments_win(self) -> None:
        assert list(plain("me", other=1)) == [{"key": "me", "other": 1}]
        assert list(shop("me"))[1] == {"given": "me", "key": "section"}

    def test_resources_in_a_source_look_in_its_section(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCES__ELSEWHERE__PLAIN__KEY", "elsewhere")
        assert next(iter(hr.source(lambda: plain, name="s", section="elsewhere")()))["key"] == "elsewhere"

    def test_resources_on_their_own_keep_their_section(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCES__ELSEWHERE__PLAIN__KEY", "elsewhere")
        other = plain.with_name("renamed", "elsewhere")
        monkeypatch.setenv("SOURCES__ELSEWHERE__RENAMED__KEY", "renamed")
        assert run([plain, other]).rows == {
            "plain": [{"key": "plain", "other": 7}],
            "renamed": [{"key": "renamed", "other": 5}],
        }

    def test_transformers_find_theirs_once_for_all_items(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @hr.transformer
        def times(item: int, factor: int = hr.config.value, meta: Any = None) -> int:
            monkeypatch.delenv(f"{SECTION}__TIMES__FACTOR", raising=False)
            return item * factor

        monkeypatch.setenv(f"{SECTION}__TIMES__FACTOR", "3")
        assert list(hr.resource([1, 2, 3], name="a") | times) == [3, 6, 9]

    def test_what_is_missing_is_said_before_anything_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(f"{SECTION}__KEY")
        monkeypatch.delenv(f"{SECTION}__PLAIN__KEY")
        started: list[int] = []
        first = hr.resource(lambda: started.append(1) or [1], name="first")
        with pytest.raises(ConfigFieldMissingException):
            list(hr.source(lambda: (first, plain), name="s")())
        assert started == []


def rows() -> list[Any]:
    return [{"id": 1, "u": 1}, {"id": 2, "u": 2}, {"id": 3, "u": 3}]


@hr.resource(primary_key="id")
def changed(u: Any = incremental("u", initial_value=1)) -> Iterator[Any]:
    yield from rows()


def ids(data: Any, state: dict[str, Any] | None = None) -> list[int]:
    return [r["id"] for table in run(data, state=state).rows.values() for r in table]


class TestIncremental:
    def test_as_a_default(self) -> None:
        state: dict[str, Any] = {}
        assert ids(changed, state) == [1, 2, 3]
        assert ids(changed, state) == []
        cursor = state["sources"]["shop"]["resources"]["changed"]["incremental"]["u"]
        assert cursor["last_value"] == 3

    def test_explicit_values_and_instances(self) -> None:
        assert ids(changed(2)) == [2, 3]
        assert ids(changed(incremental(initial_value=3))) == [3]
        assert ids(changed(incremental("id", initial_value=2))) == [2, 3]

    def test_a_hint_wins_over_arguments(self) -> None:
        made = changed(1)
        made.apply_hints(incremental=incremental("id", initial_value=3))
        assert ids(made) == [3]
        made.set_incremental(None)
        assert ids(made) == [1, 2, 3]

    def test_from_the_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @hr.resource
        def typed(u: incremental[int] = incremental("u", initial_value=1)) -> Iterator[Any]:
            yield from rows()

        monkeypatch.setenv(f"{SECTION}__TYPED__U__INITIAL_VALUE", "3")
        assert ids(typed) == [3]

    def test_as_an_annotation(self) -> None:
        @hr.resource
        def needs(u: incremental[int]) -> Iterator[Any]:
            yield from rows()

        @hr.resource
        def may(u: Optional[incremental[int]] = None) -> Iterator[Any]:  # noqa: UP045 - the old spelling is common
            yield {"id": 0 if u is None else 1, "u": 9}

        assert ids(needs(incremental("u", initial_value=2))) == [2, 3]
        with pytest.raises(ParametrizedResourceUnbound):
            ids(needs)
        with pytest.raises(ValueError, match="Optional"):
            ids(needs(None))
        assert ids(may) == [0]
        assert ids(may(incremental("u"))) == [1]

    def test_on_plain_data_and_as_a_step(self) -> None:
        assert ids(hr.resource(rows(), name="x", incremental=incremental("u", initial_value=3))) == [3]
        assert ids(hr.resource(rows(), name="x").add_step(incremental("u", initial_value=3))) == [3]
        assert ids(hr.resource(rows(), name="x", incremental={"cursor_path": "u", "initial_value": 3})) == [3]

    def test_it_stands_behind_maps_and_before_the_limit(self) -> None:
        made = changed(30).add_limit(1).add_map(lambda r: {**r, "u": r["u"] * 10})
        assert ids(made) == [3]

    def test_the_function_sees_the_cursor_move(self) -> None:
        seen: list[Any] = []

        @hr.resource
        def looks(u: Any = incremental("u", initial_value=0)) -> Iterator[Any]:
            for row in rows():
                seen.append((u.start_value, u.last_value))
                yield row

        ids(looks)
        assert seen == [(0, 0), (0, 1), (0, 2)]

    def test_rows_in_descending_order_end_the_reading(self) -> None:
        asked: list[int] = []

        def descending() -> Iterator[Any]:
            for row in reversed(rows()):
                asked.append(row["id"])
                yield row

        made = hr.resource(descending, incremental=incremental("u", initial_value=3, row_order="desc"))
        assert ids(made) == [3]
        assert asked == [3, 2]

    def test_replace_starts_over(self) -> None:
        state: dict[str, Any] = {}
        for _ in range(2):
            assert ids(changed().apply_hints(write_disposition="replace"), state) == [1, 2, 3]

    def test_copies_have_cursors_of_their_own(self) -> None:
        source = hr.source(lambda: (changed(1), changed(3).with_name("late")), name="s")
        got = run(source())
        assert {t: len(r) for t, r in got.rows.items()} == {"changed": 3, "late": 1}

    def test_before_a_transformer(self) -> None:
        t = changed(2) | hr.transformer(lambda r: {"id": r["id"] * 100}, name="t")
        assert ids(t) == [200, 300]

    def test_nothing_is_kept_when_reading_fails(self) -> None:
        state: dict[str, Any] = {}

        @hr.resource
        def fails(u: Any = incremental("u", initial_value=0)) -> Iterator[Any]:
            yield rows()[0]
            raise KeyError("no")

        with pytest.raises(Exception, match="no"):
            ids(fails, state)
        # the pipeline throws this state away; the hashes of rows at the edge are only written at the end
        assert (
            not state["sources"]["shop"]["resources"]["fails"].get("incremental", {}).get("u", {}).get("unique_hashes")
        )

    def test_the_resource_tells_of_its_cursor(self) -> None:
        assert changed.incremental.cursor_path == "u"
        assert changed.incremental.incremental.initial_value == 1
        assert hr.resource([1], name="x").incremental is None
