"""What commands print: text for people, one JSON document for scripts, tables that fit the terminal."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

NARROWEST = 8
"""Columns of a table are not cut below this many characters, however narrow the terminal is."""

STYLES: dict[str, dict[str, Any]] = {
    "ok": {"fg": "green"},
    "warn": {"fg": "yellow"},
    "fail": {"fg": "red", "bold": True},
    "dim": {"dim": True},
    "head": {"bold": True},
    "key": {"fg": "cyan"},
}


@dataclass
class Output:
    """How the running command talks; the object of click's context.

    Attributes:
        json: One JSON document on standard output, nothing else.
        debug: Errors with their traceback.
        verbose: 0 to 2.
        yes: Questions are answered with yes.
        so_far: Members of the JSON document that are known when the command fails.
        ask: There may be questions: standard input is a terminal and nobody forbade them.
    """

    json: bool = False
    debug: bool = False
    verbose: int = 0
    yes: bool = False
    ask: bool = True
    so_far: dict[str, Any] = field(default_factory=dict)

    def text(self, *lines: str) -> None:
        """Print lines for people; with ``--json`` they are left out."""
        if not self.json:
            for line in lines:
                click.echo(line)

    def note(self, *lines: str) -> None:
        """Say something beside the result, on standard error, behind what was printed before."""
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        for line in lines:
            click.echo(line, err=True)

    def labelled(self, label: str, style: str, text: str) -> None:
        """Say something on standard error, behind a label; long lines are broken between words."""
        width = terminal_width(sys.stderr)
        # the label takes room in the first line
        body = wrapped("_" * len(label) + f" {text}" if width else text, "", "", width)
        first = body[0][len(label) + 1 :] if width else body[0]
        self.note(f"{paint(label, style)} {first}", *body[1:])

    def result(self, document: Any, tell: Callable[[], None]) -> None:
        """Give the result of a command: as a JSON document, or as text by a function."""
        if self.json:
            self.document(document)
        else:
            tell()

    def document(self, document: Any) -> None:
        """Print a JSON document."""
        from headrace.base import json

        click.echo(json.dumps(document, pretty=True))

    def table(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[Any]],
        indent: str = "",
        right: str = "",
        whole: Sequence[str] = (),
    ) -> None:
        """Print a table as wide as the terminal allows; longer cells are cut.

        Args:
            head: Names of the columns.
            rows: The cells.
            indent: In front of each line.
            right: Names of the columns of numbers, with blanks between.
            whole: See `table_lines`.
        """
        self.text(*table_lines(head, rows, terminal_width(), indent, right.split(), whole))

    def confirm(self, question: str) -> None:
        """Ask before something that cannot be undone.

        Raises:
            click.Abort: The answer is no.
            click.UsageError: Nobody can be asked, and ``--yes`` was not given.
        """
        if self.yes:
            return
        if not self.ask or self.json:
            raise click.UsageError(f"{question} Nobody can be asked here: give --yes to do it.")
        if not click.confirm(question, default=False, err=True):
            raise click.Abort


def paint(text: str, style: str) -> str:
    """Text in the colour of a meaning (`STYLES`); click takes colours away where no terminal is."""
    return click.style(text, **STYLES[style])


def wrapped(text: str, first: str, rest: str, width: int | None) -> list[str]:
    """The lines of a text, broken where the terminal ends; words are not.

    Args:
        text: One or more lines.
        first: In front of the first line; what it has of colours takes no room.
        rest: In front of the others.
        width: Characters in a line; None breaks nothing.
    """
    room = None if width is None else max(width - len(rest), 20)
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        broken = [line] if room is None else textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False)
        for part in broken or [""]:
            lines.append((rest if lines else first) + part)
    return lines


def terminal_width(stream: Any = None) -> int | None:
    """Characters in a line; None where the stream (standard output) is no terminal, since nothing has to fit then."""
    return shutil.get_terminal_size((80, 24)).columns if (stream or sys.stdout).isatty() else None


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def cut(text: str, width: int) -> str:
    """A text of at most so many columns; what is cut ends in an ellipsis."""
    if width_of(text) <= width:
        return text
    kept = text[: max(width - 1, 0)]
    while kept and width_of(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"


def cell_text(value: Any) -> str:
    """A value in one line; control characters are spelled out, so that data cannot steer the terminal."""
    if value is None:
        return ""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def table_lines(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    width: int | None,
    indent: str = "",
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> list[str]:
    """The lines of a table: the head, a rule, the rows.

    Args:
        head: Names of the columns.
        rows: The cells.
        width: Characters in a line; None for no limit.
        indent: In front of each line.
        right: Columns that are aligned to the right.
        whole: Columns that are not cut: what is in them is copied into the next command, or broken into more lines.
    """
    body = [[cell_text(value) for value in row] for row in rows]
    widths = [max(width_of(row[i]) for row in [list(head), *body]) for i in range(len(head))]
    if width is not None:
        cuttable = [i for i, name in enumerate(head) if name not in whole or i == len(head) - 1]
        _shrink(widths, width - len(indent) - 2 * (len(head) - 1), cuttable)
    lines = [_line(head, widths, head, right, "head"), _line(["─" * n for n in widths], widths, head, (), "dim")]
    for row in body:
        # the last column may be broken into lines
        broken = wrapped(row[-1], "", "", widths[-1]) if width is not None and head[-1] in whole else [row[-1]]
        lines.append(_line([*row[:-1], broken[0]], widths, head, right, None))
        lines += [_line([*([""] * (len(head) - 1)), part], widths, head, right, None) for part in broken[1:]]
    return [indent + line for line in lines]


def _shrink(widths: list[int], room: int, cuttable: Sequence[int]) -> None:
    """Take from the widest columns until all fit."""
    while sum(widths) > room and max(widths[i] for i in cuttable) > NARROWEST:
        widest = max(cuttable, key=lambda i: widths[i])
        others = max((widths[i] for i in cuttable if i != widest), default=NARROWEST)
        widths[widest] = max(NARROWEST, min(others, widths[widest] - 1), widths[widest] - (sum(widths) - room))


def _line(
    cells: Sequence[str], widths: Sequence[int], head: Sequence[str], right: Sequence[str], style: str | None
) -> str:
    parts = []
    for cell, width, name in zip(cells, widths, head, strict=True):
        shown = cut(cell, width)
        gap = " " * (width - width_of(shown))
        parts.append(gap + shown if name in right else shown + gap)
    text = "  ".join(parts).rstrip()
    return paint(text, style) if style else text
