"""Vaults: documents and single values, asked for once."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from headrace.config import BaseConfiguration, TSecretStrValue, configspec, registry, resolve_configuration
from headrace.config import secrets as dlt_secrets
from headrace.config.vaults import VaultDocProvider


class FakeVault(VaultDocProvider):
    name = "fake vault"

    def __init__(self, entries: dict[str, str], **flags: bool) -> None:
        super().__init__(**{"only_secrets": True, "only_toml_fragments": False, **flags})
        self.entries = entries
        self.asked: list[str] = []

    def _look_vault(self, full_key: str, hint: Any) -> str | None:
        self.asked.append(full_key)
        return self.entries.get(full_key)

    def _list_vault(self) -> set[str]:
        return set(self.entries)


@configspec
class Api(BaseConfiguration):
    key: TSecretStrValue = None
    url: str = "default"


def test_documents_fragments_and_single_values_are_found() -> None:
    vault = FakeVault(
        {
            "dlt_secrets_toml": "[one]\nkey = 'whole'\n",
            "sources.two": "key = 'fragment'\nurl = 'u'\n",
            "sources.three": "[sources.three]\nkey = 'spelt out'\n",
            "sources.four.key": "single",
            "sources.four.url": "not asked for: no secret",
            "pipe.dlt_secrets_toml": "[one]\nkey = 'of the pipeline'\n",
        }
    )
    with registry.providers_scope(vault):
        assert resolve_configuration(Api(), sections=("one",)).key == "whole"
        assert dict(resolve_configuration(Api(), sections=("sources", "two"))) == {"key": "fragment", "url": "u"}
        assert resolve_configuration(Api(), sections=("sources", "three")).key == "spelt out"
        assert dict(resolve_configuration(Api(), sections=("sources", "four"))) == {"key": "single", "url": "default"}
        assert vault.get_value("key", str, "pipe", "one")[0] == "of the pipeline"
    assert len(vault.asked) == len(set(vault.asked))


def test_only_documents_are_asked_for_when_it_says_so() -> None:
    vault = FakeVault({"a.key": "v"}, only_toml_fragments=True)
    with registry.providers_scope(vault):
        assert dlt_secrets.get("a.key") is None


def test_listing_saves_questions() -> None:
    vault = FakeVault({"a.key": "v"}, list_secrets=True)
    with registry.providers_scope(vault):
        assert resolve_configuration(Api(), sections=("a", "b")).key == "v"
    assert vault.asked == ["a.key"]
    vault.clear_lookup_cache()
    assert vault.document() == {}


def test_variables_of_airflow_are_read_when_airflow_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Variable:
        @staticmethod
        def get(name: str, default_var: Any = None) -> Any:
            return {"dlt_secrets_toml": "[api]\nkey = 'flow'\n"}.get(name, default_var)

    models = types.ModuleType("airflow.models")
    models.Variable = Variable  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.models", models)
    registry.reset()
    assert resolve_configuration(Api(), sections=("api",)).key == "flow"
    monkeypatch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    registry.reset()
    assert dlt_secrets.get("api.key") is None


def test_what_is_only_called_airflow_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        @staticmethod
        def get(name: str, default_var: Any = None) -> Any:
            raise RuntimeError("no such table: variable")

    without_database = types.ModuleType("airflow.models")
    without_database.Variable = Broken  # type: ignore[attr-defined]
    monkeypatch.setenv("API__KEY", "own")
    for models in (None, without_database):  # a folder of somebody's, and an installation nobody has set up
        monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
        monkeypatch.setitem(sys.modules, "airflow.models", models)
        registry.reset()
        assert resolve_configuration(Api(), sections=("api",)).key == "own"
    monkeypatch.setitem(sys.modules, "airflow", None)
    registry.reset()
    assert resolve_configuration(Api(), sections=("api",)).key == "own"
    assert caplog.text.count("Airflow's variables cannot be read") == 2
