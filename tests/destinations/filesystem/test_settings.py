"""Urls, credentials, drivers, and what errors say."""

from __future__ import annotations

import builtins
import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration, protocol_of
from headrace.destinations.impl.filesystem.errors import translate
from headrace.errors import MissingDependencyException
from headrace.errors.outcome import (
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
)
from headrace.load.destination import PipelineFacts
from headrace.model.schema import Schema

pytestmark = pytest.mark.destination("filesystem-local")


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("data", "file"),
        ("/data", "file"),
        ("C:\\data", "file"),
        ("file:///data", "file"),
        ("s3://b/x", "s3"),
        ("gcs://b", "gs"),
        ("abfss://c@a.dfs.core.windows.net/x", "az"),
        ("sftp://u@h/x", "sftp"),
        ("memory://x", "memory"),
    ],
)
def test_protocol(url: str, protocol: str) -> None:
    assert protocol_of(url) == protocol


@pytest.mark.parametrize(
    ("url", "location", "fingerprint"),
    [
        # made by dlt 1.31
        ("s3://bucket/a/b", "s3://bucket", "jCaES6tOke814ddc41sz"),
        ("file:///tmp/x", "/tmp/x", "5FASvsDboh/BHqe1m5fJ"),
        ("az://cont/x", "az://cont", "HLYv8O57ZL4SPxw8Lh5k"),
        ("abfss://c@acc.dfs.core.windows.net/x", "abfss://c@acc.dfs.core.windows.net", "JtBt2X7SCpE3UXKYMT0X"),
        ("sftp://u@h:22/p", "sftp://u@h:22", "14qUzcORaZV38Ed9EE2G"),
        ("gs://b", "gs://b", "AqlNCxyYsjhky1WJmW6z"),
    ],
)
def test_fingerprint(url: str, location: str, fingerprint: str) -> None:
    settings = FilesystemConfiguration(bucket_url=url)
    assert (settings.data_location(), settings.fingerprint()) == (location, fingerprint)


def test_password_in_the_url_is_not_shown() -> None:
    settings = FilesystemConfiguration(bucket_url="sftp://me:hidden@host/x")
    assert str(settings) == "sftp://me@host/x"
    assert "hidden" not in settings.data_location()


def test_relative_paths_are_the_pipelines(tmp_path: Path) -> None:
    facts = PipelineFacts(pipeline_name="p", working_dir="w", local_dir=str(tmp_path))
    assert FilesystemConfiguration(bucket_url="a/b").local_path(facts) == str(tmp_path / "a/b")
    assert FilesystemConfiguration(bucket_url="file:///a%20b").local_path(facts) == "/a b"


@pytest.mark.parametrize(
    ("url", "credentials", "arguments"),
    [
        (
            "s3://b",
            {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "r"},
            {"key": "k", "secret": "s", "client_kwargs": {"region_name": "r"}},
        ),
        (
            "az://b",
            {"azure_storage_account_name": "a", "azure_storage_sas_token": "t"},
            {"account_name": "a", "sas_token": "t"},
        ),
        (
            "az://b",
            {
                "azure_storage_account_name": "a",
                "azure_tenant_id": "t",
                "azure_client_id": "c",
                "azure_client_secret": "s",
            },
            {"account_name": "a", "tenant_id": "t", "client_id": "c", "client_secret": "s"},
        ),
        ("az://b", "AccountName=a;AccountKey=k;", {"connection_string": "AccountName=a;AccountKey=k;"}),
        ("sftp://h/x", {"sftp_username": "u", "sftp_password": "p"}, {"username": "u", "password": "p", "port": 22}),
        (
            "gs://b",
            {"project_id": "p", "client_email": "e", "private_key": "k"},
            {"project": "p"},
        ),
        (
            "gs://b",
            {"project_id": "p", "client_id": "c", "client_secret": "s", "refresh_token": "r"},
            {"project": "p"},
        ),
    ],
)
def test_credentials_by_place(url: str, credentials: Any, arguments: dict[str, Any]) -> None:
    from headrace.destinations.impl.filesystem.store import _from_credentials

    found = _from_credentials(headrace.destinations.filesystem(url, credentials=credentials).configuration())
    assert {name: found[name] for name in arguments} == arguments


