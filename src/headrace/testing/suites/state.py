"""What a dataset remembers: pipelines continue on a machine that has never seen them."""

from __future__ import annotations

from typing import Any

import headrace
from headrace.testing.asserts import assert_load_ok, rows_of
from headrace.testing.kit import Kit


class StateTests(Kit):
    """Schemas and states that are read back."""

    def _numbers(self, upto: int, **hints: Any) -> Any:
        @headrace.resource(name="items", table_format=self.table_format, **hints)  # type: ignore[untyped-decorator]
        def numbers(at: Any = headrace.sources.incremental("n", initial_value=-1)) -> Any:
            yield [{"n": n} for n in range(upto)]

        return numbers()

    def test_cursor_goes_on_elsewhere(self) -> None:
        """An incremental resource continues on a fresh machine, and on the first one after that."""
        assert_load_ok(self.pipeline(machine="a").run(self._numbers(3)))
        b = self.pipeline(machine="b")
        assert_load_ok(b.run(self._numbers(5)))
        a = self.pipeline(machine="a")
        assert_load_ok(a.run(self._numbers(7)))
        assert [n for (n,) in rows_of(a, "items", "n")] == list(range(7))

    def test_schema_is_restored(self) -> None:
        """On a fresh machine the schema is that of the dataset, hash and all."""
        a = self.pipeline(machine="a")
        self.load(a, [{"id": 1, "x": 0.5}], columns={"x": {"description": "a number"}})
        b = self.pipeline(machine="b")
        b.sync_destination()
        assert b.default_schema.version_hash == a.default_schema.version_hash
        assert rows_of(b, "items", "id", "x") == [(1, 0.5)]

    def test_schema_grows_on_two_machines(self) -> None:
        """Each machine adds a column of its own; both have both in the end."""
        a, b = self.pipeline(machine="a"), self.pipeline(machine="b")
        self.load(a, [{"id": 1, "a": 1}])
        self.load(b, [{"id": 2, "b": 2}])
        self.load(a, [{"id": 3, "c": 3}])
        assert rows_of(a, "items", "id", "a", "b", "c") == [(1, 1, None, None), (2, None, 2, None), (3, None, None, 3)]

    def test_pipelines_share_a_dataset(self) -> None:
        """Each has its own state and schema."""
        one, two = self.pipeline("one", "a"), self.pipeline("two", "a")
        self.load(one, [{"id": 1}], "first")
        self.load(two, [{"id": 2}], "second")
        for name, table in (("one", "first"), ("two", "second")):
            fresh = self.pipeline(name, "b")
            fresh.sync_destination()
            assert fresh.default_schema_name == name
            assert fresh.default_schema.data_table_names() == [table]

    def test_records_of_a_dataset(self) -> None:
        """Stored schemas and states, newest first, by name and by hash; what is not there is None."""
        p = self.pipeline()
        first = self.load(p, [{"id": 1}]).loads_ids[0]
        old = p.default_schema.version_hash
        self.load(p, [{"id": 1, "x": 1}])
        with p.destination_client() as client:
            newest = client.read_schema(p.default_schema.name)
            assert newest is not None
            assert newest.version_hash == p.default_schema.version_hash == client.newest_schema_hash(newest.schema_name)
            stored = client.read_schema(version_hash=old)
            assert stored is not None
            assert stored.version_hash == old
            assert client.is_complete(first)
            assert not client.is_complete("1.0")
            state = client.read_state(p.pipeline_name)
            assert state is not None
            assert state.version_hash == p.state["_version_hash"]
            assert client.read_state("nobody") is None
            assert client.read_schema("nothing") is None

    def test_old_states_are_pruned(self) -> None:
        """Only so many states are kept, the newest among them."""
        p = self.pipeline()
        for upto in (1, 2, 3, 4):
            assert_load_ok(p.run(self._numbers(upto)))
        with p.destination_client() as client:
            newest = client.read_state(p.pipeline_name)
            client.prune_states(p.pipeline_name, 2)
            assert client.read_state(p.pipeline_name) == newest
