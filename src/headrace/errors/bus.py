"""Errors of observers and gates."""

from __future__ import annotations

from headrace.errors.base import HeadraceException, TerminalException


class Veto(HeadraceException, TerminalException):
    """A gate refused to let a package be loaded.

    Args:
        what: Which package, and what is wrong with it.
        why: The rule that it breaks.
        fix: What to do.
    """


class GateFailed(HeadraceException, TerminalException):
    """A gate could not decide: it raised an error, or its answer cannot be carried out.

    Attributes:
        gate: Its name.
    """

    def __init__(self, gate: str, what: str, error: BaseException) -> None:
        self.gate = gate
        super().__init__(
            f"gate `{gate}` could not decide on {what}: {type(error).__name__}: {error}",
            why="a check that cannot be made is not passed; the package waits",
            fix="correct the gate, or remove it, and run again",
        )
