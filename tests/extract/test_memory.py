"""Memory is bounded by bytes, not by rows."""

from __future__ import annotations

from pathlib import Path

from headrace.extract.sink import FRAME_BYTES, SpoolSink
from headrace.formats.spool import read_spool
from headrace.model.capabilities import Capabilities
from headrace.model.schema import Schema


def test_wide_rows_come_in_small_frames(tmp_path: Path) -> None:
    """Rows of a megabyte make frames of about eight, whatever the number of rows in a page."""
    (tmp_path / "spool").mkdir()
    sink = SpoolSink(tmp_path, Schema("s"), Capabilities())
    for _ in range(8):
        sink.write_rows("t", [{"id": i, "text": "x" * 1_000_000} for i in range(25)], resource="t", max_nesting=None)
    files = sink.finish()
    sizes = [batch.nbytes for f in files for batch in read_spool(tmp_path / f.path)]
    # the first frame cannot know; it has a hundred rows at most
    assert max(sizes[1:]) <= FRAME_BYTES * 1.2
    assert sum(f.rows for f in files) == 200
