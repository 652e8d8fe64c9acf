"""The working folder of a pipeline: its paths, and the right to change it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.package.lock import WorkingFolderLock


class WorkingFolder:
    """Paths of a pipeline's working folder.

    Args:
        pipelines_dir: The folder of all pipelines.
        pipeline_name: The pipeline.
    """

    def __init__(self, pipelines_dir: Path, pipeline_name: str) -> None:
        self.pipelines_dir = pipelines_dir
        self.path = pipelines_dir / pipeline_name
        self.state_file = self.path / "pipeline.json"
        # not `schemas`: that is dlt's, which may use the same working folder
        self.schemas = self.path / "pipeline.schemas"
        self.packages = self.path / "packages"
        self.runs = self.path / "runs"
        self.plans = self.path / "plans"
        self.behind = ""  # packages that are made come behind this load id
        self._lock = WorkingFolderLock(self.path, pipeline_name)

    @property
    def exists(self) -> bool:
        """Whether a pipeline was here."""
        return self.state_file.is_file()

    @property
    def held(self) -> bool:
        """Whether this object holds the folder."""
        return self._lock.held

    def beside(self, folder: Path) -> WorkingFolder:
        """The same folder under the same lock, with state, schemas and packages in another one."""
        made = copy.copy(self)
        made.state_file, made.schemas = folder / self.state_file.name, folder / self.schemas.name
        made.packages, made.runs, made.plans = folder / "packages", folder / "runs", folder / "plans"
        return made

    def make(self) -> None:
        """Make the folder if it is missing."""
        self.path.mkdir(parents=True, exist_ok=True)

    def wipe(self) -> None:
        """Delete all but the lock and plans: state, schemas, packages and traces."""
        self.state_file.unlink(missing_ok=True)
        for folder in (self.schemas, self.packages, self.runs):
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        """Delete the folder with all in it, so that a failed attach leaves no trace."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def hold(self, wait: float = 0.0) -> Iterator[bool]:
        """Hold the folder against other processes, threads and pipeline objects; it may be taken again while held.

        Args:
            wait: Seconds to wait at most while somebody else holds it.

        Yields:
            True when this is the outermost hold.

        Raises:
            PipelineLocked: Somebody else works on the pipeline.
        """
        outermost = not self._lock.held
        self._lock.acquire(wait)
        try:
            yield outermost
        finally:
            self._lock.release()
