"""Where code is under version control: asked of git on the sender's thread, once for each file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headrace.observers.lineage.opened import Place

SECONDS = 5.0
"""How long git may take; a repository on a slow network drive is not waited for."""

_SCP = re.compile(r"^(?:[\w.+-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)$")
_URL = re.compile(r"^(?:https?|ssh|git)://(?:[^/@]*@)?(?P<host>[^/:]+)(?::\d+)?/(?P<path>.+)$")


def location(place: Place | None) -> dict[str, Any] | None:
    """The fields of the facet ``sourceCodeLocation`` for a function; None where its file is in no repository.

    Args:
        place: Of a function; a line of 0 means the whole file.
    """
    if place is None or not os.path.isabs(place.file):  # noqa: PTH117
        return None
    found = _of_file(place.file)
    if found is None or not place.line:
        return dict(found) if found else None
    return {**found, "url": found["url"] + _line(found["url"], place.line)}


@lru_cache(maxsize=1)
def script() -> Place | None:
    """The program that runs; None in a prompt or a notebook."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Place(file=str(Path(file).resolve()), line=0) if file else None


@lru_cache(maxsize=256)
def _of_file(file: str) -> dict[str, Any] | None:
    path = Path(file)
    if "site-packages" in path.parts or not path.is_file():
        return None
    repository = _repository(str(path.parent))
    if repository is None:
        return None
    root, commit, branch, remote, tag = repository
    try:
        inside = path.resolve().relative_to(root).as_posix()
    except ValueError:
        return None
    if _git(str(path.parent), "ls-files", "--error-unmatch", "--", path.name) is None:
        return None  # nobody else has this file: a link to it would lead nowhere
    changed = bool(_git(root, "status", "--porcelain", "--", inside))
    web = _web(remote)
    url = _permalink(web, commit, inside) if web else path.resolve().as_uri()
    # the lines of a changed file are not those of the commit
    version = f"{commit}-dirty" if changed else commit
    found = {"type": "git", "url": url, "repoUrl": web and f"{web}.git", "path": inside, "version": version}
    return {key: value for key, value in {**found, "branch": branch, "tag": tag}.items() if value}


@lru_cache(maxsize=64)
def _repository(folder: str) -> tuple[str, str, str, str, str] | None:
    """Root, commit, branch, remote and tag of the repository that a folder is in."""
    told = _git(folder, "rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD")
    lines = told.splitlines() if told else []
    if len(lines) < 3:
        return None
    remote = _git(folder, "config", "--get", "remote.origin.url") or ""
    tag = _git(folder, "describe", "--tags", "--exact-match") or ""
    branch = "" if lines[2] == "HEAD" else lines[2]
    return os.path.realpath(lines[0]), lines[1], branch, remote.strip(), tag.strip()


def _git(folder: str, *args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *args],
            check=False,
            capture_output=True,
            timeout=SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _web(remote: str) -> str:
    """The address of a repository on the web, without user and password."""
    found = _URL.match(remote) or _SCP.match(remote)
    if found is None:
        return ""
    return f"https://{found['host']}/{found['path'].rstrip('/').removesuffix('.git')}"


def _permalink(web: str, commit: str, path: str) -> str:
    host = web.split("/")[2]
    middle = "/-/blob/" if "gitlab" in host else "/src/" if "bitbucket" in host else "/blob/"
    return f"{web}{middle}{commit}/{quote(path)}"


def _line(url: str, line: int) -> str:
    return f"#lines-{line}" if "bitbucket" in url else f"#L{line}"
