"""A section of the run book, walked: its texts are compared with what is printed, its commands are typed.

In a section stand, in this order and each as often as needed:

    ```text … ```                    what is seen; see `compare`
    <!-- file: PATH -->              a file to write (its block follows)
    ```bash … ```                    what to type; a text block behind it is what it prints
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, Block, blocks

PAGE = ROOT / "docs" / "runbook.md"
SCRIPTS = Path(__file__).parent / "scripts"


def sections() -> dict[str, list[Block]]:
    """The blocks of each numbered section, by its title."""
    heads = [
        (number, found[1])
        for number, line in enumerate(PAGE.read_text().splitlines(), 1)
        if (found := re.match(r"## \d+\. (.+)", line))
    ]
    ends = [line for line, _ in heads[1:]] + [10**9]
    return {
        title: [block for block in blocks(PAGE) if start < block.line < end]
        for (start, title), end in zip(heads, ends, strict=True)
    }


@dataclass
class Walk:
    """One failure in a folder of its own.

    Attributes:
        title: The section.
        folder: The project; its script is ``shop.py``.
        commands: A folder with what shells find first.
        variables: Environment variables of all that is run.
        place: Where a shell is: next block to come.
    """

    title: str
    folder: Path
    commands: Path
    variables: dict[str, str] = field(default_factory=dict)
    at: int = 0

    def __post_init__(self) -> None:
        self.blocks = sections()[self.title]

    def script(self, name: str, **words: Any) -> None:
        """Copy a script of `scripts/` as ``shop.py``; ``@WORD@`` in it is replaced."""
        text = (SCRIPTS / f"{name}.py").read_text()
        for word, value in words.items():
            text = text.replace(f"@{word.upper()}@", str(value))
        (self.folder / "shop.py").write_text(text)

    def environment(self) -> dict[str, str]:
        """That of an operator who has set nothing."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DLT_", "HEADRACE_")) and "__" not in k}
        programs = str(Path(sys.executable).parent)
        return {
            **kept,
            "HOME": str(self.folder),
            "HEADRACE_DATA_DIR": str(self.folder / "data"),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "160",
            "NO_COLOR": "1",
            **self.variables,
        }

    def shell(self, command: str, code: int | None = 0) -> str:
        """Type something; returns what the terminal shows."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**self.environment(), "PATH": f"{self.commands}:{self.environment()['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert code is None or done.returncode == code, f"`{command}` gave {done.returncode}:\n{done.stdout}"
        return done.stdout

    def seen(self, printed: str) -> None:
        """Compare what was printed with the next text block."""
        block = self._next()
        assert block.language == "text", f"{PAGE}:{block.line} is not what is seen, and this was:\n{printed}"
        compare(block, printed)

    def typed(self, times: int = 1000) -> None:
        """Write the files and type the commands that come next, so many blocks; compare what each prints."""
        for _ in range(times):
            if self.at == len(self.blocks):
                return
            block = self._next()
            if block.word == "file":
                path = self.folder / block.argument
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            elif block.language == "bash":
                printed = self.shell(f"set -e\n{block.text}")
                if self.at < len(self.blocks) and self.blocks[self.at].language == "text":
                    compare(self._next(), printed)
            else:
                self.at -= 1
                return

    def end(self) -> None:
        """Type what is left; nothing of the section may be left over."""
        self.typed()
        assert self.at == len(self.blocks), f"{PAGE}:{self.blocks[self.at].line} was not walked"

    def _next(self) -> Block:
        assert self.at < len(self.blocks), f"section `{self.title}` ends too soon"
        self.at += 1
        return self.blocks[self.at - 1]


def compare(block: Block, printed: str) -> None:
    """Check a text of the page against what was printed: a line ``...`` stands for lines, in a line for anything."""
    wanted = "".join(
        r"(?:.*\n)*" if line == "..." else r".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in _lines(block.text)
    )
    got = "".join(f"{line}\n" for line in _lines(printed))
    if re.fullmatch(wanted, got) is None:
        raise AssertionError(f"{PAGE}:{block.line} says\n\n{block.text}\nand what is printed is\n\n{got}")


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
