"""Places where files are, behind fsspec: opened when first used, written so that a reader never sees half a file.

Object stores show an object when it is whole. On a disk and over SFTP a file is written under another name, in a folder
that no table uses, and then renamed.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import posixpath
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base import failpoints
from headrace.base.files import sync_directory, sync_fd, sync_file
from headrace.base.ids import new_file_id
from headrace.base.lazy import need
from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# parts of a large upload: what lies in memory for each of them
PART_BYTES = 8 * 1024 * 1024
# S3 takes 10,000 parts at most
_MOST_PARTS = 9_000
UPLOAD_THREADS = 8
TEMPORARY = "_headrace_tmp"
"""The folder, beside the tables, of files that are being written."""

_TRIES = 5

_DRIVERS = {
    "s3": ("s3fs", "S3FileSystem", "s3"),
    "gs": ("gcsfs", "GCSFileSystem", "gs"),
    "az": ("adlfs", "AzureBlobFileSystem", "az"),
}


class Store:
    """Files below a root.

    Args:
        fs: The fsspec file system.
        root: The root as that file system writes paths, without protocol.
        protocol: Of `configuration.protocol_of`.
        url: The root as a url, for people and for other programs.
    """

    renames = False
    """Whether files are written elsewhere first, in `aside`."""

    def __init__(self, fs: AbstractFileSystem, root: str, protocol: str, url: str) -> None:
        self.fs, self.root, self.protocol, self.url = fs, root.rstrip("/"), protocol, url.rstrip("/")
        self.aside = self.path(TEMPORARY)

    def path(self, *parts: str) -> str:
        """A path below the root."""
        return "/".join([self.root, *(part.strip("/") for part in parts)])

    def url_of(self, path: str) -> str:
        """A path as a url."""
        return self.url + path[len(self.root) :]

    def upload(self, source: Path, target: str, temporary: str) -> None:
        """Copy a local file; the target is replaced at once.

        Args:
            source: The file.
            target: Where to.
            temporary: A folder for what is half written.
        """
        self.fs.put_file(str(source), target, **self._parts(source.stat().st_size))

    def _parts(self, size: int) -> dict[str, Any]:
        put = getattr(self.fs, "_put_file", None)
        if put is None or "chunksize" not in inspect.signature(put).parameters:
            return {}
        whole = 256 * 1024  # Google wants multiples of it
        part = max(PART_BYTES, -(-size // _MOST_PARTS // whole) * whole)
        return {"chunksize": part, **({"max_concurrency": 2} if self.protocol == "s3" else {})}

    def upload_all(self, files: Sequence[tuple[Path, str]], temporary: str) -> None:
        """Copy local files, several at a time where that is worth it."""
        if self.protocol == "file" or len(files) < 2:
            for source, target in files:
                self.upload(source, target, temporary)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(UPLOAD_THREADS, len(files)), thread_name_prefix="headrace-upload") as pool:
            for outcome in [pool.submit(self.upload, source, target, temporary) for source, target in files]:
                outcome.result()

    def write(self, path: str, data: bytes) -> None:
        """Put bytes in a file, at once."""
        self.fs.pipe_file(path, data)

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        return bytes(self.fs.cat_file(path))

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return bool(self.fs.exists(path))

    def list(self, prefix: str) -> list[str]:
        """Paths of all files that begin with a prefix, sorted. A prefix that ends in a slash is a folder."""
        folder = prefix.rstrip("/") if prefix.endswith("/") else posixpath.dirname(prefix)
        try:
            found = self.fs.find(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(path for path in found if path.startswith(prefix))

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; those that are gone already do not matter."""
        chosen = list(paths)
        if not chosen:
            return
        try:
            self.fs.rm(chosen)
        except FileNotFoundError:
            for path in chosen:
                with contextlib.suppress(FileNotFoundError):
                    self.fs.rm_file(path)

    def delete_tree(self, path: str) -> None:
        """Delete a folder with all in it; quiet when there is none."""
        with contextlib.suppress(FileNotFoundError):
            if self.fs.exists(path):
                self.fs.rm(path, recursive=True)

    def make_folder(self, path: str) -> None:
        """Make a folder, where there are such things."""

    def tidy(self, temporary: str) -> None:
        """Delete a folder of half written files, and those above it that are empty then."""
        if not self.renames:
            return
        self.delete_tree(temporary)
        for folder in (f"{self.aside}/records", self.aside):
            # another load may be using them
            with contextlib.suppress(Exception):
                self.fs.rmdir(folder)

    def settle(self, paths: Iterable[str]) -> None:
        """Let what was written survive a power loss; object stores do that at once."""


