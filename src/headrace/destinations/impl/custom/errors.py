"""Errors of destinations that are functions."""

from __future__ import annotations

from headrace.errors.base import ReferenceImportError
from headrace.errors.destination import DestinationException


class UnknownCustomDestinationCallable(ReferenceImportError, DestinationException, KeyError):
    """A function that takes rows is not found under its name."""

    def __init__(self, ref: str, why: str | None = None) -> None:
        self.ref = ref
        DestinationException.__init__(
            self,
            f"The destination's function `{ref}` is not found." if ref else "The destination has no function.",
            why=why,
            fix="give the function itself, or `module.function`, as `destination_callable`; a pipeline that loaded to "
            "a function knows only its name, so give it `destination=` again",
        )
