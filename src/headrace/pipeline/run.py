"""A whole run: sync once, finish what is pending, then extract, normalize and load the new data."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.errors.destination import DestinationIncompatibleLoaderFileFormatException
from headrace.model.infos import LoadInfo
from headrace.pipeline.extracting import ExtractArgs, extract
from headrace.pipeline.loading import load, merge_infos
from headrace.pipeline.normalizing import normalize
from headrace.pipeline.step import step
from headrace.pipeline.sync import sync_if_needed

if TYPE_CHECKING:
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


def run(p: Pipeline, data: Any, where: tuple[Any, Any, str | None, Any], hints: dict[str, Any]) -> LoadInfo | None:
    """See `Pipeline.run`.

    Args:
        p: The pipeline.
        data: What to load.
        where: Destination, staging, dataset name and credentials, each None when not given.
        hints: Of the data, by the names of the arguments of `Pipeline.run`.
    """
    p._destinations.set(*where)
    file_format = hints.pop("loader_file_format", None)
    refresh = hints.pop("refresh", None) or p.refresh
    with step(p, "run") as bracket:
        p._need_destination("run")
        _check_format(p, file_format)
        sync_if_needed(p)
        info = _finish_pending(p, file_format, announce=data is not None)
        if data is not None:
            extract(p, data, ExtractArgs({**hints, "file_format": file_format}, refresh=refresh))
            normalize(p, None, file_format)
            info = merge_infos(info, load(p))
        bracket.info = info
        return info


def _finish_pending(p: Pipeline, file_format: str | None, announce: bool) -> LoadInfo | None:
    """Load what earlier runs left; a package that fails for good is set aside, and the run goes on."""
    load_ids = p._store.list("extracted", "normalized")
    if not load_ids:
        return None
    if announce:
        logger.warning(
            "pipeline `%s`: %d packages of earlier runs (%s) are loaded first, then the data of this run",
            *(p.pipeline_name, len(load_ids), ", ".join(load_ids)),
        )
    normalize(p, None, file_format, park=True)
    return load(p, park=True)


def _check_format(p: Pipeline, file_format: str | None) -> None:
    if file_format is None:
        return
    supported = p._destinations.capabilities().supported_loader_file_formats
    if file_format not in supported:
        name = getattr(p.destination, "destination_name", "the destination")
        raise DestinationIncompatibleLoaderFileFormatException(name, None, file_format, list(supported))
