"""Errors of commands: what is said, and the exit code.

====  ==============================================================================
0     done
1     it failed
2     the command was not understood; for ``plan``: there are changes
130   interrupted (Ctrl-C)
====  ==============================================================================
"""

from __future__ import annotations

import os
import sysconfig
from typing import TYPE_CHECKING

import click

import headrace

if TYPE_CHECKING:
    from headrace.cli.output import Output

_PACKAGE, _PYTHON = os.path.dirname(headrace.__file__ or ""), sysconfig.get_path("stdlib")  # noqa: PTH120
OK, FAILED, USAGE, CHANGES, INTERRUPTED = 0, 1, 2, 2, 130


class CliError(click.ClickException):
    """A command cannot do what it was asked to.

    Args:
        what: What happened.
        why: The cause.
        fix: What to do next.
        code: The exit code.
    """

    def __init__(self, what: str, *, why: str | None = None, fix: str | None = None, code: int = FAILED) -> None:
        super().__init__(what)
        self.what, self.why, self.fix, self.code = what, why, fix, code


def report(error: BaseException, out: Output) -> int:
    """Print an error; returns the exit code."""
    if out.debug and not isinstance(error, (click.ClickException, click.Abort)):
        _traceback(error)
    # click turns an interrupt into an Abort, and says so by its cause
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
        return _say(out, "interrupted", None, "the next run goes on with what waits", "Interrupted", INTERRUPTED)
    if isinstance(error, click.Abort):
        return _say(out, "given up: nothing was changed", None, None, "Abort", FAILED)
    if isinstance(error, CliError):
        return _say(out, error.what, error.why, error.fix, "CliError", error.code)
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "headrace"
        return _say(out, error.format_message(), None, f"see `{command} --help`", "UsageError", USAGE)
    if isinstance(error, click.ClickException):
        return _say(out, error.format_message(), None, None, type(error).__name__, error.exit_code)
    return _say(out, *parts_of(error), type(error).__name__, FAILED, where_of(error))


def parts_of(error: BaseException) -> tuple[str, str | None, str | None]:
    """What happened, why, and what to do, of any error and without secrets."""
    from headrace.errors.base import HeadraceException
    from headrace.errors.masking import without_secrets

    if isinstance(error, HeadraceException):
        text = without_secrets(str(error))
        parts = [error.what, error.why, error.fix]
        if text.startswith(without_secrets(error.what)) and error.what:
            return without_secrets(error.what), *(None if p is None else without_secrets(p) for p in parts[1:])  # type: ignore[return-value]
        return text, None, None
    text = without_secrets(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__, None, "--debug shows the traceback"


def where_of(error: BaseException) -> str | None:
    """The line of the user's own code where it began, if any of it was running: ``shop.py:12, in orders``."""
    while (inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = inner
    found, step = None, error.__traceback__
    while step is not None:
        path = step.tb_frame.f_code.co_filename
        if not path.startswith(("<", _PACKAGE, _PYTHON)) and "site-packages" not in path:
            found = f"{os.path.relpath(path)}:{step.tb_lineno}, in {step.tb_frame.f_code.co_name}"
        step = step.tb_next
    return found


def _say(
    out: Output, what: str, why: str | None, fix: str | None, kind: str, code: int, where: str | None = None
) -> int:
    if out.json:
        told = {"type": kind, "what": what, "why": why, "where": where, "fix": fix, "exit_code": code}
        out.document({**out.so_far, "error": told})
        return code
    out.labelled("Error:", "fail", what)
    for label, text in (("Why:", why), ("Where:", where), ("What to do:", fix)):
        if text:
            out.labelled(label, "head", text)
    return code


def _traceback(error: BaseException) -> None:
    import traceback

    from headrace.errors.masking import without_secrets

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    click.echo(without_secrets(text), err=True)
