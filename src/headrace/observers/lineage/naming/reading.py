"""What resources say they read (`TDataLocation`), as datasets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.model.location import Location, location_of_url
from headrace.observers.lineage.facts import DatasetId, Field, Input
from headrace.observers.lineage.naming.places import dataset, kind_of

MOST_FILES = 100
"""How many files of an input are named; events must stay small."""
_DEFAULT_SCHEMAS = {
    "postgres": "public",
    "redshift": "public",
    "cockroachdb": "public",
    "mssql": "dbo",
    "synapse": "dbo",
    "duckdb": "main",
    "snowflake": "PUBLIC",
    "crate": "doc",
    "trino": "default",
    "unitycatalog": "default",
}
_EMBEDDED = ("sqlite", "duckdb")
_BOUND = re.compile(r"\{[^{}]*\.([^{}.]+)\}")
_ROOTED = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_TYPED = ("host", "port", "account", "region", "project", "file_format")


def inputs(locations: Sequence[Mapping[str, Any]], fields: Sequence[Field] = ()) -> list[Input]:
    """The datasets that locations stand for, each once.

    Args:
        locations: As `ResourceInputs.locations` has them, or the ``inputs`` of dlt's trace.
        fields: What the data looked like (`columns_shape.input_fields`); given to the dataset if there is only one
            and nobody has declared its columns.

    Returns:
        In the order of the locations; places that cannot be named (too little is known of them) are left out.
    """
    found: dict[DatasetId, Input] = {}
    for row in locations:
        for one in _of_row(row):
            known = found.get(one.id)
            found[one.id] = one if known is None else _joined(known, one)
    made = list(found.values())
    if len(made) == 1 and fields and not made[0].fields:
        made[0].fields = _in_words_of(made[0].type, fields)
    return made


_JSON = {"bigint": "integer", "text": "string", "double": "number", "bool": "boolean"}


def _in_words_of(kind: str | None, fields: Sequence[Field]) -> list[Field]:
    """The fields with types as the store would say them; a database has other words than rows on their way."""
    if kind == "TABLE":
        return [Field(name=one.name) for one in fields]
    if kind != "API_ENDPOINT":
        return list(fields)
    return [msgspec.structs.replace(f, type=_words(f.type), fields=_in_words_of(kind, f.fields)) for f in fields]


def _words(types: str | None) -> str | None:
    return " | ".join(_JSON.get(word, word) for word in types.split(" | ")) if types else types


def _joined(first: Input, second: Input) -> Input:
    """One dataset that was declared twice: files and partitions of both."""
    a, b = first.subset, second.subset
    if a and b and a.get("type") == b.get("type"):
        key = "locations" if "locations" in a else "partitions"
        both = [*a[key], *(one for one in b[key] if one not in a[key])]
        return msgspec.structs.replace(first, subset={**a, key: both[:MOST_FILES]})
    return msgspec.structs.replace(first, subset=a or b, files=first.files or second.files)


def _of_row(row: Mapping[str, Any]) -> list[Input]:
    if row.get("namespace") and row.get("name"):
        return [_declared(row)]
    place = place_of(row)
    if place is None:
        return []
    if _is_api(place):
        return _endpoints(row, place)
    things = _texts(row, "tables") or _texts(row, "collections")
    if things:
        return [_input(row, place, thing) for thing in things]
    if _has_files(place):
        return [_files(row, place)]
    # a server is no dataset, and nothing says what was read there
    return []


def place_of(row: Mapping[str, Any]) -> Location | None:
    """The location behind a declaration: its structured parts, and what its text says beyond them."""
    text = str(row.get("location") or "")
    scheme = str(row.get("scheme") or "")
    if not scheme and not text:
        return None
    known = {name: row[name] for name in _TYPED if row.get(name)}
    if row.get("hosts"):
        known["hosts"] = [(str(host), port) for host, port in row["hosts"]]
        known.setdefault("host", known["hosts"][0][0])
    place = location_of_url(text) if text else Location(scheme=scheme)
    if scheme:
        known["scheme"] = scheme
    if row.get("path"):
        known["path"] = str(row["path"])
    place = msgspec.structs.replace(place, **known)
    kind = kind_of(place.scheme)
    if kind in _EMBEDDED:
        return _embedded(row, place)
    if kind == "file" and not _ROOTED.match(place.path):
        return None  # words for people, or a path that nobody can find again
    database = str(row.get("database") or place.database)
    schema = row.get("db_schema") or row.get("physical_dataset_name") or _DEFAULT_SCHEMAS.get(kind, "")
    return msgspec.structs.replace(place, database=database, schema=str(schema))


def _embedded(row: Mapping[str, Any], place: Location) -> Location:
    """Databases in a file: the database is the file."""
    # dlt writes sqlite:///data/x.db for /data/x.db: the database tells more than the text
    path = str(row.get("path") or row.get("database") or place.path or "")
    if path in ("", ":memory:"):
        owner, schema = str(row.get("resource_name") or ""), str(row.get("db_schema") or "main")
        return msgspec.structs.replace(place, private=True, path="", owner=owner, database="memory", schema=schema)
    name = path.removeprefix("md:") if path.startswith("md:") else path.rpartition("/")[2].rpartition(".")[0]
    schema = str(row.get("db_schema") or row.get("physical_dataset_name") or "main")
    return msgspec.structs.replace(place, path=path, database=name or path.rpartition("/")[2], schema=schema)


def _is_api(place: Location) -> bool:
    return kind_of(place.scheme) == "https"


def _has_files(place: Location) -> bool:
    return bool(place.path) and kind_of(place.scheme) not in _EMBEDDED


def _texts(row: Mapping[str, Any], key: str) -> list[str]:
    value = row.get(key)
    return [value] if isinstance(value, str) else [str(one) for one in value or ()]


def _declared(row: Mapping[str, Any]) -> Input:
    made = Input(id=DatasetId(str(row["namespace"]), str(row["name"])), type=row.get("dataset_type"))
    made.source_name = str(row.get("kind") or "") or None
    return made


def _input(row: Mapping[str, Any], place: Location, thing: str) -> Input:
    found = dataset(place, thing)
    made = Input(**{name: getattr(found, name) for name in found.__struct_fields__})
    made.source_name = str(row.get("source_name") or row.get("kind") or "") or None
    made.fields = [Field(name=str(name), type=str(kind)) for name, kind in (row.get("columns") or {}).items()]
    if row.get("version"):
        made.version = {"datasetVersion": str(row["version"])}
    return made


# ---- interfaces ------------------------------------------------------------------------------------------------------


def _endpoints(row: Mapping[str, Any], place: Location) -> list[Input]:
    entities = _texts(row, "entity") or [""]
    made = []
    for path in _texts(row, "endpoints") or [""]:
        for entity in entities:
            one = _endpoint(row, place, path, entity)
            params = {str(key): str(value) for key, value in (row.get("params") or {}).items()}
            if params:
                one.subset = {"type": "partition", "partitions": [{"dimensions": params}]}
            made.append(one)
    return made


def _endpoint(row: Mapping[str, Any], place: Location, path: str, entity: str) -> Input:
    if "://" in path:  # endpoints may have an address of their own
        place, path = location_of_url(path), ""
    # variables of a path go by their own name, not by the resource that fills them
    path = _BOUND.sub(r"{\1}", path)
    return _input(row, msgspec.structs.replace(place, database=entity), path)


# ---- files -----------------------------------------------------------------------------------------------------------


def glob_root(glob: str) -> str:
    """The folder, or the file, that all files of a pattern lie in: the part before the first wildcard."""
    parts = []
    for part in glob.split("/"):
        if any(sign in part for sign in "*?[{"):
            break
        parts.append(part)
    return "/".join(parts)


def _files(row: Mapping[str, Any], place: Location) -> Input:
    root = glob_root(str(row.get("glob") or "")).strip("/")
    path = f"{place.path.rstrip('/')}/{root}" if root else place.path
    made = _input(row, msgspec.structs.replace(place, path=path), "")
    read = _texts(row, "files")
    if read:
        made.files = len(read)
        made.subset = {"type": "location", "locations": read[:MOST_FILES]}
    elif row.get("glob"):
        made.subset = {"type": "location", "locations": [str(row["glob"])]}
    return made
