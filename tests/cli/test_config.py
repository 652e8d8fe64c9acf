"""`headrace config explain` says the truth: a value put at a place that it names is the one that is resolved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import headrace
from headrace.cli.config import destination_spec
from headrace.config import known
from headrace.config.alerting import alerts_settings
from headrace.config.current import pipeline_name_scope
from headrace.config.places import Explanation, explain_setting
from headrace.config.retries import retries_settings
from tests.cli.conftest import Cli


def postgres() -> Any:
    return headrace.destinations.postgres().configuration()


def pipeline() -> Any:
    return known.pipeline_settings("shop")


# the key, the pipeline it is asked for, and who resolves it
CASES: list[tuple[str, str | None, Callable[[], Any]]] = [
    ("load.workers", None, lambda: known.load_settings().workers),
    ("load.workers", "shop", lambda: known.load_settings().workers),
    ("normalize.workers", None, lambda: known.normalize_settings().workers),
    ("extract.workers", None, lambda: known.extract_settings().workers),
    ("sources.crm.sales.extract.workers", None, lambda: known.extract_settings("crm", "sales").workers),
    ("retries.attempts", None, lambda: retries_settings().attempts),
    ("runtime.alerts.wait", None, lambda: alerts_settings().wait),
    ("runtime.request_max_attempts", "shop", lambda: pipeline().runtime.request_max_attempts),
    ("pipelines.max_state_size", "shop", lambda: pipeline().max_state_size),
    ("pipelines.shop.max_state_size", None, lambda: pipeline().max_state_size),
    ("destination.postgres.create_indexes", None, lambda: postgres().create_indexes),
    ("destination.postgres.credentials.port", None, lambda: postgres().credentials.port),
    ("destination.postgres.credentials.port", "shop", lambda: postgres().credentials.port),
]


@pytest.mark.parametrize(("key", "name", "resolve"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_every_place_that_is_named_counts_and_the_first_one_wins(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, key: str, name: str | None, resolve: Callable[[], Any]
) -> None:
    for part in ("DATABASE", "USERNAME", "PASSWORD", "HOST"):
        monkeypatch.setenv(f"DESTINATION__POSTGRES__CREDENTIALS__{part}", "x")
    kind = bool if key.endswith("create_indexes") else int

    def explained() -> Explanation:
        return explain_setting(key, (), name, destination_spec)

    places = [place.key for place in explained().places if place.provider == "Environment Variables"]
    assert len(places) == len(set(places)) >= 1
    # from the last place to the first: each one beats those behind it
    for number, place in enumerate(reversed(places), 2):
        value = str(number) if kind is int else str(number % 2 == 0)
        monkeypatch.setenv(place, value)
        with pipeline_name_scope(name):
            assert kind(resolve()) == (number if kind is int else number % 2 == 0)
        used = explained().used
        assert used is not None and (used.key, used.value) == (place, value)


def test_the_argument_of_a_source(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    @headrace.source(name="sales", section="crm")
    def sales(api_key: str = headrace.secrets.value) -> Any:
        return headrace.resource([{"key": api_key}], name="r")

    places = explain_setting("sources.crm.sales.api_key").places
    for place in reversed([one.key for one in places if one.provider == "Environment Variables"]):
        monkeypatch.setenv(place, place)
        assert list(sales()) == [{"key": place}]
        used = explain_setting("sources.crm.sales.api_key").used
        assert used is not None and used.key == place and used.value == "***"


def test_no_secret_is_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.write(
        ".dlt/secrets.toml",
        '[sources.crm]\napi_key = "s3cretkey1"\npage = "s3cretkey2"\n'
        '[destination.postgres.credentials]\npassword = "s3cretkey3"\n',
    )
    cli.write(".dlt/config.toml", 'token = "s3cretkey4"\n[runtime]\nlog_format = "x postgresql://u:s3cretkey5@h/d"\n')
    monkeypatch.setenv("SOURCES__CRM__URL", "https://u:s3cretkey6@host")
    monkeypatch.setenv("DESTINATION__REDSHIFTY__CREDENTIALS", "postgresql://u:s3cretkey7@h/d")
    for key in (
        *(
            "sources.crm.api_key",
            "sources.crm.page",
            "destination.postgres.credentials.password",
            "token",
            "log_format",
        ),
        *("sources.crm.url", "destination.redshifty.credentials", "destination.postgres.credentials"),
    ):
        for options in ((), ("--all",), ("--json",)):
            answer = cli("config", "explain", key, *options)
            assert "s3cretkey" not in answer.out + answer.err
        assert cli.json("config", "explain", key)["used"] is not None or key.endswith("postgres.credentials")


def test_what_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.write(".dlt/config.toml", "[load]\nworkers = 4\n")
    told = cli("config", "explain", "load.workers").out
    assert "load.workers = 4  (./.dlt/config.toml)  <- this one counts" in told
    assert told.rstrip().endswith("Value: 4, from ./.dlt/config.toml")
    monkeypatch.setenv("LOAD__WORKERS", "7")
    told = cli("config", "explain", "load.workers", "--all").out
    assert "LOAD__WORKERS = 7  <- this one counts" in told and "comes too late" in told
    assert "3 places behind it: --all" in cli("config", "explain", "load.workers").out
    assert "Value: 7, from" in cli("config", "explain", "workers", "--section", "load").out
    assert "Value: 5, the default" in cli("config", "explain", "workers", "--section", "extract").out
    assert "There are settings of the same name" in cli("config", "explain", "workers").out
    assert "Value: none, it is not set" in cli("config", "explain", "sources.a.b").out
    assert "the key is empty" in cli("config", "explain", "", code=2).err


def test_a_whole_value_and_a_misplaced_secret(cli: Cli) -> None:
    cli.write(".dlt/secrets.toml", '[destination.postgres]\ncredentials = "postgresql://u:s3cretkey@h/d"\n')
    told = cli("config", "explain", "destination.postgres.credentials.password").out
    assert "gives all of `credentials` as one value" in told
    cli.write(".dlt/config.toml", '[destination.postgres.credentials]\npassword = "s3cretkey"\n')
    assert (
        "refused: a secret must not be here"
        in cli("config", "explain", "destination.postgres.credentials.password").out
    )
