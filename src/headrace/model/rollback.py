"""What `Pipeline.rollback` hands back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from headrace.model.undo import TableUndone, UndoReport


class UndoableLoad(NamedTuple):
    """A load that can be undone.

    Attributes:
        load_id: The load.
        schema_name: Its schema.
        dataset_name: Where it is.
        began_at: When it began to change the dataset.
        is_complete: Whether all of it had come in; else it was broken off or set aside half-way.
        tables: The tables it changed.
        why_not: Why it cannot be undone after all; empty when it can.
    """

    load_id: str
    schema_name: str
    dataset_name: str
    began_at: dt.datetime | None
    is_complete: bool
    tables: list[str]
    why_not: str = ""


class CursorMove(NamedTuple):
    """A cursor that went back: ``source.resource.path``, its value before the rollback and after it."""

    cursor: str
    before: Any
    after: Any


class _RollbackInfo(NamedTuple):
    pipeline_name: str
    dataset_name: str
    loads_ids: list[str]
    tables: dict[str, TableUndone]
    schema_versions: list[str]
    cursors: list[CursorMove]
    finished_at: dt.datetime


class RollbackInfo(_RollbackInfo):
    """What was undone.

    Attributes:
        pipeline_name: The pipeline.
        dataset_name: The dataset.
        loads_ids: The loads, newest first.
        tables: What became of each table.
        schema_versions: Hashes of stored schemas that are gone.
        cursors: Cursors that went back.
        finished_at: When it was done.
    """

    def asdict(self) -> dict[str, Any]:
        """A dictionary that can be loaded as a row."""
        return {
            "pipeline": {"pipeline_name": self.pipeline_name},
            "dataset_name": self.dataset_name,
            "loads_ids": list(self.loads_ids),
            "tables": [{"table_name": name, **msgspec.to_builtins(t)} for name, t in self.tables.items()],
            "schema_versions": list(self.schema_versions),
            "cursors": [{"cursor": c, "before": _text(b), "after": _text(a)} for c, b, a in self.cursors],
            "finished_at": self.finished_at,
        }

    def asstr(self, verbosity: int = 0) -> str:
        """A text for people; from verbosity 1 with tables of our own and hashes of schemas."""
        several = "loads" if len(self.loads_ids) > 1 else "load"
        ids = ", ".join(self.loads_ids)
        lines = [f"Pipeline {self.pipeline_name}: {several} {ids} undone in dataset {self.dataset_name}."]
        shown = {n: t for n, t in self.tables.items() if verbosity > 0 or not n.startswith("_dlt_")}
        lines += [f"  {name}: {table}" for name, table in shown.items()]
        lines += [f"  cursor {c}: {_text(b)} -> {_text(a)}" for c, b, a in self.cursors]
        if verbosity > 0:
            lines += [f"  stored schema {version} deleted" for version in self.schema_versions]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.asstr()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def cursor_moves(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[CursorMove]:
    """Cursors that differ between two state documents."""
    old, new = dict(_cursors(before)), dict(_cursors(after))
    return [CursorMove(c, old.get(c), new.get(c)) for c in dict.fromkeys([*old, *new]) if old.get(c) != new.get(c)]


def _cursors(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for source, kept in (state.get("sources") or {}).items():
        for resource, own in (kept.get("resources") or {}).items():
            for path, cursor in (own.get("incremental") or {}).items():
                if isinstance(cursor, Mapping):
                    yield f"{source}.{resource}.{path}", cursor.get("last_value")


def add_report(total: UndoReport, part: UndoReport) -> None:
    """Add what one transaction did to what others did."""
    total.load_ids += part.load_ids
    total.schema_versions += part.schema_versions
    for name, table in part.tables.items():
        whole = total.of(name)
        whole.removed, whole.restored = whole.removed + table.removed, whole.restored + table.restored
        whole.dropped = table.dropped
        whole.columns_dropped += table.columns_dropped
        whole.columns_restored += table.columns_restored
