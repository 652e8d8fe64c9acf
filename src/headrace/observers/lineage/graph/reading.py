"""Reads OpenLineage events of any producer, leniently: what is not as the specification has it is passed over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from headrace.observers.lineage.graph.model import NO_DATASET, FieldEdge, How, Key, Run, Source, Touched

_EPOCH = "0000"
_MOST = 2**63  # what databases can count to


def instant(text: Any) -> str:
    """An RFC 3339 instant in UTC, so that instants can be compared as text; one that is none comes before all."""
    if not isinstance(text, str):
        return _EPOCH
    try:
        # Python 3.10 knows neither `Z` nor nanoseconds
        found = dt.datetime.fromisoformat(_six_digits(text.strip().replace("Z", "+00:00").replace("z", "+00:00")))
    except ValueError:
        return _EPOCH
    aware = found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)
    try:
        return aware.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (OverflowError, ValueError):
        return _EPOCH


def _six_digits(text: str) -> str:
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"


def key_of(value: Any) -> Key | None:
    """Namespace and name of a job or dataset; None where they are missing."""
    if not isinstance(value, Mapping):
        return None
    namespace, name = value.get("namespace"), value.get("name")
    return Key(namespace, name) if isinstance(namespace, str) and isinstance(name, str) and name else None


def mapping(value: Any, *path: str) -> dict[str, Any]:
    """The mapping at a path of keys; an empty one where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number(value: Any) -> int | None:
    """A number of rows or bytes."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < _MOST:
        return None
    return int(value)


def text(value: Any) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def touched(dataset: Mapping[str, Any], key: Key, facets: str, statistics: str) -> Touched:
    """The numbers that an event has of a dataset that was read or written."""
    found = mapping(dataset, facets, statistics)
    return Touched(key, number(found.get("rowCount")), number(found.get("size")), number(found.get("fileCount")))


class Said:
    """What was said of one target: sources and fields.

    Attributes:
        stated: Something was said of its sources at all.
        columns: Something was said of its fields.
    """

    def __init__(self) -> None:
        self.sources: dict[Key, None] = {}
        self.fields: list[FieldEdge] = []
        self.generated: list[str] = []
        self.stated = self.columns = False

    def takes(self, given: Any, target_field: str) -> None:
        """Note the inputs of a field, or of the whole (an empty field)."""
        anything = False
        for one in listed(given):
            key, field = key_of(one), text(one.get("field"))
            if one.get("type", "DATASET") == "JOB" or key is None:
                continue
            anything = True
            self.sources[key] = None
            if field:
                self.fields.append(FieldEdge(key, field, target_field, list(hows(one))))
        if target_field and not anything:
            self.generated.append(target_field)

    def completes(self, other: Said) -> None:
        """Add what is said elsewhere of fields that nothing was said of here."""
        own = {one.target_field for one in self.fields} | set(self.generated)
        self.fields = self.fields + [one for one in other.fields if one.target_field not in own]
        self.generated = self.generated + [one for one in other.generated if one not in own]
        self.columns = self.columns or other.columns


def hows(given: Mapping[str, Any]) -> Iterator[How]:
    """Transformations of an input field."""
    for one in listed(given.get("transformations")):
        yield How(
            text(one.get("type")), text(one.get("subtype")), text(one.get("description")), bool(one.get("masking"))
        )


def of_entry(entry: Mapping[str, Any]) -> Said:
    """An entry of explicit lineage, or the facet `lineage` of a dataset."""
    said = Said()
    said.stated = "inputs" in entry or "fields" in entry
    said.columns = bool(mapping(entry, "fields"))
    said.takes(entry.get("inputs"), "")
    for field, body in mapping(entry, "fields").items():
        said.takes(mapping(body).get("inputs"), field)
    return said


def of_columns(facet: Mapping[str, Any]) -> Said:
    """A facet `columnLineage`."""
    said = Said()
    fields = mapping(facet, "fields")
    for field, body in fields.items():
        said.takes(_with_old_words(mapping(body)), field)
    said.takes(facet.get("dataset"), "")
    said.stated, said.columns = bool(said.sources), bool(fields)
    return said


def _with_old_words(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    # before 1-1-0 a transformation belonged to the field and not to its inputs
    inputs, old = listed(body.get("inputFields")), text(body.get("transformationType"))
    if not old:
        return inputs
    how = {"type": "DIRECT", "subtype": old, "description": text(body.get("transformationDescription"))}
    return [one if one.get("transformations") else {**one, "transformations": [how]} for one in inputs]


def flows_of(run: Run) -> Iterator[tuple[Key, Said, list[Source]]]:
    """Targets of a run with what was said of them, and their sources by the best that is known.

    Explicit lineage replaces everything; column lineage comes next. An input that no column lineage of the run
    mentions still was read by it, and goes into all targets, as without any lineage.
    """
    entries = {key or NO_DATASET: of_entry(one) for one, key in _targets(run)}
    columns = {key: of_columns(facet) for key, facet in run.columns}
    mentioned = {key for said in columns.values() for key in said.sources}
    rest = [Source(one.key, "run") for one in run.inputs if one.key not in mentioned]
    for output in run.outputs:
        said = entries.pop(output.key, None)
        by_column = columns.get(output.key, Said())
        if said is not None and said.stated:
            said.completes(by_column)
            yield output.key, said, [Source(key, "explicit") for key in said.sources]
        elif entries or _has_entries(run):
            yield output.key, by_column, [Source(key, "columns") for key in by_column.sources]
        else:
            own = [Source(key, "columns") for key in by_column.sources]
            others = rest if by_column.stated else [Source(one.key, "run") for one in run.inputs]
            yield output.key, by_column, own + [one for one in others if one.key != output.key]
    for key, said in entries.items():
        if said.sources:
            yield key, said, [Source(one, "explicit") for one in said.sources]
    if not run.outputs and NO_DATASET not in entries and run.inputs:
        yield NO_DATASET, Said(), [Source(one.key, "run") for one in run.inputs]


def _targets(run: Run) -> Iterator[tuple[dict[str, Any], Key | None]]:
    for one in run.entries:
        if one.get("type") == "JOB":
            key = key_of(one)
            if key is None or key == run.job:
                yield one, None
        elif (key := key_of(one)) is not None:
            yield one, key


def _has_entries(run: Run) -> bool:
    return any(key is not None for _, key in _targets(run))
