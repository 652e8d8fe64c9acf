"""Load packages and their jobs as values: what infos report and `Package.info` gives."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from headrace.base.ids import new_file_id
from headrace.base.time import human_duration
from headrace.errors.masking import without_secrets
from headrace.model.wording import count, human_bytes, indented

# the last one only where a gate decided so
TPackageJobState = Literal["new_jobs", "failed_jobs", "started_jobs", "completed_jobs", "skipped_jobs"]
TLoadPackageStatus = Literal["new", "extracted", "normalized", "loaded", "aborted"]

JOB_STATES: tuple[TPackageJobState, ...] = ("new_jobs", "failed_jobs", "started_jobs", "completed_jobs")
_JOB_WORDS = {
    "new_jobs": "waiting",
    "started_jobs": "started",
    "completed_jobs": "done",
    "failed_jobs": "failed",
    "skipped_jobs": "skipped",
}
# the retry count may be missing: files of a journalled package are never renamed
_FILE_NAME = re.compile(
    r"^(?P<table>.+?)\.(?P<id>[^.]+)(?:\.(?P<retry>\d+))?\.(?P<format>[^.]*[^.\d][^.]*)(?P<gz>\.gz)?$"
)


class SchemaRef(NamedTuple):
    """A schema by name and hash, where the schema itself is not at hand."""

    name: str
    version_hash: str | None = None

    @property
    def stored_version_hash(self) -> str | None:
        """The hash under which the schema was stored."""
        return self.version_hash


class ParsedLoadJobFileName(NamedTuple):
    """The parts of a job's file name ``<table>.<file id>.<retry>.<format>[.gz]``."""

    table_name: str
    file_id: str
    retry_count: int
    file_format: str
    is_compressed: bool = False

    @property
    def full_extension(self) -> str:
        """The format, with ``.gz`` if compressed."""
        return f"{self.file_format}.gz" if self.is_compressed else self.file_format

    def job_id(self) -> str:
        """The name without the retry count: it stays the same through all attempts."""
        return f"{self.table_name}.{self.file_id}.{self.full_extension}"

    def file_name(self) -> str:
        """The whole file name."""
        return f"{self.table_name}.{self.file_id}.{self.retry_count}.{self.full_extension}"

    def with_retry(self) -> ParsedLoadJobFileName:
        """The name of the next attempt."""
        return self._replace(retry_count=self.retry_count + 1)

    @staticmethod
    def parse(file_name: str) -> ParsedLoadJobFileName:
        """Take a file name (or a path) apart.

        Raises:
            ValueError: It is not the name of a job's file.
        """
        match = _FILE_NAME.match(re.split(r"[/\\]", file_name)[-1])
        if match is None:
            raise ValueError(f"`{file_name}` is not a job file name: <table>.<file id>[.<retry>].<format> is expected")
        return ParsedLoadJobFileName(
            match["table"], match["id"], int(match["retry"] or 0), match["format"], match["gz"] is not None
        )

    @staticmethod
    def new_file_id() -> str:
        """An id for a new file."""
        return new_file_id()

    def __str__(self) -> str:
        return self.job_id()


class LoadJobInfo(NamedTuple):
    """A job of a package.

    Attributes:
        state: In which state it is.
        file_path: Its file.
        file_size: Bytes.
        created_at: When the file was made.
        elapsed: Seconds from then to the end of the job.
        job_file_info: The parts of its name.
        failed_message: Why it failed for good.
    """

    state: TPackageJobState
    file_path: str
    file_size: int
    created_at: dt.datetime
    elapsed: float
    job_file_info: ParsedLoadJobFileName
    failed_message: str | None = None

    def asdict(self) -> dict[str, Any]:
        """A flat dictionary that can be loaded as a row."""
        fields = self._asdict()
        del fields["job_file_info"]
        if self.failed_message:
            fields["failed_message"] = without_secrets(self.failed_message)
        return {**fields, **self.job_file_info._asdict(), "job_id": self.job_file_info.job_id()}

    def asstr(self, verbosity: int = 0) -> str:
        """A line for people; from verbosity 1 the file and the error are said too."""
        text = f"{self.job_file_info.job_id()}: {_JOB_WORDS.get(self.state, self.state)}, {human_bytes(self.file_size)}"
        text += f", {human_duration(self.elapsed)}"
        if self.job_file_info.retry_count:
            text += f", {count(self.job_file_info.retry_count, 'retry', 'retries')}"
        lines = [text]
        if verbosity > 0:
            lines.append(f"  file: {self.file_path}")
            lines += indented(self.failed_message or "", "  ")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.asstr(verbosity=0)