class RenamingStore(Store):
    """Files on a server: written under another name, then renamed."""

    renames = True

    def _place(self, target: str, temporary: str, write: Callable[[str], object]) -> None:
        aside = f"{temporary}/{new_file_id()}"
        self.make_folder(posixpath.dirname(target))
        try:
            self._in_folder(temporary, lambda: write(aside))
            failpoints.hit("files.placed")
            self._rename(aside, target)
        except BaseException:
            with contextlib.suppress(Exception):
                self.fs.rm_file(aside)
            raise

    def _in_folder(self, folder: str, act: Callable[[], object]) -> None:
        """Do something in a folder that another load may just be tidying away."""
        for attempt in range(_TRIES):
            self.make_folder(folder)
            try:
                act()
                return
            except FileNotFoundError:
                if attempt == _TRIES - 1 or self.exists(folder):
                    raise

    def _rename(self, source: str, target: str) -> None:
        try:
            self.fs.mv(source, target)
        except Exception:
            # plain SFTP does not rename over a file; the name is free for a moment, the new content is safe
            if not self.fs.exists(target):
                raise
            self.fs.rm_file(target)
            self.fs.mv(source, target)

    def upload(self, source: Path, target: str, temporary: str) -> None:
        """Copy a local file; the target is replaced by a rename."""
        self._place(target, temporary, lambda aside: self.fs.put_file(str(source), aside))

    def write(self, path: str, data: bytes) -> None:
        """Put bytes in a file; by a rename."""
        self._place(path, f"{self.aside}/records", lambda aside: self.fs.pipe_file(aside, data))

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        self.fs.makedirs(path, exist_ok=True)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; those that are gone already do not matter."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(path)


