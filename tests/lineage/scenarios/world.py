"""What a scenario plays in: a project under version control, a destination, a file that events go to."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.lineage.scenarios.compare import Look, faults
from tests.lineage.scenarios.places import DATASET, Place
from tests.lineage.scenarios.stream import Stream, Verdict, validate

HERE = Path(__file__).parent
LINEAGE = {
    "LINEAGE__OWNERS": '["team:shop"]',
    "LINEAGE__DESCRIPTION": "Loads the shop.",
    "LINEAGE__NAMESPACE": "shops",
}


def make_project(folder: Path) -> ModuleType:
    """A git repository with the project in it; its module `shop`."""
    shutil.copytree(HERE / "project", folder, ignore=shutil.ignore_patterns("__pycache__"))
    who = ["-c", "user.name=shop", "-c", "user.email=shop@example.com"]
    for command in (
        ["init", "-q", "-b", "main"],
        ["remote", "add", "origin", "git@github.com:example/shop.git"],
        ["add", "."],
        [*who, "commit", "-qm", "A shop"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    spec = importlib.util.spec_from_file_location("shop", folder / "shop.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module
    spec.loader.exec_module(module)
    return module


class World:
    """A scenario's world.

    Args:
        folder: Of its own.
        project: The project's folder.
        shop: Its module.
        place: The destination.

    Attributes:
        looks: What the destination held, after each load.
    """

    def __init__(self, folder: Path, project: Path, shop: ModuleType, place: Place) -> None:
        self.folder, self.project, self.shop, self.place = folder, project, shop, place
        self.path = folder / "events.ndjson"
        self.looks: list[Look] = []

    # ---- doing -----------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Settings of a process of the scenario."""
        return {**LINEAGE, "HEADRACE_DATA_DIR": str(self.folder / "data"), "LINEAGE__PATH": str(self.path)}

    def pipeline(self, name: str = "shop", **settings: Any) -> Any:
        """The shop's pipeline, in this process."""
        return self.shop.pipeline(self.place.spec, name, **settings)

    def run(self, source: Any, pipeline: Any = None, **settings: Any) -> Any:
        """Run it and look."""
        info = (pipeline or self.pipeline()).run(source, **{**self.place.run, **settings})
        self.look()
        return info

    def look(self, dataset: str = DATASET) -> None:
        """Look at what the destination holds now."""
        before = next((look.tables for look in reversed(self.looks) if look.dataset == dataset), {})
        now = dt.datetime.now(dt.timezone.utc).isoformat()
        rows = {name: len(held.rows) for name, held in before.items()}
        self.looks.append(Look(self.place.look(dataset), dataset, now.replace("+00:00", "Z"), rows))

    def start(self, what: str, source: str = "", failpoint: str = "", **more: Any) -> subprocess.Popen[bytes]:
        """Begin a process that does one thing."""
        order = {"spec": self.place.spec, "what": what, "source": source, **more}
        environment = {**os.environ, **self.environment(), **({"HEADRACE_FAILPOINT": failpoint} if failpoint else {})}
        log = (self.folder / "children.log").open("ab")
        command = [sys.executable, str(self.project / "work.py"), json.dumps(order)]
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def child(self, what: str, source: str = "", wanted: int | None = 0, **more: Any) -> int:
        """Do one thing in a process of its own, and look; ``wanted`` is the code it must end with."""
        code = self.start(what, source, **more).wait(120)
        assert wanted is None or code == wanted, f"{what} ended with {code}:\n{self.log()}"
        self.look()
        return code

    def killed(self, what: str, source: str, failpoint: str) -> None:
        """Do one thing and be killed at a place."""
        self.child(what, source, wanted=-signal.SIGKILL, failpoint=failpoint)

    def log(self) -> str:
        """The end of what the processes printed."""
        path = self.folder / "children.log"
        return path.read_text()[-3000:] if path.exists() else ""

    # ---- judging ---------------------------------------------------------------------------------------------------

    def stream(self) -> Stream:
        """All events so far."""
        settle()
        return Stream(self.path)

    def verdict(self) -> Verdict:
        """What the validator says of them."""
        settle()
        return validate(self.path, self.folder / "report.json")

    def faults(self) -> list[str]:
        """All that the events say and the destination does not, and the other way round."""
        return faults(self.stream(), self.place, self.looks)


def settle() -> None:
    """Wait until this process has written what it has to tell."""
    from headrace.observers.lineage.delivery.runtime import close

    close(5)
