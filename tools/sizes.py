"""The size budget: files of at most 400 lines, functions of at most 40, docstrings aside.

More is allowed only with a written reason: a line ``# size: <reason>`` at the top of the file, or in the line above a
function's ``def``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES = 400, 40
ROOT = Path(__file__).parent.parent


def reason_above(lines: list[str], number: int) -> bool:
    """Whether one of the two lines above a line gives a reason."""
    return any("# size:" in line for line in lines[max(0, number - 3) : number - 1])


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    count = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        count -= (first.end_lineno or first.lineno) - first.lineno + 1
    return count


def complaints(path: Path) -> Iterator[str]:
    """What a file has too much of."""
    text = path.read_text()
    lines = text.splitlines()
    where = path.relative_to(ROOT)
    if len(lines) > FILE_LINES and not any("# size:" in line for line in lines[:5]):
        yield f"{where}: {len(lines)} lines, the budget is {FILE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            count = body_lines(node)
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if count > FUNCTION_LINES and not reason_above(lines, first + 1):
                yield f"{where}:{node.lineno}: `{node.name}` has {count} lines, the budget is {FUNCTION_LINES}"


def main() -> int:
    found = [c for path in sorted((ROOT / "src").rglob("*.py")) for c in complaints(path)]
    print("\n".join(found) if found else "sizes: all within the budget")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
