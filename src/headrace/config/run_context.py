"""Where things are: the project, its settings, the data of pipelines, local files."""

# os.path: these places are asked at every lookup, and pathlib takes many times as long
# ruff: noqa: PTH110, PTH111, PTH118

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

DOT_FOLDER = ".dlt"
"""Folder of settings inside a project, and of the global settings of dlt; `DLT_CONFIG_FOLDER` renames it."""


class RunContext:
    """The folders of the running program; every property looks at the environment when it is asked.

    ================  =============================================================================================
    `run_dir`         `DLT_PROJECT_DIR`, or the working directory
    `settings_dir`    `.dlt` in `run_dir`; `DLT_CONFIG_FOLDER` gives another name or an absolute path
    `global_dir`      `/var/headrace` for root, `~/.headrace` for others; `$XDG_DATA_HOME/headrace` when that is set and
                      `~/.headrace` is not there; a folder for temporary files when there is no home
    `data_dir`        `HEADRACE_DATA_DIR`, or `DLT_DATA_DIR`, or `global_dir`
    `local_dir`       `DLT_LOCAL_DIR`, or `run_dir`
    ================  =============================================================================================
    """

    name = "dlt"

    @property
    def run_dir(self) -> str:
        """The project's folder."""
        return os.environ.get("DLT_PROJECT_DIR") or "."

    @property
    def settings_dir(self) -> str:
        """The folder of secrets.toml and config.toml."""
        return os.path.join(self.run_dir, os.environ.get("DLT_CONFIG_FOLDER") or DOT_FOLDER)

    @property
    def global_dir(self) -> str:
        """The folder of what all projects of a user share."""
        return global_dir("headrace")

    @property
    def global_settings_dirs(self) -> tuple[str, ...]:
        """Folders with settings for all projects, the stronger first: ours, then that of dlt."""
        return global_dir("headrace"), global_dir("dlt")

    @property
    def data_dir(self) -> str:
        """The folder of working data."""
        return os.environ.get("HEADRACE_DATA_DIR") or os.environ.get("DLT_DATA_DIR") or self.global_dir

    @property
    def local_dir(self) -> str:
        """The folder for local database files and relative bucket urls."""
        return os.environ.get("DLT_LOCAL_DIR") or self.run_dir

    @property
    def uri(self) -> str:
        """The project's folder as a file url."""
        import pathlib

        return pathlib.Path(self.run_dir).resolve().as_uri()

    def get_setting(self, setting_path: str) -> str:
        """Path of a file in the settings folder."""
        return os.path.join(self.settings_dir, setting_path)

    def get_data_entity(self, entity: str) -> str:
        """Path of a folder of working data, such as ``pipelines``."""
        return os.path.join(self.data_dir, entity)

    def get_run_entity(self, entity: str) -> str:
        """Path of a folder in the project, such as ``sources``."""
        return os.path.join(self.run_dir, entity)

    def initial_providers(self) -> Sequence[Any]:
        """The providers of configuration values that are there from the start."""
        from headrace.config.registry import default_providers

        return default_providers()

    def __repr__(self) -> str:
        return f"RunContext(run_dir={self.run_dir!r}, data_dir={self.data_dir!r})"


_CONTEXT = RunContext()


def current() -> RunContext:
    """The context of the running program."""
    return _CONTEXT


def get_pipelines_dir() -> str:
    """The folder that holds the working folders of pipelines."""
    return _CONTEXT.get_data_entity("pipelines")


def global_dir(name: str) -> str:
    """The folder of an engine (`headrace`, `dlt`) for all projects of this user."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return f"/var/{name}"
    return _home_dir(name, os.path.expanduser("~"), os.environ.get("XDG_DATA_HOME"))


@lru_cache(maxsize=16)  # every lookup asks, and the answer takes three system calls
def _home_dir(name: str, home: str, xdg: str | None) -> str:
    if not home or home == "~" or not os.access(home, os.W_OK):
        import tempfile

        return os.path.join(tempfile.gettempdir(), name)
    dotted = os.path.join(home, f".{name}")
    return os.path.join(xdg, name) if xdg and not os.path.exists(dotted) else dotted
