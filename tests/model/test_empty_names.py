"""Names of which nothing is left by the naming convention."""

from __future__ import annotations

import pytest

from headrace.errors.schema import NormalizersException
from headrace.model.rawnames import EMPTY_KEY, RawNames
from headrace.model.schema import Schema


@pytest.mark.parametrize("key", ["__", "", "  ", "____"])
def test_a_key_without_letters_has_a_name(key: str) -> None:
    names = RawNames(Schema("s"))
    assert names.column([key]) == EMPTY_KEY
    assert names.table("t", [key]) != "t"


def test_a_table_needs_a_name() -> None:
    with pytest.raises(NormalizersException, match="nothing is left"):
        Schema("s").normalize_table_name("__")
