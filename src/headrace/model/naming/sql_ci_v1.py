"""``sql_ci_v1``: identifiers of SQL that need no quotes, in lower case."""

from __future__ import annotations

from headrace.model.naming import sql_cs_v1
from headrace.model.naming.base import clean


class NamingConvention(sql_cs_v1.NamingConvention):
    """Case insensitive; small ASCII letters, digits and single underscores."""

    @property
    def is_case_sensitive(self) -> bool:
        """False: everything is lower case."""
        return False

    def normalize_identifier(self, identifier: str) -> str:
        """The identifier as a name of SQL in lower case."""
        return sql_cs_v1.normalize(clean(identifier), self.max_length, lower=True)
