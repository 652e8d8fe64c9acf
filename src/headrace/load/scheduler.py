"""Runs a plan: what is ready at once, what waits after it; retries; facts in groups.

One ready job, or one worker, and no thread is made: most loads are small. The scheduler writes the
journal, jobs never do.
"""

from __future__ import annotations

import contextvars
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from headrace.base import signals
from headrace.base.retry import RetryPolicy
from headrace.errors.destination import LoadClientJobFailed, LoadClientJobRetry
from headrace.errors.masking import without_secrets
from headrace.load.destination import LoadContext
from headrace.load.staging import Staging
from headrace.load.worker import Clients, Outcome, run_job
from headrace.model.events import DurableEvent, JobDone, JobFailed, JobRetried
from headrace.model.jobs import PlannedJob, Truncate

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# how soon a signal or a due retry is noticed while jobs run in threads
_LOOK_UP = 0.2


class Scheduler:
    """One run over a plan.

    Args:
        jobs: The plan, whole.
        context: The package.
        clients: Where threads get their clients.
        record: Writes facts.
        workers: Threads at most.
        raise_on_failed: Stop at the first job that fails for good, after those that run have ended.
        max_attempts: Give up for this run when a job was tried this often without an answer.
        policy: How long to wait between attempts.
        done: Ids of jobs that were done by earlier runs.
        attempts: Failed attempts of earlier runs by job id.
        staging: The staging place in this load.
        started: Told of each attempt, with its number, when it begins.

    Attributes:
        outcomes: The last outcome of each job that ended in this run, by id.
        retries: Failed attempts by job id, earlier runs included.
    """

    def __init__(
        self,
        jobs: Sequence[PlannedJob],
        context: LoadContext,
        clients: Clients,
        record: Callable[..., None],
        *,
        workers: int = 20,
        raise_on_failed: bool = True,
        max_attempts: int = 5,
        policy: RetryPolicy | None = None,
        done: frozenset[str] = frozenset(),
        attempts: Mapping[str, int] | None = None,
        staging: Staging | None = None,
        started: Callable[[PlannedJob, int], None] = lambda job, attempt: None,
    ) -> None:
        self._jobs = {job.id: job for job in jobs}
        self._context = context
        self._clients = clients
        self._staging = staging
        self._record, self._started = record, started
        self._workers = max(1, workers)
        self._raise_on_failed = raise_on_failed
        self._max_attempts = max(1, max_attempts)
        self._policy = policy or RetryPolicy()
        self._done = done
        self._waiting: dict[str, float] = {}  # job id to the instant of its next attempt
        self._ready: list[str] = []
        self._spoiled: set[str] = set()
        self._fatal: Outcome | None = None
        self._half: Outcome | None = None  # the first job that did not fill again what was emptied for it
        self._graph: TopologicalSorter[str] = TopologicalSorter({j.id: j.after for j in jobs})
        self.outcomes: dict[str, Outcome] = {}
        self.retries: dict[str, int] = dict(attempts or {})

    def run(self) -> None:
        """Run all jobs that are not done.

        Raises:
            LoadClientJobFailed: A job failed for good and ``raise_on_failed`` is set; or it was to fill tables that
                were emptied for it: then the others have ended, and the load must not pass for a whole one.
            LoadClientJobRetry: A job was tried ``max_attempts`` times in vain. The others have ended.
            SignalReceivedException: A signal came. Jobs that ran have ended and are recorded.
        """
        self._graph.prepare()
        self._advance()
        width = min(self._workers, len(self._jobs) - len(self._done))
        if width <= 1 or self._is_chain():
            self._run_here()
        else:
            self._run_in_threads(width)
        ended = self._fatal or self._half
        if ended is not None:
            raise self._error(ended)

    def _is_chain(self) -> bool:
        """Whether never two jobs can run at once: each waits for the one before it."""
        left = [job for job in self._jobs.values() if job.id not in self._done]
        return all(before.id in job.after for before, job in itertools.pairwise(left))

    def _advance(self) -> None:
        """Collect what has become ready; what is done already lets its followers through at once."""
        while fresh := self._graph.get_ready():
            for job_id in fresh:
                if job_id in self._done:
                    self._graph.done(job_id)
                else:
                    self._ready.append(job_id)

    # ---- on this thread --------------------------------------------------------------------------------------------

    def _run_here(self) -> None:
        while (self._ready or self._waiting) and self._fatal is None:
            signals.raise_if_received()
            if not self._ready:
                signals.sleep(max(0.0, min(self._waiting.values()) - time.monotonic()))
                self._wake()
                continue
            job = self._next()
            self._settle([run_job(job, self._context, self._clients, self._staging)])

    # ---- in threads ------------------------------------------------------------------------------------------------

    def _run_in_threads(self, width: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(width, thread_name_prefix="headrace-load")
        try:
            self._pump(pool, width)
        except KeyboardInterrupt:
            # a second signal must not wait here for a job that hangs
            self._clients.abandon()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()

    def _pump(self, pool: ThreadPoolExecutor, width: int) -> None:
        from concurrent.futures import FIRST_COMPLETED, wait

        running: set[Future[Outcome]] = set()
        while running or self._ready or self._waiting:
            stopping = self._fatal is not None or signals.received() is not None
            if stopping and not running:
                break
            if not stopping:
                self._wake()
                # no more than can run: what is not begun must not begin after a failure
                while self._ready and len(running) < width:
                    job = self._next()
                    # what is current here (the pipeline, its package) is current for the job
                    here = contextvars.copy_context()
                    running.add(pool.submit(here.run, run_job, job, self._context, self._clients, self._staging))
            if not running:
                signals.sleep(max(0.0, min(self._waiting.values()) - time.monotonic()))
                continue
            ended, running = wait(running, timeout=_LOOK_UP, return_when=FIRST_COMPLETED)
            if ended:
                self._settle([future.result() for future in ended])
        if self._fatal is None and self._graph.is_active():
            signals.raise_if_received()

    # ---- what came of it -------------------------------------------------------------------------------------------

    def _next(self) -> PlannedJob:
        job = self._jobs[self._ready.pop(0)]
        self._started(job, self.retries.get(job.id, 0) + 1)
        return job

    def _wake(self) -> None:
        instant = time.monotonic()
        for job_id in [j for j, due in self._waiting.items() if due <= instant]:
            del self._waiting[job_id]
            self._ready.append(job_id)

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Record outcomes in one write, and let the followers of finished jobs through."""
        self._record(*[self._judge(outcome) for outcome in outcomes])
        self._advance()
        while lost := [j for j in self._ready if self._lost(j)]:
            self._ready = [j for j in self._ready if j not in lost]
            self._record(*map(self._give_up, lost))
            self._advance()

    def _lost(self, job_id: str) -> bool:
        """Whether the tables of a job were to be emptied before, and could not be."""
        job = self._jobs[job_id]
        before = [self._jobs[i] for i in job.after if i in self._spoiled]
        return any(not set(job.tables).isdisjoint(one.tables) for one in before)

    def _give_up(self, job_id: str) -> DurableEvent:
        """Fail a job whose tables could not be emptied: its rows would stand beside those they replace."""
        self._graph.done(job_id)
        return self._failure(self._jobs[job_id], "its tables could not be emptied before")

    def _failure(self, job: PlannedJob, message: str, seconds: float = 0.0) -> JobFailed:
        return JobFailed(
            load_id=self._context.load_id,
            job_id=job.id,
            message=without_secrets(message),
            seconds=seconds,
            tables=job.tables or list(dict.fromkeys(file.table for file in job.files)),
            files=[file.path for file in job.files],
        )

    def _judge(self, outcome: Outcome) -> DurableEvent:
        job, load_id = outcome.job, self._context.load_id
        self.outcomes[job.id] = outcome
        if outcome.result == "done":
            self._graph.done(job.id)
            told = outcome.applied
            return JobDone(
                load_id=load_id,
                job_id=job.id,
                seconds=outcome.seconds,
                rows=told.rows,
                changes=told.changes,
                versions=told.versions,
                partitions=told.partitions,
                queries={table: [without_secrets(query) for query in told.queries[table]] for table in told.queries},
            )
        if outcome.result == "failed":
            if self._raise_on_failed:
                self._fatal = self._worse(outcome)
            else:
                self._pass_over(outcome)
            return self._failure(job, outcome.message, outcome.seconds)
        attempt = self.retries[job.id] = self.retries.get(job.id, 0) + 1
        if attempt % self._max_attempts == 0:
            self._fatal = self._worse(outcome)
        else:
            self._waiting[job.id] = time.monotonic() + self._policy.wait(attempt)
        return JobRetried(
            load_id=load_id,
            job_id=job.id,
            attempt=attempt,
            message=without_secrets(outcome.message),
            seconds=outcome.seconds,
        )

    def _pass_over(self, outcome: Outcome) -> None:
        job = outcome.job
        self._graph.done(job.id)
        if isinstance(job, Truncate):
            self._spoiled.add(job.id)
        elif self._half is None and any(isinstance(self._jobs[i], Truncate) for i in job.after):
            self._half = outcome

    def _worse(self, outcome: Outcome) -> Outcome:
        """A failure for good decides over one that may pass; else the first one stays."""
        first = self._fatal
        return outcome if first is None or (first.result == "again" and outcome.result == "failed") else first

    def _error(self, outcome: Outcome) -> LoadClientJobFailed | LoadClientJobRetry:
        load_id, job = self._context.load_id, outcome.job
        cause = outcome.error or RuntimeError("unknown")
        error: LoadClientJobFailed | LoadClientJobRetry
        if outcome.result == "failed":
            error = LoadClientJobFailed(load_id, job.id, outcome.message, cause)
        else:
            attempts = self.retries[job.id]
            error = LoadClientJobRetry(load_id, job.id, attempts, self._max_attempts, outcome.message, cause)
        error.__cause__ = cause
        return error
