"""What becomes of values of a kind in a column of a type: told by the functions that do it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import lru_cache
from typing import Any

from headrace.model.evolve import KIND_TYPES
from headrace.observers.lineage.facts import Transformation
from headrace.typing import TColumnSchema

KEPT_AS_JSON = "kept as json"

_SAMPLES: dict[str, list[Any]] = {
    "bool": [True],
    "bigint": [1, 0],
    "double": [1.0, 0.0],
    "text": ["1", "2020-01-01", "2020-01-01T00:00:00Z", "10:00:00", "{}", "yes", "0x10", "YQ=="],
    "binary": [b"a"],
    "timestamp": [dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)],
    "date": [dt.date(2020, 1, 1)],
    "time": [dt.time(10)],
    "decimal": [Decimal("1"), Decimal("1.5")],
    "wei": [Decimal("1")],
    "json": ["{}"],
}
"""Values of each kind, one of which a type takes if it takes any of that kind."""


@lru_cache(maxsize=1024)
def may_fit(kind: str, data_type: str) -> bool:
    """Whether a column of a type can take any value of a kind; the others go into a variant."""
    import pyarrow as pa

    from headrace.columns.coerce import arrow_type, cast
    from headrace.model.capabilities import Capabilities

    kind = KIND_TYPES.get(kind, kind)
    if kind == data_type or kind not in _SAMPLES:
        return True
    column: Any = {"name": "x", "data_type": data_type}
    own: Any = {"name": "x", "data_type": kind}
    capabilities = Capabilities()
    values = pa.array(_SAMPLES[kind], arrow_type(own, capabilities))
    fitting, _ = cast(kind, values, data_type, arrow_type(column, capabilities))
    return bool(fitting.null_count < len(fitting))


def transformation_of(kind: str, column: TColumnSchema, variant: bool = False) -> Transformation:
    """How values of a kind get into a column: as they are, cast, as JSON, or as a variant."""
    return _transformation(KIND_TYPES.get(kind, kind), column["data_type"], variant)


@lru_cache(maxsize=1024)
def _transformation(kind: str, data_type: str, variant: bool) -> Transformation:
    if variant:
        return Transformation("DIRECT", "TRANSFORMATION", f"variant {data_type}")
    if kind == "json" and data_type == "json":
        return Transformation("DIRECT", "TRANSFORMATION", KEPT_AS_JSON)
    if kind == data_type:
        return Transformation("DIRECT", "IDENTITY")
    return Transformation("DIRECT", "TRANSFORMATION", f"{kind} to {data_type}")


def also(transformation: Transformation, *more: str) -> Transformation:
    """The same with more words to its description."""
    if not any(more):
        return transformation
    words = [w for w in (transformation.description, *more) if w]
    return Transformation(transformation.type, transformation.subtype, "; ".join(words), transformation.masking)


def by_code(transformation: Transformation, functions: str) -> Transformation:
    """What went through functions of the user may be anything: an identity is none any more."""
    if not functions:
        return transformation
    subtype = "TRANSFORMATION" if transformation.subtype == "IDENTITY" else transformation.subtype
    changed = Transformation(transformation.type, subtype, transformation.description, transformation.masking)
    return also(changed, functions)
