"""Credentials of AWS, Azure, SFTP servers, Hugging Face, and OAuth clients.

The classes without ``WithoutDefaults`` take the machine's own login (a role, a profile, a command line login) when
nothing is configured; the library that finds it is loaded only then.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Union

from headrace.base.lazy import need
from headrace.config.hints import NotResolved, TSecretStrValue
from headrace.config.spec import CredentialsConfiguration, CredentialsWithDefault, configspec
from headrace.errors.specs import InvalidBoto3Session


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


@configspec
class AwsCredentialsWithoutDefaults(CredentialsConfiguration):
    """Keys of AWS, or of a service that speaks S3."""

    aws_access_key_id: str = None  # type: ignore[assignment]
    aws_secret_access_key: TSecretStrValue = None  # type: ignore[assignment]
    aws_session_token: TSecretStrValue | None = None
    profile_name: str | None = None
    region_name: str | None = None
    endpoint_url: str | None = None
    s3_url_style: str | None = None
    aws_sts_token_expiration_hours: float = 24.0

    def to_s3fs_credentials(self) -> dict[str, Any]:
        """Arguments of s3fs."""
        arguments: dict[str, Any] = {
            "key": self.aws_access_key_id,
            "secret": self.aws_secret_access_key,
            "token": self.aws_session_token,
            "profile": self.profile_name,
            "endpoint_url": self.endpoint_url,
        }
        if self.region_name:
            arguments["client_kwargs"] = {"region_name": self.region_name}
        if self.endpoint_url:
            # other services than AWS do not know the checksums that newer clients send
            arguments["config_kwargs"] = {
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            }
        return arguments

    def to_object_store_rs_credentials(self) -> dict[str, str]:
        """Options of the Rust object store, that of Delta tables."""
        values = _present({**self.to_session_credentials(), "region": self.region_name})
        if self.endpoint_url:
            values["endpoint_url"] = self.endpoint_url
            if self.endpoint_url.startswith("http://"):
                values["aws_allow_http"] = "true"
        return values

    def to_pyiceberg_fileio_config(self) -> dict[str, Any]:
        """Options of pyiceberg's file access."""
        return {
            "s3.access-key-id": self.aws_access_key_id,
            "s3.secret-access-key": self.aws_secret_access_key,
            "s3.session-token": self.aws_session_token,
            "s3.region": self.region_name,
            "s3.endpoint": self.endpoint_url,
            "s3.connect-timeout": 300,
        }

    def to_session_credentials(self) -> dict[str, Any]:
        """Arguments of a session of boto3."""
        return {
            "aws_access_key_id": self.aws_access_key_id,
            "aws_secret_access_key": self.aws_secret_access_key,
            "aws_session_token": self.aws_session_token,
        }

    def to_native_representation(self) -> dict[str, Any]:
        """The keys as a mapping."""
        return {**self.to_session_credentials(), "region_name": self.region_name}

    def __str__(self) -> str:
        where = f" in {self.region_name}" if self.region_name else ""
        return f"AWS access key {self.aws_access_key_id or '?'}{where}"


@configspec
class AwsCredentials(AwsCredentialsWithoutDefaults, CredentialsWithDefault):
    """Keys of AWS, or the login that botocore finds on the machine."""

    def on_partial(self) -> None:
        """Take the machine's login."""
        botocore = need("botocore.session", "AWS credentials of this machine", "s3")
        session = botocore.get_session()
        if self.profile_name:
            session.set_config_variable("profile", self.profile_name)
        if self._from_session(session):
            self.resolve()

    def _from_session(self, session: Any) -> bool:
        found = session.get_credentials()
        if found is None:
            return False
        self._set_default_credentials(session)
        frozen = found.get_frozen_credentials()
        self.aws_access_key_id = frozen.access_key
        self.aws_secret_access_key = frozen.secret_key
        self.aws_session_token = frozen.token
        region = session.get_config_variable("region") if hasattr(session, "get_config_variable") else None
        self.region_name = self.region_name or region or getattr(session, "region_name", None)
        return True

    def parse_native_representation(self, native_value: Any) -> None:
        """Take a session of boto3 or botocore, or JSON."""
        if hasattr(native_value, "get_credentials"):
            if not self._from_session(native_value):
                raise InvalidBoto3Session(type(self), native_value)
            self.resolve()
        elif isinstance(native_value, (str, bytes)):
            super().parse_native_representation(native_value)
        else:
            raise InvalidBoto3Session(type(self), native_value)

    @classmethod
    def from_session(cls, botocore_session: Any) -> AwsCredentials:
        """Make credentials from a session."""
        self = cls()
        self.parse_native_representation(botocore_session)
        return self


