"""What merges mean, row by row: tables as lists of Python dictionaries, without keys of the engine's making.

`Model.load` does to its documents what a load must do to the tables, and says which changes it must report. It knows
nothing of SQL: each rule is written as the guide tells it (docs/guide/dispositions.md).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.model.changes import RowChanges

Doc = dict[str, Any]
Changes = dict[str, RowChanges]
KEYED = ("upsert", "cdc", "insert-only")
ROOT, NESTED, BELOW = "", "__n", "__n__m"


@dataclass(frozen=True)
class Plan:
    """How a table is merged.

    Attributes:
        family: ``delete-insert``, ``keyed`` (row ids made of the key) or ``scd2``.
        primary: Primary key.
        ranges: Merge key.
        sort: Order of `s` that chooses among duplicates.
        mark: ``flag`` or ``text``: the kind of the column `gone` that marks deletions; empty for none.
    """

    family: str
    primary: tuple[str, ...]
    ranges: tuple[str, ...]
    sort: str | None = None
    mark: str = ""


@dataclass(frozen=True)
class Load:
    """One load: its documents, how they are written, and options of the merge."""

    how: str
    docs: list[Doc]
    filtered: bool = False
    scoped: bool = False
    skip: bool = False


@dataclass
class Row:
    """A root row with all below it.

    Attributes:
        doc: The document.
        named: The row's id is made of its key, so that nested rows are known again by their places.
        active: Not retired (scd2).
    """

    doc: Doc
    named: bool = False
    active: bool = True


def nested_rows(doc: Doc) -> list[tuple[str, tuple[int, ...], Any]]:
    """Nested rows of a document: table, place and content."""
    found: list[tuple[str, tuple[int, ...], Any]] = []
    for i, each in enumerate(doc.get("n") or []):
        found.append((NESTED, (i,), each["p"]))
        found += [(BELOW, (i, j), value) for j, value in enumerate(each["m"])]
    return found


def count_nested(rows: Sequence[Row]) -> Counter[str]:
    """How many rows the nested tables have of these roots."""
    return Counter(table for row in rows for table, _, _ in nested_rows(row.doc))


def passes(doc: Doc) -> bool:
    """The source filter ``v < 50``."""
    return doc.get("v") is not None and doc["v"] < 50


def in_scope(row: Row) -> bool:
    """The destination scope ``a >= 2``."""
    return bool(row.doc["a"] >= 2)


@dataclass
class Model:
    """One chain of tables."""

    plan: Plan
    rows: list[Row] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)

    def load(self, load: Load) -> Changes:
        """Do a load; returns the changes by the end of the table's name."""
        if load.how == "append":
            return self._insert([Row(doc) for doc in load.docs])
        if load.how == "replace":
            gone, self.rows = self.rows, []
            return self._sum(self._insert([Row(doc) for doc in load.docs]), self._deleted(gone))
        if not load.docs:
            return {}
        docs = [doc for doc in load.docs if passes(doc) or not load.filtered]
        merges: dict[str, Callable[[Load, list[Doc]], Changes]] = {
            "delete-insert": self._delete_insert,
            "upsert": self._put,
            "cdc": self._put,
            "insert-only": self._insert_only,
            "scd2": self._scd2,
        }
        return merges[load.how](load, docs)

    # ---- keys ----

    def key(self, doc: Doc) -> tuple[Any, ...]:
        return tuple(doc.get(c) for c in self.plan.primary)

    def range(self, doc: Doc) -> tuple[Any, ...]:
        return tuple(doc.get(c) for c in self.plan.ranges)

    def is_deletion(self, doc: Doc) -> bool:
        gone = doc.get("gone")
        return {"flag": gone is True, "text": gone is not None}.get(self.plan.mark, False)

    def winners(self, docs: list[Doc]) -> list[Doc]:
        """One document for each primary key: the first by the order, NULLs last, then the first that came."""
        if not self.plan.primary:
            return list(docs)
        best: dict[tuple[Any, ...], tuple[Any, Doc]] = {}
        for at, doc in enumerate(docs):
            value, sign = doc.get("s"), -1 if self.plan.sort == "desc" else 1
            rank = (value is None, (value or 0) * sign, at) if self.plan.sort else (False, 0, at)
            if self.key(doc) not in best or rank < best[self.key(doc)][0]:
                best[self.key(doc)] = (rank, doc)
        return [doc for _, doc in best.values()]

    # ---- changes ----

    def _insert(self, rows: list[Row]) -> Changes:
        self.rows += rows
        below = count_nested(rows)
        return {ROOT: RowChanges(inserted=len(rows)), **{t: RowChanges(inserted=n) for t, n in below.items()}}

    @staticmethod
    def _deleted(rows: list[Row]) -> Changes:
        below = count_nested(rows)
        return {ROOT: RowChanges(deleted=len(rows)), **{t: RowChanges(deleted=n) for t, n in below.items()}}

    @staticmethod
    def _sum(*parts: Changes) -> Changes:
        total: Changes = {}
        for part in parts:
            for table, changes in part.items():
                total[table] = total.get(table, RowChanges()) + changes
        return total

    # ---- strategies ----

    def _delete_insert(self, load: Load, docs: list[Doc]) -> Changes:
        kept = [doc for doc in self.winners(docs) if not self.is_deletion(doc)]
        keys, ranges = {self.key(doc) for doc in docs}, {self.range(doc) for doc in docs}

        def hit(row: Row) -> bool:
            if load.scoped:
                return in_scope(row)
            by_key = bool(self.plan.primary) and self.key(row.doc) in keys
            return by_key or (bool(self.plan.ranges) and self.range(row.doc) in ranges)

        gone = [row for row in self.rows if hit(row)]
        old = {self.key(row.doc) for row in gone} if self.plan.primary else set()
        updated = min(sum(self.key(doc) in old for doc in kept), len(gone))
        self.rows = [row for row in self.rows if not hit(row)]
        changes = self._sum(self._deleted(gone), self._insert([Row(doc) for doc in kept]))
        root = changes[ROOT]
        inserted, deleted = (root.inserted or 0) - updated, (root.deleted or 0) - updated
        return {**changes, ROOT: RowChanges(inserted, updated, deleted, None if updated else 0)}

    def _put(self, load: Load, docs: list[Doc]) -> Changes:
        kept = self.winners(docs)
        staged, ranges = {self.key(doc): doc for doc in kept}, {self.range(doc) for doc in docs}

        def absent(row: Row) -> bool:
            if load.how != "cdc" or self.key(row.doc) in staged:
                return False
            if load.scoped:
                return in_scope(row)
            return not self.plan.ranges or self.range(row.doc) in ranges

        marked = {key for key, doc in staged.items() if self.is_deletion(doc)}
        gone = [row for row in self.rows if self.key(row.doc) in marked or absent(row)]
        self.rows = [row for row in self.rows if row not in gone]
        changes = [self._deleted(gone)]
        for key, doc in staged.items():
            if key in marked:
                continue
            before = [row for row in self.rows if self.key(row.doc) == key]
            if not before:
                changes.append(self._insert([Row(doc, named=True)]))
            changes += [self._update(row, doc, load.skip) for row in before]
        return self._unlooked(self._sum(*changes)) if not load.skip else self._sum(*changes)

    def _update(self, row: Row, doc: Doc, skip: bool) -> Changes:
        changes: list[Changes] = []
        old = {(t, at): content for t, at, content in nested_rows(row.doc)} if row.named else {}
        if not row.named:
            changes.append({t: RowChanges(deleted=n) for t, n in count_nested([row]).items()})
        for table, at, content in nested_rows(doc):
            if (table, at) not in old:
                changes.append({table: RowChanges(inserted=1)})
            elif skip and old.pop((table, at)) == content:
                changes.append({table: RowChanges(unchanged=1)})
            else:
                old.pop((table, at), None)
                changes.append({table: RowChanges(updated=1)})
        changes += [{table: RowChanges(deleted=1)} for table, _ in old]
        equal = row.named and flat(row.doc) == flat(doc)
        changes.append({ROOT: RowChanges(unchanged=1) if skip and equal else RowChanges(updated=1)})
        row.doc, row.named = doc, True
        return self._sum(*changes)

    @staticmethod
    def _unlooked(changes: Changes) -> Changes:
        return {t: c._replace(unchanged=None if c.updated else 0) for t, c in changes.items()}

    def _insert_only(self, load: Load, docs: list[Doc]) -> Changes:
        there = {self.key(row.doc) for row in self.rows}
        fresh = self.winners([doc for doc in docs if self.key(doc) not in there])
        known = sum(self.key(doc) in there for doc in docs)
        rows = [Row(doc, named=True) for doc in fresh if not self.is_deletion(doc)]
        return self._sum(self._insert(rows), {ROOT: RowChanges(unchanged=known)})

    def _scd2(self, load: Load, docs: list[Doc]) -> Changes:
        staged, ranges = {version(doc) for doc in docs}, {self.range(doc) for doc in docs}

        def ends(row: Row) -> bool:
            if not row.active or version(row.doc) in staged:
                return False
            if load.scoped:
                return in_scope(row)
            return not self.plan.ranges or self.range(row.doc) in ranges

        retired = [row for row in self.rows if ends(row)]
        for row in retired:
            row.active = False
        active = {version(row.doc) for row in self.rows if row.active}
        fresh = [doc for doc in docs if version(doc) not in active]
        below: Counter[str] = Counter()
        for doc in fresh:
            if version(doc) not in self.versions:
                self.versions.add(version(doc))
                below += count_nested([Row(doc)])
        self.rows += [Row(doc) for doc in fresh]
        changes = {ROOT: RowChanges(len(fresh), len(retired), 0, len(docs) - len(fresh))}
        return {**changes, **{table: RowChanges(inserted=n) for table, n in below.items()}}


def flat(doc: Doc) -> Doc:
    """The values of the root row; a value that is missing is NULL."""
    return {k: v for k, v in doc.items() if k != "n" and v is not None}


def version(doc: Doc) -> str:
    """All that a document says, a missing value being another than NULL."""
    return json.dumps(doc, sort_keys=True)
