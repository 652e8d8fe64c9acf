"""Settings of the filesystem destination: where, as whom, and how files are called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Optional, Union
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from headrace.base.strings import digest128
from headrace.config.cloud import (
    AwsCredentials,
    AzureCredentials,
    AzureCredentialsBase,
    AzureCredentialsWithoutDefaults,
    AzureServicePrincipalCredentialsWithoutDefaults,
    HfCredentials,
    SFTPCredentials,
)
from headrace.config.google import (
    GcpOAuthCredentialsWithoutDefaults,
    GcpServiceAccountCredentials,
    GcpServiceAccountCredentialsWithoutDefaults,
)
from headrace.config.hints import TSecretStrValue
from headrace.config.known import StagingConfiguration
from headrace.config.spec import CredentialsConfiguration, configspec, resolve_type
from headrace.errors.config import ConfigurationValueError
from headrace.load.destination import PipelineFacts
from headrace.model.location import Location, location_of_url

_PROTOCOLS = {"abfs": "az", "abfss": "az", "adl": "az", "azure": "az", "gcs": "gs", "s3a": "s3", "ssh": "sftp"}


@configspec
class AzureConnectionStringCredentials(AzureCredentialsBase):
    """A connection string of Azure storage, as the portal shows it."""

    azure_storage_account_name: Optional[str] = None  # type: ignore[assignment]  # noqa: UP045
    azure_storage_connection_string: TSecretStrValue = None  # type: ignore[assignment]

    def parse_native_representation(self, native_value: Any) -> None:
        """Take the string."""
        if not isinstance(native_value, str) or "AccountName=" not in native_value:
            raise ValueError("not a connection string of Azure storage")
        self.azure_storage_connection_string = native_value
        self._take_name()
        self.resolve()

    def on_resolved(self) -> None:
        """Find the account's name."""
        self._take_name()

    def _take_name(self) -> None:
        parts = dict(p.split("=", 1) for p in self.azure_storage_connection_string.split(";") if "=" in p)
        self.azure_storage_account_name = self.azure_storage_account_name or parts.get("AccountName")

    def to_adlfs_credentials(self) -> dict[str, Any]:
        """Arguments of adlfs."""
        return {"connection_string": self.azure_storage_connection_string}

    def to_object_store_rs_credentials(self) -> dict[str, str]:
        """Options of the Rust object store, that of Delta tables."""
        parts = dict(p.split("=", 1) for p in self.azure_storage_connection_string.split(";") if "=" in p)
        found = {"account_name": parts.get("AccountName", ""), "account_key": parts.get("AccountKey", "")}
        found["sas_token"] = parts.get("SharedAccessSignature", "")
        if endpoint := parts.get("BlobEndpoint"):
            found["azure_storage_endpoint"] = endpoint.rstrip("/")
            found["allow_http"] = "true" if endpoint.startswith("http://") else ""
        return {name: value for name, value in found.items() if value}


# the machine's own login comes last: it would fit whatever is configured
_GOOGLE = Union[  # noqa: UP007
    GcpServiceAccountCredentialsWithoutDefaults, GcpOAuthCredentialsWithoutDefaults, GcpServiceAccountCredentials
]
_AZURE = Union[  # noqa: UP007
    AzureConnectionStringCredentials,
    AzureCredentialsWithoutDefaults,
    AzureServicePrincipalCredentialsWithoutDefaults,
    AzureCredentials,
]
_CREDENTIALS: dict[str, Any] = {
    "s3": AwsCredentials,
    "gs": _GOOGLE,
    "gdrive": _GOOGLE,
    "az": _AZURE,
    "sftp": SFTPCredentials,
    "hf": HfCredentials,
}
# arguments of fsspec file systems that are a login of their own
_LOGINS = {"anon", "token", "key", "session", "credential", "connection_string", "account_key", "sas_token"}


def protocol_of(url: str) -> str:
    """The kind of place that a url names: ``file``, ``s3``, ``gs``, ``az``, ``sftp``, ``memory`` or another one."""
    scheme = urlsplit(url).scheme if "://" in url else ("file" if url.startswith("file:") else "")
    if not scheme or len(scheme) == 1:  # a path; or a drive of Windows
        return "file"
    return _PROTOCOLS.get(scheme.lower(), scheme.lower())


