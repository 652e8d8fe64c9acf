"""What goes wrong is told: what it was, where, and whether trying again helps."""

from __future__ import annotations

import pytest

from headrace.errors.base import HeadraceException
from headrace.errors.destination import DestinationException
from headrace.testing.asserts import rows_of
from headrace.testing.kit import Kit


class ErrorTests(Kit):
    """Errors and empty places."""

    def test_nothing_is_there_yet(self) -> None:
        """A dataset that does not exist has no loads, schemas, states or tables, and asking makes none."""
        p = self.pipeline()
        schema = p._destinations.blank_schema("nothing")
        with p.destination.open(self.dataset_name, schema, p._destinations.facts()) as client:  # type: ignore[union-attr]
            assert not client.has_dataset()
            assert not client.is_complete("1.0")
            assert client.read_schema("nothing") is None
            assert client.newest_schema_hash("nothing") is None
            assert client.read_state("nobody") is None
            assert not client.has_dataset()

    def test_tables_are_described(self) -> None:
        """Columns of tables that exist; None for those that do not."""
        p = self.pipeline()
        self.load(p, [{"id": 1, "x": 0.5, "t": "x", "b": True}])
        with p.destination_client() as client:
            found = client.describe(["items", "nothing"])
        assert found["nothing"] is None
        assert found["items"] is not None
        assert set(found["items"]) == set(p.default_schema.tables["items"]["columns"])

    def test_broken_file_is_told(self) -> None:
        """A loader file that cannot be read: the error is headrace's own and names the table; no row is there."""
        p = self.pipeline()
        self.load(p, [{"id": 1}])
        p.extract(self.resource([{"id": 2}], "items"))
        p.normalize()
        [load_id] = p.list_normalized_load_packages()
        for job in p.get_load_package_info(load_id).jobs["new_jobs"]:
            if job.job_file_info.table_name == "items":
                with open(job.file_path, "wb") as file:  # noqa: PTH123
                    file.write(b"\x00broken\xff" * 20)
        with pytest.raises(HeadraceException, match="items"):
            p.load()
        p.drop_pending_packages()
        assert rows_of(p, "items", "id") == [(1,)]

    def test_unreachable_place_is_told(self) -> None:
        """A place that cannot be reached gives an error of a destination, without secrets."""
        destination = self.unreachable()
        if destination is None:
            pytest.skip("`unreachable` of the suite gives no destination that cannot be reached")
        p = self.pipeline(destination=destination)
        with pytest.raises(HeadraceException) as caught:
            p.run(self.resource([{"id": 1}], "items"))
        chain: list[BaseException] = [caught.value]
        while (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        assert any(isinstance(one, DestinationException) for one in chain)
        told = "\n".join(map(str, chain))
        assert not [word for word in self.secrets if word in told]
        self._pipelines.remove(p)
        p.deactivate()
