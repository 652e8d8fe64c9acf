"""Record what dlt tells a tracker: run by hand in an environment that has dlt 1.31, writes ``recorded.json``.

python -m tests.hooks.record
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.hooks.tracked import SCENARIOS, record, recording_collector


def main() -> None:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.common.runtime.collector import Collector
    from dlt.pipeline import trace

    found: dict[str, Any] = {"dlt": dlt.__version__, "scenarios": {}, "collector": {}}
    for name in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            found["scenarios"][name] = record(dlt, trace.TRACKING_MODULES, name, folder)
    for name in ("run", "extract_fails"):
        with tempfile.TemporaryDirectory() as folder:
            collector = recording_collector(Collector)
            record(dlt, trace.TRACKING_MODULES, name, folder, collector)
            found["collector"][name] = {"calls": collector.calls, "traced": collector.recorder.calls}
    text = json.dumps(found, indent=1, sort_keys=True)
    Path(__file__).with_name("recorded.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
