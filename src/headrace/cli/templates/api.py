"""Load example_source: pages of a web API, read with a token, from where the last run ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

import headrace


@headrace.source
def example_source(base_url: str = headrace.config.value, api_key: str = headrace.secrets.value) -> Any:
    """The resources of the API.

    Args:
        base_url: Where it is; in .dlt/config.toml.
        api_key: The token; in .dlt/secrets.toml.
    """

    @headrace.resource(primary_key="id", write_disposition="merge")
    def issues(
        updated_at: Any = headrace.sources.incremental("updated_at", initial_value="2026-01-01T00:00:00Z"),
    ) -> Iterator[Any]:
        """Rows changed since the last run; change path and parameters to those of your API."""
        yield from pages(f"{base_url}/issues", api_key, {"since": updated_at.last_value})

    return issues


def pages(url: str | None, api_key: str, params: dict[str, Any] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Follow the links to next pages."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {api_key}"
        while url:
            response = session.get(url, params=params, timeout=30)
            response.raise_for_status()
            yield response.json()
            url, params = response.links.get("next", {}).get("url"), None


if __name__ == "__main__":
    pipeline = headrace.pipeline("example_pipeline", destination="duckdb", dataset_name="example_data")
    print(pipeline.run(example_source()))
