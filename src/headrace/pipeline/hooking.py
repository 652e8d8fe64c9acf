"""Observers and gates that settings name (``runtime.observers``, ``runtime.gates``) or packages offer."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.pipeline.core import PipelineCore

logger = logging.getLogger("headrace")


def hook_in(p: PipelineCore) -> None:
    """Add what the settings name to a pipeline's bus. An observer that cannot be made fails no run."""
    runtime = p._settings.runtime
    for place in _places(runtime.observers):
        try:
            p.bus.observe(made(place))
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            logger.warning(
                "pipeline `%s`: observer `%s` could not be made and sees nothing of its runs: %s: %s. The run goes on. "
                "It is named by `runtime.observers`: correct that setting, or remove it.",
                *(p.pipeline_name, place, type(error).__name__, error),
            )
    for place in _places(runtime.gates):
        try:
            p.bus.guard(made(place))
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            from headrace.bus.gates import Broken

            p.bus.guard(Broken(place, error))
            logger.error(
                "pipeline `%s`: gate `%s` could not be made, so nothing is loaded: %s: %s. It is named by "
                "`runtime.gates`: correct that setting, or remove it.",
                *(p.pipeline_name, place, type(error).__name__, error),
            )


def made(place: str) -> Any:
    """What ``package.module:name`` gives: an object as it is, a class or function called without arguments.

    Raises:
        ValueError: The text is no such place.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise ValueError(f"`{place}` does not say where it is; write `package.module:name`")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    ready = any(hasattr(found, method) for method in ("notify", "check", "decide"))
    return found if ready and not isinstance(found, type) else found()


def _places(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
