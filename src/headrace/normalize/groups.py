"""Which spool files are normalized together, into the same loader files."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.normalize.worker import Task

GROUP_BYTES = 16 * 1024 * 1024
"""As extract's files: what one thread takes."""
SMALL_GROUP_BYTES = 4 * 1024 * 1024
"""Less is not worth a thread and a loader file."""
SMALL_FRAMES_BYTES = 1024 * 1024
"""Files of frames may be loaded as they are: writing more of them anew costs more than it saves."""


def grouped(tasks: Iterable[Task], threads: int) -> list[list[Task]]:
    """Put small files of one table together: each group becomes as few loader files as one file would.

    Resources that share a table have files of their own, and there may be hundreds of a few rows.

    Args:
        tasks: In the order of the files.
        threads: So many groups a large table has at least.

    Returns:
        Groups in the order of their first files; the files of a table stay in their order.
    """
    ordered = list(tasks)
    sizes: dict[str, int] = {}
    for task in ordered:
        sizes[task.file.table] = sizes.get(task.file.table, 0) + task.file.size
    groups: list[list[Task]] = []
    last: dict[str, tuple[list[Task], int]] = {}  # the group of a table that may still grow, and its bytes
    for task in ordered:
        table, kind, size = task.file.table, task.file.kind, task.file.size
        group, held = last.get(table, ([], 0))
        most = min(GROUP_BYTES, max(SMALL_GROUP_BYTES, sizes[table] // max(threads, 1)))
        most = SMALL_FRAMES_BYTES if kind == "arrow" else most
        if not group or group[0].file.kind != kind or held + size > most:
            group, held = [], 0
            groups.append(group)
        group.append(task)
        last[table] = group, held + size
    return groups
