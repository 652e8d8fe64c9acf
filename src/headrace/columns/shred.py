"""Documents into relational columns: types exact, every inner loop in C.

A list of documents is turned sideways, one list of values a key. Documents inside flatten into the same table, lists
become tables of their own, tied to the parent by row number. A path where two kinds of values meet costs one more pass
over that path alone: messy data does not slow down the rest.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from headrace.columns.frame import Frame, Path, RawColumn, RawTable
from headrace.columns.kinds import kind_of, to_plain
from headrace.columns.scalars import arrays_of

_EMPTY: dict[str, Any] = {}
UNLIMITED = 1000

KeepJson = Callable[[Path, Path], bool]


def shred(documents: list[dict[str, Any]], max_nesting: int = UNLIMITED, keep_json: KeepJson | None = None) -> Frame:
    """Turn documents into the tables of one frame.

    Args:
        documents: One dict a row of the root table.
        max_nesting: How many levels of documents and lists are unfolded; deeper ones are kept as JSON text.
        keep_json: Asked with a table's path and a column's path whether a nested value there stays JSON.

    Returns:
        The root table and the tables of the lists inside, parents first.

    Raises:
        UnknownValueType: A value has a type no column can hold.
    """
    out: Frame = []
    if not documents:
        return out
    # millions of lists come and go here, none of them in a cycle: collecting would only walk the user's data
    collecting = gc.isenabled()
    gc.disable()
    try:
        _Shredder(keep_json, out).table((), documents, -1, None, None, max_nesting)
    finally:
        if collecting:
            gc.enable()
    return out


def sideways(documents: Sequence[dict[Any, Any]]) -> Mapping[Any, Sequence[Any]]:
    """The values of each key, None where a document lacks it; keys in order of first sight."""
    keys = tuple(documents[0])
    if keys and set(map(len, documents)) == {len(keys)}:
        try:
            if len(keys) > 3:
                # one look at each document, then a turn of the whole: less to walk than a look a key
                return dict(zip(keys, zip(*map(itemgetter(*keys), documents), strict=True), strict=True))
            return {key: list(map(itemgetter(key), documents)) for key in keys}
        except KeyError:
            pass  # as many keys, but others
    # a set of shapes has no order: walk the documents for the keys
    keys = tuple(dict.fromkeys(chain.from_iterable(documents)))
    return {key: [d.get(key) for d in documents] for key in keys}


class _Work(NamedTuple):
    """What is under way for one table: documents still to be flattened into it, lists that become tables.

    Documents come with the levels that are left at their place, lists with those left at their row: the way through
    documents to a list does not count for what is in the list, as dlt has it.
    """

    table: RawTable
    level: int
    documents: list[tuple[Path, Sequence[Any], int]]
    lists: list[tuple[Path, Sequence[Any], int]]


class _Shredder:
    __slots__ = ("keep_json", "out")

    def __init__(self, keep_json: KeepJson | None, out: Frame) -> None:
        self.keep_json, self.out = keep_json, out

    def table(
        self, path: Path, documents: list[dict[str, Any]], above: int, parent: Any, position: Any, level: int
    ) -> None:
        work, index = self.open(path, len(documents), above, parent, position, level)
        work.documents.append(((), documents, level))
        self.close(work, index)

    def open(
        self, path: Path, rows: int, above: int, parent: Any, position: Any, level: int, form: str = ""
    ) -> tuple[_Work, int]:
        work = _Work(RawTable(path, above, rows, parent, position, [], [], form), level, [], [])
        self.out.append(work.table)
        return work, len(self.out) - 1

    def close(self, work: _Work, index: int, made_lists: int = 0) -> None:
        # the values of a document come before those of documents in it, the last of which comes first: so do the
        # columns of the datasets that users have
        while work.documents:
            prefix, documents, level = work.documents.pop()
            for key, values in sideways(documents).items():
                self.column((*prefix, key if type(key) is str else str(key)), values, level, work)
        for number, (name, values, level) in enumerate(work.lists):
            at = len(self.out)
            self.nested(work.table.path + name, values, index, level - 1)
            if number < made_lists and at < len(self.out):
                self.out[at] = self.out[at]._replace(inner=True)

    def column(self, name: Path, values: Sequence[Any], level: int, work: _Work) -> None:
        types = set(map(type, values))
        kinds = {kind_of(t) for t in types}
        if "convert" in kinds:
            values = [v if v is None else to_plain(v) for v in values]
            types = set(map(type, values))
            kinds = {kind_of(t) for t in types}
        if "null" in kinds:
            kinds.discard("null")
            if any(t is not type(None) and kind_of(t) == "null" for t in types):
                values = [None if kind_of(type(v)) == "null" else v for v in values]
        if not kinds:
            work.table.nulls.append(name)
        elif len(kinds) == 1:
            self.part(kinds.pop(), name, values, level, work)
        else:
            for kind in _in_order(kinds, values):
                part = [v if v is not None and kind_of(type(v)) == kind else None for v in values]
                self.part(kind, name, part, level, work)

    def part(self, kind: str, name: Path, values: Sequence[Any], level: int, work: _Work) -> None:
        """Place the values of one kind at one path."""
        table = work.table
        if kind in ("doc", "list") and level > 0 and not (self.keep_json and self.keep_json(table.path, name)):
            if kind == "list":
                work.lists.append((name, values, work.level))
            else:
                rows = [_EMPTY if v is None else v for v in values] if None in values else values
                work.documents.append((name, rows, level - 1))
            return
        for found, array in arrays_of(kind, values):
            table.columns.append(RawColumn(name, found, array, _first(array)))

    def nested(self, path: Path, values: Sequence[Any], above: int, level: int) -> None:
        """The table of a list: one row an item, tied to its row above."""
        lists = (v or () for v in values) if None in values else values
        sizes = np.fromiter(map(len, lists), np.int32, len(values))
        items: list[Any] = list(chain.from_iterable(filter(None, values)))
        if not items:
            return
        parent = np.repeat(np.arange(len(values), dtype=np.int32), sizes)
        position = np.arange(len(items), dtype=np.int32) - np.repeat(np.cumsum(sizes, dtype=np.int32) - sizes, sizes)
        kinds = {kind_of(t) for t in set(map(type, items))}
        if "convert" in kinds:
            items = list(map(to_plain, items))
            kinds = {kind_of(t) for t in set(map(type, items))}
        if kinds == {"doc"}:
            self.table(path, items, above, parent, position, level)
            return
        form = "mixed" if "doc" in kinds else "values"
        work, index = self.open(path, len(items), above, parent, position, level, form)
        self.mixed(items, kinds, level, work)
        self.out[index] = work.table._replace(made=len(work.table.columns))
        self.close(work, index, len(work.lists))

    def mixed(self, items: list[Any], kinds: set[str], level: int, work: _Work) -> None:
        """Rows of a list whose items are not all documents: scalars under ``value``, lists under ``list``."""
        if not {"doc", "list"} & kinds:
            self.column(("value",), items, level, work)
            return
        # columns in order of first sight, as a walk over the items would meet them
        for kind in dict.fromkeys(_family(v) for v in items):
            part = [v if _family(v) == kind else None for v in items]
            if kind == "scalar":
                self.column(("value",), part, level, work)
            elif kind == "list":
                # a list in a list sits in a made-up row of its own, one level further down
                known = len(work.lists)
                self.column(("list",), part, level - 1, work)
                work.lists[known:] = [(name, values, level - 1) for name, values, _ in work.lists[known:]]
            else:
                work.documents.append(((), [_EMPTY if v is None else v for v in part], level))


def _family(value: Any) -> str:
    kind = kind_of(type(value))
    return kind if kind in ("doc", "list") else "scalar"


def _in_order(kinds: set[str], values: Sequence[Any]) -> list[str]:
    """Kinds in the order in which the rows show them."""
    ordered: list[str] = []
    for value in values:
        kind = kind_of(type(value))
        if kind in kinds and kind not in ordered:
            ordered.append(kind)
            if len(ordered) == len(kinds):
                break
    return ordered


def _first(array: Any) -> int:
    """The first row that is not null."""
    if array.null_count == 0 or array[0].is_valid:
        return 0
    return int(np.argmax(array.is_valid().to_numpy(zero_copy_only=False)))


def as_documents(rows: list[Any]) -> list[dict[str, Any]]:
    """Give every item of a resource the form of a document.

    Dataclasses, pydantic models, named tuples and other mappings become dicts; anything else is put under ``value``.
    """
    if set(map(type, rows)) <= {dict}:
        return rows
    return list(map(_as_document, rows, repeat(None)))


def _as_document(row: Any, _: None) -> dict[str, Any]:
    plain = to_plain(row)
    if isinstance(plain, dict):
        return plain
    return {"value": plain}
