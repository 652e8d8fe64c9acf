"""Alerts for tests of channels, and what Slack documents of blocks."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from headrace.observers.alerts.alert import Alert, ErrorFacts, FailedJob, RejectedRows, SetAside, TableChange

START = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.timezone.utc)
NASTY = "<!channel> & <https://evil.example|click> *bold* _x_ `tick` ```fence``` [link](https://evil.example) <b>"


def alert(**changes: Any) -> Alert:
    """An alert with something in every part."""
    made = Alert(
        id="1777636800.1",
        kinds=("failure", "failed_jobs", "set_aside", "rejected", "schema_change"),
        outcome="failure",
        pipeline_name="shop",
        run_id="1777636800.0",
        started_at=START,
        finished_at=START + dt.timedelta(seconds=83),
        dataset_name="raw",
        destination="postgres at shop.example:5432/db",
        host="worker-1",
        steps=("extract", "normalize"),
        load_ids=("1777636801.0",),
        rows={"orders": 1200, "orders__lines": 4800},
        schema_changes=(TableChange("orders", False, {"discount": "double"}),),
        rejected=(RejectedRows("orders", "columns:discard_row", "price", 12, 0.01),),
        failed_jobs=(FailedJob("1777636801.0", "orders.abc.parquet", "orders", f"no such column: {NASTY}"),),
        set_aside=(SetAside("1777636801.0", "no such column"),),
        error=ErrorFacts("load", "LoadClientJobFailed", f"Job failed. {NASTY}", "no such column", "correct the cause"),
        next=("headrace pipeline trace shop",),
    )
    return dataclasses.replace(made, **changes)


def huge() -> Alert:
    """An alert with more to say than any channel takes."""
    long = NASTY * 20
    return alert(
        dataset_name="d" * 5000,
        failed_jobs=tuple(FailedJob("1", f"orders.{i}.parquet", "orders", long) for i in range(50)),
        set_aside=tuple(SetAside(str(i), long) for i in range(50)),
        rejected=tuple(RejectedRows(f"t{i}", "columns:discard_row", "c", 1, 0.5) for i in range(50)),
        schema_changes=tuple(TableChange(f"t{i}", True, {f"c{j}": "text" for j in range(200)}) for i in range(50)),
        rows={f"table_{i}": i for i in range(2000)},
        error=ErrorFacts("load", "X" * 500, long, long, long),
        load_ids=tuple(f"1777636801.{i:012d}" for i in range(200)),
    )


def check_slack(payload: dict[str, Any]) -> None:
    """What Slack says of blocks: https://docs.slack.dev/reference/block-kit/blocks."""
    assert 0 < len(payload["text"]) <= 40_000
    blocks = payload["blocks"]
    assert 0 < len(blocks) <= 50
    for block in blocks:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 0 < len(block["text"]["text"]) <= 150
            case "section":
                assert ("text" in block) != ("fields" in block)
                if "text" in block:
                    _check_text(block["text"], 3000)
                else:
                    assert 0 < len(block["fields"]) <= 10
                    for field in block["fields"]:
                        _check_text(field, 2000)
            case "context":
                assert 0 < len(block["elements"]) <= 10
                for element in block["elements"]:
                    _check_text(element, 3000)
            case other:
                raise AssertionError(f"no such block: {other}")


def _check_text(text: dict[str, Any], longest: int) -> None:
    assert set(text) <= {"type", "text", "verbatim"}
    assert text["type"] == "mrkdwn"
    assert 0 < len(text["text"]) <= longest
