"""The suite, whole."""

from __future__ import annotations

from headrace.testing.suites.append import AppendTests
from headrace.testing.suites.comments import CommentTests
from headrace.testing.suites.concurrency import ConcurrencyTests
from headrace.testing.suites.errors import ErrorTests
from headrace.testing.suites.evolution import EvolutionTests
from headrace.testing.suites.idempotency import IdempotencyTests
from headrace.testing.suites.infos import InfoTests
from headrace.testing.suites.merge import MergeTests
from headrace.testing.suites.naming import NamingTests
from headrace.testing.suites.reading import ReadingTests
from headrace.testing.suites.refresh import RefreshTests
from headrace.testing.suites.replace import ReplaceTests
from headrace.testing.suites.scd2 import Scd2Tests
from headrace.testing.suites.state import StateTests
from headrace.testing.suites.types import TypeTests


class DestinationTests(
    AppendTests,
    ReplaceTests,
    MergeTests,
    Scd2Tests,
    EvolutionTests,
    TypeTests,
    NamingTests,
    IdempotencyTests,
    StateTests,
    RefreshTests,
    ReadingTests,
    CommentTests,
    InfoTests,
    ErrorTests,
    ConcurrencyTests,
):
    """What every destination should pass; a subclass says which destination: `destination`.

    What the capabilities rule out is skipped with the reason; what is known to fail is declared in `gaps`.
    """

    # pytest would else run the base class itself wherever it is imported
    __test__ = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = cls.__dict__.get("__test__", True)
