"""Files on their way to a destination that loads them from elsewhere: a bucket between normalize and the warehouse.

A package planned with a staging place has an `Upload` job before each job that reads files. Names in the place are made
from load id and file id, so an upload that is repeated writes the same file again, and what a killed process has left
half done is done once more. The job that loads gets the same files with their urls in ``LoadFile.remote``.
"""

from __future__ import annotations

import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec

from headrace.base import failpoints
from headrace.base.ids import new_file_id
from headrace.errors.base import HeadraceException
from headrace.errors.destination import DestinationLoadingWithoutStagingNotSupported, DestinationTransientException
from headrace.model.jobs import AnyJob, LoadFile, PlannedJob, Upload

if TYPE_CHECKING:
    from headrace.load.destination import Applied, Client, LoadContext
    from headrace.model.capabilities import Capabilities

logger = logging.getLogger("headrace")

# how many earlier loads are asked about at the end of one; the next load asks about the rest
MOST_LOADS = 100
_FETCHED = "staged"


class StagingPlace(ABC):
    """A place for files on their way; used by several threads at once. `Destination.open_staging` gives one."""

    @property
    @abstractmethod
    def credentials(self) -> Any:
        """Credentials of the place, for destinations that read from it themselves; None where it needs none."""

    @abstractmethod
    def url_of(self, file: LoadFile, context: LoadContext) -> str:
        """Where a file is or will be; the same whenever it is asked."""

    @abstractmethod
    def put(self, files: Sequence[LoadFile], context: LoadContext) -> None:
        """Bring files to the place, whole, over those of the same names."""

    @abstractmethod
    def has(self, file: LoadFile, context: LoadContext) -> bool:
        """Whether the file is there, with all its bytes."""

    @abstractmethod
    def open(self, url: str) -> BinaryIO:
        """Open a file of the place for reading; it can seek."""

    def local_path(self, url: str) -> Path | None:
        """The file's path, where the place is a disk of this machine."""
        return None

    @abstractmethod
    def loads_of(self, tables: Iterable[str]) -> dict[str, list[str]]:
        """Urls of all files of tables in the place, by load id; files whose names do not tell are left out."""

    @abstractmethod
    def delete(self, urls: Iterable[str]) -> None:
        """Delete files; those that are gone already do not matter."""

    @abstractmethod
    def tidy(self, load_id: str) -> None:
        """Remove what half written files of a load have left."""


class StagedFile(NamedTuple):
    """A file that a destination is to load from the staging place.

    Attributes:
        file: The file as the plan has it, with its url in ``remote``.
        place: Where it is.
        folder: A folder of the package for files that are needed for a moment.
    """

    file: LoadFile
    place: StagingPlace
    folder: Path

    @property
    def url(self) -> str:
        """Where the file is."""
        return self.file.remote

    @property
    def format(self) -> str:
        """``parquet``, ``jsonl`` or ``csv``."""
        return self.file.format

    @property
    def is_compressed(self) -> bool:
        """Whether it is packed with gzip (text only)."""
        return self.url.endswith(".gz")

    @property
    def credentials(self) -> Any:
        """Credentials of the place, None where it needs none."""
        return self.place.credentials

    @property
    def local_path(self) -> Path | None:
        """The file's path, where the place is a disk of this machine."""
        return self.place.local_path(self.url)

    def open(self) -> BinaryIO:
        """The file's bytes as they are needed."""
        return self.place.open(self.url)

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """The file as one of this machine, copied for the time of ``with`` if it has to be.

        Raises:
            DestinationTransientException: It has gone; the next attempt at the job brings it again.
        """
        local = self.local_path
        if local is not None:
            if not local.is_file():
                raise file_has_gone(self.url)
            yield local
            return
        self.folder.mkdir(exist_ok=True)
        copy = self.folder / f"{new_file_id()}.{self.format}{'.gz' if self.is_compressed else ''}"
        try:
            with self.open() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
            yield copy
        finally:
            copy.unlink(missing_ok=True)


