"""How pipelines and datasets are named when nobody names them."""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path

from headrace.base.strings import digest256
from headrace.errors.pipeline import InvalidPipelineName

DEFAULT_DATASET_SUFFIX = "_dataset"
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f]')


def default_pipeline_name() -> str:
    """``dlt_`` and the stem of the script that was started; ``dlt_pipeline`` in a shell or notebook."""
    script = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    stem = Path(script).stem if script and not script.startswith("<") else ""
    return f"dlt_{stem or 'pipeline'}"


def check_pipeline_name(name: str) -> str:
    """Return the name when it can be the name of a folder.

    Raises:
        InvalidPipelineName: It is empty, blank, too long, a path, or has characters that file systems refuse.
    """
    if not isinstance(name, str) or not name.strip() or name in (".", ".."):
        raise InvalidPipelineName(str(name), "the name is empty or stands for a folder")
    if _FORBIDDEN.search(name) or Path(name).name != name:
        raise InvalidPipelineName(name, "it has characters that separate paths or that file systems refuse")
    if len(name.encode("utf-8")) > 200:
        raise InvalidPipelineName(name, "it is longer than 200 bytes")
    return name


def default_salt(pipeline_name: str) -> str:
    """The salt of a pipeline that was given none."""
    return digest256(pipeline_name)


def make_dataset_name(
    name: str | None,
    pipeline_name: str,
    *,
    created_at: dt.datetime,
    dev_mode: bool = False,
    layout: str | None = None,
) -> str:
    """Say where tables go.

    Args:
        name: What the user asked for; None for ``<pipeline_name>_dataset``.
        pipeline_name: The pipeline.
        created_at: When the pipeline object was made: the mark of a dataset in development mode.
        dev_mode: Give every pipeline object a dataset of its own.
        layout: A template with ``%s`` for the name.

    Raises:
        ValueError: The layout has no ``%s``.
    """
    made = name or f"{pipeline_name}{DEFAULT_DATASET_SUFFIX}"
    if dev_mode:
        made = f"{made.rstrip('_')}_{created_at:%Y%m%d%I%M%S}"
    if layout:
        if "%s" not in layout:
            raise ValueError(f"`dataset_name_layout` is {layout!r} and has no %s to put the dataset's name in")
        made = layout.replace("%s", made)
    return made
