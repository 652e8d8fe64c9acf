"""What a client would do, told without doing it: the part of the port that plans are made of.

A destination whose changes are statements says which; the same code makes them when they are run. Others leave the
methods as they are, and a plan tells their changes as data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from headrace.load.destination import LoadContext
    from headrace.model.jobs import AnyJob
    from headrace.model.migrate import AnyChange
    from headrace.typing import TTableSchemaColumns

Present = Mapping[str, "TTableSchemaColumns | None"]
"""Tables by name with their columns; None for a table that does not exist."""


class Foresight:
    """Methods of a client that write nothing.

    Attributes:
        speaks_statements: Whether changes of tables are statements that `foresee_changes` tells.
        keeps_tables: Whether `describe` tells which tables there are.
        own_tables: Tables beside those of schemas that `foresee_changes` wants to know about.
    """

    speaks_statements: ClassVar[bool] = False
    keeps_tables: ClassVar[bool] = True
    own_tables: ClassVar[Sequence[str]] = ()

    def is_there(self) -> bool:
        """Whether there is something to open; False where entering the client would make it: a database file.

        May be asked before the client is entered.
        """
        return True

    def foresee_dataset(self, there: bool) -> list[str]:
        """Statements of ``create_dataset``.

        Args:
            there: Whether the dataset exists.
        """
        return []

    def foresee_changes(self, changes: Sequence[AnyChange], present: Present) -> list[str]:
        """Statements of ``migrate``, in order.

        Args:
            changes: As `migrate` gets them.
            present: The tables of the changes, as they would be by then.
        """
        return []

    def foresee_job(self, job: AnyJob, context: LoadContext, present: Present) -> list[str]:
        """Statements of ``apply`` that make, empty or drop tables; what moves rows is not among them.

        Args:
            job: A job of the package.
            context: The package.
            present: The job's tables, as they would be by then.
        """
        return []

    def foresee_complete(self, changes: Sequence[AnyChange]) -> list[str]:
        """Statements of ``complete`` that change tables.

        Args:
            changes: Those that the package's ``migrate`` gets.
        """
        return []
