"""What failed for good is loaded once more: jobs of packages that were loaded without them, packages set aside.

The commit is one fact in the package's journal (`Reopened`): from then on the package waits like any other, and a
process that is killed leaves it to the next run. What would bring old rows over newer ones, or rows twice, is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from headrace.errors.pipeline import CannotRetryJobs
from headrace.model.events import Aborted, Extracted, JobDone, RolledBack
from headrace.model.jobs import Copy, PlannedJob, Truncate
from headrace.package.again import failed_jobs, planned_jobs
from headrace.pipeline.loading import load
from headrace.pipeline.normalizing import normalize
from headrace.pipeline.overwriting import OVERWRITE, WRITE, newer_writer
from headrace.pipeline.parking import extract_of
from headrace.pipeline.recovery import bring_forward, schema_for
from headrace.pipeline.step import step, working

if TYPE_CHECKING:
    from headrace.model.infos import LoadInfo
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
_FORCE = "look at the tables; `force=True` (`--force`) loads it nevertheless, `pipeline.run(...)` reads the data again"


class _Choice(NamedTuple):
    """A package to load again, and which of its jobs; none for all of it."""

    package: Package
    jobs: list[str]


def retry_failed_jobs(p: Pipeline, load_id: str | None, job_id: str | None, force: bool) -> LoadInfo | None:
    """See `Pipeline.retry_failed_jobs` and `Pipeline.retry_job`."""
    p._need_destination("load")
    with working(p):
        # before the step: what finds nothing to do is no run, and the last run stays the one that is told
        every = _all_failed(p, force) if load_id is None else []
        return _retry(p, load_id, job_id, force, every) if every or load_id is not None else None


def _retry(p: Pipeline, load_id: str | None, job_id: str | None, force: bool, every: list[_Choice]) -> LoadInfo | None:
    with step(p, "run") as run:
        run.load_id = load_id
        chosen = every if load_id is None else _choose(p, p._store.get(load_id), job_id, force)
        waiting = load_id is not None and p._store.get(load_id).phase in ("extracted", "normalized")
        if not chosen and not waiting:
            return None
        _put_back(p, chosen)
        if p._store.list("extracted"):
            normalize(p, park=True)
        info = load(p, park=True)
        run.info = info
        if info is not None and p._settings.load().raise_on_failed_jobs:
            info.raise_on_failed_jobs()
        return info


def _put_back(p: Pipeline, chosen: Sequence[_Choice]) -> None:
    for package, jobs in chosen:
        aside = package.phase == "aborted"
        p._store.reopen(package, jobs)
        if aside:
            p._schemas.save(schema_for(p, package))
        logger.info(
            "pipeline `%s`: package %s is loaded again (%s)",
            *(p.pipeline_name, package.load_id, ", ".join(jobs) or "it was set aside"),
        )
    bring_forward(p, [package for package, _ in chosen])


# ---- what there is to retry ----------------------------------------------------------------------------------------


def _all_failed(p: Pipeline, force: bool) -> list[_Choice]:
    chosen: list[_Choice] = []
    for load_id in p._store.list("loaded", "aborted"):
        package = p._store.get(load_id)
        if not failed_jobs(package) or any(package.load_id == one.package.load_id for one in chosen):
            continue
        try:
            chosen += _choose(p, package, None, force)
        except CannotRetryJobs as error:
            logger.warning("pipeline `%s`: %s", p.pipeline_name, error)
    return chosen


def _choose(p: Pipeline, package: Package, job_id: str | None, force: bool) -> list[_Choice]:
    """The package with its jobs, if loading it does no harm; parts of its extract set aside with it come along."""
    if package.phase == "aborted":
        if package.fact(RolledBack) is not None:
            raise CannotRetryJobs(p.pipeline_name, package.load_id, "it was undone", fix="extract the data again")
        if job_id is not None:
            _find(p, package, job_id)
        parts = [package, *_later_parts(p, package)]
        for part in parts:
            _check_files(p, part, _left(part))
            if not force:
                _check_newer(p, part, _left(part))
        if not force:
            _check_cursor(p, package)
        return [_Choice(part, []) for part in parts]
    if package.phase != "loaded":
        return []  # it waits already
    failed = list(failed_jobs(package))
    if job_id is not None:
        failed = _with_company(package, _find(p, package, job_id))
    if not failed:
        return []
    jobs = [job for job in planned_jobs(package) if job.id in failed]
    _check_files(p, package, jobs)
    if not force:
        _check_newer(p, package, jobs)
    return [_Choice(package, failed)]


def _find(p: Pipeline, package: Package, job_id: str) -> str:
    """The failed job of an id, which may also be the id of one of its files, with or without a count of retries."""
    failed = failed_jobs(package)
    for job in planned_jobs(package):
        files = {name for f in job.files for name in (f.id, f.name, f"{f.table}.{f.id}.{f.format}")}
        if job.id in failed and job_id in {job.id, *files}:
            return job.id
    raise CannotRetryJobs(
        p.pipeline_name,
        package.load_id,
        f"it has no failed job `{job_id}`",
        fix=f"failed are: {', '.join(failed) or 'none'}",
    )


def _with_company(package: Package, job_id: str) -> list[str]:
    """A failed job with failed ones before it and behind it: tables are not filled unemptied, nor emptied unfilled."""
    failed, chosen = failed_jobs(package), {job_id}
    jobs = [job for job in planned_jobs(package) if job.id in failed]
    size = 0
    while size != len(chosen):
        size = len(chosen)
        for job in jobs:
            links = {job.id, *(i for i in job.after if i in failed)}
            if links & chosen and any(isinstance(other, Truncate) and other.id in links for other in jobs):
                chosen |= links
    return [found for found in failed if found in chosen]


def _left(package: Package) -> list[PlannedJob]:
    done = {fact.job_id for fact in package.journal.all(JobDone)}
    return [job for job in planned_jobs(package) if job.id not in done]


def _later_parts(p: Pipeline, package: Package) -> list[Package]:
    """Packages of the same extract that went aside with this one."""
    extract = extract_of(package)
    if extract is None or package.journal.all(JobDone):
        return []
    later = [p._store.get(i) for i in p._store.list("aborted") if i > package.load_id]
    return [part for part in later if extract_of(part) == extract and not part.journal.all(JobDone)]


# ---- what would do harm --------------------------------------------------------------------------------------------


def _check_files(p: Pipeline, package: Package, jobs: Iterable[PlannedJob]) -> None:
    for job in jobs:
        for file in job.files:
            if not package.file_path(file).exists():
                raise CannotRetryJobs(
                    p.pipeline_name,
                    package.load_id,
                    f"the file {package.file_path(file)} of job {job.id} is gone",
                    fix="put it back, or extract the data again",
                )


def _check_newer(p: Pipeline, package: Package, jobs: Sequence[PlannedJob]) -> None:
    """Refuse to write old rows over newer ones, or beside those that have replaced them."""
    for job in jobs:
        emptied = [other for other in planned_jobs(package) if other.id in job.after and isinstance(other, Truncate)]
        appends = isinstance(job, Copy) and not any(set(e.tables) & set(job.tables) for e in emptied)
        newer = newer_writer(p, package, set(job.tables), OVERWRITE if appends else WRITE)
        if newer is not None:
            raise CannotRetryJobs(
                p.pipeline_name,
                package.load_id,
                f"{newer} has written table `{job.tables[0]}` since, and its rows are newer than those of job {job.id}",
                fix=_FORCE,
            )


def _check_cursor(p: Pipeline, package: Package) -> None:
    """Refuse data that was extracted again, or will be."""
    aside = package.fact(Aborted)
    if package.journal.all(JobDone) or aside is None:
        return  # the cursors did not go back
    for load_id in p._store.list("extracted", "normalized", "loaded"):
        other = p._store.get(load_id)
        sealed = other.fact(Extracted)
        if other.schema_name == package.schema_name and sealed is not None and sealed.at > aside.at:
            raise CannotRetryJobs(
                p.pipeline_name,
                package.load_id,
                f"its data may have been extracted again: package {load_id} of the same source is newer",
                fix=_FORCE,
            )
    document = package.load_state()
    if document is None or document.get("before") is None:
        return
    source = p._state.document.get("sources", {}).get(package.schema_name)
    after = document["pipeline_state"].get("sources", {}).get(package.schema_name)
    if source not in (document["before"]["source"], after):
        raise CannotRetryJobs(
            p.pipeline_name,
            package.load_id,
            "the cursors of its source have moved since, so the next run extracts its data again",
            fix="retry an older package that was set aside first, if there is one; or " + _FORCE,
        )
