"""Forked children: they have their parent's objects and none of its threads, so locks and handles begin anew there."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Protocol


class Renewable(Protocol):
    """Has something that a child must not share with its parent."""

    def after_fork(self) -> None:
        """Begin anew; called in the child before anything else runs there."""


_renewed: weakref.WeakSet[Renewable] = weakref.WeakSet()


def in_children(act: Callable[[], None]) -> None:
    """Have a function called in each forked child, for good; nothing happens where there is no fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=act)


def renew(one: Renewable) -> None:
    """Have the `after_fork` of an object called in each forked child, as long as the object is there."""
    _renewed.add(one)


def _renew_all() -> None:
    for one in list(_renewed):
        one.after_fork()


in_children(_renew_all)
