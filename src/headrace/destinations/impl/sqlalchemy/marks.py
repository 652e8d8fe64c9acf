"""Parameter marks: those that people and headrace write, as the driver wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# text, a quoted name, a mark, or a percent sign
_FOUND = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[A-Za-z_]\w*\]"
    r"|%\((?P<py>\w+)\)s|(?<![\w:$])\$(?P<dollar>[A-Za-z_]\w*)|(?<![\w:]):(?P<colon>[A-Za-z_]\w*)"
    r"|(?P<mark>\?|%s)|(?P<two>%%)|(?P<one>%)"
)


def to_driver(
    sql: str, params: Sequence[Any], named: Mapping[str, Any], paramstyle: str
) -> tuple[str, tuple[Any, ...] | dict[str, Any]]:
    """A statement and its values for the driver.

    Args:
        sql: With the marks ``?`` or ``%s``, or with ``$name``, ``:name`` or ``%(name)s``; marks in quotes are text.
        params: Values in the order of the marks.
        named: Values by name.
        paramstyle: The driver's, as PEP 249 names it.
    """
    values: list[Any] = []
    left = iter(params)
    percents = paramstyle in ("format", "pyformat")

    def mark(match: re.Match[str]) -> str:
        name = match["py"] or match["dollar"] or match["colon"]
        if match["mark"] and not named:
            values.append(next(left))
        elif name and name in named:
            values.append(named[name])
        else:
            return _text(match, percents)
        return _mark(paramstyle, len(values))

    made = _FOUND.sub(mark, sql)
    if paramstyle in ("named", "pyformat"):
        return made, {f"p{i}": value for i, value in enumerate(values, 1)}
    return made, tuple(values)


def _text(match: re.Match[str], percents: bool) -> str:
    if match["two"] or match["one"]:
        return "%%" if percents else "%"
    return match[0].replace("%", "%%") if percents else match[0]


def _mark(paramstyle: str, number: int) -> str:
    if paramstyle == "qmark":
        return "?"
    if paramstyle.startswith("numeric"):
        return f"${number}" if paramstyle == "numeric_dollar" else f":{number}"
    return {"format": "%s", "pyformat": f"%(p{number})s", "named": f":p{number}"}[paramstyle]
