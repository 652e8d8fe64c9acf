"""Where dlt's destinations write, as locations, and the types their columns have there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from headrace.model.location import Location, location_of_url

TypeOf = Callable[[Mapping[str, Any], Mapping[str, Any]], "str | None"]


class Target(NamedTuple):
    """A dataset of a destination.

    Attributes:
        place: Where; None for a destination that holds no tables.
        name: The destination's name.
        type_of: A column and its table to the type the column has in the destination.
        fingerprint: Values of its configuration that are worth knowing.
    """

    place: Location | None
    name: str
    type_of: TypeOf
    engine: str


def target(pipeline: Any, schema: Any, dataset_name: str | None) -> Target:
    """Where a schema of a pipeline is loaded to. Nothing is connected to.

    Args:
        pipeline: dlt's.
        schema: dlt's `Schema` whose dataset it is; the pipeline itself may have forgotten it by now.
        dataset_name: As the infos name it; None to ask the destination.
    """
    clients = getattr(pipeline, "_get_destination_clients", None)
    client = clients(schema)[0] if clients is not None else pipeline.destination_client(schema.name)
    config = client.config
    dataset = dataset_name or config.normalize_dataset_name(client.schema)
    kind = str(config.destination_type)
    name = str(config.destination_name or kind)
    return Target(_place(kind, config, dataset, client), name, _types(client), kind)


def _types(client: Any) -> TypeOf:
    mapper: Any = None
    try:
        mapper = client.capabilities.get_type_mapper()
    except Exception:  # noqa: BLE001 # older ones have none, and files have no types
        return lambda column, table: str(column.get("data_type") or "") or None

    def type_of(column: Mapping[str, Any], table: Mapping[str, Any]) -> str | None:
        try:
            return str(mapper.to_destination_type(dict(column), dict(table)))
        except Exception:  # noqa: BLE001 # a type that the destination does not have
            return str(column.get("data_type") or "") or None

    return type_of


def _place(kind: str, config: Any, dataset: str, client: Any) -> Location | None:
    credentials = getattr(config, "credentials", None)
    if kind == "destination":  # a function of the user
        return None
    if kind == "filesystem":
        return _files(config, dataset)
    if kind in ("duckdb", "motherduck"):
        return _duckdb(credentials, dataset)
    if kind == "ducklake":
        return None
    if kind == "sqlalchemy":
        return _sqlalchemy(credentials, dataset)
    if kind == "bigquery":
        project = getattr(config, "project_id", None) or getattr(credentials, "project_id", None) or ""
        return Location(scheme="bigquery", project=str(project), schema=dataset)
    if kind == "athena":
        region = str(getattr(credentials, "region_name", None) or "")
        catalog = str(getattr(config, "aws_data_catalog", None) or "awsdatacatalog")
        catalog = "AwsDataCatalog" if catalog.lower() == "awsdatacatalog" else catalog
        return Location(scheme="athena", region=region, database=catalog, schema=dataset)
    return _server(kind, credentials, dataset)


_SCHEMES = {"synapse": "synapse", "databricks": "databricks", "dremio": "dremio"}


def _server(kind: str, credentials: Any, dataset: str) -> Location | None:
    """Databases behind a host; the names of the credentials' fields are dlt's."""
    if credentials is None:
        return None
    host = getattr(credentials, "host", None) or getattr(credentials, "server_hostname", None) or ""
    database = getattr(credentials, "database", None) or getattr(credentials, "catalog", None) or ""
    if not host:
        return None
    port = getattr(credentials, "port", None)
    account = str(host) if kind == "snowflake" else ""
    return Location(
        scheme=_SCHEMES.get(kind, kind),
        host=str(host),
        port=int(port) if port else None,
        database=str(database),
        schema=dataset,
        account=account,
    )


def _duckdb(credentials: Any, dataset: str) -> Location | None:
    database = str(getattr(credentials, "database", None) or "")
    if str(getattr(credentials, "drivername", "")) in ("md", "motherduck"):
        return Location(scheme="duckdb", path=f"md:{database}", database=database, schema=dataset)
    if not database or database.startswith(":"):
        return Location(scheme="duckdb", private=True, owner="dlt", schema=dataset)
    path = str(Path(database).absolute())
    return Location(scheme="duckdb", path=path, database=Path(path).name.rpartition(".")[0] or path, schema=dataset)


def _sqlalchemy(credentials: Any, dataset: str) -> Location | None:
    dialect = str(getattr(credentials, "drivername", "") or "").partition("+")[0]
    database = str(getattr(credentials, "database", None) or "")
    if dialect != "sqlite":
        return _server(dialect, credentials, dataset) if dialect else None
    if not database or database.startswith(":"):
        return Location(scheme="sqlite", private=True, owner="dlt", schema=dataset)
    path = Path(database).absolute()
    if dataset not in ("main", ""):  # dlt attaches a file for each dataset
        path = path.with_name(f"{path.stem}__{dataset}{path.suffix}")
    return Location(scheme="sqlite", path=str(path), database=path.stem, schema="main")


def _files(config: Any, dataset: str) -> Location:
    url = str(config.bucket_url)
    if "://" not in url or url.startswith("file:"):
        path = url.removeprefix("file://").removeprefix("file:") if "://" in url or url.startswith("file:") else url
        place = Location(scheme="file", path=str(Path(path).absolute()))
    else:
        place = location_of_url(url)
    root = f"{place.path.rstrip('/')}/{dataset}"
    found = {name: getattr(place, name) for name in ("scheme", "host", "port", "account")}
    return Location(**found, path=root, schema=dataset, table_path=_table_path(str(getattr(config, "layout", ""))))


def _table_path(layout: str) -> str:
    """The folder of a table in a layout of files: all before the part with the first other placeholder."""
    parts = []
    for part in layout.split("/")[:-1]:
        if set(re.findall(r"\{(\w+)\}", part)) - {"table_name", "schema_name"}:
            break
        parts.append(part)
    folder = "/".join(parts)
    return folder if "{table_name}" in folder else "{table_name}"
