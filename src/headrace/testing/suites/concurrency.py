"""Two clients at once in one dataset."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from headrace.testing.asserts import rows_of
from headrace.testing.kit import Kit


def together(*acts: Callable[[], Any]) -> None:
    """Do things at the same time, each in a thread; raise the first error."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> None:
        try:
            barrier.wait(60)
            act()
        except BaseException as error:  # noqa: BLE001 (raised below)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class ConcurrencyTests(Kit):
    """Pipelines that run at the same time."""

    def test_two_append_at_once(self) -> None:
        """Into one table that neither has seen; every row of both is there."""
        acts = [self._act(f"p{n}", [{"id": i, "who": n} for i in range(20)]) for n in (0, 1)]
        together(*acts)
        p = self.pipeline("p0", "m0")
        assert rows_of(p, "items", "who", "id") == sorted(((n, i) for n in (0, 1) for i in range(20)), key=repr)

    def test_two_add_columns_at_once(self) -> None:
        """To one table with rows; both columns are there afterwards."""
        self.load(self.pipeline("p9", "m9"), [{"id": 0}])
        together(*(self._act(f"p{n}", [{"id": n, f"column_{n}": n}]) for n in (1, 2)))
        last = self.pipeline("p3", "m3")
        self.load(last, [{"id": 3, "column_1": 3, "column_2": 3}])
        assert rows_of(last, "items", "id", "column_1", "column_2") == [
            (0, None, None),
            (1, 1, None),
            (2, None, 2),
            (3, 3, 3),
        ]

    def test_two_merge_at_once(self) -> None:
        """The same records; each is there once, whole, from one of the two."""
        strategies = self.capabilities().supported_merge_strategies
        strategy = next((s for s in ("delete-insert", "upsert") if s in strategies), "delete-insert")
        self.need_merge(strategy)
        hints: dict[str, Any] = {
            "write_disposition": {"disposition": "merge", "strategy": strategy},
            "primary_key": "id",
        }
        rows = [[{"id": i, "a": n, "b": n} for i in range(50)] for n in (1, 2)]
        self.load(self.pipeline("p0", "m0"), rows[0][:25], **hints)
        together(*(self._act(f"p{n}", rows[n - 1], **hints) for n in (1, 2)))
        found = rows_of(self.pipeline("p0", "m0"), "items", "id", "a", "b")
        assert sorted(i for i, _, _ in found) == list(range(50))
        assert all(a == b for _, a, b in found)

    def _act(self, name: str, rows: list[dict[str, Any]], **hints: Any) -> Callable[[], Any]:
        def act() -> None:
            p = self.pipeline(name, f"m{name[1:]}")
            self.load(p, rows, **hints)
            p._session.close()
            p.deactivate()

        return act
