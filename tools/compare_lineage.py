"""The lineage of headrace beside that of dlt's add-on `dlt-openlineage`: runs both, writes docs/lineage/compared.md.

    python tools/compare_lineage.py                    # makes .venvs/compared with dlt and the add-on
    python tools/compare_lineage.py --dlt PYTHON       # with an environment that has them
    python tools/compare_lineage.py --only "success"   # prints, and leaves the page alone

Every scenario of tests/lineage/compared/stories.py runs in a process of its own for each emitter. The validator judges
the events; tests/lineage/compared/claims.py compares them with what the destination held.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.lineage.compared import claims  # noqa: E402 - the repository is not a package
from tests.lineage.compared.stories import STORIES  # noqa: E402
from tests.lineage.validator import validate_events  # noqa: E402

PAGE = ROOT / "docs/lineage/compared.md"
BEGIN, END = "<!-- made by tools/compare_lineage.py -->", "<!-- end -->"
EMITTERS = {"dlt-openlineage": "dlt-openlineage 0.1.1", "headrace": "headrace", "attached": "headrace, attached to dlt"}
PACKAGES = ["dlt[duckdb]==1.31.*", "dlt-openlineage==0.1.1", "duckdb==1.5.5", "openlineage-python>=1.50", "numpy"]


class Score(NamedTuple):
    """What one emitter came to.

    Attributes:
        wrong: Claims that are not so, and what is not told of.
        profile: ELT score in per cent.
    """

    events: int
    errors: int
    warnings: int
    facets: int
    profile: float
    wrong: list[str]


def environment() -> Path:
    """The Python that has dlt and the add-on."""
    folder = ROOT / ".venvs/compared"
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, *PACKAGES, "--editable", f"{ROOT}"], check=True)
    return python


def tell(python: Path, emitter: str, name: str, folder: Path) -> None:
    """Run a scenario."""
    folder.mkdir(parents=True)
    known = {k: v for k, v in os.environ.items() if not k.startswith(("OPENLINEAGE", "LINEAGE", "LOAD__"))}
    script = ROOT / "tests/lineage/compared/stories.py"
    done = subprocess.run(
        [str(python), str(script), emitter, name, str(folder)],
        env={**known, "HOME": str(folder), "DLT_DATA_DIR": str(folder / "d"), "HEADRACE_DATA_DIR": str(folder / "h")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if not (folder / "steps.json").exists():
        raise SystemExit(f"{emitter}, {name}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")


def validated(paths: list[Path], report: Path) -> dict[str, Any]:
    """What the validator says of some files of events."""
    there = [str(p) for p in paths if p.exists() and p.stat().st_size]
    arguments = ["--profile", "elt", "--quiet", "--json", str(report), "--extra-spec", str(ROOT / "docs/lineage/spec")]
    with contextlib.redirect_stdout(io.StringIO()):
        validate_events.main([*arguments, *there])
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def score(folders: list[Path], work: Path) -> Score:
    """The score of some scenarios together."""
    told = validated([f / "events.ndjson" for f in folders], work / "report.json")
    wrong = [claim for f in folders for claim in claims.wrong(*claims.read(f))]
    counts = (told["events"], told["errors"], told["warnings"], told["facets"])
    return Score(*counts, told["score"] or 0.0, wrong)


def row(name: str, scores: dict[str, Score]) -> str:
    """A line of the table."""
    cells = [
        f"{s.events} | {s.errors} | {s.warnings} | {s.facets} | {s.profile:.0f} % | {len(s.wrong)}"
        for s in scores.values()
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def table(rows: list[tuple[str, dict[str, Score]]]) -> str:
    """The table of each emitter's figures, and what is wrong in them."""
    names = list(rows[0][1])
    parts = ["events", "errors", "warn.", "facets", "ELT", "wrong"]
    lines = []
    for name in names:
        lines += [
            f"## {EMITTERS[name]}",
            "",
            "| scenario | " + " | ".join(parts) + " |",
            "|---|" + "---:|" * len(parts),
        ]
        lines += [row(story, {name: scores[name]}) for story, scores in rows]
        by_claim: dict[str, list[str]] = {}
        for story, scores in rows[:-1]:
            for claim in dict.fromkeys(scores[name].wrong):
                by_claim.setdefault(claim, []).append(story)
        lines += ["", "What it says that is not so, or leaves out:", ""]
        lines += [f"- {claim} ({'; '.join(stories)})" for claim, stories in by_claim.items()] or ["- nothing"]
        lines.append("")
    return "\n".join([*summary(rows[-1][1]), "", *lines]).rstrip()


def summary(scores: dict[str, Score]) -> list[str]:
    """All scenarios together, side by side."""
    lines = ["| all scenarios | " + " | ".join(EMITTERS[n] for n in scores) + " |", "|---|" + "---:|" * len(scores)]
    figures: list[tuple[str, Callable[[Score], str]]] = [
        ("events", lambda s: str(s.events)),
        ("errors", lambda s: str(s.errors)),
        ("warnings", lambda s: str(s.warnings)),
        ("distinct facets", lambda s: str(s.facets)),
        ("ELT score", lambda s: f"{s.profile:.0f} %"),
        ("wrong claims against the destination", lambda s: str(len(s.wrong))),
    ]
    return [*lines, *(f"| {name} | " + " | ".join(map(show, scores.values())) + " |" for name, show in figures)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlt", type=Path, help="Python with dlt and the add-on")
    parser.add_argument("--only", action="append", help="a scenario; the page is left alone")
    parser.add_argument("--emitter", action="append", choices=list(EMITTERS), help="all by default")
    parser.add_argument("--keep", type=Path, help="folder for all that is made")
    given = parser.parse_args()
    emitters = given.emitter or list(EMITTERS)
    pythons = dict.fromkeys(EMITTERS, given.dlt or (environment() if emitters != ["headrace"] else None))
    pythons["headrace"] = Path(sys.executable)
    with tempfile.TemporaryDirectory() as made:
        work = given.keep or Path(made)
        rows: list[tuple[str, dict[str, Score]]] = []
        stories = given.only or list(STORIES)
        for number, name in enumerate(stories):
            for emitter in emitters:
                tell(pythons[emitter], emitter, name, work / emitter / str(number))
            rows.append((name, {e: score([work / e / str(number)], work) for e in emitters}))
            print(row(*rows[-1]), flush=True)
        everything = {e: score([work / e / str(n) for n in range(len(stories))], work) for e in emitters}
        rows.append(("**all together**", everything))
    text = table(rows)
    if given.only or given.emitter:
        print(text)
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
