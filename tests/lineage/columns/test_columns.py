"""Column lineage of real loads: keys, casts, Arrow, user code, declarations, several loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace as dlt
from headrace.errors.base import ValueErrorWithKnownValues
from headrace.observers.lineage.columns import edges, resolve
from headrace.observers.lineage.columns_memory import ColumnMemory
from headrace.observers.lineage.columns_model import Source, TableLineage, json_path
from headrace.observers.lineage.columns_package import PackageSchema
from headrace.observers.lineage.columns_paths import parse_path
from headrace.observers.lineage.columns_resource import describe
from headrace.observers.lineage.columns_shape import input_fields
from headrace.observers.lineage.facts import DatasetId, Transformation
from tests.lineage.columns.loads import Loads, said

AS_IT_IS = ("DIRECT", "IDENTITY", "")


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    return Loads(tmp_path)


def test_the_table_of_the_guide(loads: Loads) -> None:
    rows = [
        {
            "actor": {"login": "x"},
            "payload": {"commits": [{"sha": "1"}]},
            "tags": ["a"],
            "meta": {"deep": [1]},
            "v": 1,
            "Order ID": 7,
        },
        {"v": "text"},
    ]
    found = loads.run(dlt.resource(rows, name="events", columns={"meta": {"data_type": "json"}}))
    events = found["events"].columns
    assert said(events["actor__login"]) == {"actor.login": [("DIRECT", "IDENTITY", "$.actor.login")]}
    assert said(events["meta"]) == {"meta": [("DIRECT", "TRANSFORMATION", "kept as json")]}
    assert said(events["v__v_text"]) == {"v": [("DIRECT", "TRANSFORMATION", "variant text")]}
    assert said(events["order_id"]) == {"Order ID": [AS_IT_IS]}
    commits, tags = found["events__payload__commits"].columns, found["events__tags"].columns
    assert said(commits["sha"]) == {
        "payload.commits._element.sha": [("DIRECT", "IDENTITY", "$.payload.commits[*].sha")]
    }
    assert said(tags["value"]) == {"tags._element": [("DIRECT", "IDENTITY", "$.tags[*]")]}
    for lineage in found.values():
        assert not lineage.unknown
        assert all(not s for n, s in lineage.columns.items() if n.startswith("_dlt_"))


def test_casts_are_told_from_copies(loads: Loads) -> None:
    rows = [{"at": "2020-01-01T00:00:00Z", "n": "5", "f": 1}]
    found = loads.run(
        dlt.resource(rows, name="t", columns={"n": {"data_type": "bigint"}, "f": {"data_type": "double"}})
    )
    columns = found["t"].columns
    assert said(columns["at"])["at"] == [("DIRECT", "TRANSFORMATION", "text to timestamp")]
    assert said(columns["n"])["n"] == [("DIRECT", "TRANSFORMATION", "text to bigint")]
    assert said(columns["f"])["f"] == [("DIRECT", "TRANSFORMATION", "bigint to double")]


def test_two_keys_of_one_column_are_both_named(loads: Loads) -> None:
    found = loads.run(dlt.resource([{"userName": 1}, {"user_name": 2}], name="t"))
    assert list(said(found["t"].columns["user_name"])) == ["userName", "user_name"]


def test_arrow_columns_have_the_names_of_the_frame(loads: Loads) -> None:
    frame = pa.table({"Order ID": [1], "nested": [{"a": [1]}], "day": ["2020-01-01"], "gone": pa.nulls(1)})
    hints: Any = {"day": {"data_type": "date"}}
    resource = dlt.resource([frame, frame.append_column("Later", pa.array([2]))], name="t", columns=hints)
    found = loads.run(resource)
    columns = found["t"].columns
    assert said(columns["order_id"]) == {"Order ID": [AS_IT_IS]}
    assert said(columns["later"]) == {"Later": [AS_IT_IS]}
    assert said(columns["nested"]) == {"nested": [("DIRECT", "TRANSFORMATION", "kept as json")]}
    assert said(columns["day"]) == {"day": [("DIRECT", "TRANSFORMATION", "text to date")]}
    assert not found["t"].unknown
    fields = {f.name: f.type for f in input_fields(loads.facts[-1], describe(resource))}
    assert fields == {"Order ID": "int64", "nested": "struct<a: list<item: int64>>", "day": "string", "Later": "int64"}


@pytest.mark.each(2)
@pytest.mark.parametrize("file_format", ["parquet", "csv", "jsonl"])
def test_an_imported_file_is_read_by_its_columns(loads: Loads, tmp_path: Path, file_format: str) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / f"given.{file_format}"
    if file_format == "parquet":
        pq.write_table(pa.table({"id": [1]}), path)
    else:
        path.write_text("id\n1\n" if file_format == "csv" else '{"id": 1}\n')
    hints: Any = {"id": {"data_type": "bigint"}, "other": {"data_type": "bigint"}}
    resource = dlt.resource([dlt.mark.with_file_import(str(path), file_format, 1)], name="t", columns=hints)
    found = loads.run(resource)["t"]
    assert said(found.columns["id"]) == {"id": [("DIRECT", "IDENTITY", "imported file")]}
    # what the file does not have did not come from it
    assert "other" not in found.columns and found.unknown == ["other"]
    assert loads.rows("t") == [{"id": 1, "other": None}]
    path.unlink()
    assert "id" in edges(loads.facts[-1], loads.package, describe(resource))["t"].unknown


def test_ids_of_keys_are_masked_hashes(loads: Loads) -> None:
    options: Any = {"disposition": "merge", "strategy": "upsert"}
    rows = [{"k": {"id": 1}, "l": [{"x": 1}]}]
    found = loads.run(dlt.resource(rows, name="t", primary_key="k__id", write_disposition=options))
    (own,) = found["t"].columns["_dlt_id"]
    assert own.field == "k.id" and own.transformations[0].masking
    (above,) = found["t__l"].columns["_dlt_parent_id"]
    assert (above.field, above.transformations) == (own.field, own.transformations)
    assert found["t"].columns["_dlt_load_id"] == found["t__l"].columns["_dlt_list_idx"] == []
    subtypes = [t.subtype for t in found["t"].indirect[0].transformations]
    assert (found["t"].indirect[0].field, subtypes) == ("k.id", ["JOIN", "GROUP_BY"])
    assert found["t__l"].indirect == found["t"].indirect


def test_history_follows_from_the_whole_row(loads: Loads) -> None:
    options: Any = {"disposition": "merge", "strategy": "scd2"}
    found = loads.run(dlt.resource([{"A": 1, "l": [1]}], name="t", merge_key="a", write_disposition=options))
    columns = found["t"].columns
    assert [s.field for s in columns["_dlt_id"]] == ["A", "l"]
    assert all(s.transformations[0].masking for s in columns["_dlt_id"])
    for name in ("_dlt_valid_from", "_dlt_valid_to"):
        assert {(t.type, t.subtype) for s in columns[name] for t in s.transformations} == {("INDIRECT", "CONDITIONAL")}
    assert said(found["t"].indirect) == {"A": [("INDIRECT", "JOIN", "merge key of scd2")]}


def test_what_whole_tables_depend_on(loads: Loads) -> None:
    def even(item: dict[str, Any]) -> bool:
        return bool(item["id"] % 2 == 0)

    @dlt.resource(primary_key="id", write_disposition="merge", columns={"rank": {"dedup_sort": "desc"}})
    def rows(at: Any = dlt.sources.incremental("meta.at", row_order="asc", initial_value=0)) -> Any:
        yield [{"id": 2, "rank": 1, "gone": None, "meta": {"at": 1}}, {"id": 3, "rank": 1, "meta": {"at": 2}}]

    found = loads.run(rows().add_filter(even).add_limit(5))
    assert said(found["rows"].indirect) == {
        "meta.at": [("INDIRECT", "FILTER", "incremental, max"), ("INDIRECT", "SORT", "row order asc")],
        "": [("INDIRECT", "FILTER", "filter even()"), ("INDIRECT", "FILTER", "limit 5 pages")],
        "id": [
            ("INDIRECT", "JOIN", "primary key of delete-insert"),
            ("INDIRECT", "GROUP_BY", "one row a primary key"),
        ],
        "rank": [("INDIRECT", "SORT", "dedup sort desc")],
    }


def test_code_of_the_user_is_named_unless_declared(loads: Loads) -> None:
    def mask(item: dict[str, Any]) -> dict[str, Any]:
        return {"id": item["id"], "mail": "***", "both": 1}

    plain = dlt.resource([{"id": 1, "email": "x"}], name="t").add_map(mask)
    columns = loads.run(plain)["t"].columns
    assert said(columns["id"]) == {"id": [("DIRECT", "TRANSFORMATION", "after mask()")]}
    told = dlt.resource([{"id": 1, "email": "x"}], name="t").add_map(mask)
    told.map_columns({"mail": "user.email"}, masking=True, description="stars").map_columns(
        {"both": ["id", "user.email"], "id": "id", "not there": "x"}, keep_others=True
    )
    columns = loads.run(told)["t"].columns
    assert columns["mail"] == [Source(["user", "email"], [Transformation("DIRECT", "TRANSFORMATION", "stars", True)])]
    assert [s.field for s in columns["both"]] == ["id", "user.email"]
    assert "not there" not in columns
    assert input_fields(loads.facts[-1], describe(told)) == []
    assert describe(told("x") if told.requires_args else told.with_name("u")).declared["mail"].masking
    with pytest.raises(ValueErrorWithKnownValues, match="subtype"):
        told.map_columns({}, subtype="MAGIC")


def test_columns_of_nested_tables_can_be_declared(loads: Loads) -> None:
    resource = dlt.resource([{"l": [{"x": 1}]}], name="t").add_map(lambda d: d)
    found = loads.run(resource.map_columns({"t__l.x": "lines[*].x"}, subtype="IDENTITY"))
    assert said(found["t__l"].columns["x"]) == {"lines._element.x": [AS_IT_IS]}


def test_transformers_say_whose_items_they_took(loads: Loads) -> None:
    @dlt.resource(selected=False)
    def ids() -> Any:
        yield [{"id": 1}]

    @dlt.transformer(data_from=ids)
    def details(item: Any) -> Any:
        yield {"id": item[0]["id"], "more": 2}

    lineage = loads.run(details())["details"]
    own, above = DatasetId("https://h", "/details/{id}"), DatasetId("https://h", "/ids")
    two = resolve(lineage, [own], [above])
    assert two.columns["more"][0].dataset == own
    assert [t.subtype for t in two.columns["more"][0].transformations] == ["IDENTITY"]
    assert [(r.dataset, r.field, r.transformations[0].subtype) for r in two.indirect] == [(above, "", "JOIN")]
    one = resolve(lineage, [], [above])
    assert one.columns["more"][0].dataset == above and not one.indirect
    assert one.columns["more"][0].transformations == [Transformation("DIRECT", "TRANSFORMATION", "by details()")]


def test_no_input_means_made_by_the_job(loads: Loads) -> None:
    edges_of = resolve(loads.run(dlt.resource([{"id": 1}], name="t", primary_key="id"))["t"], [])
    assert edges_of.columns == {"id": [], "_dlt_load_id": [], "_dlt_id": []}
    assert not edges_of.unknown and not edges_of.indirect


def test_several_inputs_are_told_apart_where_somebody_says_which() -> None:
    one, two = DatasetId("s3://b", "data/orders"), DatasetId("s3://b", "data/customers")
    how = [Transformation("DIRECT", "IDENTITY")]
    lineage = TableLineage(
        columns={"a": [Source(["a"], how)], "b": [Source(["b"], how, "orders")], "c": [Source(["c"], how, "elsewhere")]}
    )
    found = resolve(lineage, [one, two])
    assert [r.dataset for r in found.columns["a"]] == [one, two]
    assert found.columns["a"][0].transformations[0].description == "of one of 2 inputs"
    assert [(r.dataset, r.transformations) for r in found.columns["b"]] == [(one, how)]
    assert found.unknown == ["c"]
    many = resolve(lineage, [DatasetId("s3://b", f"data/{n}") for n in range(30)])
    assert many.unknown == ["a", "b", "c"] and not many.columns


def test_later_loads_say_as_much_as_earlier_ones(loads: Loads, tmp_path: Path) -> None:
    loads.run(dlt.resource([{"id": 1, "old": {"x": 1}, "l": [{"y": 1}]}], name="t"), remember=True)
    loads.memory.save()
    loads.memory = ColumnMemory(tmp_path / "lineage", "cols")  # as another process finds it
    found = loads.run(dlt.resource([{"id": 2, "new": 1}], name="t"), remember=True)
    assert said(found["t"].columns["old__x"]) == {"old.x": [("DIRECT", "IDENTITY", "$.old.x")]}
    assert said(found["t__l"].columns["y"]) == {"l._element.y": [("DIRECT", "IDENTITY", "$.l[*].y")]}
    assert list(found["t"].columns) == list(loads.package.columns["t"])
    assert not found["t"].unknown
    assert set(loads.memory.remembered("t", "t")) == {"id", "old__x", "new"}
    document = loads.pipeline.default_schema.to_dict()
    del document["tables"]["t"]["columns"]["old__x"], document["tables"]["t__l"]
    loads.memory.merged("t", {}, PackageSchema(document))
    assert set(loads.memory.remembered("t", "t")) == {"id", "new"} and not loads.memory.remembered("t", "t__l")


def test_a_damaged_memory_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "s.columns.json").write_text("{torn")
    assert ColumnMemory(tmp_path, "s").remembered("r", "t") == {}
    assert "cannot be read" in caplog.text


def test_columns_nobody_knows_of_are_counted_and_not_guessed(loads: Loads) -> None:
    hints: Any = {"id": {"data_type": "bigint"}, "never": {"data_type": "text"}}
    found = loads.run(dlt.resource([{"id": 1}], name="t", columns=hints))
    assert found["t"].unknown == ["never"] and "never" not in found["t"].columns


def test_renaming_hints_and_refused_columns(loads: Loads) -> None:
    loads.run(dlt.resource([{"id": 1}], name="t"))
    contract: Any = {"columns": "discard_value"}
    found = loads.run(dlt.resource([{"id": 2, "x": 1, "l": [{"y": 1}]}], name="t", schema_contract=contract))
    assert {n for n in found["t"].columns if not n.startswith("_dlt")} == {"id"}
    assert not found["t"].unknown


def test_input_fields_are_the_shape_of_the_items(loads: Loads) -> None:
    resource = dlt.resource([{"a": {"b": 1}, "l": [1, "x", [2]], "n": None}, {"a": {"b": "t"}}], name="t")
    loads.run(resource)
    a, listed, nothing = sorted(input_fields(loads.facts[-1], describe(resource)), key=lambda f: f.name)
    assert (a.name, a.type, a.fields[0].name, a.fields[0].type) == ("a", "struct", "b", "bigint | text")
    (element,) = listed.fields
    assert (listed.type, element.name, element.type) == ("array", "_element", "bigint | text | array")
    assert element.fields[0].type == "bigint"
    assert (nothing.name, nothing.type) == ("n", None)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.b", ["a", "b"]),
        ("$.a[*].b", ["a", None, "b"]),
        ("a._element.b", ["a", None, "b"]),
        ("$['it\\'s'].x", ["it's", "x"]),
        ("Order ID", ["Order ID"]),
        ("a[0]", ["a", None]),
        ("$['_element'].x", ["_element", "x"]),
    ],
)
def test_paths_are_read_as_people_write_them(text: str, path: list[str | None]) -> None:
    assert parse_path(text) == path
    assert parse_path(json_path(path)) == path


def test_a_wide_table(loads: Loads) -> None:
    resource = dlt.resource([{f"Column {i}": i for i in range(2_000)}], name="wide")
    loads.run(resource)
    fact, document, described = loads.facts[-1], loads.pipeline.default_schema.to_dict(), describe(resource)
    assert len(edges(fact, document, described)["wide"].columns) == 2_002


@pytest.mark.each(2)
@pytest.mark.parametrize(
    ("strategy", "hints", "expected"),
    [
        ("delete-insert", {}, {"id": ["JOIN", "GROUP_BY"], "s": ["SORT"], "gone": ["FILTER"], "m": ["JOIN"]}),
        ("upsert", {}, {"id": ["JOIN", "GROUP_BY"], "s": ["SORT"], "gone": ["FILTER"]}),
        ("insert-only", {"deduplicated": True}, {"id": ["JOIN"], "gone": ["FILTER"]}),
        ("scd2", {}, {"m": ["JOIN"]}),
        ("delete-insert", {"destination_scope": "m = 1"}, {"id": ["GROUP_BY"], "s": ["SORT"], "gone": ["FILTER"]}),
    ],
)
def test_a_merge_depends_on_what_its_strategy_uses(loads: Loads, strategy: str, hints: Any, expected: Any) -> None:
    columns: Any = {"s": {"dedup_sort": "asc"}, "gone": {"hard_delete": True}}
    disposition: Any = {"disposition": "merge", "strategy": strategy, **hints}
    rows = [{"id": 1, "m": 1, "s": 1, "gone": False}]
    resource = dlt.resource(
        rows, name="t", primary_key="id", merge_key="m", write_disposition=disposition, columns=columns
    )
    found = loads.run(resource)["t"]
    assert {s.field: [t.subtype for t in s.transformations] for s in found.indirect} == expected
    appended = edges(loads.facts[-1], loads.package, describe(resource), appended={"t"})
    assert appended["t"].indirect == [] and appended["t"].columns == found.columns


def test_what_is_declared_is_all_there_is_to_a_column(loads: Loads) -> None:
    def one() -> Any:
        return dlt.resource([{"id": 1, "m": 2}], name="t")

    loads.run(one(), remember=True)
    found = loads.run(one().map_columns({"m": "user.mail"}), remember=True)
    assert [s.field for s in found["t"].columns["m"]] == ["user.mail"]
    found = loads.run(one(), remember=True)
    assert [s.field for s in found["t"].columns["m"]] == ["m"]


def test_what_keys_and_cursors_are_read_from_is_told_as_declared(loads: Loads) -> None:
    def tidy(item: Any) -> Any:
        return {"id": item["Id"], "at": item["updatedAt"], "v": item["V"]}

    def read(strategy: str, **hints: Any) -> Any:
        @dlt.resource(name=strategy.replace("-", "_"), write_disposition={"disposition": "merge", "strategy": strategy})
        def rows(at: Any = dlt.sources.incremental("at", initial_value=0)) -> Any:
            yield [{"Id": 1, "updatedAt": 1, "V": 1}, {"Id": 2, "updatedAt": 2, "V": "text"}]

        made = rows().add_map(tidy)
        made.apply_hints(**hints)
        return made

    found = loads.run(read("upsert", primary_key="id").map_columns({"id": "Id", "at": "updatedAt", "v": "V"}))["upsert"]
    assert said(found.indirect) == {
        "updatedAt": [("INDIRECT", "FILTER", "incremental, max")],
        "Id": [("INDIRECT", "JOIN", "primary key of upsert"), ("INDIRECT", "GROUP_BY", "one row a primary key")],
    }
    assert [s.field for s in found.columns["_dlt_id"]] == ["Id"]
    assert [s.field for n in ("v", "v__v_text") for s in found.columns[n]] == ["V", "V"]
    plain = loads.run(read("scd2"))["scd2"]
    assert said(plain.indirect) == {"at": [("INDIRECT", "FILTER", "incremental, max; after tidy()")]}
    assert {t.description for s in plain.columns["_dlt_id"] for t in s.transformations} == {
        "hash of the row; after tidy()"
    }
    said_all = read("scd2").with_name("scd2b").map_columns({"id": "Id", "at": "updatedAt", "v": "V"})
    assert {s.field for s in loads.run(said_all)["scd2b"].columns["_dlt_id"]} == {"Id", "updatedAt", "V"}


def test_fields_of_rows_that_are_gone_are_forgotten(loads: Loads) -> None:
    def one(key: str, **hints: Any) -> Any:
        return dlt.resource([{key: 1}], name="t", **hints)

    for key in ("userName", "user_name"):
        found = loads.run(one(key), remember=True)
    assert [s.field for s in found["t"].columns["user_name"]] == ["user_name", "userName"]
    lineage = edges(loads.facts[-1], loads.package, describe(one("user_name")))
    dropped = loads.memory.merged("t", lineage, loads.package, {"t"})
    assert [s.field for s in dropped["t"].columns["user_name"]] == ["user_name"]
    for key in ("userName", "user_name"):
        found = loads.run(one(key, write_disposition="replace"), remember=True)
    assert [s.field for s in found["t"].columns["user_name"]] == ["user_name"]
