"""What a dataset remembers of itself, as small files: its loads, its schemas, the states of its pipelines.

Folders, names and contents are those of dlt (behaviour.md 17.2), so that a folder begun with either continues with the
other::

    init                                                        {"initial_version":2,"current_version":2}
    _dlt_loads/<schema>__<load id>.jsonl
    _dlt_version/<schema>__<seconds>__<schema hash>.jsonl
    _dlt_pipeline_state/<pipeline>__<load id>__<schema hash>.jsonl

Each is written whole and never changed, but for a state that takes in that of another process.
"""

from __future__ import annotations

import base64
import datetime as dt
import logging
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base import json
from headrace.base.time import now
from headrace.destinations.impl.filesystem.store import Store
from headrace.load.destination import StateClaim, StoredSchema, StoredState
from headrace.model.state import decompress_state, migrate_state, state_row
from headrace.model.state_converge import join_states

if TYPE_CHECKING:
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")

INIT = "init"
STORAGE_VERSION = 2
# of so many newest states the one whose load ended last counts
_LATEST = 3


class RecordName(NamedTuple):
    """A record's file, and what its name tells: owner, number (a load id or seconds), schema hash in hex."""

    path: str
    owner: str
    number: str
    hash: str = ""


class Records:
    """Reads and writes the records of a dataset.

    Args:
        store: Where.
        dataset: The dataset's folder.
        schema: Its naming convention names the folders and fields.
    """

    def __init__(self, store: Store, dataset: str, schema: Schema) -> None:
        self._store, self._dataset, self._schema = store, dataset, schema
        self._read_schemas: dict[str, StoredSchema] = {}
        self._versions: tuple[int, int] | None = None

    def folder(self, table: str) -> str:
        """The folder of a system table."""
        return f"{self._dataset}/{table}/"

    # ---- init -----------------------------------------------------------------------------------------------------

    @property
    def init_path(self) -> str:
        """The file that makes a folder a dataset."""
        return f"{self._dataset}/{INIT}"

    def versions(self) -> tuple[int, int]:
        """Which layout the dataset was begun with, and which it has."""
        if self._versions is None:
            try:
                text = self._store.read(self.init_path).strip()
            except FileNotFoundError:
                return STORAGE_VERSION, STORAGE_VERSION
            facts = json.loads(text) if text else {"initial_version": 1}
            initial = int(facts["initial_version"])
            self._versions = initial, int(facts.get("current_version", initial))
        return self._versions

    def begin(self) -> None:
        """Make the folder a dataset, unless it is one."""
        if self._store.exists(self.init_path):
            initial, current = self.versions()
            if current >= STORAGE_VERSION:
                return
            facts = {"initial_version": initial, "current_version": STORAGE_VERSION}
        else:
            facts = {"initial_version": STORAGE_VERSION, "current_version": STORAGE_VERSION}
        self._store.make_folder(self._dataset)
        self._store.write(self.init_path, json.dumpb(facts))
        self._versions = facts["initial_version"], facts["current_version"]

    # ---- names ----------------------------------------------------------------------------------------------------

    def _names(self, table: str, parts: int) -> list[RecordName]:
        """The records of a system table, oldest first."""
        found = []
        for path in self._store.list(self.folder(table)):
            name, extension = posixpath.splitext(posixpath.basename(path))
            taken = name.rsplit("__", parts - 1)
            if extension == ".jsonl" and len(taken) == parts and _is_number(taken[1]):
                found.append(RecordName(path, *taken))
        return sorted(found, key=lambda record: (float(record.number), record.hash))

    def _load_path(self, schema_name: str, load_id: str) -> str:
        return f"{self.folder(self._schema.loads_table_name)}{schema_name}__{load_id}.jsonl"

    def _spelled(self, facts: Mapping[str, Any]) -> bytes:
        return json.dumpb({self._schema.naming.normalize_identifier(name): value for name, value in facts.items()})

    def _facts(self, path: str) -> dict[str, Any]:
        """The record in a file, its fields as the field calls them."""
        found: dict[str, Any] = json.loads(self._store.read(path))
        names = {self._schema.naming.normalize_identifier(name): name for name in _FIELDS}
        return {names.get(name, name): value for name, value in found.items()}

    # ---- loads ----------------------------------------------------------------------------------------------------

    def has_load(self, load_id: str) -> bool:
        """Whether the load is there."""
        return self._store.exists(self._load_path(self._schema.name, load_id))

    def add_load(self, load_id: str, schema: Schema) -> None:
        """Write a load with status 0, unless it is there."""
        path = self._load_path(schema.name, load_id)
        if self._store.exists(path):
            return
        facts = {
            "load_id": load_id,
            "schema_name": schema.name,
            "status": 0,
            "inserted_at": now().isoformat(),
            "schema_version_hash": schema.version_hash,
        }
        self._store.write(path, self._spelled(facts))

    # ---- schemas --------------------------------------------------------------------------------------------------

    def _schemas(self, schema_name: str | None = None) -> list[RecordName]:
        found = self._names(self._schema.version_table_name, 3)
        return [record for record in found if schema_name in (None, record.owner)]

    def add_schema(self, schema: Schema) -> None:
        """Write a schema, unless its content hash is there."""
        document = schema.to_dict()
        known = self._schemas(schema.name)
        mark = as_hex(document["version_hash"])
        if any(record.hash == mark for record in known):
            return
        instant = now()
        if known:  # clocks differ, and the newest is found by its instant
            newest = dt.datetime.fromtimestamp(float(known[-1].number), dt.timezone.utc)
            instant = max(instant, newest + dt.timedelta(milliseconds=1))
        facts = {
            "version_hash": document["version_hash"],
            "schema_name": schema.name,
            "version": document["version"],
            "engine_version": document["engine_version"],
            "inserted_at": instant.isoformat(),
            "schema": json.dumps(document),
        }
        folder = self.folder(self._schema.version_table_name)
        self._store.write(f"{folder}{schema.name}__{instant.timestamp()!r}__{mark}.jsonl", self._spelled(facts))

    def newest_schema(self, schema_name: str | None, version_hash: str | None) -> StoredSchema | None:
        """The newest stored schema of a name, or the one with a hash, or the newest of all."""
        found = self._schemas(schema_name)
        if version_hash is not None:
            mark = as_hex(version_hash)
            found = [record for record in found if record.hash == mark]
        if not found:
            return None
        path = found[-1].path
        if path not in self._read_schemas:
            facts = self._facts(path)
            facts["inserted_at"] = as_instant(facts["inserted_at"])
            self._read_schemas[path] = StoredSchema(**{name: facts[name] for name in StoredSchema.__struct_fields__})
        return self._read_schemas[path]

    def schema_names(self) -> list[str]:
        """Names of the stored schemas."""
        return sorted({record.owner for record in self._schemas()})

    def newest_hash(self, schema_name: str) -> str | None:
        """The hash of the newest stored schema of a name."""
        found = self._schemas(schema_name)
        return base64.b64encode(bytes.fromhex(found[-1].hash)).decode("ascii") if found else None

    def drop_schemas(self, schema_name: str) -> None:
        """Delete all stored versions of a schema."""
        self._store.delete(record.path for record in self._schemas(schema_name))

    # ---- states ---------------------------------------------------------------------------------------------------

    def _states(self, pipeline_name: str) -> list[RecordName]:
        found = self._names(self._schema.state_table_name, 3)
        return [record for record in found if record.owner == pipeline_name]

    def _completed(self, states: list[RecordName], count: int) -> list[tuple[RecordName, dict[str, Any]]]:
        """The newest states whose load is complete, each with the load's record; the newest first."""
        schemas = {record.hash: record.owner for record in self._schemas()}
        loads: dict[str, RecordName] | None = None
        found = []
        for record in reversed(states):
            path = self._load_path(schemas.get(record.hash, self._schema.name), record.number)
            if not self._store.exists(path):
                if loads is None:  # of a schema that was dropped since
                    loads = {load.number: load for load in self._names(self._schema.loads_table_name, 2)}
                if record.number not in loads:
                    continue
                path = loads[record.number].path
            facts = self._facts(path)
            if facts.get("status", 0) == 0:
                found.append((record, facts))
            if len(found) == count:
                break
        return found

    def newest_state(self, pipeline_name: str) -> StoredState | None:
        """The newest state of a pipeline whose load was completed."""
        found = self._completed(self._states(pipeline_name), _LATEST)
        if not found:
            return None
        # of two processes the one that ended last has taken in what the other had written
        record, _ = max(found, key=lambda pair: (as_instant(pair[1]["inserted_at"]), float(pair[0].number)))
        facts = self._facts(record.path)
        facts["created_at"] = as_instant(facts["created_at"])
        facts["dlt_load_id"] = facts.pop("_dlt_load_id", record.number)
        return StoredState(**{name: facts[name] for name in StoredState.__struct_fields__ if name in facts})

    def add_state(self, claim: StateClaim, load_id: str, schema: Schema) -> dict[str, Any] | None:
        """Write the state that a load brings, together with what another process has written since it was read.

        Returns:
            The joined state; None when there was nothing to take in.
        """
        document: Any = claim.document
        newest = self.newest_state(claim.pipeline_name)
        joined = None
        if newest is not None and newest.version_hash not in (document.get("_version_hash"), *claim.known):
            theirs = migrate_state(decompress_state(newest.state), claim.pipeline_name)
            joined, told = join_states(claim.document, theirs)
            document = joined
            logger.warning(
                "pipeline `%s` runs in two places: load %s has written its state (version %d) since this one was read; "
                "the two were joined into version %d%s%s",
                *(claim.pipeline_name, newest.dlt_load_id, newest.version, joined["_state_version"]),
                *(": " if told else "", "; ".join(told)),
            )
        row = state_row(document, load_id)
        row["created_at"] = row["created_at"].isoformat()
        folder, mark = self.folder(self._schema.state_table_name), as_hex(schema.version_hash or "")
        self._store.write(f"{folder}{claim.pipeline_name}__{load_id}__{mark}.jsonl", self._spelled(row))
        return dict(joined) if joined is not None else None

    def prune_states(self, pipeline_name: str, keep: int) -> None:
        """Delete states older than the newest ``keep`` of completed loads."""
        states = self._states(pipeline_name)
        if len(states) <= keep:
            return
        found = self._completed(states[-keep - _LATEST :], keep)
        if len(found) >= keep:
            oldest = float(found[-1][0].number)
            self._store.delete(record.path for record in states if float(record.number) < oldest)


_FIELDS = (
    *("load_id", "schema_name", "status", "inserted_at", "schema_version_hash", "version_hash", "version"),
    *("engine_version", "schema", "pipeline_name", "state", "created_at", "_dlt_load_id"),
)


def as_hex(version_hash: str) -> str:
    """A hash as names of files can have it."""
    return base64.b64decode(version_hash).hex()


def as_instant(text: str) -> dt.datetime:
    """An instant of a record."""
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.timezone.utc)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
