"""What a destination that reads from buckets itself has to do, and what may go together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

import headrace
from headrace.destinations import duckdb
from headrace.destinations.impl.duckdb.client import DuckDbClient
from headrace.errors.destination import (
    DestinationLoadingViaStagingNotSupported,
    DestinationNoStagingMode,
)
from headrace.load.destination import LoadContext
from headrace.load.staging import StagedFile
from headrace.model.capabilities import Capabilities
from tests.destinations.staging.conftest import make_world
from tests.destinations.staging.world import DATASET, World, orders, rows

pytestmark = pytest.mark.destination("duckdb through staging")


class WarehouseClient(DuckDbClient):
    """Loads as warehouses do: by a statement that names the file's url."""

    def load_staged(self, staged: StagedFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        warehouse.seen.append((staged.url, staged.format, staged.is_compressed, staged.credentials))
        return super().load_staged(staged, context, target, columns)


class warehouse(duckdb):
    """A destination that takes files from a bucket only."""

    seen: ClassVar[list[Any]] = []

    def raw_capabilities(self) -> Capabilities:
        import msgspec

        return msgspec.structs.replace(
            super().raw_capabilities(),
            preferred_loader_file_format="jsonl",
            supported_loader_file_formats=("model",),
            preferred_staging_file_format="jsonl",
        )

    def open(self, *given: Any) -> DuckDbClient:
        client = super().open(*given)
        client.__class__ = WarehouseClient
        return client


@pytest.fixture(autouse=True)
def _unseen() -> None:
    warehouse.seen.clear()


def _warehouse(tmp_path: Path) -> Any:
    return warehouse(str(tmp_path / "shop.duckdb"))


def test_a_warehouse_gets_url_format_and_credentials(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    world = make_world(request, "duckdb-s3", tmp_path)
    p = world.pipeline(destination=_warehouse(tmp_path))
    p.run(orders(2))
    assert rows(p) == [(1,), (2,)]
    url, file_format, is_compressed, credentials = next(one for one in warehouse.seen if "/orders/" in one[0])
    assert url.startswith(f"{world.bucket}/{DATASET}/orders/")
    assert (file_format, is_compressed) == ("jsonl", True)
    assert world.access is not None
    assert credentials.aws_access_key_id == world.access["aws_access_key_id"]


def test_staging_comes_by_itself_where_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "bucket"))
    p: Any = headrace.pipeline(
        "shop", destination=_warehouse(tmp_path), dataset_name=DATASET, pipelines_dir=str(tmp_path / "home")
    )
    with caplog.at_level(logging.WARNING, logger="headrace"):
        info = p.run(orders(2))
    assert [r.message for r in caplog.records if "from a staging place only" in r.message] != []
    assert len([r for r in caplog.records if "from a staging place only" in r.message]) == 1
    assert info.staging_name == "filesystem"
    assert rows(p) == [(1,), (2,)]
    assert len(warehouse.seen) == 3


def test_sql_goes_to_the_destination_itself(local: World) -> None:
    p = local.pipeline()
    p.run(orders(4))
    few = p.dataset()("SELECT id FROM orders WHERE id > 2").to_model()
    p.run(headrace.resource(lambda: iter([few]), name="few"))
    assert rows(p, table="few") == [(3,), (4,)]
    assert local.files("few") == []


# ---- what does not go together ---------------------------------------------------------------------------------------


def _pipeline(tmp_path: Path, **given: Any) -> Any:
    return headrace.pipeline("shop", dataset_name=DATASET, pipelines_dir=str(tmp_path / "home"), **given)


@pytest.mark.parametrize("destination", ["dummy", "filesystem"])
def test_destinations_that_load_from_no_place(destination: str, tmp_path: Path) -> None:
    with pytest.raises(DestinationLoadingViaStagingNotSupported) as raised:
        _pipeline(tmp_path, destination=destination, staging=headrace.destinations.filesystem(str(tmp_path)))
    assert raised.value.destination == destination


@pytest.mark.parametrize("staging", ["duckdb", "dummy"])
def test_places_that_hold_no_files_of_others(staging: str, tmp_path: Path) -> None:
    with pytest.raises(DestinationNoStagingMode) as raised:
        _pipeline(tmp_path, destination="duckdb", staging=staging)
    assert raised.value.destination == staging


# ---- what is remembered ----------------------------------------------------------------------------------------------


def test_staging_is_remembered(local: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", local.bucket)
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", local.credentials)
    p: Any = headrace.pipeline(
        "shop", destination="duckdb", staging="filesystem", dataset_name=DATASET, pipelines_dir=local.home
    )
    p.run(orders(1))
    assert (p.state["staging_type"], p.state["staging_name"]) == ("dlt.destinations.filesystem", None)
    attached = headrace.attach("shop", pipelines_dir=local.home)
    assert attached.staging is not None
    assert attached.staging.destination_name == "filesystem"
    before = local.files("orders/")
    attached.run(orders(1))
    assert local.files("orders/") != before != []


def test_a_destination_given_anew_without_staging_has_none(local: World) -> None:
    local.pipeline().run(orders(1))
    before = local.files("orders/")
    p: Any = headrace.pipeline("shop", destination=local.destination(), dataset_name=DATASET, pipelines_dir=local.home)
    assert p.staging is None
    assert p.run(orders(1)).staging_name is None
    assert local.files("orders/") == before


def test_staging_from_the_configuration(local: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__BUCKET__DESTINATION_TYPE", "filesystem")
    monkeypatch.setenv("DESTINATION__BUCKET__BUCKET_URL", local.bucket)
    monkeypatch.setenv("PIPELINES__SHOP__STAGING_NAME", "bucket")
    p: Any = headrace.pipeline("shop", destination=local.destination(), dataset_name=DATASET, pipelines_dir=local.home)
    info = p.run(orders(1))
    assert (info.staging_name, info.staging_type) == ("bucket", "dlt.destinations.filesystem")
    assert len(local.files("orders/")) == 1