def test_named_destination_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__LAKE__DESTINATION_TYPE", "filesystem")
    monkeypatch.setenv("DESTINATION__LAKE__BUCKET_URL", "s3://b/x")
    monkeypatch.setenv("DESTINATION__LAKE__CREDENTIALS__AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("DESTINATION__LAKE__CREDENTIALS__AWS_SECRET_ACCESS_KEY", "hidden-key")
    p = headrace.pipeline("p", destination="lake")
    destination: Any = p.destination
    assert destination.destination_description == "lake (filesystem)"
    settings = destination.configuration()
    assert settings.credentials.aws_secret_access_key == "hidden-key"
    destination.open("d", Schema("s"))
    assert destination.describe_location() == "s3://b/x"
    assert "hidden-key" not in f"{settings} {destination!r} {settings.credentials}"


def test_no_driver_is_loaded_before_it_is_used() -> None:
    make = "headrace.destinations.filesystem('s3://b').capabilities()"
    code = f"import sys, headrace; {make}; print('fsspec' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [
        ("fsspec", "data", "filesystem"),
        ("s3fs", "s3://b", "s3"),
        ("gcsfs", "gs://b", "gs"),
        ("adlfs", "az://b", "az"),
        ("sshfs", "sftp://h/x", "sftp"),
    ],
)
def test_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch, module: str, url: str, extra: str) -> None:
    real = builtins.__import__
    barred = (module, "paramiko")

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in barred:
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    for name in list(sys.modules):
        if name.partition(".")[0] in barred or name == "fsspec.implementations.sftp":
            monkeypatch.delitem(sys.modules, name)
    for name in barred:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(builtins, "__import__", refuse)
    logins = {
        "s3": {"aws_access_key_id": "k", "aws_secret_access_key": "s"},
        "az": "AccountName=a;AccountKey=k;",
        "sftp": {},
    }
    given = {"kwargs": {"token": "anon"}} if extra == "gs" else {"credentials": logins.get(extra)}
    client = headrace.destinations.filesystem(url, **given).open("d", Schema("s"))
    with pytest.raises(MissingDependencyException) as caught:
        client.has_dataset()
    assert f'pip install "headrace[{extra}]"' in str(caught.value)


class ClientError(Exception):
    """Like botocore's."""

    def __init__(self, status: int) -> None:
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


class HttpResponseError(Exception):
    """Like azure.core's."""

    def __init__(self, status: int) -> None:
        self.status_code = status


class HttpError(Exception):
    """Like gcsfs's."""

    def __init__(self, code: int) -> None:
        self.code = code


class NoCredentialsError(Exception):
    """Like botocore's."""


class ConnectionLost(Exception):
    """Like asyncssh's."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "full"), DestinationTransientException),
        (OSError(errno.EIO, "disk"), DestinationTransientException),
        (OSError(errno.EROFS, "read-only"), DestinationTerminalException),
        (PermissionError(errno.EACCES, "no"), DestinationTerminalException),
        (PermissionError("Access Denied"), DestinationTerminalException),
        (FileNotFoundError("The specified bucket does not exist"), DestinationUndefinedEntity),
        (ConnectionResetError(errno.ECONNRESET, "cut"), DestinationTransientException),
        (TimeoutError("slow"), DestinationTransientException),
        (ClientError(403), DestinationTerminalException),
        (ClientError(503), DestinationTransientException),
        (HttpResponseError(400), DestinationTerminalException),
        (HttpResponseError(429), DestinationTransientException),
        (HttpError(412), DestinationTerminalException),
        (HttpError(500), DestinationTransientException),
        (NoCredentialsError(), DestinationTerminalException),
        (ConnectionLost(), DestinationTransientException),
        (RuntimeError("unknown"), DestinationTransientException),
    ],
)
def test_errors_by_kind(error: Exception, kind: type[Exception]) -> None:
    made = translate(error, "writing a file of table `t`", "s3://b")
    assert type(made) is kind
    assert "table `t`" in str(made) and type(error).__name__ in str(made)
