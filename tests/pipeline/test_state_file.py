"""The state document: written on change, re-read on change by others, healed when torn."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

from headrace.pipeline.state import StateFile, from_plain, to_plain, without_local


def test_it_is_written_only_when_it_changed(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "pipeline.json")
    assert state.save()
    assert not state.save()
    state.document["sources"] = {"s": {"at": dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)}}
    assert state.save()
    assert StateFile(tmp_path / "pipeline.json").document == state.document


def test_unsaved_changes_are_thrown_away(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "pipeline.json")
    state.local["kept"] = 1
    state.save()
    state.local["kept"] = 2
    state.reload()
    assert state.local["kept"] == 1


def test_changes_of_others_are_seen(tmp_path: Path) -> None:
    mine, other = (StateFile(tmp_path / "pipeline.json") for _ in range(2))
    mine.save()
    other.reload()
    other.local["from"] = "other"
    other.save()
    mine.refresh()
    assert mine.local["from"] == "other"


def test_a_torn_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_bytes(b'{"_state_ver')
    state = StateFile(tmp_path / "pipeline.json")
    assert state.document["_state_version"] == 0
    assert state.save()


def test_versions_rise_with_the_content(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "pipeline.json")
    first = state.bump()
    assert state.document["_state_version"] == 0
    state.local["own"] = 1
    assert state.bump() == first
    state.document["sources"] = {"a": 1}
    assert state.bump() != first
    assert state.document["_state_version"] == 1


def test_replace_keeps_what_is_local(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "pipeline.json")
    state.local["mine"] = True
    state.replace({"_state_version": 7, "_state_engine_version": 4, "sources": {}})
    assert state.document["_state_version"] == 7
    assert state.local["mine"] is True


def test_before_is_what_was_saved_last(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "pipeline.json")
    assert state.before() is None
    state.document["sources"] = {"s": {"n": 1}}
    state.save()
    state.document["sources"]["s"]["n"] = 2
    assert state.before() == {**without_local(state.document), "sources": {"s": {"n": 1}}}


def test_plain_form_keeps_types() -> None:
    document = {"d": Decimal("1.50"), "t": dt.date(2026, 1, 1), "b": b"x"}
    assert from_plain(to_plain(document)) == document
