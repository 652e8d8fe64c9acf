"""Names of pipelines and datasets."""

from __future__ import annotations

import datetime as dt

import pytest

from headrace.errors.pipeline import InvalidPipelineName
from headrace.pipeline.names import check_pipeline_name, default_pipeline_name, default_salt, make_dataset_name

AT = dt.datetime(2026, 3, 4, 17, 6, 7, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize("name", ["", "  ", ".", "..", "a/b", "a\\b", "a:b", "a*", "x" * 300])
def test_names_that_cannot_be_folders_are_refused(name: str) -> None:
    with pytest.raises(InvalidPipelineName, match="cannot be the name") as caught:
        check_pipeline_name(name)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["p", "github-issues", "Ünïcode", "a b", "x.y"])
def test_other_names_are_taken(name: str) -> None:
    assert check_pipeline_name(name) == name


def test_default_name_has_the_prefix() -> None:
    assert default_pipeline_name().startswith("dlt_")


def test_salt_is_the_hash_of_the_name() -> None:
    assert default_salt("p") == default_salt("p") != default_salt("q")
    assert len(default_salt("p")) == 44


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("d", {}, "d"),
        (None, {}, "p_dataset"),
        ("d", {"dev_mode": True}, "d_20260304050607"),
        ("d_", {"dev_mode": True}, "d_20260304050607"),
        (None, {"dev_mode": True}, "p_dataset_20260304050607"),
        ("d", {"layout": "bronze_%s"}, "bronze_d"),
    ],
)
def test_dataset_names(name: str | None, options: dict[str, object], expected: str) -> None:
    """In development mode the instant is appended, its hour on a twelve-hour clock."""
    assert make_dataset_name(name, "p", created_at=AT, **options) == expected  # type: ignore[arg-type]


def test_a_layout_needs_a_place_for_the_name() -> None:
    with pytest.raises(ValueError, match="no %s"):
        make_dataset_name("d", "p", created_at=AT, layout="bronze")
