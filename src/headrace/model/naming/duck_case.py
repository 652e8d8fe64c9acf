"""``duck_case``: what DuckDB allows, which is nearly everything."""

from __future__ import annotations

import re
from functools import lru_cache

from headrace.base.strings import shorten
from headrace.model.naming.base import NamingConvention as BaseNamingConvention
from headrace.model.naming.base import clean

_FORBIDDEN = str.maketrans(dict.fromkeys('\n\r"', "_"))
_UNDERSCORES = re.compile(r"__+")


@lru_cache(maxsize=65536)
def _normalize(identifier: str, max_length: int | None) -> str:
    return shorten(identifier, _UNDERSCORES.sub("_", identifier.translate(_FORBIDDEN)), max_length)


class NamingConvention(BaseNamingConvention):
    """Case sensitive; all characters but line ends and double quotes are kept."""

    @property
    def is_case_sensitive(self) -> bool:
        """True: case is kept."""
        return True

    def normalize_identifier(self, identifier: str) -> str:
        """The identifier with single underscores."""
        return _normalize(clean(identifier), self.max_length)
