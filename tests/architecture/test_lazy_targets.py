"""Every lazy public name leads somewhere."""

from __future__ import annotations

import headrace
import headrace.sources


def test_every_name_can_be_got() -> None:
    for module in (headrace, headrace.sources):
        for name in dir(module):
            if not name.startswith("_"):
                assert getattr(module, name) is not None
