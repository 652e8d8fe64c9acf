"""Lineage: what runs read and write, as OpenLineage events.

::

    from headrace.lineage import attach_to_dlt, parent

Runs of headrace tell theirs once lineage is configured; `attach_to_dlt` does the same for upstream dlt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

_where = {
    "attach_to_dlt": "headrace.observers.lineage.dlt:attach_to_dlt",
    "parent": "headrace.observers.lineage.parent:parent",
}

__getattr__, __dir__ = _lazy_names(__name__, _where)

if TYPE_CHECKING:
    from headrace.observers.lineage.dlt import attach_to_dlt as attach_to_dlt
    from headrace.observers.lineage.parent import parent as parent
