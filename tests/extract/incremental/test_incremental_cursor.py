from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse

from headrace.extract.incremental.cursor import MISSING, compile_cursor

ROW = {"id": 3, "a": {"b": {"c": 4}, "list": [{"x": 5}, {"x": 6}]}, "a.b": 7, "a-b": 8, "a b": 9, "none": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", 3),
        ("$.id", 3),
        ("a.b.c", 4),
        ("$.a.b.c", 4),
        ("a['b'].c", 4),
        ("a.'b'.c", 4),
        ("a.list[1].x", 6),
        ("a.list[*].x", 5),
        ("$..c", 4),
        ("a.list[?(@.x > 5)].x", 6),
        ("'a.b'", 7),
        ('"a.b"', 7),
        ("a-b", 8),
        ("a b", 9),
        ("none", None),
        ("none.x", MISSING),
        ("a.b.d", MISSING),
        ("id.x", MISSING),
        ("a.list[9].x", MISSING),
        ("a[0]", MISSING),
        ("nothing", MISSING),
        ("a.nothing[*]", MISSING),
    ],
)
def test_paths_lead_to_values(path: str, value: Any) -> None:
    cursor = compile_cursor(path)
    assert cursor.get(ROW) == value
    assert cursor.values([ROW, {}, ROW]) == [value, MISSING, value]


@pytest.mark.parametrize("path", ["a[", "$..[", "a.[?", "a.*.]"])
def test_what_is_no_path_is_told(path: str) -> None:
    with pytest.raises(ValueError, match="no JSON path"):
        compile_cursor(path)


NAMES = st.sampled_from(["a", "b", "cc"])
STEPS = st.one_of(NAMES.map(".{}".format), NAMES.map("['{}']".format), st.sampled_from(["[0]", "[1]"]))
DOCUMENTS = st.recursive(
    st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(NAMES, st.lists(STEPS, min_size=1, max_size=3), st.dictionaries(NAMES, DOCUMENTS))
def test_simple_paths_need_no_library_and_mean_the_same(first: str, steps: list[str], row: dict[str, Any]) -> None:
    path = first + "".join(steps)
    cursor = compile_cursor(path)
    assert cursor.steps is not None
    try:
        found = [match.value for match in parse(path).find(row)]
    except (KeyError, TypeError):  # jsonpath-ng of Python 3.10 looks for positions in what is no list
        found = []
    assert cursor.get(row) == (found[0] if found else MISSING)


def test_simple_paths_do_not_load_the_library() -> None:
    code = (
        "import sys; from headrace.extract.incremental import Incremental\n"
        "Incremental('a.b[0]').bind('r', {})([{'a': {'b': [1]}}])\n"
        "print([m for m in ('jsonpath_ng', 'pyarrow', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
