"""Is everything there to run a pipeline? What ``headrace doctor`` says.

from headrace.pipeline.checkup import check_up

for check in check_up("shop"):
    print(check.status, check.name, check.text)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.pipeline.checkup.check import Check, Status, worst

__all__ = ["Check", "Status", "check_up", "worst"]


def check_up(
    pipeline_name: str | None = None,
    destination: str | None = None,
    *,
    pipelines_dir: str | Path | None = None,
    probe: bool = True,
) -> Iterator[Check]:
    """Check versions, settings, folders, the clock; of a pipeline its working folder; of a destination what it allows.

    Args:
        pipeline_name: A pipeline that has run here; its destination is checked too.
        destination: A destination by name, as in `headrace.pipeline`.
        pipelines_dir: The folder of working folders; that of the configuration by default.
        probe: Also make a dataset at the destination, write into it, and drop it again.

    Yields:
        What was found, one fact at a time, as it is found.
    """
    from headrace.pipeline.checkup import here, places

    yield from here.versions()
    yield from here.settings()
    yield from here.folders(pipelines_dir)
    if pipeline_name is not None:
        yield from places.of_pipeline(pipeline_name, pipelines_dir, probe)
    else:
        yield from here.pipelines(pipelines_dir)
    if destination is not None:
        yield from places.of_destination(destination, probe)
