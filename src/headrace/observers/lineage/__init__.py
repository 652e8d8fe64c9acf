"""Lineage: the story of every run as OpenLineage events (https://openlineage.io/spec/2-0-2/OpenLineage.json).

The setting ``lineage`` or OpenLineage's own variables switch it on; nothing of this package is loaded before. Users
know it as ``headrace.lineage``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from headrace.bus.observer import Observer
    from headrace.pipeline.core import PipelineCore

_HOME = "headrace.observers.lineage"
_where = {
    "context_env": f"{_HOME}.public:context_env",
    "events_of_plan": f"{_HOME}.planned:events_of_plan",
    "exported": f"{_HOME}.public:exported",
    "flush": f"{_HOME}.public:flush",
    "parent": f"{_HOME}.parent:parent",
    "replay": f"{_HOME}.delivery:replay",
    "attach_to_dlt": f"{_HOME}.dlt:attach_to_dlt",
}
__getattr__, __dir__ = _lazy_names(__name__, _where)

if TYPE_CHECKING:
    from headrace.observers.lineage.parent import parent as parent
    from headrace.observers.lineage.planned import events_of_plan as events_of_plan
    from headrace.observers.lineage.public import context_env as context_env
    from headrace.observers.lineage.public import exported as exported
    from headrace.observers.lineage.public import flush as flush


def observer_for(p: PipelineCore) -> Observer | None:
    """The observer that tells lineage of a pipeline; None when its settings do not ask for it."""
    from headrace.config.lineage import lineage_settings

    settings = lineage_settings()
    if not settings.is_on():
        return None
    from headrace.observers.lineage.collect import LineageObserver
    from headrace.observers.lineage.delivery import sink_for

    return LineageObserver(p, settings, sink_for(p.working_dir, settings, p.pipeline_name))
