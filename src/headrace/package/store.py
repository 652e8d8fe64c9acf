"""All packages of a pipeline: make, find, recover after a crash, drop.

There is one writer at a time, kept so by `WorkingFolderLock`; anyone may read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from headrace.base import failpoints
from headrace.base import files as fs
from headrace.base.ids import new_load_id
from headrace.base.logfile import LogFile
from headrace.errors.package import LoadPackageNotFound, StorageException
from headrace.model.events import PackageCreated
from headrace.package.again import reopen
from headrace.package.package import Package, Phase, Publish, ignore

_FINISHED = ".finished"
_OPEN = "reopened"
_DROPPED = ".dropped-"
_PENDING: tuple[Phase, ...] = ("extracted", "normalized")

# inside the class `list` is the method
LoadIds: TypeAlias = list[str]
Packages: TypeAlias = list[Package]


class PackageStore:
    """The packages under one folder.

    Args:
        root: ``<working_dir>/packages``; made when the first package is.
        publish: Handed to every package.
        behind: A load id; those made here come behind it.

    Attributes:
        run_id: Given to the packages handed out from now on; the conductor sets it when a run begins.
    """

    def __init__(self, root: Path, publish: Publish = ignore, *, behind: str = "") -> None:
        self.root, self._behind = Path(root), behind
        self.run_id = ""
        self._publish = publish
        self._packages: dict[str, Package] = {}
        # which packages need no look any more; only a shortcut, the journals are the truth
        self._finished_log = LogFile(self.root / _FINISHED)
        self._finished: dict[str, str] = {}
        self._note_finished(self._finished_log.records)

    # ---- making and finding ----------------------------------------------------------------------------------------

    def create(
        self, schema_name: str, *, pipeline_name: str = "", run_id: str = "", load_id: str | None = None
    ) -> Package:
        """Make a new, empty package.

        Args:
            schema_name: The schema its data belongs to.
            pipeline_name: Who makes it.
            run_id: The run it is made in.
            load_id: Its name; by default the time, but always behind all packages that are there.

        Raises:
            StorageException: A package of that load id exists.
            OSError: The folder cannot be made.
        """
        load_id = load_id or new_load_id(max([self._behind, *self._names()]))
        path = self.root / load_id
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError as error:
            raise StorageException(f"There is a package {load_id} already.", fix="use another load id") from error
        package = self._open(load_id)
        package.run_id = run_id or self.run_id
        package.make_folders()
        package.record(PackageCreated(load_id=load_id, schema_name=schema_name, pipeline_name=pipeline_name))
        return package

    def get(self, load_id: str) -> Package:
        """The package of a load id.

        Raises:
            LoadPackageNotFound: There is none.
            JournalCorrupted: Its journal cannot be trusted.
        """
        known = self._packages.get(load_id)
        if known is not None and known.path.is_dir():
            return known
        if not _is_name(load_id) or not (self.root / load_id).is_dir():
            raise LoadPackageNotFound(load_id)
        return self._open(load_id)

    def _open(self, load_id: str) -> Package:
        package = Package(self.root / load_id, self._publish, run_id=self.run_id)
        self._packages[load_id] = package
        return package

    def _names(self) -> LoadIds:
        try:
            return [name for name in os.listdir(self.root) if _is_name(name)]  # noqa: PTH208 (names are all we need)
        except FileNotFoundError:
            return []

    def list(self, *phases: str) -> LoadIds:
        """Load ids, oldest first.

        Args:
            phases: Only packages in these phases: new, extracted, normalized, loaded, aborted; none given means all.

        Raises:
            JournalCorrupted: The journal of an unfinished package cannot be trusted.
        """
        names = sorted(self._names())
        if not phases:
            return names
        self._note_finished(self._finished_log.catch_up())
        return [name for name in names if (self._finished.get(name) or self._peek(name)) in phases]

    def _peek(self, load_id: str) -> Phase:
        known = self._packages.get(load_id)
        return known.phase if known is not None else Package(self.root / load_id).phase

    def pending(self) -> Packages:
        """Sealed packages that are not loaded yet, oldest first."""
        return [self.get(load_id) for load_id in self.list(*_PENDING)]

    def __iter__(self) -> Iterator[Package]:
        return map(self.get, self.list())

    def gone_since(self, load_id: str) -> LoadIds:
        """Load ids of loaded packages after this one whose folders are gone."""
        names = set(self._names())
        return sorted(i for i, phase in self._finished.items() if phase == "loaded" and i > load_id and i not in names)

    # ---- after a crash ---------------------------------------------------------------------------------------------

    def recover(self, delete_files: bool = False, aborted: Callable[[Package], None] | None = None) -> Packages:
        """Undo and finish what a killed process left. Call it under the lock, before anything else.

        Packages that were never sealed are deleted: their data was not committed anywhere, the cursor neither. Sealed
        ones lose the half-made files of the step that was killed. Loaded ones are tidied to the end.

        Args:
            delete_files: Delete loader files of loaded packages (``load.delete_completed_jobs``).
            aborted: Finishes what a killed process did not get done for a package that it had set aside.

        Returns:
            Packages to go on with, oldest first.

        Raises:
            JournalCorrupted: The journal of an unfinished package cannot be trusted. Nothing of it is touched.
        """
        self._delete_dropped()
        self._note_finished(self._finished_log.catch_up())
        pending: Packages = []
        for name in sorted(self._names()):
            if name in self._finished:
                continue
            # read anew: another process may have gone on with it since
            package = self._open(name)
            if package.phase == "new":
                self.drop(name)
            elif package.phase in _PENDING:
                package.make_folders()
                package.clean()
                pending.append(package)
            else:
                if package.phase == "aborted" and aborted is not None:
                    aborted(package)
                self.finish(package, delete_files)
        return pending

    def _delete_dropped(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for path in [*self.root.iterdir()]:
                if path.name.startswith(_DROPPED):
                    fs.remove_tree(path)

    def finish(self, package: Package, delete_files: bool = False) -> None:
        """Tidy a loaded or aborted package and leave it out of further recoveries.

        Args:
            package: The package.
            delete_files: Delete its loader files if it is loaded, but for those of failed jobs.
        """
        package.clean(delete_files)
        failpoints.hit("package.cleaned")
        if package.load_id not in self._finished:
            entry = f"{package.load_id} {package.phase}".encode()
            self._note_finished([*self._finished_log.append([entry]), entry])
        self._packages.pop(package.load_id, None)

    def refile(self, package: Package) -> None:
        """Note the phase of a finished package anew, after a load was undone; safe to repeat."""
        package.journal.close()
        if self._finished.get(package.load_id) != package.phase:
            entry = f"{package.load_id} {package.phase}".encode()
            self._note_finished([*self._finished_log.append([entry]), entry])
        self._packages.pop(package.load_id, None)

    def reopen(self, package: Package, jobs: Sequence[str] = ()) -> None:
        """Let a finished package be loaded again; see `headrace.package.again.reopen`."""
        # taken from the list first: killed in between, the next recovery puts it there again
        entry = f"{package.load_id} {_OPEN}".encode()
        self._note_finished([*self._finished_log.append([entry], sync=True), entry])
        reopen(package, jobs)
        self._packages[package.load_id] = package

    def _note_finished(self, entries: Iterable[bytes]) -> None:
        for entry in entries:
            load_id, _, phase = entry.decode("utf-8").rpartition(" ")
            if phase == _OPEN:
                self._finished.pop(load_id, None)
            else:
                self._finished[load_id] = phase

    # ---- dropping --------------------------------------------------------------------------------------------------

    def drop(self, load_id: str) -> None:
        """Delete a package with its data, whatever its phase; its journal is not read.

        Raises:
            LoadPackageNotFound: There is none.
        """
        if not _is_name(load_id):
            raise LoadPackageNotFound(load_id)
        known = self._packages.pop(load_id, None)
        if known is not None:
            known.journal.close()
        # one rename takes it away whole: killed while deleting, no sealed package with half its files remains
        gone = self.root / f"{_DROPPED}{load_id}"
        fs.remove_tree(gone)
        try:
            (self.root / load_id).rename(gone)
        except FileNotFoundError as error:
            raise LoadPackageNotFound(load_id) from error
        fs.remove_tree(gone)


def _is_name(name: str) -> bool:
    """Whether a folder's name can be a load id: ours hide their other files behind a dot."""
    return bool(name) and not name.startswith(".") and Path(name).name == name
