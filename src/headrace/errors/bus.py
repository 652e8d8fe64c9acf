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
