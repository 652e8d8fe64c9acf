"""A disk without room is named, with the folder and what to do."""

from __future__ import annotations

import errno
from types import SimpleNamespace

from headrace.errors.pipeline import PipelineStepFailed


def test_the_error_names_the_folder() -> None:
    pipeline = SimpleNamespace(pipeline_name="shop", working_dir="/data/shop", has_pending_data=False)
    inner = OSError(errno.ENOSPC, "No space left on device")
    outer = ValueError("could not write")
    outer.__cause__ = inner
    text = str(PipelineStepFailed(pipeline, "extract", "1.5", outer))
    assert "/data/shop" in text and "pipelines_dir" in text


def test_other_errors_say_nothing_of_disks() -> None:
    pipeline = SimpleNamespace(pipeline_name="shop", working_dir="/data/shop", has_pending_data=False)
    assert "disk" not in str(PipelineStepFailed(pipeline, "extract", None, OSError(errno.EACCES, "denied")))
