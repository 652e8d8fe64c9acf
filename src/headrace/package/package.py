"""A load package: a folder of immutable files and one journal, known by its load id.

::

    <load_id>/
      journal                  facts; see `Journal`
      schema.json state.json   of the extract; valid once the fact `Extracted` names their hashes
      normalized.schema.json   of normalize; valid once `Normalized` names its hash
      spool/                   what extract left; deleted once `Normalized` is written
      files/                   loader files; never moved, never renamed

The phase is not stored: it is what the newest commit point says.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headrace.base import files as fs
from headrace.base import json
from headrace.base.strings import digest256
from headrace.errors.package import LoadPackageAlreadyCompleted, LoadPackageInconsistent, LoadPackageNotCompleted
from headrace.model.events import (
    Aborted,
    DurableEvent,
    Event,
    Extracted,
    Loaded,
    Normalized,
    PackageCreated,
    PackageParked,
    Reopened,
)
from headrace.model.jobs import LoadFile, SpoolFile
from headrace.model.location import ResourceInputs
from headrace.model.rejected import RejectedCount
from headrace.package.again import failed_jobs
from headrace.package.decided import files_to_keep, skipped_rows
from headrace.package.journal import E, Journal

if TYPE_CHECKING:
    from headrace.model.packages import LoadPackageInfo

Phase = Literal["new", "extracted", "normalized", "loaded", "aborted"]
Publish = Callable[[Event], None]

JOURNAL = "journal"
SCHEMA = "schema.json"
STATE = "state.json"
NORMALIZED_SCHEMA = "normalized.schema.json"


def ignore(event: Event) -> None:
    """Publish to nobody."""


class Package:
    """One package on disk. Made by `PackageStore`.

    Args:
        path: Its folder; the folder's name is the load id.
        publish: Called with every fact once it is written.
        run_id: Given to facts that carry none.

    Attributes:
        load_id: Its name.
        path: Its folder.
        journal: Its facts.
        run_id: The run that works on it.
        sealed_here: It was normalized by this process, and so was never loaded by an earlier one.
    """

    def __init__(self, path: Path, publish: Publish = ignore, *, run_id: str = "") -> None:
        self.path = path
        self.load_id = path.name
        self.run_id = run_id
        self.sealed_here = False
        self._publish = publish
        self._version_hash: str | None = None
        self.journal = Journal(path / JOURNAL)

    def __repr__(self) -> str:
        return f"Package({self.load_id!r}, {self.phase})"

    @property
    def spool_dir(self) -> Path:
        """Where extract writes."""
        return self.path / "spool"

    @property
    def files_dir(self) -> Path:
        """Where normalize writes."""
        return self.path / "files"

    @property
    def phase(self) -> Phase:
        """How far it is: the newest commit point decides."""
        for fact in reversed(self.journal.facts):
            match fact:
                case Loaded():
                    return "loaded"
                case Aborted():
                    return "aborted"
                case Normalized():
                    return "normalized"
                case Reopened():
                    return "normalized" if self.fact(Normalized) else "extracted"
                case Extracted():
                    return "extracted"
        return "new"

    @property
    def schema_name(self) -> str:
        """The schema its data belongs to."""
        created = self.fact(PackageCreated)
        return created.schema_name if created else ""

    @property
    def pipeline_name(self) -> str:
        """The pipeline that made it."""
        created = self.fact(PackageCreated)
        return created.pipeline_name if created else ""

    @property
    def created_at(self) -> dt.datetime:
        """When it was made, UTC."""
        created = self.fact(PackageCreated)
        if created:
            return created.at
        return dt.datetime.fromtimestamp(self.path.stat().st_mtime, dt.timezone.utc)

    def fact(self, kind: type[E]) -> E | None:
        """The newest fact of a kind, None when there is none."""
        return self.journal.last(kind)

    def record(self, *events: DurableEvent, sync: bool = False) -> None:
        """Write facts, then publish them.

        Args:
            events: The facts; those without a run id get the package's.
            sync: Make them durable first: a commit.

        Raises:
            OSError: They could not be written; then nothing is published.
        """
        marked = [e if e.run_id or not self.run_id else msgspec.structs.replace(e, run_id=self.run_id) for e in events]
        self.journal.append(*marked, sync=sync)
        for event in marked:
            self._publish(event)

    # ---- the commit points -----------------------------------------------------------------------------------------

    def seal_extracted(
        self,
        files: Sequence[SpoolFile],
        schema: dict[str, Any],
        state: dict[str, Any] | None,
        *,
        id_seed: int = 0,
        row_counts: dict[str, int] | None = None,
        rejected: Sequence[RejectedCount] = (),
        inputs: Sequence[ResourceInputs] = (),
        declared: dict[str, list[str]] | None = None,
    ) -> None:
        """Commit point 1: data, schema and state (and so the cursor) become the package's at once.

        Args:
            files: What extract wrote under `spool_dir`.
            schema: The schema's document.
            state: The pipeline's state with the new cursors; None when it did not change.
            id_seed: Seed of the row ids, so that a repeated normalize makes the same ones.
            row_counts: Rows by table, for people.
            rejected: What contracts let go while the data was read.
            inputs: What the resources were read from, as far as they told.

        Raises:
            LoadPackageInconsistent: The package is sealed already.
            OSError: Something could not be made durable; the package is as it was.
        """
        self._expect("new")
        schema_hash = self._put(SCHEMA, json.dumpb(schema))
        documents = [self.path / SCHEMA]
        state_hash = None
        if state is not None:
            from headrace.base import typed_json

            state_hash = self._put(STATE, typed_json.dumpb(state))
            documents.append(self.path / STATE)
        # the package's own name in the store becomes durable here too
        self._sync([f.path for f in files], documents, [self.path, self.path.parent])
        fact = Extracted(
            load_id=self.load_id,
            files=list(files),
            schema_hash=schema_hash,
            state_hash=state_hash,
            id_seed=id_seed,
            row_counts=row_counts or {},
            rejected=list(rejected),
            inputs=list(inputs),
            declared=declared or {},
        )
        self.record(fact, sync=True)
        self._version_hash = schema.get("version_hash")

    def seal_normalized(
        self,
        files: Sequence[LoadFile],
        schema: dict[str, Any],
        schema_update: dict[str, Any] | None = None,
        row_counts: dict[str, int] | None = None,
        rejected: Sequence[RejectedCount] = (),
    ) -> None:
        """Commit point 2: the loader files stand for the spool from now on; the spool is deleted.

        Args:
            files: What normalize wrote under `files_dir`, or files of the user by absolute path.
            schema: The schema's document that the files follow.
            schema_update: Partial tables that normalize added.
            row_counts: Rows by table, nested ones included.
            rejected: What contracts let go in normalize.

        Raises:
            LoadPackageInconsistent: The package is not in the phase ``extracted``.
            OSError: Something could not be made durable; the package is as it was.
        """
        self._expect("extracted")
        if doomed := [f.path for f in files if (self.path / f.path).is_relative_to(self.spool_dir)]:
            raise LoadPackageInconsistent(self.load_id, f"{doomed[0]} is in the spool, which is about to be deleted")
        schema_hash = self._put(NORMALIZED_SCHEMA, json.dumpb(schema))
        self._sync([f.path for f in files], [self.path / NORMALIZED_SCHEMA], [self.path])
        fact = Normalized(
            load_id=self.load_id,
            files=list(files),
            schema_hash=schema_hash,
            schema_update=schema_update or {},
            row_counts=row_counts or {},
            rejected=list(rejected),
        )
        self.record(fact, sync=True)
        self.sealed_here = True
        self._version_hash = schema.get("version_hash")
        fs.remove_tree(self.spool_dir)

    def seal_loaded(self, failed_jobs: int = 0) -> None:
        """Commit point 3: the destination has it all.

        Raises:
            LoadPackageInconsistent: The package is not in the phase ``normalized``.
        """
        self._expect("normalized")
        self.record(Loaded(load_id=self.load_id, failed_jobs=failed_jobs), sync=True)

    def abort(self, reason: str, told: bool = True) -> None:
        """Set the package aside for good: it blocks no later one. Its files stay for a look at them.
        Observers are ``told``, unless somebody throws it away by hand: that is no trouble.

        Raises:
            LoadPackageAlreadyCompleted: It is loaded or aborted already.
        """
        if self.phase in ("loaded", "aborted"):
            raise LoadPackageAlreadyCompleted(self.load_id)
        if self.was_loaded:
            # its load id is at the destination: it goes back to what it was
            self.seal_loaded(len(failed_jobs(self)))
            return
        self.record(Aborted(load_id=self.load_id, reason=reason), sync=True)
        if told:
            self._publish(PackageParked(run_id=self.run_id, load_id=self.load_id, reason=reason))

    @property
    def was_loaded(self) -> bool:
        """Whether it was loaded before and was reopened for jobs that had failed."""
        return self.phase == "normalized" and self.fact(Loaded) is not None

    def _expect(self, phase: Phase) -> None:
        if self.phase != phase:
            raise LoadPackageInconsistent(self.load_id, f"it should be {phase} for this step, but it is {self.phase}")

    def _put(self, name: str, data: bytes) -> str:
        """Write a document and give its hash. Readers believe it only once a fact names the hash."""
        fs.write_atomic(self.path / name, data)
        return digest256(data)

    def _sync(self, paths: Iterable[str], documents: Iterable[Path], folders: Iterable[Path]) -> None:
        own = [self.path / p for p in dict.fromkeys(paths) if p and not Path(p).is_absolute()]
        fs.sync_group([*own, *documents], [*dict.fromkeys(p.parent for p in own if p.parent != self.path), *folders])

    # ---- reading ---------------------------------------------------------------------------------------------------

    def load_schema(self) -> dict[str, Any]:
        """The schema's document as of the newest sealed phase.

        Raises:
            LoadPackageNotCompleted: Nothing is sealed yet.
            LoadPackageInconsistent: The file is missing or is not what the fact says.
        """
        normalized, extracted = self.fact(Normalized), self.fact(Extracted)
        if normalized:
            data = self._get(NORMALIZED_SCHEMA, normalized.schema_hash)
        elif extracted:
            data = self._get(SCHEMA, extracted.schema_hash)
        else:
            raise LoadPackageNotCompleted(self.load_id, "its extract was never sealed, so it has no schema")
        schema: dict[str, Any] = json.loads(data)
        return schema

    def load_state(self) -> dict[str, Any] | None:
        """The pipeline's state that this package carries, None when it carries none.

        Raises:
            LoadPackageInconsistent: The file is missing or is not what the fact says.
        """
        extracted = self.fact(Extracted)
        if extracted is None or extracted.state_hash is None:
            return None
        from headrace.base import typed_json

        state: dict[str, Any] = typed_json.loads(self._get(STATE, extracted.state_hash))
        return state

    def _get(self, name: str, wanted: str) -> bytes:
        try:
            data = (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise LoadPackageInconsistent(self.load_id, f"{name} is missing") from error
        if digest256(data) != wanted:
            raise LoadPackageInconsistent(self.load_id, f"{name} is not the file that the journal speaks of")
        return data

    @property
    def schema_version_hash(self) -> str | None:
        """The version hash inside the newest sealed schema document, None before the first seal."""
        if self._version_hash is None and self.phase != "new":
            try:
                self._version_hash = self.load_schema().get("version_hash")
            except LoadPackageInconsistent:
                return None
        return self._version_hash

    def rejected(self) -> list[RejectedCount]:
        """What contracts let go of this package's data so far."""
        facts = (self.fact(Extracted), self.fact(Normalized))
        return [*(one for fact in facts if fact for one in fact.rejected), *skipped_rows(self)]

    def file_path(self, file: SpoolFile | LoadFile) -> Path:
        """Where a file of the package is."""
        return self.path / file.path

    def info(self) -> LoadPackageInfo:
        """The package as a value: its state, its jobs and how they ended."""
        from headrace.package.report import package_info

        return package_info(self)

    # ---- tidying ---------------------------------------------------------------------------------------------------

    def make_folders(self) -> None:
        """Make the folders that the next step writes to, empty of what a killed one left."""
        if self.phase == "new":
            self.spool_dir.mkdir(parents=True, exist_ok=True)
            self.files_dir.mkdir(exist_ok=True)
        elif self.phase == "extracted":
            fs.remove_tree(self.files_dir)
            self.files_dir.mkdir()

    def clean(self, delete_files: bool = False) -> None:
        """Delete what the phase no longer needs; safe to repeat and to be killed in.

        Args:
            delete_files: For a loaded package: delete loader files too, but for those of jobs that failed.
        """
        if self.phase in ("normalized", "loaded"):
            fs.remove_tree(self.spool_dir)
        if self.phase == "loaded" and (delete_files or self._half_deleted()):
            self._delete_files()
        if self.phase in ("loaded", "aborted"):
            self.journal.close()

    def _half_deleted(self) -> bool:
        normalized = self.fact(Normalized)
        own = [f for f in normalized.files if not Path(f.path).is_absolute()] if normalized else []
        return any(not (self.path / f.path).exists() for f in own)

    def _delete_files(self) -> None:
        keep = files_to_keep(self)
        if not keep:
            fs.remove_tree(self.files_dir)
            return
        for file in self.files_dir.iterdir():
            if file not in keep:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
