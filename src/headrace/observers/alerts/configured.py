"""The alerts that settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.bus.observer import Observer
    from headrace.pipeline.core import PipelineCore


def observer_for(p: PipelineCore) -> Observer | None:
    """The observer for the settings of a pipeline; None when they name nobody to tell."""
    return None
