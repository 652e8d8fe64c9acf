"""The graph as one HTML page that needs no network: data, style and scripts are in it.

Nothing of the data becomes markup: it is one block of JSON, of which scripts make text. The page's own policy allows
the scripts by their hash and nothing else.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from headrace.observers.lineage.graph.formats import as_json
from headrace.observers.lineage.graph.view import View

_SCRIPTS = ("layout.js", "graph.js", "draw.js", "panel.js", "main.js")
_UNUSED = ("schema", "columnLineage", "lineage", "symlinks")
"""Facets of datasets that are shown otherwise."""


def as_html(graph: View, title: str = "Lineage", live: str | None = None, seconds: float = 5) -> str:
    """The page.

    Args:
        graph: The graph.
        title: Its heading.
        live: The tag of this state of the graph: the page then asks its server for newer ones.
        seconds: How often it asks.
    """
    document = {**slim(as_json(graph)), "title": title, "made_at": _now(), "live": live is not None, "tag": live}
    document["again"] = seconds * 1000
    # `</script>` and `<!--` in a name would end or change the block
    data = msgspec.json.encode(document).decode().replace("<", "\\u003c").replace("\u2028", "\\u2028")
    parts = {**_parts(), "policy": policy(live is not None), "title": html.escape(title), "data": data}
    return re.sub(r"@@(\w+)@@", lambda found: parts[found[1]], _file("page.html"))


def slim(document: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a graph without what the page has no use for."""
    for one in document["datasets"]:
        one["facets"] = {name: body for name, body in one.get("facets", {}).items() if name not in _UNUSED}
    return document


def policy(live: bool) -> str:
    """What the page may do (Content-Security-Policy): run its own script; when live, ask its server."""
    digest = base64.b64encode(hashlib.sha256(_parts()["script"].encode()).digest()).decode()
    asks = " connect-src 'self';" if live else ""
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';{asks} base-uri 'none'; "
        "form-action 'none'"
    )


@lru_cache(maxsize=1)
def _parts() -> dict[str, str]:
    inner = "\n".join(_file(name).replace('"use strict";\n', "") for name in _SCRIPTS)
    return {"style": _file("page.css"), "script": f'(() => {{\n"use strict";\n{inner}\n}})();'}


def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
