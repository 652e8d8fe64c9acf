"""Delivery of events: a store on disk first, then receivers, each on a thread of its own, in order, when they can.

Nothing here runs on a pipeline's thread but `DiskSink.emit`, which puts a function into a queue. `delivery.replay` is
what is done by hand; runs do not load it.
"""

from __future__ import annotations

from headrace.observers.lineage.delivery.runtime import close, sink_for
from headrace.observers.lineage.delivery.sink import DiskSink

__all__ = ["DiskSink", "close", "sink_for"]
