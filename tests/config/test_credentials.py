"""Connection strings and the credentials of clouds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import ConnectionStringCredentials, configspec, resolve_configuration
from headrace.config.cloud import (
    AwsCredentialsWithoutDefaults,
    AzureCredentialsWithoutDefaults,
    AzureServicePrincipalCredentialsWithoutDefaults,
    HfCredentials,
    OAuth2Credentials,
    SFTPCredentials,
)
from headrace.config.credentials import Url, parse_url
from headrace.config.google import GcpOAuthCredentials, GcpServiceAccountCredentials
from headrace.errors.config import ConfigFieldMissingException, InvalidNativeValue
from headrace.errors.specs import InvalidConnectionString, InvalidGoogleServicesJson

CASES = {
    "postgresql+psycopg2://us%40er:p%2Fw@host:5432/db?sslmode=require&x=1": (
        Url("postgresql+psycopg2", "us@er", "p/w", "host", 5432, "db", {"sslmode": "require", "x": "1"})
    ),
    "sqlite:///x.db": Url("sqlite", database="x.db"),
    "sqlite:////abs/x.db": Url("sqlite", database="/abs/x.db"),
    "sqlite://": Url("sqlite"),
    "mssql+pyodbc://u:p@h/db?driver=ODBC+Driver+17": Url(
        "mssql+pyodbc", "u", "p", "h", None, "db", {"driver": "ODBC Driver 17"}
    ),
    "postgres://h": Url("postgres", host="h"),
    "pg://u:p:q@h/x": Url("pg", "u", "p:q", "h", None, "x"),
    "a://[::1]:5/x": Url("a", host="::1", port=5, database="x"),
    "snowflake://u:p@acc/db/schema?warehouse=w": Url(
        "snowflake", "u", "p", "acc", None, "db/schema", {"warehouse": "w"}
    ),
    "mysql://h?a=1&a=2": Url("mysql", host="h", query={"a": ("1", "2")}),
    "duckdb:///:memory:": Url("duckdb", database=":memory:"),
}


UNESCAPED = ["x://u:pass@wo@h/db", "x://u:pass@wo/rd@h/db"]
"""Passwords whose ends would be taken for the host, and told in errors."""


@pytest.mark.parametrize("text", CASES)
def test_connection_strings_are_taken_apart_and_put_together(text: str) -> None:
    assert parse_url(text) == CASES[text]
    assert parse_url(CASES[text].render(hide_password=False)) == CASES[text]


@pytest.mark.parametrize("text", ["zzz", "mysql://u:p@h:notport/x", "://x", "", "host:5432/db", *UNESCAPED])
def test_other_text_is_no_connection_string(text: str) -> None:
    with pytest.raises(InvalidConnectionString):
        ConnectionStringCredentials(text)
    with pytest.raises(InvalidNativeValue):
        resolve_configuration(ConnectionStringCredentials(), explicit_value=text)


@given(
    st.text(min_size=1, max_size=20),
    st.text(max_size=20),
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
    st.integers(0, 65535),
    st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(min_size=1, max_size=10), max_size=3),
)
def test_any_user_password_and_option_survives(user: str, password: str, host: str, port: int, query: dict) -> None:
    url = Url("x", user, password, host, port, "db", query)
    assert parse_url(url.render(hide_password=False)) == url


def test_the_text_of_a_url_has_no_password() -> None:
    credentials = ConnectionStringCredentials("pg://u:hunter2@h:1/d?token=hunter2&sslmode=require")
    assert str(credentials) == "pg://u:***@h:1/d"
    assert str(credentials.to_url()) == "pg://u:***@h:1/d?token=***&sslmode=require"
    assert credentials.to_native_representation() == "pg://u:hunter2@h:1/d?token=hunter2&sslmode=require"
    assert credentials.data_location() == "pg://h:1/d"


def test_subclasses_may_require_more_and_have_defaults(monkeypatch) -> None:
    @configspec
    class Pg(ConnectionStringCredentials):
        drivername: str = "postgres"
        username: str = None
        host: str = None
        port: int = 5432
        connect_timeout: int = 15

    given = Pg("postgres://u@h/d?connect_timeout=3")
    assert (given.port, given.connect_timeout, given.is_resolved()) == (5432, 15, False)
    monkeypatch.setenv("CREDENTIALS", "postgres://u:p@h/d")
    monkeypatch.setenv("CREDENTIALS__CONNECT_TIMEOUT", "9")
    found = resolve_configuration(Pg())
    assert (found.username, found.password, found.port, found.connect_timeout) == ("u", "p", 5432, 9)
    monkeypatch.setenv("CREDENTIALS", "postgres://h/d")
    with pytest.raises(ConfigFieldMissingException) as raised:
        resolve_configuration(Pg())
    assert raised.value.fields == ["username"]


def test_aws_keys_in_the_forms_of_their_users() -> None:
    aws = AwsCredentialsWithoutDefaults("k", "s", region_name="r", endpoint_url="https://x")
    assert aws.to_s3fs_credentials() == {
        "key": "k",
        "secret": "s",
        "token": None,
        "profile": None,
        "endpoint_url": "https://x",
        "client_kwargs": {"region_name": "r"},
        "config_kwargs": {
            "response_checksum_validation": "when_required",
            "request_checksum_calculation": "when_required",
        },
    }
    assert aws.to_object_store_rs_credentials() == {
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
        "region": "r",
        "endpoint_url": "https://x",
    }
    assert "'s'" not in f"{aws}{aws!r}"


def test_azure_sftp_and_hugging_face_in_the_forms_of_their_users() -> None:
    assert AzureCredentialsWithoutDefaults("n", "h", "key", "sas").to_adlfs_credentials() == {
        "account_name": "n",
        "account_key": "key",
        "sas_token": "sas",
        "account_host": "h",
    }
    assert AzureServicePrincipalCredentialsWithoutDefaults("n", "h", "t", "c", "s").to_adlfs_credentials() == {
        "account_name": "n",
        "account_host": "h",
        "tenant_id": "t",
        "client_id": "c",
        "client_secret": "s",
    }
    sftp = SFTPCredentials(sftp_username="u", sftp_password="p").to_fsspec_credentials()
    assert (sftp["username"], sftp["password"], sftp["port"], sftp["passphrase"]) == ("u", "p", 22, None)
    assert HfCredentials("t", "e").to_hffs_credentials() == {"token": "t", "endpoint": "e"}
    assert resolve_configuration(SFTPCredentials()).sftp_port == 22


def test_google_key_files_are_read() -> None:
    text = (
        '{"type":"service_account","project_id":"p","private_key":"-----K\\\\nX-----",'
        '"client_email":"e","client_id":"1"}'
    )
    google = resolve_configuration(GcpServiceAccountCredentials(), explicit_value=text)
    assert (google.project_id, google.private_key, str(google)) == ("p", "-----K\nX-----\n", "e@p")
    assert google.to_gcs_credentials()["project"] == "p"
    with pytest.raises(InvalidGoogleServicesJson):
        GcpServiceAccountCredentials().parse_native_representation("abc")
    oauth = GcpOAuthCredentials()
    oauth.parse_native_representation(
        '{"installed":{"client_id":"c","client_secret":"s","refresh_token":"r","project_id":"p"}}'
    )
    assert resolve_configuration(oauth).refresh_token == "r"


def test_scopes_are_added_once() -> None:
    oauth = OAuth2Credentials("id", "s", scopes=["a"])
    oauth.add_scopes(["b", "a"])
    oauth.add_scopes("c")
    assert oauth.scopes == ["a", "b", "c"]
