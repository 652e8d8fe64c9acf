"""Documents that leave the process: without secrets, and for tables without what is empty."""

from __future__ import annotations

from typing import Any

from headrace.errors.masking import without_secrets


def cleaned(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of a document of plain data in which no text has a secret; keys stay as they are.

    Args:
        document: Dictionaries and lists, nested; other values are taken over.
    """
    seen: dict[str, str] = {}  # names of tables and columns stand in it a hundred times

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            found = seen.get(value)
            if found is None:
                found = seen[value] = without_secrets(value)
            return found
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(v) for v in value]
        return value

    return {k: clean(v) for k, v in document.items()}


def without_empty(document: Any) -> Any:
    """A document as a row: members that are None are left out, however deep, since no column could be made of them."""
    if isinstance(document, dict):
        return {k: without_empty(v) for k, v in document.items() if v is not None}
    if isinstance(document, (list, tuple)):
        return [without_empty(v) for v in document]
    return document
