"""A whole run: sync once, finish what is pending, then extract, normalize and load the new data."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from headrace.errors.base import ArgumentsOverloadException
from headrace.model.infos import LoadInfo
from headrace.model.wording import count
from headrace.pipeline.extracting import ExtractArgs, extract
from headrace.pipeline.loading import load, merge_infos
from headrace.pipeline.normalizing import normalize, usable_format
from headrace.pipeline.refreshing import check_mode
from headrace.pipeline.retrying import Retries
from headrace.pipeline.step import step
from headrace.pipeline.sync import sync_if_needed

if TYPE_CHECKING:
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


def run(
    p: Pipeline,
    data: Any,
    where: tuple[Any, Any, str | None, Any],
    hints: dict[str, Any],
    allow_destructive: bool | None = None,
) -> LoadInfo | None:
    """See `Pipeline.run`.

    Args:
        p: The pipeline.
        data: What to load.
        where: Destination, staging, dataset name and credentials, each None when not given.
        hints: Of the data, by the names of the arguments of `Pipeline.run`.
        allow_destructive: Of a plan.
    """
    if is_plan(data):
        from headrace.pipeline.planning import run_plan

        _refuse_hints(hints, where)
        return run_plan(p, data, allow_destructive)
    p._destinations.set(*where)
    file_format = hints.pop("loader_file_format", None)
    refresh = hints.pop("refresh", None) or p.refresh
    # what cannot work is refused before anything is read or written
    p._need_destination("run")
    usable_format(p, file_format)
    check_mode(refresh)
    with step(p, "run") as bracket:
        again = Retries(p)
        again(lambda: sync_if_needed(p))
        info = finish_pending(p, file_format, announce=data is not None, again=again)
        if data is not None:
            again(lambda: extract(p, data, ExtractArgs({**hints, "file_format": file_format}, refresh=refresh)), data)
            again(lambda: normalize(p, None, file_format))
            loaded = again.load(lambda: load(p))
            info = merge_infos(info, loaded) if loaded is not None else info
        bracket.info = info
        return info


def is_plan(data: Any) -> bool:
    """Whether data is a plan; without loading the module of plans, which no other run needs."""
    plans = sys.modules.get("headrace.pipeline.plans")  # whoever has a plan has loaded it
    return plans is not None and isinstance(data, plans.Plan)


def _refuse_hints(hints: dict[str, Any], where: tuple[Any, ...]) -> None:
    given = [name for name, value in hints.items() if value is not None]
    given += [n for n, v in zip(("destination", "staging", "dataset_name", "credentials"), where, strict=True) if v]
    if given:
        raise ArgumentsOverloadException(
            f"a plan has its hints already; give {', '.join(f'`{name}`' for name in given)} to `plan`", "run"
        )


def finish_pending(
    p: Pipeline, file_format: str | None, announce: bool, again: Retries | None = None
) -> LoadInfo | None:
    """Load what earlier runs left; a package that fails for good is set aside, and the run goes on."""
    load_ids = p._store.list("extracted", "normalized")
    if not load_ids:
        return None
    if announce:
        logger.warning(
            "pipeline `%s`: %s of earlier runs (%s) %s loaded first, then the data of this run",
            *(p.pipeline_name, count(len(load_ids), "package"), ", ".join(load_ids)),
            "is" if len(load_ids) == 1 else "are",
        )
    again = again or Retries(p)
    again(lambda: normalize(p, None, file_format, park=True))
    loaded = again.load(lambda: load(p, park=True))
    return loaded._replace(pending_loads_ids=list(loaded.loads_ids)) if loaded is not None else None
