"""What a shop's pipelines read; a project of a user's, under version control where the tests run it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import headrace

API = {
    "kind": "rest_api",
    "location": "https://api.example.com",
    "endpoints": ["/v1/orders"],
    "params": {"status": "paid"},
}
TABLE = {
    "kind": "sql_database",
    "location": "postgresql://erp.example.com:5432",
    "database": "erp",
    "db_schema": "public",
    "tables": ["customers"],
}
FILES = {
    "kind": "filesystem",
    "location": "s3://lake/in",
    "glob": "visits/*.csv",
    "files": ["visits/1.csv", "visits/2.csv"],
}
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def order(number: int) -> dict[str, Any]:
    """An order as the API gives it: nested, with names that no database would have."""
    return {
        "id": number,
        "Customer Name": f"c{number}",
        "at": BEGIN + dt.timedelta(hours=number),
        "address": {"city": "Bern", "geo": {"lat": 46.9}},
        "items": [{"sku": f"s{n}", "qty": n, "parts": [n, n + 1]} for n in range(number % 3 + 1)],
    }


def orders(first: int = 1, count: int = 3, origin: Any = API, **hints: Any) -> Any:
    """Orders, from an API."""

    @headrace.resource(name="orders", **{"primary_key": "id", **hints})
    def read() -> Any:
        """Orders that were paid."""
        yield [order(n) for n in range(first, first + count)]

    return read().add_input(dict(origin)) if origin else read()


def fresh_orders(count: int = 3) -> Any:
    """Orders that were not read before, by a cursor."""

    @headrace.resource(name="orders", primary_key="id")
    def read(at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
        """Orders since the last one."""
        begin = (at.last_value or 0) + 1
        yield [order(n) for n in range(begin, begin + count)]

    return read().add_input(dict(API))


def customers(count: int = 4, **hints: Any) -> Any:
    """Customers, from a table of a database."""

    @headrace.resource(name="customers", **hints)
    def read() -> Any:
        """Customers of all times."""
        yield [{"id": n, "Full Name": f"n{n}", "vip": n % 2 == 0} for n in range(count)]

    return read().add_input(dict(TABLE))


def visits(count: int = 5) -> Any:
    """Visits, from files."""

    @headrace.resource(name="visits")
    def read() -> Any:
        """Visits of the web site."""
        yield [{"page": f"/{n}", "seconds": n / 2} for n in range(count)]

    return read().add_input(dict(FILES))


def shop(*resources: Any, name: str = "shop") -> Any:
    """A source of some resources."""

    @headrace.source(name=name)
    def made() -> Any:
        """The shop."""
        return list(resources) or [orders(), customers(), visits()]

    return made()


def destination(spec: list[Any]) -> Any:
    """A destination: its name, its place, settings."""
    kind, place, settings = (*spec, None, None)[:3]
    arguments = [] if place is None else [place]
    return getattr(headrace.destinations, kind)(*arguments, **(settings or {}))


def pipeline(spec: list[Any], name: str = "shop", **settings: Any) -> Any:
    """The shop's pipeline."""
    made = destination(spec)
    return headrace.pipeline(name, destination=made, **{"dataset_name": "raw", **settings})
