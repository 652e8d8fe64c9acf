"""What a destination says of a job besides rows: the version a table has then, partitions it wrote, ids of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

Partition: TypeAlias = dict[str, str | None]
"""A partition: what its columns (or placeholders of a path) are, as text; None stands for NULL."""

MOST_PARTITIONS = 200
"""Partitions of a table that are told of a job; of more than these none is told, for some would pass for all."""


class TableVersion(NamedTuple):
    """A version of a table that keeps versions.

    Attributes:
        id: As the destination names it: a Delta version, the id of an Iceberg snapshot.
        number: Grows from version to version, for ids that do not.
    """

    id: str
    number: int = 0


def newest(versions: Iterable[TableVersion]) -> TableVersion | None:
    """The newest of some versions of one table; None of none."""
    return max(versions, key=lambda one: one.number, default=None)


def distinct(partitions: Iterable[Partition]) -> list[Partition] | None:
    """Each partition once, in the order they come; None when they are more than are told."""
    found: dict[tuple[tuple[str, str | None], ...], Partition] = {}
    for one in partitions:
        found.setdefault(tuple(one.items()), one)
        if len(found) > MOST_PARTITIONS:
            return None
    return list(found.values())


def known(partitions: Mapping[str, list[Partition] | None]) -> dict[str, list[Partition]]:
    """Tables whose partitions are known."""
    return {table: parts for table, parts in partitions.items() if parts is not None}