@configspec
class AzureCredentialsBase(CredentialsConfiguration):
    """What all Azure storage credentials have."""

    azure_storage_account_name: str = None  # type: ignore[assignment]
    azure_account_host: str | None = None

    @abstractmethod
    def to_adlfs_credentials(self) -> dict[str, Any]:
        """Arguments of adlfs."""

    def to_object_store_rs_credentials(self) -> dict[str, str]:
        """Options of the Rust object store, that of Delta tables."""
        return {k: str(v) for k, v in _present(self.to_adlfs_credentials()).items() if not isinstance(v, bool)}

    def __str__(self) -> str:
        return f"Azure storage account {self.azure_storage_account_name or '?'}"


@configspec
class AzureCredentialsWithoutDefaults(AzureCredentialsBase):
    """A storage account's key or its signature for shared access (SAS)."""

    azure_storage_account_key: TSecretStrValue | None = None
    azure_storage_sas_token: TSecretStrValue = None  # type: ignore[assignment]
    azure_sas_token_permissions: str = "racwdl"
    azure_sas_token_expiration_hours: float = 24.0

    def to_adlfs_credentials(self) -> dict[str, Any]:
        """Arguments of adlfs."""
        return {
            "account_name": self.azure_storage_account_name,
            "account_key": self.azure_storage_account_key,
            "sas_token": self.azure_storage_sas_token,
            "account_host": self.azure_account_host,
        }

    def to_pyiceberg_fileio_config(self) -> dict[str, Any]:
        """Options of pyiceberg's file access."""
        return {
            "adlfs.account-name": self.azure_storage_account_name,
            "adlfs.account-key": self.azure_storage_account_key,
            "adlfs.sas-token": self.azure_storage_sas_token,
        }

    def create_sas_token(self) -> None:
        """Make a signature from the account's key."""
        import datetime as dt

        blob = need("azure.storage.blob", "a SAS token of Azure", "az")
        until = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=self.azure_sas_token_expiration_hours)
        self.azure_storage_sas_token = blob.generate_account_sas(
            account_name=self.azure_storage_account_name,
            account_key=self.azure_storage_account_key,
            resource_types=blob.ResourceTypes(container=True, object=True),
            permission=blob.AccountSasPermissions.from_string(self.azure_sas_token_permissions),
            expiry=until,
        )

    def on_partial(self) -> None:
        """A key is as good as a signature."""
        if self.azure_storage_account_name and self.azure_storage_account_key and not self.azure_storage_sas_token:
            self.create_sas_token()
        if self.azure_storage_account_name and self.azure_storage_sas_token:
            self.resolve()


@configspec
class AzureServicePrincipalCredentialsWithoutDefaults(AzureCredentialsBase):
    """A service principal of Azure."""

    azure_tenant_id: str = None  # type: ignore[assignment]
    azure_client_id: str = None  # type: ignore[assignment]
    azure_client_secret: TSecretStrValue = None  # type: ignore[assignment]

    def to_adlfs_credentials(self) -> dict[str, Any]:
        """Arguments of adlfs."""
        return {
            "account_name": self.azure_storage_account_name,
            "account_host": self.azure_account_host,
            "tenant_id": self.azure_tenant_id,
            "client_id": self.azure_client_id,
            "client_secret": self.azure_client_secret,
        }

    def to_pyiceberg_fileio_config(self) -> dict[str, Any]:
        """Options of pyiceberg's file access."""
        return {
            "adlfs.account-name": self.azure_storage_account_name,
            "adlfs.tenant-id": self.azure_tenant_id,
            "adlfs.client-id": self.azure_client_id,
            "adlfs.client-secret": self.azure_client_secret,
        }


class _AzureDefaults(CredentialsWithDefault):
    """The login that azure-identity finds on the machine; the account must be named."""

    azure_storage_account_name: str

    def _take_default(self) -> bool:
        if not self.azure_storage_account_name:
            return False
        identity = need("azure.identity", "Azure credentials of this machine", "az")
        self._set_default_credentials(identity.DefaultAzureCredential())
        return True


