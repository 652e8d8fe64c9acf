"""The journal: what is read back after any cut, any tail, any failed write."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.logfile import LogFile, frame, split
from headrace.errors.package import JournalCorrupted
from headrace.model.events import Extracted, JobDone, Loaded, Normalized, PackageCreated, Planned
from headrace.model.jobs import Copy, LoadFile, SpoolFile
from headrace.package.journal import Journal

FILE = LoadFile(id="f1", table="t", path="files/t.f1.arrow", format="arrow", rows=3, columns=["a"])
FACTS: list[Any] = [
    PackageCreated(load_id="1", schema_name="s", pipeline_name="p"),
    Extracted(
        load_id="1",
        files=[SpoolFile(path="spool/t.arrow", table="t", rows=3, shape={"x": [1, 2**70]})],
        schema_hash="h",
        row_counts={"t": 3},
    ),
    Normalized(load_id="1", files=[FILE], schema_hash="h2", schema_update={"t": {"name": "t"}}),
    Planned(load_id="1", jobs=[Copy(id="copy-0", tables=["t"], files=[FILE])]),
    JobDone(load_id="1", job_id="copy-0", rows=3, seconds=0.5),
    Loaded(load_id="1"),
]


def written(path: Path) -> bytes:
    journal = Journal(path)
    for fact in FACTS:
        journal.append(fact)
    journal.close()
    return path.read_bytes()


def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    """Every durable event survives the disk, integers over 64 bits included."""
    written(tmp_path / "journal")
    assert Journal(tmp_path / "journal").facts == FACTS


def test_cut_at_every_byte_leaves_a_prefix_and_can_go_on(tmp_path: Path) -> None:
    """Whatever length a crash leaves, the whole facts before it are read, and new ones can follow."""
    data = written(tmp_path / "whole")
    ends = [i + 1 for i, byte in enumerate(data) if byte == 0x0A]
    path = tmp_path / "journal"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        journal = Journal(path)
        whole = sum(end <= length for end in ends)
        assert journal.facts == FACTS[:whole]
        assert path.stat().st_size == length, "reading changed the file"
        journal.append(FACTS[-1])
        journal.close()
        assert Journal(path).facts == [*FACTS[:whole], FACTS[-1]]


@given(st.binary(max_size=200))
def test_any_tail_that_is_not_ours_is_left_out(tail: bytes) -> None:
    """Garbage behind the records neither hides nor changes them."""
    good = frame(b"one") + frame(b"two")
    bodies, length = split(good + tail)
    assert bodies[:2] == [b"one", b"two"]
    assert length >= len(good)


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 4096, b"\n\n\n", b"deadbeef {}\n", b"00000000 \n", b"zzzzzzzz {}\n", b"{}", "é\n".encode("latin-1")],
    ids=["zeros", "newlines", "wrong sum", "empty body", "no sum", "bare", "latin"],
)
def test_garbage_tails_are_cut_by_the_next_fact(tmp_path: Path, tail: bytes) -> None:
    """What a file system may leave after a power loss does not stop the package."""
    path = tmp_path / "journal"
    data = written(path)
    path.write_bytes(data + tail)
    journal = Journal(path)
    assert journal.facts == FACTS
    journal.append(FACTS[-1])
    journal.close()
    assert path.read_bytes() == data + data[data[:-1].rindex(b"\n") + 1 :]


def test_a_damaged_line_before_a_commit_point_is_no_crash(tmp_path: Path) -> None:
    """Commit points are synced with all before them: damage in front of one is said, never cut."""
    path = tmp_path / "journal"
    data = bytearray(written(path))
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalCorrupted, match="damaged line stands before"):
        Journal(path)
    assert path.read_bytes() == bytes(data)


def test_a_damaged_line_before_unsynced_facts_is_a_torn_tail(tmp_path: Path) -> None:
    """Job facts are not synced: after a power loss any of them may be missing, and the destination knows better."""
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(*FACTS[:4], FACTS[4], FACTS[4])
    data = bytearray(path.read_bytes())
    lines = data.split(b"\n")
    at = sum(len(line) + 1 for line in lines[:4]) + 12
    data[at] ^= 1
    path.write_bytes(data)
    assert Journal(path).facts == FACTS[:4]


def test_a_fact_of_a_later_version_is_not_passed_over(tmp_path: Path) -> None:
    """A whole line that is not understood might be a commit point: refuse, and say what to do."""
    path = tmp_path / "journal"
    path.write_bytes(written(path) + frame(b'{"event":"Teleported","load_id":"1"}'))
    with pytest.raises(JournalCorrupted, match="later version"):
        Journal(path)


def test_new_fields_with_defaults_keep_old_journals_readable(tmp_path: Path) -> None:
    """Fields this version does not know are ignored, missing ones take their default."""
    path = tmp_path / "journal"
    path.write_bytes(frame(b'{"event":"Loaded","load_id":"1","mood":"fine","at":"2026-01-01T00:00:00Z"}'))
    (fact,) = Journal(path).facts
    assert isinstance(fact, Loaded)
    assert fact.failed_jobs == 0


def test_two_handles_do_not_cut_each_other_off(tmp_path: Path) -> None:
    """A handle opened earlier reads what another wrote meanwhile, before it writes."""
    first, second = Journal(tmp_path / "journal"), Journal(tmp_path / "journal")
    first.append(FACTS[0])
    second.append(FACTS[1])
    first.append(FACTS[2])
    assert first.facts == FACTS[:3]
    assert Journal(tmp_path / "journal").facts == FACTS[:3]


def test_a_failed_sync_makes_the_handle_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync nobody knows what is on the disk, so nothing more is built on it."""

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "I/O error")

    log = LogFile(tmp_path / "log")
    log.append([b"one"])
    monkeypatch.setattr("headrace.base.logfile.sync_fd", broken)
    with pytest.raises(OSError, match="I/O error"):
        log.append([b"two"], sync=True)
    monkeypatch.undo()
    with pytest.raises(OSError, match="unusable"):
        log.append([b"three"])
    assert LogFile(tmp_path / "log").records[0] == b"one"


LIMITED = """
import resource, signal, sys
sys.dont_write_bytecode = True
from headrace.base.logfile import LogFile
log = LogFile(sys.argv[1])
log.append([b"first"])
resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
try:
    log.append([b"x" * 100])
except OSError as error:
    print(error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append([b"third"])
print(log.records)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_a_full_disk_in_the_middle_of_a_line_is_taken_back(tmp_path: Path) -> None:
    """A short write leaves nothing behind; once there is room the log goes on."""
    assert resource.RLIMIT_FSIZE is not None
    path = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.split("\n")[:2] == [str(errno.EFBIG), "[b'first', b'third']"]
    assert LogFile(path).records == [b"first", b"third"]
