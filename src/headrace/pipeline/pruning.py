"""What is kept of packages that are loaded: by number, age and size. Those that failed are kept by themselves."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors.base import HeadraceException
from headrace.model.wording import count
from headrace.package.again import failed_jobs
from headrace.pipeline.overwriting import needed_for_retries

if TYPE_CHECKING:
    from headrace.config.known import LoadConfiguration
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
_DAY = 86400.0


def prune_packages(p: Pipeline, found: LoadConfiguration) -> list[str]:
    """Delete packages that the settings do not keep. Killed in between, the next call goes on.

    Args:
        p: The pipeline, whose working folder is held.
        found: ``keep_packages``, ``keep_packages_days``, ``keep_packages_bytes``, ``keep_failed_packages_days``.

    Returns:
        Load ids of the packages that are gone, oldest first.
    """
    if found.keeps_all_packages:
        return []
    # the newest one says behind what the next load id has to be
    newest = max(p._store.list(), default="")
    whole, failed = _sorted(p, p._store.list("loaded", "aborted"), newest)
    # a rollback reads the packages of the loads that it undoes
    whole = whole[: max(0, len(whole) - max(0, found.keep_undo - 1))] if found.keep_undo else whole
    doomed = {*_too_many(whole, found.keep_packages), *_too_old(whole, found.keep_packages_days)}
    if found.keep_packages_bytes is not None:
        room = found.keep_packages_bytes - _size(p, newest)
        doomed |= _too_large(p, [i for i in whole if i not in doomed], room)
    doomed |= _too_old(failed, found.keep_failed_packages_days)
    if failed and doomed:
        doomed -= needed_for_retries(p, [i for i in failed if i not in doomed], doomed & {*whole})
    gone = [load_id for load_id in sorted(doomed) if _drop(p, load_id)]
    if gone:
        logger.info("pipeline `%s`: %s deleted, as configured", p.pipeline_name, count(len(gone), "old package"))
    return gone


def _sorted(p: Pipeline, load_ids: list[str], newest: str) -> tuple[list[str], list[str]]:
    """Packages that are loaded whole, and those with failures; oldest first, without the newest of all."""
    whole: list[str] = []
    failed: list[str] = []
    aborted = set(p._store.list("aborted"))
    for load_id in load_ids:
        if load_id == newest:
            continue
        try:
            bad = load_id in aborted or bool(failed_jobs(p._store.get(load_id)))
        except HeadraceException:
            bad = True  # nobody can say what is in it: it is for a person to look at
        (failed if bad else whole).append(load_id)
    return whole, failed


def _too_many(load_ids: list[str], keep: int | None) -> set[str]:
    # the newest one, which always stays, is one of those to keep
    return set(load_ids[: max(0, len(load_ids) - max(0, keep - 1))]) if keep is not None else set()


def _too_old(load_ids: list[str], days: float | None) -> set[str]:
    if days is None:
        return set()
    oldest = time.time() - days * _DAY
    return {load_id for load_id in load_ids if (made := _made(load_id)) is not None and made < oldest}


def _made(load_id: str) -> float | None:
    """When a package was made; None for load ids that do not tell."""
    try:
        return float(load_id)
    except ValueError:
        return None


def _too_large(p: Pipeline, load_ids: list[str], room: int) -> set[str]:
    for at, load_id in reversed(list(enumerate(load_ids))):
        room -= _size(p, load_id)
        if room < 0:
            return set(load_ids[: at + 1])
    return set()


def _size(p: Pipeline, load_id: str) -> int:
    return sum(f.stat().st_size for f in Path(p._store.root, load_id).rglob("*") if f.is_file())


def _drop(p: Pipeline, load_id: str) -> bool:
    try:
        p._store.drop(load_id)
    except (OSError, HeadraceException) as error:
        # the data is loaded: a folder that cannot be deleted is no reason to fail
        logger.warning("pipeline `%s`: package %s could not be deleted: %s", p.pipeline_name, load_id, error)
        return False
    return True
