"""Incremental loading: cursors that let only new rows pass.

`Incremental` is what users write; they know it as ``incremental``.

The parts: `settings` (what users say), `step` (binding to state, running), `window` (the range and the algorithm),
`rows` and `arrow` (pages of either kind), `cursor` (finding the value), `hashes` (telling rows at the edge apart),
`lag`, `external` (intervals of schedulers).
"""

from headrace.extract.incremental.settings import LastValueFunc, OnCursorValueMissing, TIncrementalRange
from headrace.extract.incremental.step import Incremental

incremental = Incremental

__all__ = ["Incremental", "LastValueFunc", "OnCursorValueMissing", "TIncrementalRange", "incremental"]
