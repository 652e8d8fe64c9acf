"""What the stage puts into the schema and the sink."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import headrace as hr
from headrace.errors.extract import SourceExhausted
from headrace.errors.schema import DataValidationError
from headrace.extract.writer import CHUNK_ROWS
from headrace.model.events import Progress
from headrace.model.schema import Schema
from tests.extract.fakes import Run, run, seen


def rows(*items: Any, name: str = "items", **hints: Any) -> Any:
    return hr.resource(list(items), name=name, **hints)


class TestTables:
    def test_declared_columns_are_in_the_schema_under_normalized_names(self) -> None:
        got = run(rows({"a": 1}, name="My Items", columns={"User ID": {"data_type": "text"}}, primary_key="ID"))
        table = got.table("my_items")
        assert (table["resource"], list(table["columns"])) == ("My Items", ["user_id", "id"])
        assert got.rows == {"my_items": [{"a": 1}]}

    def test_a_resource_without_items_declares_nothing(self) -> None:
        got = run(rows(columns={"a": {"data_type": "text"}}))
        assert "items" not in got.schema.tables
        assert got.result.resource_rows == {}

    def test_an_empty_page_declares_the_table(self) -> None:
        got = run(rows([], columns={"a": {"data_type": "text"}}))
        assert got.table("items")["columns"].keys() == {"a"}
        assert got.sink.empty == []

    def test_materialize_makes_the_table(self) -> None:
        made = rows(hr.mark.materialize_table_schema(), columns={"a": {"data_type": "text"}}).add_map(lambda i: i)
        got = run(made)
        assert got.sink.empty == ["items"]
        assert got.result.resource_rows == {"items": 0}

    def test_a_new_key_set_replaces_the_old_one(self) -> None:
        schema = run(rows({}, primary_key="a")).schema
        run(rows({}, primary_key="b"), schema=schema)
        columns = schema.tables["items"]["columns"]
        assert not columns["a"].get("primary_key")
        assert columns["b"]["primary_key"]

    def test_marks_of_normalize_stay(self) -> None:
        schema = seen(run(rows({}, max_table_nesting=1)).schema, "items")
        run(rows({}, max_table_nesting=2), schema=schema)
        assert schema.tables["items"]["x-normalizer"] == {"max_nesting": 2, "seen-data": True}

    def test_nested_hints_make_tables_and_those_above_them(self) -> None:
        got = run(rows({}, nested_hints={("a", "b"): {"columns": {"c": {"data_type": "text"}}}}))
        assert got.table("items__a")["parent"] == "items"
        assert got.table("items__a__b")["parent"] == "items__a"

    def test_nesting_is_handed_on(self) -> None:
        @hr.source(max_table_nesting=3)
        def s() -> Any:
            return rows({}, name="a"), rows({}, name="b", max_table_nesting=0)

        assert run(s()).sink.nesting == {"a": 3, "b": 0}


class TestRouting:
    def test_function_of_the_item(self) -> None:
        got = run(
            rows(
                [{"k": "A b"}, {"k": "b"}],
                {"k": "A b"},
                {"k": "c"},
                table_name=lambda i: i["k"],
                columns=lambda i: {"c " + i["k"]: {"data_type": "text"}},
            )
        )
        assert {t: len(r) for t, r in got.rows.items()} == {"a_b": 2, "b": 1, "c": 1}
        assert got.result.table_rows == {"a_b": 2, "b": 1, "c": 1}
        assert got.result.resource_rows == {"items": 4}
        assert list(got.table("a_b")["columns"]) == ["c_a_b"]
        assert got.table("a_b")["resource"] == "items"

    def test_pages_are_split_in_order(self) -> None:
        items = [{"k": "ab"[i % 2], "i": i} for i in range(10)]
        got = run(rows(items, table_name=lambda i: i["k"]))
        assert [r["i"] for r in got.rows["a"]] == [0, 2, 4, 6, 8]
        assert got.sink.calls == 2

    def test_marks(self) -> None:
        mark = hr.mark

        def marks() -> Iterator[Any]:
            yield mark.with_table_name({"x": 1}, "Foo Bar")
            yield mark.with_table_name([{"x": 1}, {"x": 2}], "other")
            hints = mark.make_hints(table_name="hinted", columns={"q": {"data_type": "text"}}, primary_key="x")
            yield mark.with_hints({"x": 1}, hints)
            yield {"x": 3}
            variant = mark.make_hints(table_name="variant", columns={"v": {"data_type": "text"}})
            yield mark.with_hints({"x": 1}, variant, create_table_variant=True)
            yield {"x": 3}
            yield mark.with_table_name({"x": 2}, "variant")
            late = mark.make_hints(columns={"late": {"data_type": "text"}}, write_disposition="merge")
            yield mark.with_hints({"x": 1}, late)
            yield {"x": 4}

        got = run(hr.resource(marks))
        assert {t: len(r) for t, r in got.rows.items()} == {"foo_bar": 1, "other": 2, "hinted": 5, "variant": 2}
        assert list(got.table("hinted")["columns"]) == ["q", "x", "late"]
        assert got.table("hinted")["write_disposition"] == "merge"
        assert list(got.table("variant")["columns"]) == ["q", "v", "x"]
        assert got.table("variant")["write_disposition"] == "append"
        assert got.table("foo_bar")["columns"] == {}

    def test_the_function_may_change_the_hints_of_its_resource(self) -> None:
        def changes() -> Iterator[Any]:
            yield [{"a": 1}]
            hr.current.resource().apply_hints(table_name="second", columns={"x": {"data_type": "text"}})
            yield [{"a": 2}]

        got = run(hr.resource(changes))
        assert got.rows == {"changes": [{"a": 1}], "second": [{"a": 2}]}
        assert "x" in got.table("second")["columns"]

    def test_marked_rows_keep_their_order_and_come_in_pages(self) -> None:
        def many() -> Iterator[Any]:
            for i in range(2500):
                yield hr.mark.with_table_name({"i": i}, f"t{i % 2}")

        got = run(hr.resource(many))
        assert [r["i"] for r in got.rows["t0"]] == list(range(0, 2500, 2))
        assert got.sink.calls <= 2 * (1 + 1250 / CHUNK_ROWS)

    def test_tables_of_maps_behind_marks(self) -> None:
        got = run(rows(hr.mark.with_table_name({"a": 1}, "t")).add_map(lambda i: {**i, "b": 2}))
        assert got.rows == {"t": [{"a": 1, "b": 2}]}

    def test_files(self) -> None:
        got = run(
            hr.mark.with_file_import("/tmp/x.csv", "csv", 7, hints=hr.mark.make_hints(columns=[{"name": "a"}])),
            table_name="files",
        )
        assert got.sink.files == [("files", "/tmp/x.csv", "csv", 7)]
        assert got.result.table_rows == {"files": 7}
        frame = pa.table({"a": [1], "b": ["x"]})
        got = run(rows(hr.mark.with_file_import("/tmp/x.parquet", "parquet", 1, hints=frame)))
        assert got.table("items")["columns"]["a"]["data_type"] == "bigint"


class TestItems:
    def test_frames_of_every_make(self) -> None:
        table = pa.table({"a": [1, 2]})
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches() * 2)
        items = [table, table.to_batches()[0], pd.DataFrame({"a": [1]}), [table, table], reader]
        got = run(rows(*items))
        assert got.result.table_rows == {"items": 2 + 2 + 1 + 4 + 4}
        assert got.rows == {}

    def test_rows_and_frames_in_one_resource(self) -> None:
        got = run(rows({"a": 1}, pa.table({"a": [2]}), {"a": 3}))
        assert got.rows == {"items": [{"a": 1}, {"a": 3}]}
        assert len(got.sink.frames["items"]) == 1

    def test_single_documents_are_gathered(self) -> None:
        got = run(hr.resource(lambda: ({"i": i} for i in range(10_000)), name="items"))
        assert got.result.resource_rows == {"items": 10_000}
        assert got.sink.calls == 10_000 / CHUNK_ROWS

    def test_scalars_and_objects_are_rows(self) -> None:
        assert run(rows(1, "a", (1, 2))).rows == {"items": [1, "a", (1, 2)]}

    def test_only_selected_resources_are_written(self) -> None:
        @hr.source
        def s() -> Any:
            a = rows({"i": 1}, name="a")
            return a, a | hr.transformer(lambda i: {"t": i["i"]}, name="t"), rows({}, name="b")

        got = run(s().with_resources("t"))
        assert got.rows == {"t": [{"t": 1}]}
        assert got.result.dag == [("a", "a"), ("a", "t")] or got.result.dag == [("a", "t"), ("a", "a")]
        assert list(got.schema.data_table_names(include_incomplete=True)) == ["t"]


class TestContracts:
    def test_new_tables(self) -> None:
        with pytest.raises(DataValidationError):
            run(rows({"a": 1}, schema_contract={"tables": "freeze"}))
        got = run(rows({"a": 1}, {"a": 2}, schema_contract={"tables": "discard_row"}))
        assert got.rows == {}
        assert "items" not in got.schema.tables
        with pytest.raises(DataValidationError):
            run(rows({"a": 1}), schema_contract="freeze")

    @pytest.mark.parametrize("columns", [{"b": {"data_type": "text"}}, {"id": {"data_type": "text"}}])
    def test_declared_columns(self, columns: Any) -> None:
        def schema() -> Schema:
            return seen(run(rows({}, columns={"id": {"data_type": "bigint"}})).schema, "items")

        for mode in ("discard_value", "discard_row"):
            got = run(rows({}, columns=columns, schema_contract={"columns": mode, "data_type": mode}), schema=schema())
            assert got.table("items")["columns"] == {"id": {"name": "id", "data_type": "bigint"}}
        with pytest.raises(DataValidationError):
            contract = {"columns": "freeze", "data_type": "freeze"}
            run(rows({}, columns=columns, schema_contract=contract), schema=schema())

    def test_a_new_table_may_get_columns_from_its_first_rows(self) -> None:
        got = run(rows({}, schema_contract={"columns": "freeze"}))
        assert got.table("items")["x-normalizer"] == {"evolve-columns-once": True}
        assert "x-normalizer" not in run(rows({})).table("items")


class TestReplace:
    def before(self) -> Schema:
        names = rows({"k": "a"}, {"k": "b"}, table_name=lambda i: i["k"], write_disposition="replace")
        return seen(run(names).schema, "a", "b")

    def again(self, *items: Any) -> Run:
        made = rows(*items, table_name=lambda i: i["k"], write_disposition="replace")
        return run(made, schema=self.before())

    def test_tables_without_rows_are_emptied(self) -> None:
        assert self.again().sink.empty == ["a", "b"]
        assert self.again({"k": "a"}).sink.empty == ["b"]
        assert self.again().result.resource_rows == {"items": 0}

    def test_only_tables_that_ever_had_rows(self) -> None:
        schema = run(rows({}, write_disposition="replace")).schema
        assert run(rows(write_disposition="replace"), schema=schema).sink.empty == []

    def test_nested_tables_follow_their_root(self) -> None:
        schema = seen(run(rows({}, write_disposition="replace")).schema, "items")
        schema.update_table({"name": "items__a", "parent": "items", "columns": {}})
        seen(schema, "items__a") if False else schema.tables["items__a"].update({"x-normalizer": {"seen-data": True}})
        assert run(rows(write_disposition="replace"), schema=schema).sink.empty == ["items"]

    def test_appending_resources_are_left_alone(self) -> None:
        schema = seen(run(rows({})).schema, "items")
        assert run(rows(), schema=schema).sink.empty == []

    def test_a_resource_that_became_replace_is_emptied_as_such(self) -> None:
        schema = seen(run(rows({})).schema, "items")
        got = run(rows(write_disposition={"disposition": "replace"}), schema=schema)
        assert got.sink.empty == ["items"]
        assert got.table("items")["write_disposition"] == "replace"

    def test_state_starts_over(self) -> None:
        def counted() -> Iterator[Any]:
            state = hr.current.resource_state()
            state["n"] = state.get("n", 0) + 1
            hr.current.source_state()["all"] = hr.current.source_state().get("all", 0) + 1
            yield {"n": state["n"]}

        state: dict[str, Any] = {}
        for disposition, n in [("append", 1), ("append", 2), ("replace", 1), ("append", 2)]:
            got = run(hr.resource(counted, write_disposition=disposition), state=state)
            assert got.rows["counted"] == [{"n": n}]
        assert state["sources"]["shop"] == {"resources": {"counted": {"n": 2}}, "all": 4}


class TestFacts:
    def test_hints_are_plain_data(self) -> None:
        made = rows(
            {"k": 1}, table_name=lambda i: "x", columns={"a": {}}, primary_key="k", incremental={"cursor_path": "k"}
        )
        hints = run(made).result.hints["items"]
        assert hints["primary_key"] == "k"
        assert isinstance(hints["table_name"], str)
        assert hints["incremental"]["cursor_path"] == "k"

    def test_custom_metrics(self) -> None:
        def measured() -> Iterator[Any]:
            hr.current.resource_metrics()["calls"] = 3
            yield {"a": 1}

        assert run(hr.resource(measured)).result.custom_metrics == {"measured": {"calls": 3}}
        cursor = rows({"u": 1}, {"u": 2}, incremental=hr.sources.incremental("u", initial_value=2))
        (counts,) = run(cursor).result.custom_metrics["items"]["incremental"]
        assert counts["unfiltered_items_count"] == 2

    def test_places_the_items_come_from(self) -> None:
        made = rows({"a": 1}).add_input({"kind": "file", "path": "x"}).add_input({"kind": "file", "path": "x"})
        assert run(made).result.inputs == {"items": [{"kind": "file", "path": "x"}]}
        assert made.add_input({"kind": "table"}, replace=True).inputs == [{"kind": "table"}]

    def test_progress_counts_rows(self) -> None:
        events: list[Progress] = []
        run(hr.resource(lambda: ({"i": i} for i in range(25_000)), name="items"), publish=events.append)
        assert sum(e.inc for e in events if e.name == "items") == 25_000
        assert {e.total for e in events if e.name == "Resources"} == {1}

    def test_an_exhausted_source_is_refused(self) -> None:
        source = hr.source(lambda: hr.resource((i for i in [1]), name="g"), name="s")()
        run(source)
        with pytest.raises(SourceExhausted):
            run(source)

    def test_the_current_source_and_schema(self) -> None:
        found: list[Any] = []

        def look() -> Iterator[Any]:
            current = hr.current
            found.append((current.source().name, current.resource().name, current.resource_name()))
            current.source_schema().settings["mine"] = 1
            yield {"a": 1}

        got = run(hr.resource(look))
        assert found == [("shop", "look", "look")]
        assert got.schema.settings["mine"] == 1
