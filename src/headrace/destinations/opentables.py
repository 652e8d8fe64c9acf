"""The libraries' own objects of Delta and Iceberg tables: to compact, to look at the history, to travel in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.errors.destination import OpenTableClientNotAvailable, OpenTableFormatNotSupported

if TYPE_CHECKING:
    from headrace.load.destination import Client

    class _Pipeline:
        dataset_name: str

        def destination_client(self, schema_name: str | None = None) -> Client:
            """Opens the destination."""
            raise NotImplementedError


def get_delta_tables(
    pipeline: _Pipeline, *tables: str, schema_name: str | None = None, include_dlt_tables: bool = False
) -> dict[str, Any]:
    """`deltalake.DeltaTable` by table name.

    Args:
        pipeline: Whose destination keeps Delta tables.
        tables: Names; all Delta tables of the schema when none is given.
        schema_name: The schema; the default schema when it is left out.
        include_dlt_tables: For dlt's signature: tables of the engine are plain files here as well as there.

    Raises:
        OpenTableFormatNotSupported: A named table is not a Delta table.
        OpenTableClientNotAvailable: The destination keeps no such tables.
    """
    return _tables(pipeline, "delta", tables, schema_name)


def get_iceberg_tables(
    pipeline: _Pipeline, *tables: str, schema_name: str | None = None, include_dlt_tables: bool = False
) -> dict[str, Any]:
    """`pyiceberg.table.Table` by table name; see `get_delta_tables`."""
    return _tables(pipeline, "iceberg", tables, schema_name)


def _tables(pipeline: _Pipeline, kind: str, names: tuple[str, ...], schema_name: str | None) -> dict[str, Any]:
    with pipeline.destination_client(schema_name) as opened:
        client: Any = opened
        if not hasattr(client, "load_open_table"):
            raise OpenTableClientNotAvailable(str(pipeline.dataset_name), type(client).__name__)
        known = {t["name"] for t in client.schema.data_tables() if client.is_open_table(kind, t["name"])}
        for name in names:
            if name not in known:
                raise OpenTableFormatNotSupported(kind, name, "another format, or no table")
        return {name: client.load_open_table(kind, name) for name in names or sorted(known)}
