"""Rejected items are loaded again, once the schema takes them.

The items and the order to take their records away travel in one package, so that either both happen or none: it is
finished, or set aside, like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from headrace.base import json
from headrace.errors.rejected import CannotReplayRejected, RejectedTableNotFound
from headrace.model.contract import expand_contract
from headrace.model.rejected import REJECTED_OF, RejectedItem
from headrace.model.tables import C_DLT_ID, C_DLT_LOAD_ID, get_columns_names_with_prop, new_table
from headrace.pipeline.checkpoints import Checkpoints
from headrace.pipeline.extracting import give_up, seal_all
from headrace.pipeline.loading import load, merge_infos
from headrace.pipeline.normalizing import normalize
from headrace.pipeline.run import finish_pending
from headrace.pipeline.step import step
from headrace.pipeline.sync import sync_if_needed
from headrace.pipeline.work import Work, new_sink

if TYPE_CHECKING:
    from headrace.model.infos import LoadInfo
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline
    from headrace.typing import TSchemaContract

logger = logging.getLogger("headrace")
_CHUNK = 5_000


class Wanted(NamedTuple):
    """Which records are to be replayed; None for no restriction.

    Attributes:
        table: A root table, a nested one, or a table of rejected rows.
        load_id: Of the load that rejected them.
        rule: As in the records.
    """

    table: str | None
    load_id: str | None
    rule: str | None


class _Batch(NamedTuple):
    """Records of one root table.

    Attributes:
        items: Documents by what tells items apart.
        ids: Row ids of all records of these items.
        loaded: Whether one of the items is in its table already.
    """

    root: str
    rejected: str
    resource: str
    items: dict[tuple[Any, ...], Any]
    ids: list[str]
    loaded: bool


def replay_rejected(p: Pipeline, wanted: Wanted, contract: TSchemaContract | None) -> LoadInfo | None:
    """See `Pipeline.replay_rejected`."""
    p._need_destination("replay_rejected")
    with step(p, "run") as bracket:
        sync_if_needed(p)
        info = finish_pending(p, None, announce=False)
        for schema in _schemas_with_rejected(p, wanted):
            batches = [b for b in _read(p, schema, wanted) if b.ids]
            for batch in batches:
                _check(p, schema, batch)
            if batches and _extract(p, schema, batches, contract):
                normalize(p)
                loaded = load(p)
                info = merge_infos(info, loaded) if loaded is not None else info
        bracket.info = info
        return info


# ---- which -------------------------------------------------------------------------------------------------------


def _roots(schema: Schema) -> dict[str, str]:
    """Tables of rejected rows, by root table."""
    tables = cast("dict[str, dict[str, Any]]", schema.tables)
    return {str(table[REJECTED_OF]): name for name, table in tables.items() if REJECTED_OF in table}


def _chosen(schema: Schema, wanted: Wanted) -> dict[str, str]:
    roots = _roots(schema)
    if wanted.table is None:
        return roots
    name = schema.normalize_table_name(wanted.table)
    if name in schema.tables and REJECTED_OF not in schema.tables[name]:
        name = schema.get_root_table(name)["name"]
    # a nested table that was never made is known by its name alone
    return {r: t for r, t in roots.items() if name in (r, t) or name.startswith(f"{r}{schema.naming.PATH_SEPARATOR}")}


def _schemas_with_rejected(p: Pipeline, wanted: Wanted) -> list[Schema]:
    schemas = [p._schemas[name] for name in p._schemas]
    found = [schema for schema in schemas if _chosen(schema, wanted)]
    if not found and wanted.table is not None:
        known = [root for schema in schemas for root in _roots(schema)]
        raise RejectedTableNotFound(p.pipeline_name, wanted.table, known)
    return found


def _read(p: Pipeline, schema: Schema, wanted: Wanted) -> Iterator[_Batch]:
    from headrace.pipeline.reading import dataset

    data = dataset(p, schema)
    for root, rejected in _chosen(schema, wanted).items():
        names = {schema.naming.normalize_identifier(name): name for name in RejectedItem._fields}
        records = [
            {names.get(key, key): value for key, value in row.items()}
            for part in data[rejected].iter_arrow(_CHUNK)
            for row in part.to_pylist()
        ]
        yield _batch(root, rejected, records, wanted, schema)


def _batch(root: str, rejected: str, records: list[dict[str, Any]], wanted: Wanted, schema: Schema) -> _Batch:
    chosen: dict[tuple[Any, ...], Any] = {}
    for record in records:
        if _fits(record, root, rejected, wanted, schema):
            chosen.setdefault(_identity(record), record)
    all_of_them = [record for record in records if _identity(record) in chosen]
    return _Batch(
        root,
        rejected,
        next((str(r["resource"]) for r in all_of_them), ""),
        {key: json.loads(record["item"]) for key, record in chosen.items()},
        [str(record[C_DLT_ID]) for record in all_of_them],
        any(record["item_loaded"] for record in all_of_them),
    )


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one item from another: it may have a record for each value that was refused."""
    return record[C_DLT_LOAD_ID], record["resource"], record["position"], record["item"]