@configspec
class FilesystemConfiguration(StagingConfiguration):
    """Settings of the filesystem destination.

    Attributes:
        bucket_url: Where the datasets' folders are: a path (relative ones refer to the pipeline's local folder),
            ``file:///path``, ``s3://bucket/path``, ``gs://…``, ``az://container/path``,
            ``abfss://container@account.dfs.core.windows.net/path``, ``sftp://user@host:port/path``, ``memory://path``.
        credentials: Of the kind that the place takes; none for local files.
        layout: How files are called within a dataset's folder.
        extra_placeholders: Further placeholders of the layout: values, or functions.
        current_datetime: What placeholders of time show; the load package's instant by default.
        max_state_files: How many states of a pipeline are kept; 0 keeps all.
        always_refresh_views: Look for new files before every query of a session.
        kwargs: Arguments of the fsspec file system.
        client_kwargs: Arguments of its client.
        config_kwargs: Settings of its client (botocore).
        deltalake_storage_options: For the library of Delta tables, instead of what follows from the credentials.
        deltalake_configuration: Properties of new Delta tables.
        deltalake_streamed_exec: For the sake of dlt's signature: merges are always streamed.
        iceberg_table_properties: Properties of new Iceberg tables.
        iceberg_namespace_properties: Properties of the dataset in Iceberg's catalog.
        iceberg_use_catalog_purge: Let the catalog delete the files of dropped Iceberg tables.
    """

    credentials: Optional[CredentialsConfiguration] = None  # noqa: UP045
    extra_placeholders: Optional[dict[str, Any]] = None  # noqa: UP045
    current_datetime: Optional[Any] = None  # noqa: UP045
    max_state_files: int = 100
    always_refresh_views: bool = False
    kwargs: Optional[dict[str, Any]] = None  # noqa: UP045
    client_kwargs: Optional[dict[str, Any]] = None  # noqa: UP045
    config_kwargs: Optional[dict[str, Any]] = None  # noqa: UP045
    deltalake_storage_options: Optional[dict[str, Any]] = None  # noqa: UP045
    deltalake_configuration: Optional[dict[str, Any]] = None  # noqa: UP045
    deltalake_streamed_exec: bool = True
    iceberg_table_properties: Optional[dict[str, Any]] = None  # noqa: UP045
    iceberg_namespace_properties: Optional[dict[str, Any]] = None  # noqa: UP045
    iceberg_use_catalog_purge: bool = False

    PROTOCOLS_WITH_CREDENTIALS: ClassVar[tuple[str, ...]] = tuple(_CREDENTIALS)

    @resolve_type("credentials")
    def resolve_credentials_type(self) -> Any:
        """The classes of credentials that the place takes."""
        kind = _CREDENTIALS.get(self.protocol, CredentialsConfiguration)
        if kind is CredentialsConfiguration or not _LOGINS.isdisjoint(self.kwargs or ()):
            return Optional[kind]  # noqa: UP045
        return kind

    @property
    def protocol(self) -> str:
        """The kind of place: see `protocol_of`."""
        return protocol_of(self.bucket_url or "")

    @property
    def is_local(self) -> bool:
        """Whether the files are on a disk of this machine."""
        return self.protocol == "file"

    def local_path(self, pipeline: PipelineFacts | None = None) -> str:
        """The folder, for local files; relative paths refer to the pipeline's local folder."""
        text = self.bucket_url
        if text.startswith("file:"):
            parts = urlsplit(text)
            text = unquote(f"//{parts.netloc}{parts.path}" if parts.netloc not in ("", "localhost") else parts.path)
            if os.name == "nt":  # file:///C:/x
                text = text.lstrip("/")
        base = Path(pipeline.local_dir if pipeline is not None else "")
        return str((base / Path(text).expanduser()).absolute())

    def data_location(self) -> str:
        """The bucket without the path in it, or the local path; the base of the fingerprint, as in dlt."""
        if not self.bucket_url:
            return ""
        if self.is_local:
            return self.local_path()
        parts = urlsplit(self.bucket_url)
        return f"{parts.scheme}://{_without_password(parts.netloc)}"

    def fingerprint(self) -> str:
        """A hash of the bucket; one for all local paths, as in dlt."""
        location = self.data_location()
        return digest128("file://" if self.is_local else location) if location else ""

    def display_url(self) -> str:
        """`bucket_url` without a password."""
        parts = urlsplit(self.bucket_url)
        if self.is_local or not parts.netloc:
            return self.bucket_url
        return urlunsplit(parts._replace(netloc=_without_password(parts.netloc), query="", fragment=""))

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None, table_path: str = "") -> Location:
        """Where the files of a dataset are, in parts.

        Args:
            dataset_name: Its folder.
            pipeline: Whose local folder relative paths refer to.
            table_path: The folder of a table in it, with placeholders.
        """
        inner: dict[str, Any] = {"schema": dataset_name, "table_path": table_path}
        if self.is_local:
            root = self.local_path(pipeline)
            if root.startswith("//"):  # file://host/share
                host, _, path = root[2:].partition("/")
                return Location(scheme="file", host=host, path=f"/{path}/{dataset_name}", **inner)
            return Location(scheme="file", path=f"{root.rstrip('/')}/{dataset_name}", **inner)
        found = location_of_url(self.bucket_url)
        credentials: Any = self.credentials
        account = found.account or str(getattr(credentials, "azure_storage_account_name", None) or "")
        if self.protocol == "memory":
            inner.update(private=True, owner=pipeline.pipeline_name if pipeline else "")
        port = found.port or (getattr(credentials, "sftp_port", None) if self.protocol == "sftp" else None)
        path = f"{found.path.rstrip('/')}/{dataset_name}"
        return msgspec.structs.replace(found, path=path, account=account, port=port, **inner)

    def on_resolved(self) -> None:
        """Check the layout."""
        from headrace.destinations.impl.filesystem.layout import Layout

        if not self.bucket_url:
            raise ConfigurationValueError("`bucket_url` of the filesystem destination is empty")
        Layout(self.layout, self.extra_placeholders, self.current_datetime)

    def __str__(self) -> str:
        return self.display_url() if self.bucket_url else ""


def _without_password(netloc: str) -> str:
    user, at, host = netloc.rpartition("@")
    return f"{user.partition(':')[0]}{at}{host}"


__all__ = ["AzureConnectionStringCredentials", "FilesystemConfiguration", "protocol_of"]
