"""How numbers and small tables are said in texts for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from headrace.base.time import human_duration


def human_bytes(size: float) -> str:
    """Say a size with a unit of 1024: ``206 B``, ``1.4 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def count(number: int, one: str, many: str | None = None) -> str:
    """Say how many: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """Say the time between two instants; empty when one is missing."""
    return human_duration((end - start).total_seconds()) if start and end else ""


def aligned(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Lay rows out in columns: the first to the left, all others to the right."""
    table = [list(row) for row in rows]
    if not table:
        return []
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def indented(text: str, indent: str = "  ") -> list[str]:
    """The lines of a text, moved to the right; empty ones are dropped."""
    return [indent + line for line in text.splitlines() if line.strip()]
