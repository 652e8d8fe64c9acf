"""Lineage: the story of every run as OpenLineage events (https://openlineage.io/spec/2-0-2/OpenLineage.json).

The setting ``lineage`` or OpenLineage's own variables switch it on; nothing of this package is loaded before. Users
know it as ``headrace.lineage``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.bus.observer import Observer
    from headrace.config.lineage import LineageConfiguration
    from headrace.pipeline.core import PipelineCore

logger = logging.getLogger("headrace")


def observer_for(p: PipelineCore) -> Observer | None:
    """The observer that tells lineage of a pipeline; None when its settings do not ask for it."""
    from headrace.config.lineage import lineage_settings

    settings = lineage_settings()
    _tell_unknown_keys(settings)
    if not settings.is_on():
        return None
    from headrace.observers.lineage.collect import LineageObserver
    from headrace.observers.lineage.delivery import sink_for

    return LineageObserver(p, settings, sink_for(p.working_dir, settings, p.pipeline_name))


_told: set[str] = set()


def _tell_unknown_keys(settings: LineageConfiguration) -> None:
    """A key that is misspelt would mean, without a word, that lineage is off or goes elsewhere. Looked for once."""
    if _told and settings.is_on():
        return
    from headrace.config.explain import unknown_keys

    found = sorted(set(unknown_keys("lineage", settings.get_resolvable_fields())) - _told)
    _told.update(found, [""])
    if found:
        logger.warning("lineage: no setting of the section `lineage` is called %s; it has no effect", ", ".join(found))


def watch_plans(p: PipelineCore) -> None:
    """Let the plans of a pipeline note what lineage needs to know, if its settings ask for it."""
    from headrace.config.current import pipeline_name_scope
    from headrace.config.lineage import lineage_settings

    with pipeline_name_scope(p.pipeline_name):
        wanted = lineage_settings().is_on()
    if wanted:
        from headrace.observers.lineage.planned import note_plans

        note_plans(p)
