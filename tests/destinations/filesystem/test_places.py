"""The same loads at every kind of place: rows arrive, states come back, kills do no harm."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from headrace.destinations.impl.filesystem.store import PART_BYTES
from tests.destinations.filesystem.places import Place, ids, numbers


def test_append_and_read(place: Place, home: Path) -> None:
    p = place.pipeline(home / "a")
    assert p.run(numbers(3)).row_changes["orders"].inserted == 3
    p.run(numbers(5), loader_file_format="parquet")
    assert ids(p) == ids(p, "orders__items", "of") == [1, 2, 3, 4, 5]
    assert len(p._fs_client().list_table_files("orders")) == 2
    assert len(p.dataset().load_ids()) == 2


def test_replace_leaves_other_tables(place: Place, home: Path) -> None:
    """`orders_2` begins like `orders`, and its files do too."""
    p = place.pipeline(home, layout="{table_name}_{load_id}.{file_id}.{ext}")
    p.run([{"id": 1, "items": [{"of": 1}]}], table_name="orders")
    p.run([{"id": 7}], table_name="orders_2")
    p.run([{"id": 2, "items": [{"of": 2}]}], table_name="orders", write_disposition="replace")
    assert (ids(p), ids(p, "orders__items", "of"), ids(p, "orders_2")) == ([2], [2], [7])
    p.run([{"id": 3}], table_name="orders", write_disposition="replace")
    assert (ids(p), ids(p, "orders__items", "of"), ids(p, "orders_2")) == ([3], [], [7])


def test_state_comes_back(place: Place, home: Path) -> None:
    """A new machine reads on where another one ended."""
    place.pipeline(home / "a").run(numbers(3))
    p = place.pipeline(home / "b")
    p.run(numbers(5))
    assert ids(p) == [1, 2, 3, 4, 5]


def test_large_file_goes_in_parts(place: Place, home: Path, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 18
    (tmp_path / "large").write_bytes(content)
    store = place.pipeline(home).destination_client().store
    assert len(content) > 2 * PART_BYTES
    for _ in range(2):  # also in the place of what is there
        store.upload(tmp_path / "large", store.path("lake/t/large"), store.path("lake/aside"))
    assert store.read(store.path("lake/t/large")) == content


def test_dataset_is_dropped(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    p.run(numbers(2))
    with p.destination_client() as client:
        assert client.is_storage_initialized()
        client.drop_storage()
        assert not client.is_storage_initialized()
        assert client.list_table_files("orders") == []


def test_location_tells_no_secret(place: Place, home: Path) -> None:
    p = place.pipeline(home)
    p.run(numbers(1))
    assert "secret-of" not in f"{p.destination.describe_location()} {p.last_trace} {p.destination!r}"


@pytest.mark.parametrize("write_disposition", ["append", pytest.param("replace", marks=pytest.mark.long)])
def test_killed_between_file_and_record(place: Place, home: Path, write_disposition: str) -> None:
    """New files are there and nobody knows: the next run writes them again, under the same names."""
    if place.url.startswith("memory:"):
        pytest.skip("the memory of a process ends with it")
    p = place.pipeline(home)
    p.run(numbers(3), write_disposition=write_disposition)
    assert place.run_killed("files.written", home, "shop", 5, write_disposition=write_disposition) == -signal.SIGKILL
    p = place.pipeline(home)
    p.run(numbers(6), write_disposition=write_disposition)
    # a replaced resource begins from the start
    expected = list(range(1, 7))
    assert ids(p) == ids(p, "orders__items", "of") == expected
    assert not p.has_pending_data
