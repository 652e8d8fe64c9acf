"""``snake_case``, the default: small ASCII letters, digits and single underscores."""

from __future__ import annotations

import re
from functools import lru_cache

from headrace.base.strings import shorten
from headrace.model.naming.base import NamingConvention as BaseNamingConvention
from headrace.model.naming.base import clean

_SPELLED = str.maketrans({"+": "x", "*": "x", "-": "_", "@": "a", "|": "l"})
_NOT_ALPHANUMERIC = re.compile(r"[^a-zA-Z\d_]+")
_BEFORE_CAPITALIZED = re.compile(r"([^_])([A-Z][a-z]+)")
_BEFORE_CAPITAL = re.compile(r"([a-z0-9])([A-Z])")
_UNDERSCORES = re.compile(r"__+")


@lru_cache(maxsize=65536)
def _normalize(identifier: str, max_length: int | None) -> str:
    name = _NOT_ALPHANUMERIC.sub("_", identifier.translate(_SPELLED))
    name = _BEFORE_CAPITALIZED.sub(r"\1_\2", name)
    name = _BEFORE_CAPITAL.sub(r"\1_\2", name).lower()
    if name[0].isdigit():
        name = "_" + name
    kept = name.rstrip("_")
    # a trailing underscore could be mistaken for the separator of a path
    name = kept + "x" * (len(name) - len(kept))
    return shorten(identifier, _UNDERSCORES.sub("_", name), max_length)


class NamingConvention(BaseNamingConvention):
    """Case insensitive; camel case is broken up, everything that is not ASCII becomes an underscore."""

    @property
    def is_case_sensitive(self) -> bool:
        """False: everything is lower case."""
        return False

    def normalize_identifier(self, identifier: str) -> str:
        """The identifier in snake case."""
        return _normalize(clean(identifier), self.max_length)
