"""The page `docs/lineage/dlt.md`: its two lines do what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.docs.pages import ROOT, blocks
from tests.lineage.dlt.lab import Lab, rows


def test_the_block_of_the_page_tells_its_run(lab: Lab) -> None:
    """With a transport of OpenLineage's client configured by variables, and `headrace lineage show` afterwards."""
    page = ROOT / "docs/lineage/dlt.md"
    code = next(block.text for block in blocks(page) if block.language == "python")
    variables = {"TYPE": "file", "LOG_FILE_PATH": str(lab.folder / "sent.ndjson"), "APPEND": "true"}
    environment = {f"OPENLINEAGE__TRANSPORT__{name}": value for name, value in variables.items()}
    environment["DLT_DATA_DIR"] = str(lab.folder / "data")
    lab.engine.run(code + "\nassert attach_to_dlt().drain(10)\nattach_to_dlt().detach()\n", lab.folder, environment)
    assert rows(lab.folder / "wh.duckdb") == {"raw.orders": 1, "raw.orders__lines": 2}
    (place,) = lab.folder.rglob(".headrace_lineage")
    show = [sys.executable, "-m", "headrace", "lineage", "show", "orders", "--json", "--pipelines-dir", str(place)]
    done = subprocess.run(show, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    assert "raw.orders" in done.stdout
    kept = [json.loads(line) for file in place.rglob("*.ndjson") for line in file.read_text().splitlines()]
    assert [event["eventType"] for event in kept] == ["START", "START", "RUNNING", "COMPLETE", "COMPLETE"]
