"""Settings of the catalog of Iceberg tables, and what they tell of it without opening it."""

from __future__ import annotations

import sys
from typing import Any, Optional

from headrace.config.credentials import parse_url
from headrace.config.resolve import resolve_configuration
from headrace.config.spec import BaseConfiguration, configspec
from headrace.errors.masking import without_secrets


@configspec
class IcebergCatalogConfiguration(BaseConfiguration):
    """``[iceberg_catalog]``: the catalog of Iceberg tables.

    Attributes:
        iceberg_catalog_name: Its name, also in pyiceberg's own configuration.
        iceberg_catalog_type: ``sql``, ``rest``, ``glue``, …; without it the tables' folders are the catalog.
        iceberg_catalog_config: Options of pyiceberg's catalog: ``uri``, ``warehouse``, ….
    """

    iceberg_catalog_name: str = "default"
    iceberg_catalog_type: Optional[str] = None  # noqa: UP045
    iceberg_catalog_config: Optional[dict[str, Any]] = None  # noqa: UP045


def catalog_facts() -> dict[str, str]:
    """``type``, ``name``, ``uri``, ``warehouse``, ``region`` and ``account`` of the catalog, without secrets.

    Empty where tables are registered nowhere but in their folders. Pyiceberg's own configuration counts once pyiceberg
    is in use; it is not loaded for this.
    """
    settings = resolve_configuration(IcebergCatalogConfiguration(), sections=("iceberg_catalog",))
    name = settings.iceberg_catalog_name
    options: dict[str, Any] = {**_own_configuration(name), **(settings.iceberg_catalog_config or {})}
    kind = settings.iceberg_catalog_type or options.get("type")
    if not kind and not options:
        return {}
    uri = str(options.get("uri") or "")
    found = {
        "type": str(kind or _kind_of(uri)),
        "name": name,
        "uri": _public(uri),
        "warehouse": without_secrets(str(options.get("warehouse") or "")),
        "region": str(options.get("glue.region") or options.get("client.region") or ""),
        "account": str(options.get("glue.id") or ""),
    }
    return {key: value for key, value in found.items() if value}


def _own_configuration(name: str) -> dict[str, Any]:
    if "pyiceberg" not in sys.modules:
        return {}
    from pyiceberg.utils.config import Config

    return dict(Config().get_catalog_config(name) or {})


def _kind_of(uri: str) -> str:
    """What pyiceberg takes a catalog for that does not say its type."""
    if uri.startswith("http"):
        return "rest"
    return "hive" if uri.startswith("thrift") else "sql" if uri else "custom"


def _public(uri: str) -> str:
    """The address without a login."""
    try:
        url = parse_url(uri)
    except ValueError:
        return without_secrets(uri)
    return url._replace(username=None, password=None, query={}).render()