def _fits(record: dict[str, Any], root: str, rejected: str, wanted: Wanted, schema: Schema) -> bool:
    if wanted.table is not None:
        name = schema.normalize_table_name(wanted.table)
        if name not in (root, rejected, record["table_name"]):
            return False
    return wanted.load_id in (None, record[C_DLT_LOAD_ID]) and wanted.rule in (None, record["rule"])


def _check(p: Pipeline, schema: Schema, batch: _Batch) -> None:
    """Refuse what would double rows, or take others away."""
    disposition = schema.write_disposition(batch.root)
    if disposition in ("replace", "skip"):
        raise CannotReplayRejected(
            p.pipeline_name,
            batch.root,
            f"the table has the write disposition `{disposition}`, and the items would take the place of all its rows"
            if disposition == "replace"
            else "the table has the write disposition `skip`",
            f"run resource `{batch.resource}` again: it brings all rows",
        )
    table = schema.tables.get(batch.root)
    keys = get_columns_names_with_prop(table, "primary_key") if table else []
    strategy = schema.merge_strategy(batch.root) if table and disposition == "merge" else None
    _check_neighbours(p, batch, strategy, keys, get_columns_names_with_prop(table, "merge_key") if table else [])
    merges = keys and strategy in ("delete-insert", "upsert")
    if batch.loaded and not merges:
        raise CannotReplayRejected(
            p.pipeline_name,
            batch.root,
            "some of the items are in the table already, without the values or nested rows that were refused, and "
            + (f"with the write disposition `{disposition}`" + ("" if keys else " and no primary key"))
            + " they would be there twice",
            'give the table a primary key and write_disposition="merge" (delete-insert or upsert), or replay only '
            'items that were left out as a whole: rule="columns:discard_row"',
        )


def _check_neighbours(p: Pipeline, batch: _Batch, strategy: str | None, keys: list[str], merge_key: list[str]) -> None:
    """Refuse merges in which the items alone would retire or delete rows that are not among them."""
    if strategy not in ("scd2", "delete-insert"):
        return
    if merge_key:
        if keys and set(keys) <= set(merge_key):
            return  # one row has that merge key: the item itself
        why = f"rows that share the merge key ({', '.join(merge_key)}) with one of the items"
    elif strategy == "scd2":
        why = "all rows that are not among the items"
    else:
        return
    raise CannotReplayRejected(
        p.pipeline_name,
        batch.root,
        f"the merge strategy `{strategy}` would take {why} for "
        + ("retired" if strategy == "scd2" else "deleted, since a load brings all rows of a merge key"),
        f"run resource `{batch.resource}` again: it brings them together with the others",
    )


# ---- the package -------------------------------------------------------------------------------------------------


def _extract(p: Pipeline, schema: Schema, batches: list[_Batch], contract: TSchemaContract | None) -> bool:
    """Put the items, and the order to take their records away, into one sealed package."""
    with step(p, "extract"):
        package = p._store.create(schema.name, pipeline_name=p.pipeline_name)
        works = {schema.name: (work := Work(package, schema, new_sink(p, package, schema)))}
        try:
            for batch in batches:
                _write(work, batch, contract)
            return bool(seal_all(p, works, Checkpoints(p, None, None)))
        except BaseException:
            give_up(p, works)
            raise


def _write(work: Work, batch: _Batch, contract: TSchemaContract | None) -> None:
    from headrace.extract.source import json_config

    schema, root = work.schema, batch.root
    if root not in schema.tables:
        schema.update_table(new_table(root, resource=batch.resource), normalize_identifiers=False)
    table = cast("dict[str, Any]", schema.tables[root])
    if contract is not None:
        table["schema_contract"] = expand_contract(contract)
    nesting = (table.get("x-normalizer") or {}).get("max_nesting", json_config(schema).get("max_nesting"))
    work.sink.write_rows(root, list(batch.items.values()), resource=batch.resource, max_nesting=nesting)
    replayed = schema.naming.normalize_identifier("replayed")
    marks = [{C_DLT_ID: row_id, replayed: True} for row_id in batch.ids]
    work.sink.write_rows(batch.rejected, marks, resource=batch.resource, max_nesting=0)
