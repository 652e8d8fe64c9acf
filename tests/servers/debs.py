"""Programs of Debian packages without installing them: downloaded and unpacked under ``.venvs/debs``."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers import Missing
from tests.servers.process import VENVS

DEBS = VENVS / "debs"


def program(name: str, packages: tuple[str, ...]) -> Path:
    """The path of a server program: the system's, or one unpacked from packages.

    Args:
        name: Of the program, for example ``mariadbd``.
        packages: Debian packages that hold it and its libraries; the first is the one to install by hand.

    Raises:
        Missing: The system has none, and there is no ``apt-get`` that can download it.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")
    if found is not None:
        return Path(found)
    root = DEBS / packages[0]
    wanted = [root / "usr/sbin" / name, root / "usr/bin" / name]
    if not any(path.exists() for path in wanted):
        _unpack(packages, root)
    for path in wanted:
        if path.exists():
            return path
    raise Missing(name, f"apt-get install {packages[0]}")


def libraries(program: Path) -> dict[str, str]:
    """The environment that lets an unpacked program find its libraries; empty for the system's."""
    if DEBS not in program.parents:
        return {}
    root = program.parents[2]
    folders = [str(f) for f in (*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*"))]
    return {"LD_LIBRARY_PATH": ":".join(folders)}


def _unpack(packages: tuple[str, ...], root: Path) -> None:
    missing = Missing(packages[0], f"apt-get install {packages[0]}")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise missing
    DEBS.mkdir(parents=True, exist_ok=True)
    # two test processes must not unpack into one folder at the same time
    with (DEBS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.exists():
            return
        downloads = DEBS / f"{packages[0]}.download"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir()
        command = ["apt-get", "download", *packages]
        if subprocess.run(command, cwd=downloads, capture_output=True, timeout=120).returncode != 0:
            raise missing
        for file in downloads.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(file), str(downloads / "root")], check=True)
        (downloads / "root").rename(root)
        shutil.rmtree(downloads, ignore_errors=True)
