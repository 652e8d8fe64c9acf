"""``sql_cs_v1``: identifiers of SQL that need no quotes but for their case."""

from __future__ import annotations

import re
from functools import lru_cache

from headrace.base.strings import shorten
from headrace.model.naming.base import NamingConvention as BaseNamingConvention
from headrace.model.naming.base import clean

_NOT_ALPHANUMERIC = re.compile(r"[^a-zA-Z\d_]+")
_UNDERSCORES = re.compile(r"__+")


@lru_cache(maxsize=65536)
def normalize(identifier: str, max_length: int | None, lower: bool = False) -> str:
    """The identifier with underscores for everything but ASCII letters and digits.

    Args:
        identifier: Without surrounding blanks, not empty.
        max_length: In characters; None sets no limit.
        lower: Whether to make it lower case.
    """
    name = _NOT_ALPHANUMERIC.sub("_", identifier)
    if name[0].isdigit():
        name = "_" + name
    # a name of nothing but underscores keeps one: no table or column can do without a name
    name = _UNDERSCORES.sub("_", name.rstrip("_") or "_")
    return shorten(identifier, name.lower() if lower else name, max_length)


class NamingConvention(BaseNamingConvention):
    """Case sensitive; ASCII letters, digits and single underscores."""

    @property
    def is_case_sensitive(self) -> bool:
        """True: case is kept."""
        return True

    def normalize_identifier(self, identifier: str) -> str:
        """The identifier as a name of SQL."""
        return normalize(clean(identifier), self.max_length)
