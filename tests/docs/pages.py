"""Markdown pages as lists of blocks, with what the comment in front of a block says about it.

A block is fenced by three backticks. A comment directly in front of it may say:

    <!-- not run: REASON -->      a python block that the test leaves out
    <!-- file: PATH -->           the block is written to this file of the page's folder, before the next blocks run
    <!-- output -->               what the python block before it prints; ``...`` stands for anything

In a block of the language ``console`` lines that begin with ``$`` are commands, and what follows is what they print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)[^`]*$")
_COMMENT = re.compile(r"^<!-- (?P<word>not run|file|output)(?:: (?P<text>.+?))? -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line, counted from 1."""

    language: str
    text: str
    line: int
    word: str = ""
    argument: str = ""


def pages() -> list[Path]:
    """All pages, the README first."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    found: list[Block] = []
    lines = page.read_text().splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
        indent = len(fence["indent"])
        text = "".join(line[indent:] + "\n" for line in lines[at + 1 : end])
        before = next((line for line in reversed(lines[:at]) if line.strip()), "")
        comment = _COMMENT.match(before.strip())
        word, argument = (comment["word"], comment["text"] or "") if comment else ("", "")
        found.append(Block(fence["language"], text, at + 2, word, argument))
        at = end + 1
    return found
