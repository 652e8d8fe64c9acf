"""Sending again, by hand: what was not sent, what was refused, or everything that is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from headrace.config.lineage import LineageConfiguration, lineage_settings
from headrace.errors.lineage import NoReceiver, NoStoredEvents
from headrace.observers.lineage.delivery.marks import Mark
from headrace.observers.lineage.delivery.outlets import FileOutlet, Outlet, Trouble, Unwanted
from headrace.observers.lineage.delivery.post import has_transport
from headrace.observers.lineage.delivery.spool import PATH, Refused, Spool
from headrace.observers.lineage.store import FOLDER, START, head_of, stored

_WAIT = 15.0  # seconds for another process that is sending; one that asks a receiver in vain needs some


class Replayed(msgspec.Struct, kw_only=True):
    """What a replay did for one pipeline and one receiver.

    Attributes:
        pipeline: Its name.
        receiver: Where events went, without secrets.
        sent: Events that were taken.
        refused: Events that the receiver did not want; they are kept with its answers.
        left: Events that are still to be sent.
        error: Why not all were sent; None when they were.
    """

    pipeline: str
    receiver: str
    sent: int = 0
    refused: int = 0
    left: int = 0
    error: str | None = None


def replay(
    pipeline: str | None = None,
    everything: bool = False,
    pipelines_dir: str | os.PathLike[str] | None = None,
    settings: LineageConfiguration | None = None,
) -> list[Replayed]:
    """Send events that were not sent or were refused, on this thread; waits for the receivers.

    Args:
        pipeline: Only of this one; of all pipelines of the folder by default.
        everything: All events that are kept, also those that were sent before.
        pipelines_dir: The folder of working folders; the usual one by default.
        settings: The section `lineage`; looked up for each pipeline by default.

    Returns:
        What was done, by pipeline and receiver.

    Raises:
        NoReceiver: Nothing says where to send to.
        NoStoredEvents: The pipeline has no events.
        MissingDependencyException: OpenLineage's client is not installed.
    """
    from headrace.config.current import pipeline_name_scope
    from headrace.config.run_context import get_pipelines_dir

    folder = Path(pipelines_dir or get_pipelines_dir())
    names = stored(folder)
    if pipeline is not None and pipeline not in names:
        raise NoStoredEvents(pipeline, str(folder))
    found: list[Replayed] = []
    for name in names if pipeline is None else [pipeline]:
        with pipeline_name_scope(name):
            found += _of_pipeline(folder / name / FOLDER, name, settings or lineage_settings(), everything)
    return found


def _of_pipeline(folder: Path, name: str, settings: LineageConfiguration, everything: bool) -> list[Replayed]:
    spool = Spool(folder, settings, name)
    outlets: list[Outlet] = []
    if settings.path:
        outlets.append(FileOutlet(os.path.abspath(os.path.expanduser(settings.path)), settings.batch_size))  # noqa: PTH100, PTH111
    if has_transport(settings):
        from headrace.observers.lineage.delivery.client import open_outlets

        spool.expect(path=False, transport=True)
        transports = open_outlets(settings)
        spool.settle_names([outlet.name for outlet in transports])
        outlets += transports
    if not outlets:
        raise NoReceiver
    spool.expect(path=bool(settings.path), transport=False)
    try:
        return [_to_outlet(spool, outlet, everything) for outlet in outlets]
    finally:
        for outlet in outlets:
            outlet.close(_WAIT)


def _to_outlet(spool: Spool, outlet: Outlet, everything: bool) -> Replayed:
    done = Replayed(pipeline=spool.pipeline, receiver=outlet.where)
    mark = spool.mark(outlet.name)
    if not _take(mark):
        done.error = "another process is sending"
    else:
        try:
            if everything:
                mark.move(START)
            _refused(spool, outlet, everything, done)
            _rest(spool, outlet, mark, done)
        except Trouble as error:
            done.error = error.text
        finally:
            mark.give()
    done.left = spool.unsent(outlet.name)
    return done


def _take(mark: Mark) -> bool:
    end = time.monotonic() + _WAIT
    while not mark.take():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _refused(spool: Spool, outlet: Outlet, everything: bool, done: Replayed) -> None:
    """Send what the receiver refused; `everything` has it anyway."""
    left: list[Refused] = []
    trouble: Trouble | None = None
    for one in spool.refused():
        # a receiver of another name is no more, and this one has its place
        mine = one.receiver == outlet.name or (outlet.name != PATH and not spool.mark(one.receiver).path.exists())
        if not mine or trouble:
            left.append(one)
        elif not everything:
            try:
                outlet.send([bytes(one.event)])
                done.sent += 1
            except Unwanted as error:
                left.append(msgspec.structs.replace(one, answer=error.answer, status=error.status))
                done.refused += 1
            except Trouble as error:
                left.append(one)
                trouble = error
    spool.keep_refused(left)
    if trouble:
        raise trouble


def _rest(spool: Spool, outlet: Outlet, mark: Mark, done: Replayed) -> None:
    for at, line in spool.store.lines(mark.place):
        head = head_of(line)
        if head is not None and head.run_id not in spool.dropped:
            try:
                outlet.send([line])
                done.sent += 1
            except Unwanted as error:
                spool.refuse(line, outlet.name, error.answer, error.status)
                done.refused += 1
        mark.move(at)
