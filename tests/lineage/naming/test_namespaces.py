"""The user's map of namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.config.lineage import lineage_settings
from headrace.observers.lineage.facts import DatasetId, FieldRef, Input, Output
from headrace.observers.lineage.naming import Namespaces
from tests.e2e.project import project as project

MAP = {
    "postgres://localhost:5432": "postgres://db:5432",
    "postgres://h1:5432,h2:5432": "postgres://cluster:5432",
    "duckdb:///home/ci/*": "duckdb:///data/*",
    "duckdb:///home/*": "duckdb:///elsewhere",
    "s3://*": "s3://all",
    "file": "file://nas",
}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postgres://localhost:5432", "postgres://db:5432"),
        ("postgres://localhost:5432/", "postgres://db:5432"),
        ("postgres://localhost:54321", "postgres://localhost:54321"),
        ("postgres://h1:5432,h2:5432", "postgres://cluster:5432"),
        ("duckdb:///home/ci/a/wh.duckdb", "duckdb:///data/a/wh.duckdb"),
        ("duckdb:///home/me/wh.duckdb", "duckdb:///elsewhere"),
        ("s3://lake", "s3://all"),
        ("file", "file://nas"),
        ("file://other", "file://other"),
        ("inmemory://", "inmemory://"),
    ],
)
def test_exact_ones_first_then_the_longest_beginning(old: str, new: str) -> None:
    assert Namespaces(MAP).of(old) == new


def test_every_dataset_of_an_output_is_mapped() -> None:
    old, new = "postgres://localhost:5432", "postgres://db:5432"
    ref = FieldRef(dataset=DatasetId(old, "shop.public.orders"), field="id")
    given = Output(
        id=DatasetId(old, "shop.raw.users"),
        symlinks=[(old, "x", "TABLE"), ("file", "/x", "LOCATION"), (new, "shop.raw.users", "TABLE")],
        columns={"id": [ref]},
        indirect=[ref],
    )
    made = Namespaces(MAP).apply(given)
    assert made.id == DatasetId(new, "shop.raw.users")
    # what became the dataset's own name is no other name of it
    assert made.symlinks == [(new, "x", "TABLE"), ("file://nas", "/x", "LOCATION")]
    assert made.columns["id"][0].dataset.namespace == made.indirect[0].dataset.namespace == new
    # a snapshot stays as it was
    assert given.id.namespace == old and given.columns["id"][0].dataset.namespace == old


def test_without_a_map_nothing_is_copied() -> None:
    given = Input(id=DatasetId("s3://lake", "in"))
    assert Namespaces().apply(given) is given and Namespaces(None).of("s3://lake") == "s3://lake"


def test_the_map_is_read_from_the_configuration(project: Path) -> None:
    Path(".dlt").mkdir(exist_ok=True)
    page = Path(__file__).parents[3] / "docs" / "lineage" / "naming.md"
    example = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    Path(".dlt", "config.toml").write_text(example, encoding="utf-8")
    made = Namespaces(lineage_settings().namespaces)
    assert made.of("postgres://localhost:5432") == "postgres://db.example.com:5432"
    assert made.of("postgres://h1:5432,h2:5432") == "postgres://shop-cluster:5432"
    assert made.of("duckdb:///home/ci/x.duckdb") == "duckdb:///data/x.duckdb"
