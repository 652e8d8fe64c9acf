"""What dlt's configuration knows to be secret: hidden in events, also where an exception's text has it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from headrace.errors.masking import remember

_UTILS = "dlt.common.configuration.utils"
_HINTS = "dlt.common.configuration.specs.base_configuration"


def resolved(begin: int) -> list[Any]:
    """The values that dlt has resolved for the thread's pipeline, from the n-th on: dlt forgets them after a run."""
    traces = sys.modules[_UTILS].get_resolved_traces().resolved_traces
    return list(traces[begin:] if len(traces) >= begin else traces)


def hide(traces: Sequence[Any]) -> None:
    """Remember those that are secret.

    Args:
        traces: dlt's `ResolvedValueTrace`.
    """
    hints = sys.modules[_HINTS]
    for one in traces:
        value = one.value
        if not isinstance(value, str) or not hints.is_secret_hint(one.hint):
            continue
        if hints.is_credentials_inner_hint(one.hint):
            # a connection string, or the path of a file: only a password in it is secret
            remember([part for part in _passwords(value) if part])
        else:
            remember(value)


def _passwords(text: str) -> list[str]:
    try:
        password = urlsplit(text).password or ""
    except ValueError:
        return []
    return [password, unquote(password)]
