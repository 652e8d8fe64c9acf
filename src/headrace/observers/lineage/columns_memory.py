"""What earlier loads knew of columns: ``lineage/<schema>.columns.json`` in the pipeline's working folder.

A load that meets no value of a column says nothing of it, and a facet that is sent again replaces the one before it.
The file is a memory, not the truth: lost or damaged, it is begun anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from headrace.base.files import write_atomic
from headrace.model import tables as tb
from headrace.observers.lineage.columns_keys import Sources
from headrace.observers.lineage.columns_model import Source, TableLineage
from headrace.observers.lineage.columns_package import PackageSchema

logger = logging.getLogger("headrace")

MOST_COLUMNS = 50_000
"""Columns that are remembered; those of tables beyond are not, and what they came from is known in their loads only."""

MOST_SOURCES = 16
"""Fields remembered of one column."""

_VERSION = 1


class _Document(msgspec.Struct):
    """By table and resource, the sources of columns."""

    version: int = _VERSION
    tables: dict[str, dict[str, dict[str, list[Source]]]] = {}


class ColumnMemory:
    """The memory of one schema. For one thread: the worker of lineage.

    Args:
        folder: ``lineage`` in the pipeline's working folder; made when something is written.
        schema_name: Of the schema.
    """

    def __init__(self, folder: str | os.PathLike[str], schema_name: str) -> None:
        self.path = Path(folder) / f"{schema_name}.columns.json"
        self._document = self._read()
        self._written = msgspec.json.encode(self._document)

    def _read(self) -> _Document:
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=_Document)
        except FileNotFoundError:
            return _Document()
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("Lineage: %s cannot be read (%s). What earlier loads knew is forgotten.", self.path, error)
            return _Document()
        return found if found.version == _VERSION else _Document()

    def merged(
        self,
        resource: str,
        lineage: Mapping[str, TableLineage],
        package: PackageSchema,
        dropped: Collection[str] = (),
    ) -> dict[str, TableLineage]:
        """The lineage of a load with what is remembered of columns and fields that the load did not bring.

        Takes the load into the memory, and lets go of tables and columns that the schema does not have any more.

        Args:
            resource: Its name: two resources that fill one table have other inputs.
            lineage: As `columns.edges` gives it; not changed.
            package: Its schema.
            dropped: Tables that the load has dropped first: what they held before is gone.
        """
        self._forget(package)
        for table in dropped:
            self._document.tables.get(table, {}).pop(resource, None)
        found = {}
        for table, fresh in lineage.items():
            known = self._document.tables.get(table, {}).get(resource, {})
            # rows of earlier loads are gone, or what the user says is all there is to a column
            replaced = table in package.schema.tables and package.schema.write_disposition(table) == "replace"
            only = fresh.columns.keys() if replaced else fresh.declared
            columns = {n: s if n in only else _joined(s, known.get(n, ())) for n, s in fresh.columns.items()}
            columns.update({n: known[n] for n in fresh.unknown if n in known})
            in_order = {n: columns[n] for n in package.columns.get(table, columns) if n in columns}
            # a column of another resource that fills the table is no riddle
            theirs = {n for own in self._document.tables.get(table, {}).values() for n in own}
            unknown = [n for n in fresh.unknown if n not in columns and n not in theirs]
            found[table] = msgspec.structs.replace(fresh, columns=in_order, unknown=unknown)
            seen = {n: s for n, s in in_order.items() if n not in fresh.declared}
            self._learn(table, resource, seen | {n: known[n] for n in fresh.declared if n in known})
        return found

    def remembered(self, resource: str, table: str) -> dict[str, Sources]:
        """What earlier loads of a resource knew of a table's columns, for plans that read nothing."""
        return dict(self._document.tables.get(table, {}).get(resource, {}))

    def _learn(self, table: str, resource: str, columns: Mapping[str, Sources]) -> None:
        kept = {n: s[:MOST_SOURCES] for n, s in columns.items() if not n.lower().startswith(tb.DLT_NAME_PREFIX)}
        own = self._document.tables.setdefault(table, {})
        others = sum(len(columns) for one in self._document.tables.values() for columns in one.values())
        if others - len(own.get(resource, ())) + len(kept) <= MOST_COLUMNS:
            own[resource] = kept

    def _forget(self, package: PackageSchema) -> None:
        tables = self._document.tables
        for table in [t for t in tables if t not in package.schema.tables]:
            del tables[table]
        for table, resources in tables.items():
            present = package.schema.tables[table].get("columns", {})
            for columns in resources.values():
                for name in [n for n in columns if n not in present]:
                    del columns[name]

    def save(self) -> None:
        """Write what changed, whole or not at all."""
        data = msgspec.json.encode(self._document)
        if data != self._written:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, data)
            self._written = data


def _joined(fresh: Sources, known: Any) -> Sources:
    """The fields of this load, and those that only earlier ones brought; a column that the job makes stays so."""
    if not fresh:
        return []
    have = {(s.dataset, tuple(s.path)) for s in fresh}
    return [*fresh, *(s for s in known if (s.dataset, tuple(s.path)) not in have)]
