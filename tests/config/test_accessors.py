"""`dlt.config` and `dlt.secrets`."""

from __future__ import annotations

import importlib
import pickle
from decimal import Decimal

import pytest

import headrace
from headrace.config import ConnectionStringCredentials, registry
from headrace.config import config as dlt_config
from headrace.config import secrets as dlt_secrets
from headrace.config.hints import CONFIG_VALUE, SECRET_VALUE
from headrace.errors.config import ConfigFieldMissingException


def test_values_are_read_at_one_place_only(monkeypatch) -> None:
    monkeypatch.setenv("A__I", "5")
    monkeypatch.setenv("I", "6")
    assert dlt_config["a.i"] == 5 and dlt_secrets["a.i"] == 5 and dlt_config["i"] == 6
    assert "a.i" in dlt_config and "a.b.i" not in dlt_config and "a" not in dlt_config
    assert dlt_config.get("nope") is None
    with pytest.raises(KeyError):
        dlt_config["a.b.i"]


def test_values_can_be_asked_for_as_a_type(monkeypatch, write_toml) -> None:
    monkeypatch.setenv("A__I", "5")
    assert dlt_config.get("a.i", str) == "5" and dlt_config.get("a.i", Decimal) == Decimal(5)
    monkeypatch.setenv("X__CREDENTIALS", "postgres://u:p@h:1/d")
    assert dlt_secrets.get("x.credentials", ConnectionStringCredentials).host == "h"
    write_toml("secrets.toml", "[y.credentials]\ndrivername = 'pg'\nhost = 'h2'\n")
    found = dlt_secrets.get("y.credentials", ConnectionStringCredentials)
    assert (found.host, found.is_resolved()) == ("h2", True)


def test_settings_see_secrets_too_but_secrets_do_not_see_settings(write_toml) -> None:
    write_toml("secrets.toml", "key = 's'")
    write_toml("config.toml", "size = 1")
    assert dlt_config["key"] == "s" and dlt_secrets["key"] == "s" and dlt_config["size"] == 1
    assert dlt_secrets.get("size") is None


def test_assignment_is_in_memory_and_wins_over_the_file(write_toml) -> None:
    path = write_toml("config.toml", "[a]\nb = 1\nc = 2\n")
    dlt_config["a.b"] = 10
    dlt_config["new.deep.key"] = {"x": 1}
    dlt_secrets["password"] = "hunter2"
    assert (dlt_config["a.b"], dlt_config["a.c"], dlt_config["new.deep.key.x"]) == (10, 2, 1)
    assert dlt_secrets["password"] == "hunter2"
    assert path.read_text() == "[a]\nb = 1\nc = 2\n"
    assert (dlt_config.writable_provider.name, dlt_secrets.writable_provider.name) == ("config.toml", "secrets.toml")
    registry.reset()
    assert dlt_config["a.b"] == 1 and "password" not in dlt_secrets


def test_a_missing_value_says_where_to_put_it() -> None:
    with pytest.raises(ConfigFieldMissingException) as raised:
        dlt_secrets["destination.postgres.password"]
    text = str(raised.value)
    assert "DESTINATION__POSTGRES__PASSWORD" in text and "[destination.postgres] password" in text
    assert raised.value.traces["destination.postgres.password"][0].key == "DESTINATION__POSTGRES__PASSWORD"


def test_placeholders_are_single_objects() -> None:
    assert dlt_config.value is CONFIG_VALUE and dlt_secrets.value is SECRET_VALUE
    assert pickle.loads(pickle.dumps(SECRET_VALUE)) is SECRET_VALUE


def test_the_name_config_is_accessor_and_package_at_once() -> None:
    assert headrace.config.get("nope") is None
    import headrace.config.known as known

    assert known is importlib.import_module("headrace.config.known")
    assert headrace.config.resolve.resolve_configuration is headrace.config.resolve_configuration
    with pytest.raises(AttributeError):
        _ = headrace.config.no_such_name
