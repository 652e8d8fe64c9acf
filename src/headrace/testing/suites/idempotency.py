"""Once, whatever happens between the destination's commit and the journal's fact."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from headrace.testing.asserts import assert_load_failed, assert_load_ok, rows_of
from headrace.testing.child import documents, run_in_child
from headrace.testing.fakes import Faults, refuse, twice
from headrace.testing.kit import Kit

if TYPE_CHECKING:
    from headrace.pipeline.pipeline import Pipeline

STEPS = ("migrate", "store_schema", "apply", "complete")
DEATHS = ("migrate.after", "job.applied", "job.applied#2", "complete.after")


class IdempotencyTests(Kit):
    """All dispositions at once, disturbed."""

    def _strategy(self) -> str | None:
        has = self.capabilities().supported_merge_strategies
        return next((s for s in ("delete-insert", "upsert") if s in has), None)

    def _run(self, p: Pipeline, begin: int) -> Any:
        return assert_load_ok(p.run(documents(begin, self._strategy(), self.table_format)))

    def _check(self, p: Pipeline, *begins: int) -> None:
        """Appended rows of all loads once each, replaced ones of the last load, merged ones without doubles."""
        appended = sorted(n for begin in begins for n in range(begin, begin + 3))
        assert [n for (n,) in rows_of(p, "appended", "n")] == appended
        assert [n for (n,) in rows_of(p, "replaced", "n")] == list(range(begins[-1], begins[-1] + 3))
        if self._strategy():
            assert [n for (n,) in rows_of(p, "merged", "n")] == list(range(min(appended), max(appended) + 1))
        loads = set(p.dataset().load_ids())
        assert {load for (load,) in rows_of(p, "appended", "_dlt_load_id")} <= loads

    def test_all_done_twice(self) -> None:
        """Every change of tables, every job and every end of a load is done twice, jobs also by a second client."""
        p = self.pipeline(destination=twice(self.destination()))
        self._run(p, 1)
        self._run(p, 3)
        self._check(p, 1, 3)

    @pytest.mark.parametrize("step", STEPS)
    def test_lost_answer(self, step: str) -> None:
        """The destination did it and the answer was lost: it is asked again, and nothing is doubled."""
        p = self.pipeline()
        self._run(p, 1)
        faults = Faults(step, after=True)
        again = self.pipeline(destination=faults.into(self.destination()))
        if step in ("apply", "complete"):
            self._run(again, 3)
        else:  # these come in a load that changes the tables
            assert_load_ok(
                again.run([self.resource([{"n": 1}], "later"), *documents(3, self._strategy(), self.table_format)])
            )
        assert faults.calls
        self._check(again, 1, 3)

    def test_failure_that_passes(self) -> None:
        """A job that fails for now is tried again."""
        faults = Faults(times=2)
        p = self.pipeline(destination=faults.into(self.destination()))
        self._run(p, 1)
        assert faults.calls > 2
        self._check(p, 1)

    def test_refused_package_blocks_nothing(self) -> None:
        """A package whose jobs are refused for good is set aside; the next load goes on, without its rows."""
        p = self.pipeline()
        self._run(p, 1)
        refusing = self.pipeline(destination=refuse(self.destination()))
        with assert_load_failed(text="apply was made to fail"):
            refusing.run(self.resource([{"n": 99}], "appended"))
        again = self.pipeline()
        self._run(again, 4)
        self._check(again, 1, 4)

    @pytest.mark.parametrize("place", DEATHS)
    def test_killed_process(self, place: str) -> None:
        """A process is killed by SIGKILL in the middle of a load; the next run of the pipeline goes on."""
        first = self.pipeline()
        self._run(first, 1)
        first._session.close()
        code = run_in_child(
            self.destination(),
            folder=self.folder / "here",
            dataset_name=self.dataset_name,
            begin=4,
            strategy=self._strategy(),
            table_format=self.table_format,
            failpoint=place,
        )
        assert code == -signal.SIGKILL
        p = self.pipeline()
        assert_load_ok(p.run(), packages=1)
        assert not p.has_pending_data
        self._check(p, 1, 4)
