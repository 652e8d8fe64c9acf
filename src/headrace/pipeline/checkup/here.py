"""What can be said of this machine and this project alone."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from headrace.base.version import VERSION
from headrace.errors.base import HeadraceException
from headrace.errors.masking import without_secrets
from headrace.model.wording import count, human_bytes
from headrace.pipeline.checkup.check import Check, failed

CORE = ("duckdb", "pyarrow", "numpy", "msgspec", "sqlglot", "requests", "tomlkit", "pyyaml", "jsonpath-ng", "click")
DRIVERS = ("psycopg", "sqlalchemy", "pymysql", "fsspec", "s3fs", "gcsfs", "adlfs", "sshfs", "deltalake", "pyiceberg")
LOW, EMPTY = 2**30, 100 * 2**20
"""Bytes of free disk below which there is a warning, and below which a load is likely to fail."""
RELEASED = 1_760_000_000
"""A time before which this code did not exist (unix seconds): a clock that says so is wrong."""


def versions() -> Iterator[Check]:
    """Python, headrace, and the packages that do the work."""
    python = f"{platform.python_version()} ({sys.executable})"
    yield Check("versions", "Python", "ok", python)
    yield Check("versions", "headrace", "ok", VERSION)
    found = {name: _version(name) for name in (*CORE, *DRIVERS)}
    missing = [name for name in CORE if found[name] is None]
    if missing:
        fix = "pip install --force-reinstall headrace"
        yield Check("versions", "packages", "fail", f"not installed: {', '.join(missing)}", fix)
    yield Check("versions", "packages", "ok", _told({n: found[n] for n in CORE if found[n]}))
    drivers = {name: found[name] for name in DRIVERS if found[name]}
    yield Check("versions", "drivers", "ok", _told(drivers) or "none besides DuckDB's")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _told(found: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def settings() -> Iterator[Check]:
    """Files of settings: which there are, whether they can be read, whether secrets are safe in them."""
    from headrace.config.registry import providers

    try:
        present = list(providers())
    except HeadraceException as error:
        yield failed("settings", "providers", error)
        return
    for provider in present:
        yield from _of_provider(provider)


def _of_provider(provider: Any) -> Iterator[Check]:
    name = provider.name
    if not provider.locations:
        if name == "Environment Variables":
            named = [key for key in os.environ if "__" in key.strip("_")]
            yield Check("settings", "environment", "ok", f"{count(len(named), 'variable')} of the form A__B")
        else:
            yield Check("settings", name, "ok", "in use")
        return
    files = list(provider.present_locations)
    if not files:
        where = os.path.normpath(provider.locations[0])
        yield Check("settings", name, "ok", f"not there ({where})")
        return
    try:
        paths = set(provider.known_keys())
        keys = sorted(".".join(p) for p in paths if not any(len(q) > len(p) and q[: len(p)] == p for q in paths))
    except HeadraceException as error:
        yield failed("settings", name, error)
        return
    yield Check("settings", name, "ok", f"{', '.join(map(os.path.normpath, files))}: {count(len(keys), 'value')}")
    yield from _unfinished(provider)
    for file in files:
        yield from _safe(file) if provider.supports_secrets else ()
    if not provider.supports_secrets:
        exposed = [key for key in keys if without_secrets(f"{key.rpartition('.')[2]}='xxxxxxxx'").endswith("***")]
        if exposed:
            text = f"it seems to hold secrets: {', '.join(exposed)}"
            yield Check("settings", name, "warn", text, "move them to secrets.toml")


def _unfinished(provider: Any) -> Iterator[Check]:
    """Values that `headrace init` left to be filled in."""
    left = []
    for path in provider.known_keys():
        value, key = provider.get_value(path[-1], str, None, *path[:-1])
        if isinstance(value, str) and value.startswith("<"):
            left.append(key)
    if left:
        yield Check("settings", provider.name, "warn", f"still to be filled in: {', '.join(left)}", "write the values")


def _safe(file: str) -> Iterator[Check]:
    """Whether others can read a file of secrets, now or in the repository."""
    path = Path(file)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        text = f"{os.path.normpath(file)} can be read by other users of this machine"
        yield Check("settings", "secrets.toml", "warn", text, f"chmod 600 {os.path.normpath(file)}")
    folder = path.resolve().parent
    if not any((above / ".git").exists() for above in (folder, *folder.parents)) or not shutil.which("git"):
        return
    command = ["git", "check-ignore", "-q", path.name]
    if subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 1:
        text = f"{os.path.normpath(file)} is not ignored by git"
        yield Check("settings", "secrets.toml", "warn", text, "write `secrets.toml` into .gitignore")


def folders(pipelines_dir: str | Path | None) -> Iterator[Check]:
    """The folder of pipelines, the disk, the clock."""
    from headrace.config.run_context import get_pipelines_dir

    root = Path(pipelines_dir or get_pipelines_dir()).absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        trial = root / f".headrace-doctor-{os.getpid()}"
        trial.write_bytes(b"x")
        trial.unlink()
        yield Check("machine", "pipelines", "ok", f"{root} can be written to")
    except OSError as error:
        fix = "name another folder in HEADRACE_DATA_DIR or `pipelines_dir`, or give this user the right to write there"
        yield Check("machine", "pipelines", "fail", f"{root} cannot be written to: {error}", fix)
    nearest = next(path for path in (root, *root.parents) if path.exists())
    yield _disk(nearest)
    seconds = time.time()
    if seconds < RELEASED:
        text = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))} UTC lies in the past"
        yield Check("machine", "clock", "fail", text, "set the clock: load ids and cursors are made of it")
    else:
        yield Check("machine", "clock", "ok", f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))} UTC")


def _disk(path: Path) -> Check:
    free = shutil.disk_usage(path).free
    text = f"{human_bytes(free)} free in {path}"
    if free >= LOW:
        return Check("machine", "disk", "ok", text)
    fix = "make room: a load needs about the size of its data here; `load.delete_completed_jobs` keeps less"
    return Check("machine", "disk", "fail" if free < EMPTY else "warn", text, fix)


def pipelines(pipelines_dir: str | Path | None) -> Iterator[Check]:
    """How the pipelines of this machine stand."""
    from headrace.pipeline.overview import list_pipelines

    try:
        found = list_pipelines(pipelines_dir)
    except HeadraceException as error:
        yield failed("machine", "pipelines", error)
        return
    bad = [one.pipeline_name for one in found if one.status in ("failed", "pending")]
    if not bad:
        yield Check("machine", "pipelines", "ok", f"{count(len(found), 'pipeline')}, none failed or waits")
        return
    fix = f"headrace doctor --pipeline {bad[0]}"
    yield Check("machine", "pipelines", "warn", f"failed, or has packages that wait: {', '.join(bad)}", fix)
