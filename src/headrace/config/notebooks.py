"""Secrets of notebook platforms, used when there is no TOML file."""

from __future__ import annotations

import sys
from typing import Any


def notebook_document(file_name: str, secrets: bool) -> dict[str, Any]:
    """The values that Google Colab or Streamlit keep for a file of settings.

    Args:
        file_name: ``secrets.toml`` or ``config.toml``; in Colab the name of the entry, which holds TOML.
        secrets: Whether secrets are asked for; Streamlit has nothing else.

    Returns:
        The document, empty when there is none.
    """
    if "google.colab" in sys.modules:
        found = _colab(file_name)
        if found:
            return found
    if secrets and "streamlit" in sys.modules:
        return _streamlit()
    return {}


def _colab(file_name: str) -> dict[str, Any]:
    from headrace.config.toml import parse_toml

    try:
        from google.colab import userdata  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return parse_toml(userdata.get(file_name))
    except Exception:  # noqa: BLE001  no such entry, no right to read it, or no notebook
        return {}


def _streamlit() -> dict[str, Any]:
    try:
        return dict(sys.modules["streamlit"].secrets.to_dict())
    except Exception:  # noqa: BLE001  streamlit raises when it has no file of secrets
        return {}
