"""What users may give as a destination, and where its database is."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headrace import destinations
from headrace.destinations.impl.duckdb.configuration import DuckDbClientConfiguration, DuckDbCredentials
from headrace.destinations.impl.duckdb.connections import open_files
from headrace.destinations.impl.duckdb.factory import duckdb as DuckDb
from headrace.destinations.reference import resolve_destination
from headrace.errors.destination import InvalidDestinationReference, UnknownDestinationModule
from headrace.load.destination import Destination, PipelineFacts
from headrace.model.schema import Schema


def facts(tmp_path: Path) -> PipelineFacts:
    (tmp_path / "local").mkdir(exist_ok=True)
    (tmp_path / "work").mkdir(exist_ok=True)
    return PipelineFacts(pipeline_name="pipe", working_dir=str(tmp_path / "work"), local_dir=str(tmp_path / "local"))


def place(destination: Destination, tmp_path: Path) -> str:
    """Open a client, look where its database is, relative to the test's folder."""
    with destination.open("ds", Schema("demo"), facts(tmp_path)) as client:
        client.create_dataset()
    return destination.describe_location().removeprefix("duckdb:///").replace(str(tmp_path), "")


# ---- references --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ref",
    [
        "duckdb",
        "dlt.destinations.duckdb",
        "headrace.destinations.duckdb",
        "headrace.destinations.impl.duckdb.factory.duckdb",
        DuckDb,
        DuckDb(),
    ],
    ids=str,
)
def test_references(ref: Any) -> None:
    """Short names, dotted paths, the factory, and what it made."""
    made = resolve_destination(ref)
    assert isinstance(made, DuckDb)
    assert made.destination_type == "dlt.destinations.duckdb"
    assert made.destination_name == "duckdb"


def test_an_instance_stays_the_same_unless_something_is_to_change() -> None:
    """Credentials given beside an instance make a new one."""
    mine = DuckDb("a.duckdb", environment="prod")
    assert resolve_destination(mine) is mine
    other = resolve_destination(mine, credentials="b.duckdb", destination_name="named")
    assert isinstance(other, DuckDb) and other is not mine
    assert other.config_params == {"credentials": "b.duckdb", "environment": "prod"}
    assert (other.destination_name, other.destination_description) == ("named", "named (duckdb)")


def test_named_destinations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose type is configured; its settings are under the name, and so is its file."""
    monkeypatch.setenv("DESTINATION__BERLIN__DESTINATION_TYPE", "duckdb")
    made = resolve_destination("berlin")
    assert isinstance(made, DuckDb) and made.destination_name == "berlin"
    assert place(made, tmp_path) == "/local/berlin.duckdb"
    monkeypatch.setenv("DESTINATION__BERLIN__CREDENTIALS", "of_berlin.duckdb")
    assert place(resolve_destination("berlin"), tmp_path) == "/local/of_berlin.duckdb"
    assert place(resolve_destination("duckdb"), tmp_path) == "/local/pipe.duckdb"


@pytest.mark.parametrize(
    "ref", ["nowhere", "dlt.destinations.nowhere", "no_module.at_all", "headrace.destinations.reference.nothing"]
)
def test_unknown_names(ref: str) -> None:
    """The error says what was looked for, and derives from KeyError and ImportError as dlt's does."""
    with pytest.raises(UnknownDestinationModule) as caught:
        resolve_destination(ref)
    assert ref.rpartition(".")[2] in str(caught.value)
    assert isinstance(caught.value, (KeyError, ImportError))


@pytest.mark.parametrize("ref", ["", 7, None, dict, "headrace.model.schema.Schema"])
def test_things_that_are_no_destination(ref: Any) -> None:
    """Whatever it is, it is shown."""
    with pytest.raises((InvalidDestinationReference, TypeError)):
        resolve_destination(ref)


def test_capabilities_can_be_overridden_and_strangers_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """Any capability is an argument; what is neither setting nor capability is said and dropped."""
    with caplog.at_level(logging.WARNING, "headrace"):
        made = DuckDb(max_table_nesting=2, supported_merge_strategies=["upsert"], colour="red")
    assert made.capabilities().max_table_nesting == 2
    assert made.capabilities().supported_merge_strategies == ("upsert",)
    assert DuckDb().capabilities().max_table_nesting is None
    assert "`colour`" in caplog.text


# ---- where the database is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "where"),
    [
        (None, "/local/pipe.duckdb"),
        ("x.duckdb", "/local/x.duckdb"),
        ("{tmp}/abs.db", "/abs.db"),
        ("duckdb:///x.duckdb", "/local/x.duckdb"),
        ("duckdb:///{tmp}/abs.db", "/abs.db"),
        ("duckdb:///x.duckdb?read_only=false&threads=1", "/local/x.duckdb"),
        (":pipeline:", "/work/pipe.duckdb"),
        (":memory:", ":memory:"),
        ("duckdb:///:memory:", ":memory:"),
        ({"database": "x.duckdb"}, "/local/x.duckdb"),
        (DuckDbCredentials("x.duckdb"), "/local/x.duckdb"),
        (DuckDbCredentials("duckdb:///x.duckdb", read_only=False), "/local/x.duckdb"),
        (DuckDbCredentials({"database": "x.duckdb"}), "/local/x.duckdb"),
        (Path("x.duckdb"), "/local/x.duckdb"),
    ],
    ids=str,
)
def test_places(tmp_path: Path, credentials: Any, where: str) -> None:
    """Every form of credentials."""
    given = credentials.format(tmp=tmp_path) if isinstance(credentials, str) else credentials
    assert place(DuckDb(given), tmp_path) == where
    assert open_files() == []


