"""``s3_tables``: snake case within the rules of Amazon S3 Tables."""

from __future__ import annotations

from headrace.model.naming import snake_case

MAX_LENGTH = 255


class NamingConvention(snake_case.NamingConvention):
    """Snake case; table names do not start with underscores, names have at most 255 characters."""

    def __init__(self, max_length: int | None = None) -> None:
        super().__init__(min(max_length or MAX_LENGTH, MAX_LENGTH))

    def normalize_table_identifier(self, identifier: str) -> str:
        """The identifier in snake case without leading underscores."""
        return self.normalize_identifier(identifier).lstrip("_") or "x"
