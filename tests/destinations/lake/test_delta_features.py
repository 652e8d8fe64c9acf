from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.errors.destination import TableFormatNotSupported
from tests.destinations.lake.tables import made_table, merge, rows_of, schema, source

pytestmark = pytest.mark.destination("delta")

PLAIN = schema("t", id={"data_type": "bigint", "primary_key": True}, v="text")


@pytest.mark.parametrize("name", ["delta.enableChangeDataFeed", "delta.appendOnly"])
def test_features_that_a_merge_would_lose_are_refused(tmp_path: Path, name: str) -> None:
    table = made_table("delta", tmp_path, PLAIN, settings=SimpleNamespace(deltalake_configuration={name: "true"}))
    table.append(source(PLAIN, [{"id": 1, "v": "a"}]), "1")
    with pytest.raises(TableFormatNotSupported, match=name):
        merge("delta", [(table, PLAIN, [{"id": 1, "v": "b"}])], "upsert", "2")
    assert [row["v"] for row in rows_of(table)] == ["a"]


def test_constraints_are_kept(tmp_path: Path) -> None:
    table = made_table("delta", tmp_path, PLAIN)
    table.native().alter.add_constraint({"positive": "id > 0"})
    table.append(source(PLAIN, [{"id": 1, "v": "a"}]), "1")
    with pytest.raises(TableFormatNotSupported, match="positive"):
        merge("delta", [(table, PLAIN, [{"id": -1, "v": "b"}])], "upsert", "2")
