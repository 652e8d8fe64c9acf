"""Events are published here and observed from here."""

from headrace.bus.bus import Bus, installed_observers
from headrace.bus.observer import (
    Gate,
    Observer,
    OnEvent,
    Publish,
    Queued,
    Run,
    Veto,
    ignore,
)

__all__ = ["Bus", "Gate", "Observer", "OnEvent", "Publish", "Queued", "Run", "Veto", "ignore", "installed_observers"]
