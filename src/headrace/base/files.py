"""Files that survive a crash: write-then-replace, syncing many at once, folders synced too."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from headrace.base import failpoints

# more threads than processors: they wait for the disk, and a file system merges syncs that arrive together
SYNC_THREADS = 16
# seconds from which a flush is worth a thread
SLOW_SYNC = 0.001


def _full_sync() -> Callable[[int], object]:
    """The call that really reaches the medium; on macOS plain fsync stops at the drive's cache."""
    if sys.platform == "darwin":
        import fcntl

        command: int | None = getattr(fcntl, "F_FULLFSYNC", None)
        if command is not None:
            return lambda fd: fcntl.fcntl(fd, command)
    return os.fsync


sync_fd: Callable[[int], object] = _full_sync()


def sync_file(path: str | os.PathLike[str]) -> None:
    """Make a closed file's content durable.

    Raises:
        OSError: It is missing, or the disk reports an error.
    """
    fd = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        sync_fd(fd)
    finally:
        os.close(fd)


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable. Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_group(files: Iterable[str | os.PathLike[str]], directories: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Make many files durable together, then the folders that name them.

    Files go first: a durable name of content that is not would be a lie. One file at a time costs a disk flush each; in
    threads the flushes are merged (500 files: 1.7 s against 0.04 s). Where a flush costs next to nothing, threads cost
    more than they save: so it begins one by one, and the first slow flush calls for threads.

    Args:
        files: Closed files.
        directories: Folders to sync after all files.

    Raises:
        OSError: One of them could not be made durable.
    """
    left = list(files)[::-1]
    while left:
        started = time.perf_counter()
        sync_file(left.pop())
        if len(left) > 1 and time.perf_counter() - started > SLOW_SYNC:
            _sync_in_threads(left)
            break
    for directory in directories:
        sync_directory(directory)


def _sync_in_threads(paths: Sequence[str | os.PathLike[str]]) -> None:
    # imported here: most runs never get to this line
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(SYNC_THREADS, len(paths)), thread_name_prefix="headrace-sync") as pool:
        for outcome in [pool.submit(sync_file, path) for path in paths]:
            outcome.result()


def write_atomic(path: str | os.PathLike[str], data: bytes, *, sync: bool = False) -> None:
    """Put bytes in a file so that a reader sees the old content or the new, never a part.

    Args:
        path: The file; its folder must exist.
        data: The whole content.
        sync: Make content and name durable before returning. Without it a power loss may bring back the old content.

    Raises:
        OSError: Disk full or no right to write; the old file is untouched.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            if sync:
                stream.flush()
                sync_fd(stream.fileno())
        failpoints.hit("file.written")
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    failpoints.hit("file.replaced")
    if sync:
        sync_directory(target.parent)


def link_or_copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give a file a second name; where the file system cannot, copy it.

    Raises:
        FileExistsError: The target exists.
        OSError: The source cannot be read, or the disk is full.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(target):
            raise
        shutil.copyfile(source, target)


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Delete a folder with all in it; fine when it is gone already, wholly or in part."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        # someone was there at the same time: finish what is left
        shutil.rmtree(path, ignore_errors=True)
