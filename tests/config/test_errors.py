"""The error for a missing value: short, exact, with the nearest misspelling, and never with a secret."""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.config import (
    BaseConfiguration,
    ConnectionStringCredentials,
    CredentialsConfiguration,
    TSecretStrValue,
    configspec,
    resolve_configuration,
    with_config,
)
from headrace.config import config as dlt_config
from headrace.config import secrets as dlt_secrets
from headrace.config.current import set_pipeline_name
from headrace.errors import config as errors
from headrace.errors.base import HeadraceException, TerminalException
from headrace.errors.config import ConfigFieldMissingException, ConfigValueCannotBeCoercedException, LookupTrace

SECRET = "hunter2-0xdeadbeef"


@configspec
class Postgres(CredentialsConfiguration):
    host: str = None
    username: str = None
    password: TSecretStrValue = None
    database: str = None
    port: int = 5432


@configspec
class Client(BaseConfiguration):
    credentials: Postgres = None


@with_config(sections=("sources", "mymod", "shop"))
def shop(api_key=dlt_secrets.value, url=dlt_config.value):
    raise AssertionError


def error_of(call: Any) -> ConfigFieldMissingException:
    with pytest.raises(ConfigFieldMissingException) as raised:
        call()
    return raised.value


def test_what_for_whom_where_to_set_it() -> None:
    error = error_of(lambda: shop(url="u"))
    lines = str(error).splitlines()
    assert lines[0] == f"`shop` of {__name__} misses `api_key` (secret)."
    assert "SOURCES__MYMOD__SHOP__API_KEY" in lines[2]
    assert '.dlt/secrets.toml:  [sources.mymod.shop] api_key = "…"' in lines[3] or (
        ".dlt/secrets.toml:  [sources.mymod.shop] api_key = …" in lines[3]
    )
    assert error.fields == ["api_key"] and isinstance(error, KeyError) and isinstance(error, TerminalException)
    assert error.traces["api_key"][0] == LookupTrace(
        "Environment Variables", ("sources", "mymod", "shop"), "SOURCES__MYMOD__SHOP__API_KEY", None, None
    )


def test_eight_lines_are_enough_for_many_missing_values(monkeypatch, write_toml) -> None:
    set_pipeline_name("pipe")
    write_toml("config.toml", "[x]\ny = 1\n")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS__HOTS", "a")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS__PASWORD", SECRET)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS__USER_NAME", "c")
    error = error_of(lambda: resolve_configuration(Client(), sections=("destination", "postgres")))
    text = str(error)
    assert len(text.splitlines()) <= 8, text
    assert "and 1 more" in text and "DESTINATION__POSTGRES__CREDENTIALS__HOST" in text
    assert SECRET not in text
    assert len(error.traces["credentials"][0].traces["host"]) == 6 * 2  # two providers have something to look at


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("SOURCES__MYMOD__SHOP__APIKEY", True),
        ("SOURCES__MYMOD__SHOP__API_KYE", True),
        ("SOURCES_MYMOD_SHOP_API_KEY", True),
        ("SOURCES__MY_MOD__SHOP__API_KEY", True),
        ("SOURCE__MYMOD__SHOP__API_KEY", True),
        ("sources__mymod__shop__api_key", True),
        ("SOURCES__MYMOD__SHOP__API_URL", False),
        ("SOURCES__OTHER__SHOP__API_KEY", False),
        ("PATH_TO_SOMETHING", False),
        ("K", False),
    ],
)
def test_the_nearest_misspelling_is_named(name, suggested, monkeypatch) -> None:
    monkeypatch.setenv(name, SECRET)
    text = str(error_of(lambda: shop(url="u")))
    assert (f"{name} is set" in text) is suggested, text
    assert SECRET not in text


@pytest.mark.parametrize(
    "toml", ["[sources.mymod.shop]\nAPI_KEY = 's'", "[sources.mymod]\napi-key = 's'", "[source.mymod]\napi_key = 's'"]
)
def test_misspelt_keys_of_files_are_named(toml, write_toml) -> None:
    write_toml("secrets.toml", toml)
    assert "in secrets.toml is set" in str(error_of(lambda: shop(url="u")))


def test_absent_files_are_named() -> None:
    assert "there is no .dlt/secrets.toml and no .dlt/config.toml" in str(error_of(shop))


def test_the_error_survives_pickling() -> None:
    error = error_of(shop)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.fields == error.fields and again.traces == error.traces


# secrets


def test_a_secret_of_a_wrong_form_is_shown_nowhere(monkeypatch) -> None:
    @configspec
    class Numbered(BaseConfiguration):
        pin: TSecretStrValue = None
        code: int = dlt_secrets.value

    monkeypatch.setenv("PIN", "1")
    monkeypatch.setenv("CODE", SECRET)
    with pytest.raises(ConfigValueCannotBeCoercedException) as raised:
        resolve_configuration(Numbered())
    shown = "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
    assert SECRET not in shown
    assert raised.value.__context__ is None and raised.value.__cause__ is None


def test_a_value_from_the_file_of_secrets_is_not_shown_either(write_toml) -> None:
    @configspec
    class Ported(BaseConfiguration):
        port: int = None

    write_toml("secrets.toml", f"port = '{SECRET}'")
    with pytest.raises(ConfigValueCannotBeCoercedException) as raised:
        resolve_configuration(Ported())
    assert SECRET not in str(raised.value)


def test_an_ordinary_value_of_a_wrong_form_is_shown(monkeypatch) -> None:
    @configspec
    class Ported(BaseConfiguration):
        port: int = None

    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(ConfigValueCannotBeCoercedException, match=r"'eighty'.*PORT.*`int`"):
        resolve_configuration(Ported())


def test_no_text_of_a_configuration_has_a_secret(monkeypatch) -> None:
    url = f"pg://user:{SECRET}@h:5/d?password={SECRET}&sslmode=require"
    for credentials in (
        Postgres("h", "u", SECRET, "d"),
        ConnectionStringCredentials(url),
        Client(Postgres(password=SECRET)),
        ConnectionStringCredentials(url).to_url(),
    ):
        assert SECRET not in f"{credentials}{credentials!r}"
    partial = error_of(lambda: resolve_configuration(Client(), explicit_value={"credentials": {"password": SECRET}}))
    assert SECRET not in f"{partial}{partial!r}{partial.attrs()!r}"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.text(alphabet=st.characters(codec="ascii", categories=["Lu", "Nd"]), min_size=12, max_size=30))
def test_no_secret_of_any_form_is_shown(secret: str) -> None:
    for value in (secret, f"x://u:{secret}@h:port/", f"{{{secret}", f"x://u:{secret}@h/d"):
        try:
            found = resolve_configuration(ConnectionStringCredentials(), explicit_value=value)
            assert secret not in f"{found}{found!r}"
        except errors.ConfigurationException as error:
            assert secret not in f"{error}{error!r}{error.attrs()!r}"


def test_every_error_of_the_room_is_one_of_ours() -> None:
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, BaseException) and cls.__module__ == errors.__name__:
            assert issubclass(cls, HeadraceException), name


# weight


def test_the_room_is_light() -> None:
    """Nothing heavy is loaded, and json and TOML readers only when they are needed."""
    code = (
        "import sys\n"
        "from headrace.config import with_config, config, resolve_configuration, ConnectionStringCredentials\n"
        "from headrace.config import known\n"
        "known.load_settings()\n"
        "heavy = {'requests', 'pydantic', 'pyarrow', 'msgspec', 'tomlkit', 'tomllib', 'numpy', 'duckdb', 'difflib',\n"
        "         'typing_extensions', 'json', 'sqlglot', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
