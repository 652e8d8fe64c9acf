"""Settings files: which ones, how they are joined, references to the environment, errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.config import BaseConfiguration, TSecretStrValue, configspec, registry, resolve_configuration, toml
from headrace.config import config as dlt_config
from headrace.config import secrets as dlt_secrets
from headrace.config.documents import CustomLoaderDocProvider, DictionaryProvider
from headrace.config.toml import ConfigTomlProvider, SecretsTomlProvider, StringTomlProvider
from headrace.errors.config import (
    ConfigurationValueError,
    DuplicateConfigProviderException,
    TomlProviderReadException,
    ValueNotSecretException,
)


@configspec
class Api(BaseConfiguration):
    url: str = None
    key: TSecretStrValue = None
    size: int = 10


def test_project_values_win_over_those_of_the_user_key_by_key(write_toml, tmp_path: Path) -> None:
    write_toml("config.toml", "[api]\nurl = 'project'\n")
    home = str(tmp_path / "home")
    write_toml("config.toml", "[api]\nurl = 'ours'\nsize = 7\n", f"{home}/.headrace")
    write_toml("config.toml", "[api]\nsize = 8\nother = 9\n", f"{home}/.dlt")
    assert dict(dlt_config["api"]) == {"url": "project", "size": 7, "other": 9}


def test_the_settings_folder_can_be_named(write_toml, monkeypatch, tmp_path: Path) -> None:
    write_toml("config.toml", "a = 1", "conf")
    monkeypatch.setenv("DLT_CONFIG_FOLDER", "conf")
    assert dlt_config["a"] == 1
    write_toml("config.toml", "a = 2", str(tmp_path / "absolute"))
    monkeypatch.setenv("DLT_CONFIG_FOLDER", str(tmp_path / "absolute"))
    assert dlt_config["a"] == 2


def test_the_project_folder_can_be_elsewhere(write_toml, monkeypatch, tmp_path: Path) -> None:
    write_toml("config.toml", "a = 3", str(tmp_path / "elsewhere" / ".dlt"))
    monkeypatch.setenv("DLT_PROJECT_DIR", str(tmp_path / "elsewhere"))
    assert dlt_config["a"] == 3


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(write_toml, monkeypatch) -> None:
    path = write_toml("config.toml", "a = 1")
    assert dlt_config["a"] == 1
    calls: list[str] = []
    parse = toml.parse_toml
    monkeypatch.setattr(toml, "parse_toml", lambda text: calls.append(text) or parse(text))
    assert dlt_config["a"] == 1 and calls == []
    path.write_text("a = 22")
    assert dlt_config["a"] == 22 and len(calls) == 1
    path.unlink()
    assert "a" not in dlt_config


def test_text_may_refer_to_environment_variables(write_toml, monkeypatch) -> None:
    write_toml(
        "config.toml",
        "[api]\nurl = 'https://${API_HOST}/v1/${API_HOST}'\nsize = '${API_SIZE:-25}'\nraw = 'cost: $${PRICE} $5'\n"
        "many = ['${API_HOST}', {deep = '${API_HOST}'}]\n",
    )
    monkeypatch.setenv("API_HOST", "example.org")
    assert dlt_config["api.url"] == "https://example.org/v1/example.org"
    assert dlt_config["api.size"] == 25
    assert dlt_config["api.raw"] == "cost: ${PRICE} $5"
    assert dlt_config["api.many"] == ["example.org", {"deep": "example.org"}]
    monkeypatch.setenv("API_SIZE", "26")
    assert dlt_config["api.size"] == 26


def test_a_reference_to_a_variable_that_is_not_set_is_an_error(write_toml) -> None:
    write_toml("secrets.toml", "[api]\nkey = '${NOT_SET_ANYWHERE}'\nother = 1")
    with pytest.raises(ConfigurationValueError, match=r"api.key.*NOT_SET_ANYWHERE"):
        resolve_configuration(Api(url="u"), sections=("api",))
    assert dlt_secrets["api.other"] == 1


def test_a_malformed_file_is_an_error_that_shows_nothing_of_it(write_toml) -> None:
    write_toml("secrets.toml", "password = hunter2\n")
    with pytest.raises(TomlProviderReadException) as raised:
        dlt_secrets.get("password")
    assert "secrets.toml" in str(raised.value) and "line 1" in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None and raised.value.__context__ is None


def test_a_secret_in_the_file_of_settings_is_an_error(write_toml) -> None:
    write_toml("config.toml", "[api]\nurl = 'u'\nkey = 'hunter2'\n")
    with pytest.raises(ValueNotSecretException) as raised:
        resolve_configuration(Api(), sections=("api",))
    assert "api.key" in str(raised.value) and "hunter2" not in str(raised.value)


def test_a_byte_order_mark_is_no_error(write_toml) -> None:
    write_toml("config.toml", "\ufeffa = 1")
    assert dlt_config["a"] == 1


def test_secrets_may_be_files(tmp_path: Path, monkeypatch) -> None:
    """`/run/secrets/api--key` holds the secret; or a folder of that name with a file of that name."""
    from headrace.config import providers

    mounted = tmp_path / "run-secrets"
    (mounted / "api--key").mkdir(parents=True)
    (mounted / "api--key" / "api--key").write_text("from-file\n")
    (mounted / "api--url").write_text("not looked at: no secret")
    monkeypatch.setattr(providers, "SECRETS_DIR", str(mounted))
    monkeypatch.setenv("API__URL", "u")
    monkeypatch.setenv("API__KEY", "from-environment")
    found = resolve_configuration(Api(), sections=("api",))
    assert (found.key, found.url) == ("from-file", "u")
    assert os.environ["API__KEY"] == "from-file"


def test_providers_can_be_registered_once_and_come_last(write_toml) -> None:
    provider = CustomLoaderDocProvider("vault", lambda: {"api": {"url": "vault", "key": "k", "size": 1}})
    dlt_config.register_provider(provider)
    write_toml("config.toml", "api.url = 'file'")
    found = resolve_configuration(Api(), sections=("api",))
    assert (found.url, found.key, found.size) == ("file", "k", 1)
    with pytest.raises(DuplicateConfigProviderException):
        dlt_secrets.register_provider(CustomLoaderDocProvider("vault", dict))
    assert [p.name for p in dlt_config.config_providers] == [
        "Environment Variables",
        "secrets.toml",
        "config.toml",
        "vault",
    ]


def test_a_provider_of_an_old_style_is_asked_place_by_place() -> None:
    from headrace.config.providers import ConfigProvider

    class Old(ConfigProvider):
        asked: list[str] = []
        name = "old"
        supports_secrets = True
        supports_sections = True

        def get_value(self, key, hint, pipeline_name, *sections):
            place = "/".join(filter(None, (pipeline_name, *sections, key)))
            self.asked.append(place)
            return ("7" if place == "api/size" else None), place

    with registry.providers_scope(Old()):
        assert resolve_configuration(Api("u", "k"), sections=("api", "x")).size == 7
    assert Old.asked[-2:] == ["api/x/size", "api/size"]


def test_a_dictionary_can_be_put_in_place_for_a_block() -> None:
    provider = DictionaryProvider()
    dlt_config.register_provider(provider)
    with provider.values({"a": {"b": 1}}):
        assert dlt_config["a.b"] == 1
    assert "a.b" not in dlt_config


def test_toml_text_and_given_folders_are_providers(write_toml) -> None:
    text = StringTomlProvider("[a]\nb = 1\n")
    assert text.get_value("b", int, None, "a") == (1, "a.b")
    write_toml("secrets.toml", "[pipe.a]\nb = 2\n", "one")
    write_toml("secrets.toml", "[pipe.a]\nc = 3\n", "two")
    provider = SecretsTomlProvider("one", "two")
    assert provider.get_value("b", int, "pipe", "a") == (2, "pipe.a.b")
    assert provider.get_value("c", int, "pipe", "a") == (3, "pipe.a.c")
    assert provider.get_value_location("c", "pipe", "a") == "two/secrets.toml"
    assert list(provider.present_locations) == ["one/secrets.toml", "two/secrets.toml"]
    assert provider.supports_secrets and not provider.is_empty
    assert ConfigTomlProvider("one", "two").is_empty and not ConfigTomlProvider("one").supports_secrets