@pytest.mark.parametrize("form", [lambda c: c, DuckDbCredentials])
def test_a_connection_of_the_users_own(tmp_path: Path, form: Any) -> None:
    """It is used, and stays open."""
    with duckdb.connect() as connection:
        destination = DuckDb(form(connection))
        with destination.open("ds", Schema("demo"), facts(tmp_path)) as client:
            client.create_dataset()
        assert connection.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'ds'").fetchall() == [(1,)]
        assert destination.describe_location() == "duckdb:///:external:"


def test_memory_lives_as_long_as_the_destination(tmp_path: Path) -> None:
    """Two clients of one destination see one database; another destination has its own."""
    mine, other = DuckDb(":memory:"), DuckDb(":memory:")
    with mine.open("ds", Schema("demo"), facts(tmp_path)) as client:
        client.create_dataset()
    with mine.open("ds", Schema("demo")) as client, other.open("ds", Schema("demo")) as stranger:
        assert client.has_dataset() and not stranger.has_dataset()


def test_settings_of_the_database_and_of_sessions(tmp_path: Path) -> None:
    """Global configuration, statements at opening, settings and pragmas of each session, the time zone."""
    credentials = {
        "database": "x.duckdb",
        "global_config": {"threads": 1},
        "local_config": {"errors_as_json": True},
        "statements": ["CREATE TEMP MACRO of_mine() AS 7"],
        "pragmas": ["enable_checkpoint_on_shutdown"],
        "session_timezone": "Europe/Berlin",
    }
    with DuckDb(credentials).open("ds", Schema("demo"), facts(tmp_path)) as client:
        assert client.sql_client.execute_sql(
            "SELECT current_setting('threads'), current_setting('errors_as_json'), current_setting('TimeZone')"
        ) == [(1, True, "Europe/Berlin")]


def test_read_only(tmp_path: Path) -> None:
    """A file opened for reading refuses writers."""
    place(DuckDb("x.duckdb"), tmp_path)
    with DuckDb("duckdb:///x.duckdb?read_only=true").open("ds", Schema("demo"), facts(tmp_path)) as client:
        assert client.has_dataset()
        with pytest.raises(Exception, match="read-only"):
            client.drop_dataset()


def test_settings_from_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `destination.duckdb`; explicit ones win."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "env.duckdb")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREATE_INDEXES", "true")
    monkeypatch.setenv("DESTINATION__DUCKDB__REPLACE_STRATEGY", "truncate-and-insert")
    settings = DuckDb().configuration()
    assert isinstance(settings, DuckDbClientConfiguration)
    assert (settings.credentials.database, settings.create_indexes) == ("env.duckdb", True)
    assert settings.replace_strategy == "truncate-and-insert"
    assert DuckDb("mine.duckdb").configuration().credentials.database == "mine.duckdb"


def test_fingerprints_tell_files_apart(tmp_path: Path) -> None:
    """And say nothing of databases that are nowhere."""
    found = []
    for credentials in ("a.duckdb", "b.duckdb", ":memory:"):
        destination = DuckDb(credentials)
        assert destination.fingerprint() == ""
        place(destination, tmp_path)
        found.append(destination.fingerprint())
    assert len(set(found)) == 3 and found[2] == ""


def test_names_are_found_before_anything_heavy_is_loaded() -> None:
    """Making a destination loads neither DuckDB nor Arrow nor sqlglot; opening it does not load sqlglot either."""
    script = (
        "import sys; from headrace.destinations.reference import resolve_destination as r\n"
        "r('duckdb').capabilities();"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'pandas', 'sqlglot'} & set(sys.modules); assert not heavy, heavy;"
        "from headrace.model.schema import Schema; c = r('duckdb', credentials=':memory:').open('ds', Schema('x'));\n"
        "with c: c.create_dataset(); c.is_complete('1'); c.read_state('p'); c.describe(['t'])\n"
        "heavy = {'pyarrow', 'pandas', 'sqlglot'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert "duckdb" in dir(destinations)


def test_a_url_is_no_name_and_is_not_told() -> None:
    """It may have a password, and so may the text of the import that would look for it."""
    with pytest.raises(UnknownDestinationModule, match="give it to a factory") as failed:
        resolve_destination("postgresql://loader:very-secret@127.0.0.1:5432/db")
    assert "`postgresql://…`" in str(failed.value)
    assert "very-secret" not in str(failed.value) + failed.value.ref
    assert failed.value.__cause__ is None and failed.value.__context__ is None