@configspec
class AzureCredentials(AzureCredentialsWithoutDefaults, _AzureDefaults):
    """A storage account's key or signature, or the machine's login."""

    def on_partial(self) -> None:
        """Take the machine's login."""
        if not self.is_resolved() and not self.azure_storage_account_key and self._take_default():
            self.resolve()

    def to_adlfs_credentials(self) -> dict[str, Any]:
        """Arguments of adlfs."""
        arguments = super().to_adlfs_credentials()
        return {**arguments, "anon": False} if self.has_default_credentials() else arguments


@configspec
class AzureServicePrincipalCredentials(AzureServicePrincipalCredentialsWithoutDefaults, _AzureDefaults):
    """A service principal, or the machine's login."""

    def on_partial(self) -> None:
        """Take the machine's login."""
        if self._take_default():
            self.resolve()

    def to_adlfs_credentials(self) -> dict[str, Any]:
        """Arguments of adlfs."""
        arguments = super().to_adlfs_credentials()
        return {**arguments, "anon": False} if self.has_default_credentials() else arguments


AnyAzureCredentials = Union[  # noqa: UP007  read at run time by users
    AzureCredentialsWithoutDefaults,
    AzureServicePrincipalCredentialsWithoutDefaults,
    AzureCredentials,
    AzureServicePrincipalCredentials,
]


@configspec
class OAuth2Credentials(CredentialsConfiguration):
    """An OAuth 2 client; subclasses know how to log in."""

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    refresh_token: TSecretStrValue | None = None
    scopes: list[str] | None = None
    token: TSecretStrValue | None = None
    """The access token."""

    def auth(self, scopes: str | list[str] | None = None, redirect_url: str | None = None) -> None:
        """Get an access token.

        Args:
            scopes: Permissions to ask for, besides `scopes`.
            redirect_url: Where the login page returns to.
        """
        raise NotImplementedError(f"{type(self).__name__} does not know how to log in")

    def add_scopes(self, scopes: str | list[str]) -> None:
        """Ask for more permissions."""
        more = [scopes] if isinstance(scopes, str) else list(scopes)
        self.scopes = list(dict.fromkeys([*(self.scopes or []), *more]))

    def __str__(self) -> str:
        return f"OAuth client {self.client_id or '?'}"


@configspec
class SFTPCredentials(CredentialsConfiguration):
    """Login of an SFTP server; the fields are arguments of paramiko's ``connect``. Timeouts are in seconds."""

    sftp_port: int | None = 22
    sftp_username: str | None = None
    sftp_password: TSecretStrValue | None = None
    sftp_pkey: Annotated[Any | None, NotResolved()] = None
    sftp_key_filename: str | None = None
    sftp_key_passphrase: TSecretStrValue | None = None
    sftp_timeout: float | None = None
    sftp_banner_timeout: float | None = None
    sftp_auth_timeout: float | None = None
    sftp_channel_timeout: float | None = None
    sftp_allow_agent: bool | None = True
    sftp_look_for_keys: bool | None = True
    sftp_compress: bool | None = False
    sftp_sock: Annotated[Any | None, NotResolved()] = None
    sftp_gss_auth: bool | None = False
    sftp_gss_kex: bool | None = False
    sftp_gss_deleg_creds: bool | None = True
    sftp_gss_host: str | None = None
    sftp_gss_trust_dns: bool | None = True
    sftp_disabled_algorithms: Annotated[Any | None, NotResolved()] = None
    sftp_transport_factory: Annotated[Any | None, NotResolved()] = None
    sftp_auth_strategy: Annotated[Any | None, NotResolved()] = None

    def to_fsspec_credentials(self) -> dict[str, Any]:
        """Arguments of fsspec's SFTP file system."""
        arguments = {name.removeprefix("sftp_"): value for name, value in self.items()}
        arguments["passphrase"] = arguments.pop("key_passphrase")
        return arguments

    def __str__(self) -> str:
        return f"SFTP user {self.sftp_username or '?'}"


@configspec
class HfCredentials(CredentialsConfiguration):
    """Login of Hugging Face."""

    hf_token: TSecretStrValue | None = None
    hf_endpoint: str | None = None

    def to_hffs_credentials(self) -> dict[str, Any]:
        """Arguments of huggingface_hub's file system."""
        return {"token": self.hf_token, "endpoint": self.hf_endpoint}

    def to_hf_api_credentials(self) -> dict[str, Any]:
        """Arguments of huggingface_hub's client."""
        return self.to_hffs_credentials()
