"""Lineage: who reads what and who writes what, told as OpenLineage events (https://openlineage.io).

It is switched on by settings, see ``docs/lineage/index.md``. The names here are for programs that want more::

    with headrace.lineage.parent("0195f6de-…", job="nightly.ingest", namespace="prod"):
        pipeline.run(source)  # its run is part of that one
    subprocess.run(["dbt-ol", "run"], env={**os.environ, **headrace.lineage.context_env(pipeline)})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

_HOME = "headrace.observers.lineage"
_where = {
    "attach_to_dlt": f"{_HOME}.dlt:attach_to_dlt",
    "context_env": f"{_HOME}.public:context_env",
    "events_of_plan": f"{_HOME}.planned:events_of_plan",
    "exported": f"{_HOME}.public:exported",
    "flush": f"{_HOME}.public:flush",
    "note_plans": f"{_HOME}.planned:note_plans",
    "parent": f"{_HOME}.parent:parent",
    "read_graph": f"{_HOME}.graph.public:read_graph",
    "replay": f"{_HOME}.delivery:replay",
    "tables": f"{_HOME}.graph.public:tables",
}
__getattr__, __dir__ = _lazy_names(__name__, _where)

if TYPE_CHECKING:
    from headrace.observers.lineage.delivery.replay import replay as replay
    from headrace.observers.lineage.dlt import attach_to_dlt as attach_to_dlt
    from headrace.observers.lineage.graph.public import read_graph as read_graph
    from headrace.observers.lineage.graph.public import tables as tables
    from headrace.observers.lineage.parent import parent as parent
    from headrace.observers.lineage.planned import events_of_plan as events_of_plan
    from headrace.observers.lineage.planned import note_plans as note_plans
    from headrace.observers.lineage.public import context_env as context_env
    from headrace.observers.lineage.public import exported as exported
    from headrace.observers.lineage.public import flush as flush
