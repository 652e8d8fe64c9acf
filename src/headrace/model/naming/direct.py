"""``direct``: names stay as they are, but for quotes and line ends."""

from __future__ import annotations

from headrace.base.strings import shorten
from headrace.model.naming.base import NamingConvention as BaseNamingConvention
from headrace.model.naming.base import clean

_FORBIDDEN = str.maketrans(dict.fromkeys("\n\r'\"▶", "_"))


class NamingConvention(BaseNamingConvention):
    """Case sensitive; the parts of a path are separated by ``▶``, so that names may hold double underscores."""

    PATH_SEPARATOR = "▶"

    @property
    def is_case_sensitive(self) -> bool:
        """True: nothing is changed."""
        return True

    def normalize_identifier(self, identifier: str) -> str:
        """The identifier, with underscores for what would break out of quotes."""
        name = clean(identifier)
        return shorten(name, name.translate(_FORBIDDEN), self.max_length)