class LocalStore(RenamingStore):
    """Files on a disk of this machine. The loader file itself becomes the table's where the disk can do that."""

    def upload(self, source: Path, target: str, temporary: str) -> None:
        """Give a loader file its place; where that is another disk, copy it."""
        self._place(target, temporary, lambda aside: _link_or_copy(source, Path(aside)))

    def _rename(self, source: str, target: str) -> None:
        # a rename between two names of one file does nothing
        if os.path.exists(target) and os.path.samefile(source, target):  # noqa: PTH110, PTH121
            Path(source).unlink()
        else:
            Path(source).replace(target)

    def write(self, path: str, data: bytes) -> None:
        """Put bytes in a file, at once and for good."""
        self._place(path, f"{self.aside}/records", lambda aside: _write_synced(Path(aside), data))
        sync_directory(posixpath.dirname(path))

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        return Path(path).read_bytes()

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return Path(path).exists()

    def list(self, prefix: str) -> list[str]:
        """Paths of all files that begin with a prefix, sorted."""
        folder = prefix.rstrip("/") if prefix.endswith("/") else posixpath.dirname(prefix)
        found = (f"{at}/{name}" for at, _, names in os.walk(folder) for name in names)
        paths = (path.replace(os.sep, "/") if os.sep != "/" else path for path in found)
        return sorted(path for path in paths if path.startswith(prefix))

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; those that are gone already do not matter."""
        for path in paths:
            Path(path).unlink(missing_ok=True)

    def delete_tree(self, path: str) -> None:
        """Delete a folder with all in it; quiet when there is none."""
        import shutil

        if Path(path).exists():
            shutil.rmtree(path)

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        Path(path).mkdir(parents=True, exist_ok=True)

    def settle(self, paths: Iterable[str]) -> None:
        """Make the names of files durable, up to the root."""
        root = Path(self.root)
        folders: set[Path] = set()
        for path in paths:
            for folder in Path(path).parents:
                folders.add(folder)
                if folder == root:
                    break
        for folder in folders:
            if folder.exists():
                sync_directory(folder)


def _link_or_copy(source: Path, target: Path) -> None:
    import shutil

    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        sync_file(target)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        sync_fd(file.fileno())


def open_store(settings: FilesystemConfiguration, root: str) -> Store:
    """The store of a configuration; loads fsspec and the driver.

    Args:
        settings: Resolved.
        root: The absolute path for local files, else ignored.

    Raises:
        MissingDependencyException: The driver is not installed.
    """
    protocol = settings.protocol
    need("fsspec", "the filesystem destination", "filesystem")
    if protocol == "file":
        local = need("fsspec.implementations.local", "local files", "filesystem")
        return LocalStore(local.LocalFileSystem(auto_mkdir=True), Path(root).as_posix(), protocol, Path(root).as_uri())
    kind = _driver(protocol)
    url = settings.bucket_url
    # the url says more than the defaults of the credentials: host, port, account
    arguments = {**_from_credentials(settings), **_from_url(kind, url)}
    if protocol == "sftp":
        arguments = _for_sftp(kind, arguments)
    for name in ("client_kwargs", "config_kwargs"):
        own = getattr(settings, name)
        if own:
            arguments[name] = {**(arguments.get(name) or {}), **own}
    arguments.update(settings.kwargs or {})
    if protocol in _DRIVERS:
        # another process may write; what it wrote must be seen
        arguments.setdefault("use_listings_cache", False)
    fs = kind(**arguments)
    made = RenamingStore if protocol == "sftp" else Store
    return made(fs, str(kind._strip_protocol(url)), protocol, settings.display_url())


def _driver(protocol: str) -> Any:
    if protocol in _DRIVERS:
        module, name, extra = _DRIVERS[protocol]
        return getattr(need(module, f"the filesystem destination on `{protocol}://`", extra), name)
    if protocol == "sftp":
        try:
            return need("sshfs", "the filesystem destination on `sftp://`", "sftp").SSHFileSystem
        except ImportError:
            # what dlt's users have installed; slower
            with contextlib.suppress(ImportError):
                return need("fsspec.implementations.sftp", "the filesystem destination on `sftp://`").SFTPFileSystem
            raise
    fsspec = need("fsspec", "the filesystem destination", "filesystem")
    try:
        return fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        from headrace.errors import MissingDependencyException

        caller = f"the filesystem destination on `{protocol}://`"
        raise MissingDependencyException(caller, [f"fsspec[{protocol}]"], str(error)) from error


def _from_url(kind: Any, url: str) -> dict[str, Any]:
    found = kind._get_kwargs_from_urls(url)
    return {name: value for name, value in found.items() if name != "path" and value is not None}


def _from_credentials(settings: FilesystemConfiguration) -> dict[str, Any]:
    credentials = settings.credentials
    for name in (
        "to_s3fs_credentials",
        "to_gcs_credentials",
        "to_adlfs_credentials",
        "to_fsspec_credentials",
        "to_hffs_credentials",
    ):
        make = getattr(credentials, name, None)
        if make is not None:
            return {key: value for key, value in make().items() if value is not None}
    return {}


# arguments of asyncssh for those of paramiko
_ASYNCSSH = {"port": "port", "username": "username", "password": "password", "passphrase": "passphrase"}
_SECONDS = {"timeout": "connect_timeout", "auth_timeout": "login_timeout"}


def _for_sftp(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """SFTP credentials, which have paramiko's names, as the driver at hand wants them."""
    if kind.__name__ != "SSHFileSystem":
        return given
    found = {"host": given["host"], "known_hosts": None}
    for ours, theirs in {**_ASYNCSSH, **_SECONDS}.items():
        if given.get(ours) is not None:
            found[theirs] = given[ours]
    key = given.get("pkey") or given.get("key_filename")
    if key is not None:
        found["client_keys"] = [key]
    elif not given.get("look_for_keys", True):
        found["client_keys"] = None
    if not given.get("allow_agent", True):
        found["agent_path"] = None
    return found
