"""Events are published here and observed from here."""

from headrace.bus.bus import Bus, installed_gates, installed_observers
from headrace.bus.gates import Gate, SchemaGate
from headrace.bus.observer import Observer, OnEvent, Publish, Queued, Run, Veto, ignore

__all__ = [
    "Bus",
    "Gate",
    "Observer",
    "OnEvent",
    "Publish",
    "Queued",
    "Run",
    "SchemaGate",
    "Veto",
    "ignore",
    "installed_gates",
    "installed_observers",
]
