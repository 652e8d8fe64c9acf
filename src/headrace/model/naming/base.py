"""What a naming convention is: how names of the outside world become names of tables and columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from headrace.base.strings import shorten


class NamingConvention(ABC):
    """Turns any identifier into one that a destination accepts, always the same way.

    Derive from one of the built-in conventions and override `normalize_identifier` to make your own; call
    ``super().normalize_identifier`` first and end with `shorten_identifier`.

    Args:
        max_length: The longest name in characters; None sets no limit.
    """

    PATH_SEPARATOR: str = "__"

    def __init__(self, max_length: int | None = None) -> None:
        self.max_length = max_length

    @property
    @abstractmethod
    def is_case_sensitive(self) -> bool:
        """Whether two names may differ in case alone."""

    @abstractmethod
    def normalize_identifier(self, identifier: str) -> str:
        """The name of a column (and of a table, unless `normalize_table_identifier` says otherwise).

        Raises:
            ValueError: The identifier is None, empty or blank.
        """
        return clean(identifier)

    def normalize_table_identifier(self, identifier: str) -> str:
        """The name of a table or dataset."""
        return self.normalize_identifier(identifier)

    def make_path(self, *identifiers: str) -> str:
        """Join identifiers with the separator, leaving out empty ones."""
        return self.PATH_SEPARATOR.join(name for name in identifiers if name.strip())

    def break_path(self, path: str) -> Sequence[str]:
        """The identifiers of a path, without the empty ones."""
        return [name for name in path.split(self.PATH_SEPARATOR) if name.strip()]

    def normalize_path(self, path: str) -> str:
        """Normalize each identifier of a column's path, then the length of the whole."""
        return self.shorten_identifier(
            self.make_path(*map(self.normalize_identifier, self.break_path(path))), path, self.max_length
        )

    def normalize_tables_path(self, path: str) -> str:
        """Normalize each identifier of a table's path, then the length of the whole."""
        return self.shorten_identifier(
            self.make_path(*map(self.normalize_table_identifier, self.break_path(path))), path, self.max_length
        )

    def shorten_fragments(self, *normalized_idents: str) -> str:
        """Join normalized identifiers into a path that keeps to the length limit."""
        path = self.make_path(*normalized_idents)
        return self.shorten_identifier(path, path, self.max_length)

    @classmethod
    def name(cls) -> str:
        """The convention's short name: the last part of its module's name."""
        return cls.__module__.rpartition(".")[2]

    def __str__(self) -> str:
        limit = f"_{self.max_length}" if self.max_length else ""
        return f"{self.name()}_{'cs' if self.is_case_sensitive else 'ci'}{limit}"

    @staticmethod
    def shorten_identifier(
        normalized_ident: str, identifier: str, max_length: int | None, collision_prob: float = 0.001
    ) -> str:
        """Cut a normalized name to ``max_length`` characters around a hash of the original identifier."""
        return shorten(identifier, normalized_ident, max_length)


def clean(identifier: str | None) -> str:
    """The identifier without surrounding blanks.

    Raises:
        ValueError: Nothing is left, or it is None.
    """
    if identifier is None:
        raise ValueError("an identifier is missing: it is None")
    identifier = identifier.strip()
    if not identifier:
        raise ValueError("an identifier is missing: it is empty or blank")
    return identifier