class Staging:
    """The staging place in the load of one package.

    Args:
        place: The place; None if the pipeline has none (any more).
        jobs: The package's plan.
    """

    def __init__(self, place: StagingPlace | None, jobs: Sequence[PlannedJob]) -> None:
        self.place = place
        self._files = {file.id: file for job in jobs if isinstance(job, Upload) for file in job.files}
        self._urls: dict[str, str] = {}
        self._sure: set[str] = set()

    def check(self, destination: str, capabilities: Capabilities) -> None:
        """Refuse a plan with uploads when there is no place any more and the destination cannot do without.

        Raises:
            DestinationLoadingWithoutStagingNotSupported: That is so.
        """
        if self.place is None:
            for file in self._files.values():
                if file.format not in capabilities.supported_loader_file_formats:
                    raise DestinationLoadingWithoutStagingNotSupported(destination)

    def upload(self, job: Upload, context: LoadContext) -> None:
        """Bring a job's files to the place, if there is one."""
        if self.place is not None:
            self.place.put(job.files, context)
            self._sure.update(file.id for file in job.files)
            failpoints.hit("files.staged")

    def load(self, job: AnyJob, context: LoadContext, client: Callable[[], Client]) -> Applied:
        """Run a job whose files may be in the place.

        Args:
            job: The job.
            context: Its package.
            client: Gives this thread's client.
        """
        staged = [file.id for file in job.files if file.id in self._files]
        if self.place is None or not staged:
            return client().apply(job, context)
        self._ensure([file for file in job.files if file.id in staged], context, self.place)
        files = [msgspec.structs.replace(f, remote=self.url_of(f, context)) for f in job.files]
        try:
            return client().apply(msgspec.structs.replace(job, files=files), context)
        except Exception:
            # somebody may have deleted files: look before the next attempt
            self._sure.difference_update(staged)
            raise

    def _ensure(self, files: Sequence[LoadFile], context: LoadContext, place: StagingPlace) -> None:
        """Upload again what an earlier run brought to the place and is not there any more, or half."""
        lost = [file for file in files if file.id not in self._sure and not place.has(file, context)]
        if lost:
            place.put(lost, context)
        self._sure.update(file.id for file in files)

    def url_of(self, file: LoadFile, context: LoadContext) -> str:
        """Where a file is in the place; empty for files that do not go through it."""
        if self.place is None or file.id not in self._files:
            return ""
        if file.id not in self._urls:
            self._urls[file.id] = self.place.url_of(file, context)
        return self._urls[file.id]

    def tidy(self, client: Client, context: LoadContext, *, own: bool, older: bool) -> None:
        """Delete staged files after the load is complete. What goes wrong is said, and does no harm.

        Args:
            client: Of the destination: it knows which loads are complete.
            context: The package.
            own: Delete the files of this load.
            older: Delete files of earlier loads of the same tables that are complete. Those of loads that are not may
                be another process's, or wait for the next run of this one.
        """
        if self.place is None:
            return
        shutil.rmtree(context.path / _FETCHED, ignore_errors=True)
        if not self._files:
            return
        try:
            self.place.tidy(context.load_id)
            gone = [self.url_of(f, context) for f in self._files.values()] if own else []
            if older:
                gone += self._older(self.place, client, context)
            self.place.delete(gone)
        except HeadraceException as error:
            logger.warning("load %s: staged files could not be deleted: %s", context.load_id, error)

    def _older(self, place: StagingPlace, client: Client, context: LoadContext) -> list[str]:
        found = place.loads_of(dict.fromkeys(file.table for file in self._files.values()))
        found.pop(context.load_id, None)
        asked = sorted(found)[:MOST_LOADS]
        return [url for load_id in asked if client.is_complete(load_id) for url in found[load_id]]


def file_has_gone(url: str) -> DestinationTransientException:
    """The error for a file that is not in its place; trying the job again brings it there."""
    return DestinationTransientException(
        f"The staged file {url} has gone.",
        why="somebody deleted it after it was brought there",
        fix="nothing, it comes again; if that happens often, look for what else empties the staging place",
    )


def staged_file(file: LoadFile, context: LoadContext) -> StagedFile:
    """What a client needs to load a file with ``remote`` set."""
    assert context.staging is not None
    return StagedFile(file, context.staging, context.path / _FETCHED)
