"""Names that fall together: different keys, lists or resources that one naming convention calls the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.model.evolve import ChainTarget, TableTarget
from headrace.model.schema import Schema

Place = tuple[str, ...]

CLASH_FIX = "Rename one with `add_map`, give it another `table_name`, or choose another `schema.naming`"


def find_clashes(schema: Schema, chains: Mapping[str, ChainTarget]) -> list[str]:
    """Describe each pair of things that came under different names and land in one place.

    Args:
        schema: Brought up to the package's data.
        chains: Where the raw tables of the package go, by root table.

    Returns:
        A sentence for each, naming both; empty when there are none.
    """
    found: list[str] = []
    owners: dict[str, tuple[str, Place]] = {}
    for root, chain in chains.items():
        for target in chain.tables.values():
            if target.discard:
                continue
            found += _columns(target)
            first = owners.setdefault(target.name, (root, target.path))
            if first != (root, target.path):
                found.append(_tables(target.name, _place(*first), _place(root, target.path)))
            elif target.path and _owner(schema, target.name) not in (None, _owner(schema, root)):
                said = f"resource `{_owner(schema, target.name)}`"
                found.append(_tables(target.name, said, _place(root, target.path)))
    return list(dict.fromkeys(found))


def _columns(target: TableTarget) -> Iterator[str]:
    first: dict[str, Place] = {}
    for path, column in target.columns.items():
        other = first.setdefault(column.name, path)
        if column.name and other != path:
            yield (
                f"table `{target.name}`: the keys `{_dotted(other)}` and `{_dotted(path)}` are both called "
                f"`{column.name}`; where a document has both, one value is lost"
            )


def _tables(name: str, one: str, other: str) -> str:
    return f"table `{name}` gets rows of {one} and of {other}"


def clash_of_resources(schema: Schema, table: str, resource: str) -> str | None:
    """Describe that another resource, whose name is the same once it is normalized, feeds a table; None if not.

    Resources that name one table themselves mean it, and are none.
    """
    owner = _owner(schema, table)
    if owner is None or owner == resource or {schema.normalize_table_name(n) for n in (owner, resource)} != {table}:
        return None
    return _tables(table, f"resource `{owner}`", f"resource `{resource}`")


def _owner(schema: Schema, table: str) -> str | None:
    """The resource of a root table; None for nested ones."""
    return schema.tables.get(table, {}).get("resource")


def _place(root: str, path: Place) -> str:
    return f"the lists at `{_dotted(path)}` in `{root}`" if path else f"`{root}`"


def _dotted(path: Place) -> str:
    return ".".join(path)
