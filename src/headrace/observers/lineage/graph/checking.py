"""Says what is wrong with an event that somebody sends: the parts that the specification requires (2-0-2)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from headrace.observers.lineage.graph.reading import instant

_TYPES = ("START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER")


def complaint(event: Any) -> str | None:
    """What is wrong with an event; None when it is right."""
    if not isinstance(event, dict):
        return "an event is a JSON object"
    for name in ("eventTime", "producer", "schemaURL"):
        if not isinstance(event.get(name), str) or not event[name]:
            return f"`{name}` is missing"
    if instant(event["eventTime"]) == "0000":
        return "`eventTime` is no instant of RFC 3339, such as 2026-11-21T10:00:00Z"
    if "job" in event or "run" in event:
        return _of_job(event)
    return _named(event.get("dataset"), "dataset")


def line_of(event: Any) -> tuple[bytes, str | None]:
    """An event as it is kept, and what is wrong with it."""
    wrong = complaint(event)
    try:
        return (b"" if wrong else msgspec.json.encode(event)), wrong
    except UnicodeEncodeError:  # JSON can name half a character, and UTF-8 cannot
        return b"", "a text is no Unicode: it has half of a surrogate pair"


def _of_job(event: dict[str, Any]) -> str | None:
    wrong = _named(event.get("job"), "job")
    if wrong is None and "run" in event:
        run = event["run"]
        wrong = _uuid(run.get("runId")) if isinstance(run, dict) else "`run` is no object"
        if wrong is None and event.get("eventType", "OTHER") not in _TYPES:
            wrong = f"`eventType` is none of {', '.join(_TYPES)}"
    for side in ("inputs", "outputs"):
        if wrong is None and event.get(side) is not None:
            given = event[side]
            if not isinstance(given, list):
                return f"`{side}` is no list"
            wrong = next((w for i, one in enumerate(given) if (w := _named(one, f"{side}[{i}]"))), None)
    return wrong


def _named(given: Any, what: str) -> str | None:
    if not isinstance(given, dict):
        return f"`{what}` is missing" if given is None else f"`{what}` is no object"
    for name in ("namespace", "name"):
        if not isinstance(given.get(name), str) or (name == "name" and not given[name]):
            return f"`{what}.{name}` is missing"
    facets = given.get("facets")
    return None if facets is None or isinstance(facets, dict) else f"`{what}.facets` is no object"


def _uuid(given: Any) -> str | None:
    try:
        UUID(given)
    except (TypeError, ValueError, AttributeError):
        return "`run.runId` is no UUID"
    return None
