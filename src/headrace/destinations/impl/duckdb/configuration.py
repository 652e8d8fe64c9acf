"""Settings of DuckDB: which file, and how to open it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional
from urllib.parse import parse_qsl, unquote

from headrace.config.coerce import coerce
from headrace.config.known import DwhWithStagingConfiguration
from headrace.config.spec import CredentialsConfiguration, configspec
from headrace.load.destination import PipelineFacts

MEMORY, PIPELINE, EXTERNAL = ":memory:", ":pipeline:", ":external:"
MOTHERDUCK = ("md:", "motherduck:")
DEFAULT_NAME = "headrace"
_SCHEME = "duckdb:"


@configspec
class DuckDbCredentials(CredentialsConfiguration):
    """Which database, and how to open it.

    Given as a path, ``:memory:``, ``:pipeline:`` (a file in the pipeline's working folder), a ``duckdb:///path`` url,
    an open connection, or a mapping of these fields.

    Attributes:
        database: Path of the file; None takes ``<pipeline>.duckdb`` in the local folder.
        read_only: Open the file for reading.
        extensions: Extensions to load when it is opened; those that are missing are installed.
        global_config: Settings of the whole database (``memory_limit``, …).
        local_config: Settings of each session.
        pragmas: PRAGMA statements for each session, without the word PRAGMA.
        statements: SQL to run when it is opened.
        session_timezone: Time zone of each session.
    """

    database: Optional[str] = None  # noqa: UP045 (the hint is read at run time)
    read_only: bool = False
    extensions: Optional[list[str]] = None  # noqa: UP045
    global_config: Optional[dict[str, Any]] = None  # noqa: UP045
    local_config: Optional[dict[str, Any]] = None  # noqa: UP045
    pragmas: Optional[list[str]] = None  # noqa: UP045
    statements: Optional[list[str]] = None  # noqa: UP045
    session_timezone: str = "UTC"

    def __init__(self, conn_or_path: Any = None, **fields: Any) -> None:
        """Take a path, a url, an open connection or a mapping, and other fields by name."""
        super().__init__(**fields)
        self._apply_init_value(conn_or_path)

    def parse_native_representation(self, native_value: Any) -> None:
        """Read a path, a url or an open connection."""
        if isinstance(native_value, os.PathLike):
            native_value = os.fspath(native_value)
        if isinstance(native_value, str):
            self._parse_text(native_value)
        elif hasattr(native_value, "cursor") and hasattr(native_value, "execute"):
            self.database = EXTERNAL
            self.__dict__["_connection"] = native_value
            self.resolve()
        else:
            raise ValueError("give a path, a duckdb:///path url, an open DuckDB connection, or a mapping")

    def _parse_text(self, text: str) -> None:
        if not text.startswith(_SCHEME):
            self.database = text
            return
        location, _, query = text.removeprefix(_SCHEME).partition("?")
        # duckdb:///x.db is relative, duckdb:////tmp/x.db absolute
        self.database = unquote(location[3:] if location.startswith("///") else location.lstrip("/")) or None
        hints = self.get_resolvable_fields()
        settings = dict(self.global_config or {})
        for name, value in parse_qsl(query):
            if name in hints:
                setattr(self, name, coerce(value, hints[name]))
            else:
                settings[name] = value
        self.global_config = settings or self.global_config

    @property
    def connection(self) -> Any | None:
        """The open connection that was given, if one was."""
        return self.__dict__.get("_connection")

    def to_native_representation(self) -> str:
        """The database as a url."""
        return f"duckdb:///{self.database or ''}"

    def __str__(self) -> str:
        return self.to_native_representation()


@configspec
class DuckDbClientConfiguration(DwhWithStagingConfiguration):
    """Settings of the DuckDB destination.

    Attributes:
        credentials: Which database.
        create_indexes: Enforce ``unique`` hints (``_dlt_id``) by UNIQUE constraints; loading gets slower.
        lock_timeout: Seconds to wait at most while another process has the file open; 0 refuses at once.
    """

    credentials: DuckDbCredentials = None  # type: ignore[assignment]
    create_indexes: bool = False
    lock_timeout: float = 300.0


def database_path(database: str | None, destination_name: str | None, pipeline: PipelineFacts | None) -> str:
    """Where the database file is.

    Args:
        database: As it was given.
        destination_name: The destination's own name, if it has one.
        pipeline: Whose folders relative paths refer to; without one they refer to the working directory.

    Returns:
        An absolute path, or ``:memory:``.
    """
    local = Path(pipeline.local_dir if pipeline else "")
    if database == MEMORY:
        return MEMORY
    name = destination_name or (pipeline.pipeline_name if pipeline else "") or DEFAULT_NAME
    if database == PIPELINE:
        if pipeline is None:
            raise ValueError("`:pipeline:` is a file in a pipeline's working folder, and there is no pipeline")
        return str((Path(pipeline.working_dir) / f"{pipeline.pipeline_name}.duckdb").absolute())
    return str((local / Path(database or f"{name}.duckdb").expanduser()).absolute())
