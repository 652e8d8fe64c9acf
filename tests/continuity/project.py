"""A project that two engines take turns in, and what its dataset looks like from outside."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from tests.continuity.engines import Engine

_KEYS = ("_dlt_id", "_dlt_parent_id", "_dlt_root_id", "_dlt_load_id", "_dlt_valid_from", "_dlt_valid_to")


class Project(NamedTuple):
    """A folder with a database, and working folders of each engine.

    Attributes:
        folder: The folder.
        engines: By letter.
        shared: Both engines have one folder for their working folders, instead of one each.
        settings: Environment of all runs.
    """

    folder: Path
    engines: dict[str, Engine]
    shared: bool = False
    settings: dict[str, str] = {}

    def run(self, letter: str, script: str, **arguments: Any) -> Any:
        """Run a script with an engine; the name `step` in it counts the runs of the history."""
        self.folder.mkdir(exist_ok=True)
        by_dlt, by_headrace = ("work", "work") if self.shared else ("work_d", "work_h")
        environment = {
            "DLT_DATA_DIR": str(self.folder / by_dlt),
            "HEADRACE_DATA_DIR": str(self.folder / by_headrace),
            "RUNTIME__LOG_LEVEL": "WARNING",
            **self.settings,
        }
        return self.engines[letter].run(script, self.folder, environment, **arguments)

    def forget(self) -> None:
        """Delete all working folders: what comes next runs on a fresh machine."""
        for found in self.folder.glob("work*"):
            shutil.rmtree(found)

    @property
    def log(self) -> str:
        """What the engines have logged."""
        return (self.folder / "log.txt").read_text()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query of the database."""
        with duckdb.connect(str(self.folder / "shop.duckdb"), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'; SET schema = 'raw'")
            return con.execute(sql).fetchall()

    def columns(self) -> dict[str, list[str]]:
        """Columns with types of every data table, in order."""
        found: dict[str, list[str]] = {}
        for table, column, kind, null in self.query(
            "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = 'raw' "
            "ORDER BY table_name, column_index"
        ):
            if not table.startswith("_headrace"):
                found.setdefault(table, []).append(f"{column} {kind}{'' if null else ' NOT NULL'}")
        return found

    def rows(self) -> dict[str, list[str]]:
        """Rows of every data table, in a form that does not depend on ids, times and the loader."""
        plain: dict[str, list[dict[str, Any]]] = {}
        for table in self.columns():
            if not table.startswith("_dlt"):
                names = [name for (name,) in self.query(f"SELECT column_name FROM (DESCRIBE {table})")]
                plain[table] = [dict(zip(names, row, strict=True)) for row in self.query(f"SELECT * FROM {table}")]
        places: dict[str, str] = {}
        for depth in range(3):
            for table, rows in plain.items():
                for row in rows:
                    parent = row.get("_dlt_parent_id")
                    if parent is None or (depth and parent in places):
                        places[row["_dlt_id"]] = _shown(table, row, places)
        return {t: sorted(places.get(row["_dlt_id"], f"lost: {row}") for row in rows) for t, rows in plain.items()}

    def versions(self) -> list[tuple[str, int, str]]:
        """Stored schemas: name, version, hash, in order."""
        found = self.query("SELECT schema_name, version, version_hash FROM _dlt_version ORDER BY inserted_at")
        return [(str(name), int(version), str(version_hash)) for name, version, version_hash in found]

    def states(self) -> list[dict[str, Any]]:
        """Stored states, oldest first."""
        found = self.query("SELECT state FROM _dlt_pipeline_state ORDER BY _dlt_load_id")
        return [json.loads(zlib.decompress(base64.b64decode(state))) for (state,) in found]

    def schema(self, name: str = "shop") -> dict[str, Any]:
        """The newest stored schema."""
        ((text,),) = self.query(
            f"SELECT schema FROM _dlt_version WHERE schema_name = '{name}' ORDER BY inserted_at DESC LIMIT 1"
        )
        found: dict[str, Any] = json.loads(text)
        return found


def _shown(table: str, row: dict[str, Any], places: dict[str, str]) -> str:
    values = {k: str(v) for k, v in row.items() if v is not None and k not in _KEYS}
    if "_dlt_valid_from" in row:
        values["retired"] = str(row["_dlt_valid_to"] is not None)
    if "_dlt_root_id" in row:
        values["root"] = places.get(row["_dlt_root_id"], "lost")
    parent = row.get("_dlt_parent_id")
    above = f"{places[parent]} / " if parent is not None else ""
    return f"{above}{table} {sorted(values.items())}"