class LoadPackageInfo(NamedTuple):
    """A package: what is in it and how far it is.

    Attributes:
        load_id: Its id.
        package_path: Its folder.
        state: ``new``, ``extracted``, ``normalized``, ``loaded`` or ``aborted``.
        schema: The schema its files follow (a `Schema`, or a `SchemaRef`).
        schema_update: Tables and columns that the load created at the destination, and only those, as partial tables;
            empty before the load.
        completed_at: When it was loaded or aborted.
        jobs: Jobs by their state.
        refresh: The refresh mode of its run.
        dropped_tables: Tables that were dropped for the refresh.
        truncated_tables: Tables that were emptied for the refresh.
        has_pending_transitions: Kept for readers of the field; journals have no such thing.
        schema_altered: Columns that were there and got a wider type, and descriptions that changed, as partial tables.
    """

    load_id: str
    package_path: str
    state: TLoadPackageStatus
    schema: Any
    schema_update: Mapping[str, Any]
    completed_at: dt.datetime | None
    jobs: Mapping[TPackageJobState, Sequence[LoadJobInfo]]
    refresh: str | None = None
    dropped_tables: Sequence[str] = ()
    truncated_tables: Sequence[str] = ()
    has_pending_transitions: bool = False
    schema_altered: Mapping[str, Any] = {}

    @property
    def schema_name(self) -> str | None:
        """The schema's name."""
        return getattr(self.schema, "name", None)

    @property
    def schema_hash(self) -> str | None:
        """The hash of the schema that the files follow."""
        stored = getattr(self.schema, "stored_version_hash", None)
        return stored if stored is not None else getattr(self.schema, "version_hash", None)

    @property
    def schema_migrated(self) -> bool:
        """Whether tables or columns were added at the destination."""
        return bool(self.schema_update)

    @property
    def failed_jobs(self) -> Sequence[LoadJobInfo]:
        """Jobs that failed for good."""
        return self.jobs.get("failed_jobs", ())

    def asdict(self) -> dict[str, Any]:
        """A dictionary that can be loaded as a row with nested jobs, tables and columns."""
        fields = self._asdict()
        del fields["schema"], fields["schema_update"], fields["schema_altered"]
        fields["jobs"] = [job.asdict() for jobs in self.jobs.values() for job in jobs]
        fields["dropped_tables"] = list(self.dropped_tables)
        fields["truncated_tables"] = list(self.truncated_tables)
        fields["schema_hash"] = self.schema_hash
        fields["schema_name"] = self.schema_name
        fields["schema_migrated"] = self.schema_migrated
        fields["tables"] = [self._table_dict(name, table) for name, table in self.schema_update.items()]
        if self.schema_altered:
            fields["altered_tables"] = [self._table_dict(name, table) for name, table in self.schema_altered.items()]
        return fields

    def _table_dict(self, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
        whose = {"schema_name": self.schema_name, "load_id": self.load_id}
        columns = [{**column, "table_name": name, **whose} for column in table.get("columns", {}).values()]
        return {"name": name, **table, "columns": columns, **whose}

    def asstr(self, verbosity: int = 0) -> str:
        """A line for people; with verbosity 1 the schema changes, with 2 all jobs as well."""
        lines = [self._headline()]
        if verbosity > 0:
            lines += schema_changes(self.schema_update, self.schema, "  ", self.schema_altered)
        for job in self._jobs_to_say(verbosity):
            lines += indented(job.asstr(verbosity - 1), "  ")
        return "\n".join(lines)

    def _headline(self) -> str:
        text = f"Package {self.load_id} (schema {self.schema_name}): {self.state}"
        if self.completed_at:
            text += f" at {self.completed_at:%Y-%m-%d %H:%M:%S %Z}".rstrip()
        text += f", {self._amount()}"
        if self.failed_jobs:
            text += f", {count(len(self.failed_jobs), 'file')} FAILED"
        return text

    def _amount(self) -> str:
        """Tables and files as people count them: what headrace writes for itself is not among them."""
        files = [job.job_file_info.table_name for jobs in self.jobs.values() for job in jobs]
        own = [name for name in files if name.startswith("_dlt_")]
        data = len(files) - len(own)
        if not data:
            nothing = "not sealed" if self.state == "new" else "no rows"
            return "only the pipeline's state" if own else nothing
        return f"{count(len({*files} - {*own}), 'table')} in {count(data, 'file')}"

    def _jobs_to_say(self, verbosity: int) -> list[LoadJobInfo]:
        if verbosity > 1:
            return [job for jobs in self.jobs.values() for job in jobs]
        return list(self.failed_jobs) if verbosity else []

    def __str__(self) -> str:
        return self.asstr(verbosity=0)


def schema_changes(
    update: Mapping[str, Any], schema: Any = None, indent: str = "", altered: Mapping[str, Any] | None = None
) -> list[str]:
    """Lines that say which tables and columns are new, and which got a wider type; tables of our own are left out.

    Args:
        update: Tables by name, with the columns that were added.
        schema: The schema with the update in it, to tell new tables from those that only grew.
        indent: Put before each line.
        altered: Tables by name, with the columns whose type was changed.
    """
    lines = []
    for name in sorted(name for name in update if not name.startswith("_dlt_")):
        columns = update[name].get("columns", {})
        said = [f"{key} {c.get('data_type', '?')}" for key, c in columns.items() if not key.startswith("_dlt_")]
        what = f"new table {name}" if is_new_table(name, columns, schema) else f"table {name}, new columns"
        lines.append(f"{indent}{what}: {', '.join(said)}" if said else f"{indent}{what}")
    for name, table in sorted((altered or {}).items()):
        # descriptions have no type
        said = [f"{key} {c['data_type']}" for key, c in table.get("columns", {}).items() if c.get("data_type")]
        if said:
            lines.append(f"{indent}table {name}, columns with another type: {', '.join(said)}")
    return lines


def is_new_table(name: str, added: Mapping[str, Any], schema: Any = None) -> bool:
    """Whether a table came with an update: all of its columns did."""
    table = getattr(schema, "tables", {}).get(name)
    if table is None:
        # without the schema the row id tells: no table gets it twice
        return any(column.get("row_key") for column in added.values())
    return {key for key, column in table.get("columns", {}).items() if column.get("data_type")} <= set(added)
