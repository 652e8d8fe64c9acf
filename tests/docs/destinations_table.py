"""The table of docs/destinations/index.md, made of what destinations say of themselves.

``python -m tests.docs.destinations_table`` writes it anew.
"""

from __future__ import annotations

import re
from typing import Any

import headrace
from headrace.model.capabilities import Capabilities
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "destinations" / "index.md"
BEGIN, END = "<!-- made by tests/docs/destinations_table.py -->", "<!-- end -->"

# title, kind, arguments without which it cannot say what it can do
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("DuckDB", "duckdb", {}),
    ("PostgreSQL", "postgres", {}),
    ("SQLite", "sqlalchemy", {"credentials": "sqlite:///x.db"}),
    ("MySQL, MariaDB", "sqlalchemy", {"credentials": "mysql+pymysql://u:p@localhost/d"}),
    ("Files", "filesystem", {"bucket_url": "x"}),
    ("Delta tables", "filesystem:delta", {"bucket_url": "x"}),
    ("Iceberg tables", "filesystem:iceberg", {"bucket_url": "x"}),
    ("Functions", "destination", {}),
    ("Nothing", "dummy", {}),
]
COLUMNS = (
    "Destination",
    "`destination=`",
    "Merge",
    "Replace",
    "Loader files",
    "Names",
    "Fractions of seconds",
    "Once by",
)
MEANS = {
    "transaction": "a row in the transaction",
    "object": "names of files",
    "commit": "the table's commit",
    "upsert": "keys",
    "none": "not at all",
}


def capabilities_of(kind: str, arguments: dict[str, Any]) -> Capabilities:
    """What a destination says of itself."""
    name, _, table_format = kind.partition(":")
    found: Capabilities = getattr(headrace.destinations, name)(**arguments).capabilities()
    return found.for_format(table_format or None)


def row(title: str, kind: str, arguments: dict[str, Any]) -> list[str]:
    """One line of the table, as cells."""
    facts = capabilities_of(kind, arguments)
    name, _, table_format = kind.partition(":")
    length = f"{facts.max_identifier_length} characters" if facts.max_identifier_length < 5000 else "any length"
    once = "the table's commit" if table_format else MEANS[facts.idempotency]
    return [
        title,
        f"`{name}`" + (f", `table_format={table_format!r}`" if table_format else ""),
        ", ".join(facts.supported_merge_strategies) or "–",
        ", ".join(facts.supported_replace_strategies) or "–",
        ", ".join(f for f in facts.supported_loader_file_formats if f != "model"),
        f"{length}, case {'counts' if facts.has_case_sensitive_identifiers else 'does not count'}",
        f"{facts.max_timestamp_precision} digits",
        once,
    ]


def table() -> str:
    """The table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row(*one) for one in ROWS)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Write it into the page."""
    text = PAGE.read_text()
    made = f"{BEGIN}\n\n{table()}\n\n{END}"
    PAGE.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: made, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
