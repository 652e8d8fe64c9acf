"""The character NUL, which PostgreSQL cannot store in text and jsonb."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("headrace")

_ESCAPED = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000")
_JSON = ("json", "jsonb")


class NulCharacters:
    """Takes NUL out of texts, and says so once for each column; or leaves them to PostgreSQL, which refuses them.

    Args:
        remove: Take them out.
        table: The table, for the warning.
    """

    def __init__(self, remove: bool, table: str) -> None:
        self._remove, self._table = remove, table
        self.removed: dict[str, int] = {}

    def treated(self, array: pa.Array, column: Any) -> pa.Array:
        """Texts of a column, without NUL if it is to be removed."""
        if not self._remove:
            return array
        is_json = column.kind in _JSON or column.cast in _JSON
        rows = _rows_with_nul(array, is_json)
        if not len(rows):
            return array
        import pyarrow as pa

        texts = array.to_pylist()
        changed = 0
        for row in rows:
            text = texts[row].replace("\0", "")
            if is_json:  # elsewhere the six signs of the escape are text like any other
                text = _ESCAPED.sub(r"\1", text)
            changed += text != texts[row]  # JSON may have the escape with its backslash escaped: no NUL
            texts[row] = text
        if not changed:
            return array
        self.removed[column.target] = self.removed.get(column.target, 0) + changed
        return pa.array(texts, array.type)

    def tell(self) -> None:
        """Log what was removed."""
        for column, rows in self.removed.items():
            logger.warning(
                "table `%s`: the character NUL was removed from column `%s` in %d row(s): PostgreSQL cannot store it; "
                'set `destination.postgres.nul_characters = "error"` to have such rows refused instead',
                *(self._table, column, rows),
            )


def _rows_with_nul(array: pa.Array, is_json: bool) -> Any:
    """Numbers of rows; mostly none, which is found out by one look at all bytes together."""
    import pyarrow.compute as pc

    found = None
    if _has_nul_byte(array):
        found = pc.match_substring(array, "\0")
    if is_json:
        escaped = pc.match_substring(array, "\\u0000")
        found = escaped if found is None else pc.or_(found, escaped)
    if found is None:
        return ()
    return np.flatnonzero(found.fill_null(False).to_numpy(zero_copy_only=False))


def _has_nul_byte(array: pa.Array) -> bool:
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return False
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    used = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    return int(np.count_nonzero(used)) != len(used)
