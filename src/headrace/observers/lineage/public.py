"""What programs call: the run they are in, handed on to what they start; waiting for events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.base.environment import variables

if TYPE_CHECKING:
    from headrace.observers.lineage.collect import LineageObserver

_MODULE = "headrace.observers.lineage"


def context_env(pipeline: Any = None) -> dict[str, str]:
    """The variables by which a process that is started knows which run it is part of::

        subprocess.run(["dbt-ol", "run"], env={**os.environ, **headrace.lineage.context_env(pipeline)})

    They are ``OPENLINEAGE_CONTEXT``, and for older tools ``OPENLINEAGE_PARENT_ID`` and ``OPENLINEAGE_ROOT_PARENT_ID``.

    Args:
        pipeline: Whose run; by default the one that is running here, else the active one.

    Returns:
        Nothing when lineage is off or the pipeline has not run yet in this process.
    """
    observer = _observer(pipeline)
    return observer.context() if observer is not None else {}


@contextmanager
def exported(pipeline: Any = None) -> Iterator[dict[str, str]]:
    """Inside, the variables of `context_env` are in the environment of this process, for tools that start others.

    The environment belongs to the whole process: where several pipelines run in threads, hand `context_env` to what you
    start instead.

    Args:
        pipeline: As of `context_env`.
    """
    found = context_env(pipeline)
    with variables(found):
        yield found


def flush(pipeline: Any = None, seconds: float = 10.0) -> bool:
    """Wait until the events of a pipeline are made and kept on disk, and sent if there is somewhere to send them to.

    Args:
        pipeline: As of `context_env`.
        seconds: How long to wait at most.

    Returns:
        Whether that is so; True when lineage is off.
    """
    observer = _observer(pipeline)
    if observer is None:
        return True
    send = getattr(observer.sink, "flush", None)
    return bool(send(seconds)) if send is not None else observer.sink.drain(seconds)


def _observer(pipeline: Any) -> LineageObserver | None:
    from headrace.pipeline.current import active

    found = pipeline if pipeline is not None else active()
    watchers: dict[str, Any] = getattr(found, "_watchers", {})
    observer: LineageObserver | None = watchers.get(_MODULE)
    return observer
