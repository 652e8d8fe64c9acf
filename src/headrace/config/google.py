"""Credentials of Google: service accounts and OAuth clients, and the machine's own login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from headrace.base.lazy import need
from headrace.config.cloud import OAuth2Credentials
from headrace.config.coerce import json_object
from headrace.config.hints import TSecretStrValue
from headrace.config.spec import CredentialsConfiguration, CredentialsWithDefault, configspec
from headrace.errors.specs import (
    InvalidGoogleNativeCredentialsType,
    InvalidGoogleOauth2Json,
    InvalidGoogleServicesJson,
    OAuth2ScopesRequired,
    UnsupportedAuthenticationMethodException,
)

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@configspec
class GcpCredentials(CredentialsConfiguration):
    """What all Google credentials have."""

    token_uri: Final[str] = "https://oauth2.googleapis.com/token"
    auth_uri: Final[str] = "https://accounts.google.com/o/oauth2/auth"
    project_id: str = None  # type: ignore[assignment]

    def to_gcs_credentials(self) -> dict[str, Any]:
        """Arguments of gcsfs."""
        return {"project": self.project_id, "token": dict(self)}

    def to_native_representation(self) -> str:
        """The JSON text of a key file, secrets included."""
        import json

        return json.dumps({k: v for k, v in self.items() if isinstance(v, (str, int, float, list, type(None)))})

    def to_native_credentials(self) -> Any:
        """An object of google-auth."""
        raise NotImplementedError


class _GoogleDefaults(CredentialsWithDefault):
    """The login that google-auth finds on the machine."""

    project_id: str

    def _take_default(self) -> bool:
        auth = need("google.auth", "Google credentials of this machine", "gcp")
        try:
            found, project = auth.default(scopes=[_SCOPE])
        except auth.exceptions.DefaultCredentialsError:
            return False
        self._set_default_credentials(found)
        self.project_id = self.project_id or project
        return bool(self.project_id)


@configspec
class GcpServiceAccountCredentialsWithoutDefaults(GcpCredentials):
    """A service account's key."""

    private_key: TSecretStrValue = None  # type: ignore[assignment]
    private_key_id: str | None = None
    client_email: str = None  # type: ignore[assignment]
    type: Final[str] = "service_account"

    def parse_native_representation(self, native_value: Any) -> None:
        """Read the text of a key file, or take a credentials object of google-auth.

        Raises:
            InvalidGoogleServicesJson: The text is no key file.
            InvalidGoogleNativeCredentialsType: It is neither.
        """
        if isinstance(native_value, (str, bytes)):
            values = json_object(native_value)
            if values is None:
                raise InvalidGoogleServicesJson(type(self), native_value)
            _fill(self, values)
        elif _is_google(native_value):
            self.client_email = getattr(native_value, "service_account_email", None)  # type: ignore[assignment]
            self.project_id = getattr(native_value, "project_id", None) or self.project_id
            self.__dict__["_native"] = native_value
            self.private_key = self.private_key or ""
            self.resolve()
        else:
            raise InvalidGoogleNativeCredentialsType(type(self), native_value)

    def on_resolved(self) -> None:
        """A key copied into one line has its line ends written as two characters."""
        if self.private_key:
            key = self.private_key.replace("\\n", "\n")
            self.private_key = key if key[-1:] == "\n" or "-----" not in key else key + "\n"

    def to_native_credentials(self) -> Any:
        """An object of google-auth."""
        native = self.__dict__.get("_native")
        if native is not None:
            return native
        service_account = need("google.oauth2.service_account", "Google credentials", "gcp")
        return service_account.Credentials.from_service_account_info(dict(self), scopes=[_SCOPE])

    def to_object_store_rs_credentials(self) -> dict[str, str]:
        """Options of the Rust object store, that of Delta tables."""
        return {"service_account_key": self.to_native_representation()}

    def __str__(self) -> str:
        return f"{self.client_email}@{self.project_id}"


@configspec
class GcpServiceAccountCredentials(GcpServiceAccountCredentialsWithoutDefaults, _GoogleDefaults):
    """A service account's key, or the machine's login."""

    def on_partial(self) -> None:
        """Take the machine's login when google-auth is installed."""
        try:
            found = self._take_default()
        except ImportError:
            return
        if found:
            self.resolve()

    def to_gcs_credentials(self) -> dict[str, Any]:
        """Arguments of gcsfs."""
        if self.has_default_credentials():
            return {"project": self.project_id, "token": self.default_credentials()}
        return super().to_gcs_credentials()

    def to_native_credentials(self) -> Any:
        """An object of google-auth."""
        return self.default_credentials() or super().to_native_credentials()


@configspec
class GcpOAuthCredentialsWithoutDefaults(GcpCredentials, OAuth2Credentials):
    """An OAuth client of Google with a refresh token."""

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    refresh_token: TSecretStrValue = None  # type: ignore[assignment]
    client_type: Final[str] = "installed"

    __config_gen_annotations__: ClassVar[list[str]] = []

    def parse_native_representation(self, native_value: Any) -> None:
        """Read the text of a client's file, or take a credentials object of google-auth.

        Raises:
            InvalidGoogleOauth2Json: The text is no client's file.
            InvalidGoogleNativeCredentialsType: It is neither.
        """
        if isinstance(native_value, (str, bytes)):
            values = json_object(native_value)
            if values is None:
                raise InvalidGoogleOauth2Json(type(self), native_value)
            inner = values.get("installed") or values.get("web") or values
            _fill(self, inner)
        elif _is_google(native_value):
            for name in ("client_id", "client_secret", "refresh_token", "token", "scopes"):
                setattr(self, name, getattr(native_value, name, None))
            self.__dict__["_native"] = native_value
            self.resolve()
        else:
            raise InvalidGoogleNativeCredentialsType(type(self), native_value)

    def to_native_credentials(self) -> Any:
        """An object of google-auth."""
        native = self.__dict__.get("_native")
        if native is not None:
            return native
        credentials = need("google.oauth2.credentials", "Google credentials", "gcp")
        return credentials.Credentials.from_authorized_user_info(dict(self))

    def auth(self, scopes: str | list[str] | None = None, redirect_url: str | None = None) -> None:
        """Get an access token with the refresh token.

        Raises:
            OAuth2ScopesRequired: There are no scopes.
        """
        if scopes:
            self.add_scopes(scopes)
        if not self.scopes:
            raise OAuth2ScopesRequired(type(self))
        requests = need("requests", "a login with Google")
        answer = requests.post(
            self.token_uri,
            data={
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "refresh_token": self.refresh_token,
                "grant_type": "refresh_token",
                "scope": " ".join(self.scopes),
            },
            timeout=60,
        )
        answer.raise_for_status()
        self.token = answer.json()["access_token"]

    def to_object_store_rs_credentials(self) -> dict[str, str]:
        """The Rust object store knows no OAuth clients.

        Raises:
            UnsupportedAuthenticationMethodException: Always.
        """
        raise UnsupportedAuthenticationMethodException(
            "Delta tables cannot be opened with an OAuth client.", fix="use a service account"
        )

    def __str__(self) -> str:
        return f"{self.client_id}@{self.project_id}"


@configspec
class GcpOAuthCredentials(GcpOAuthCredentialsWithoutDefaults, _GoogleDefaults):
    """An OAuth client of Google, or the machine's login."""

    def on_partial(self) -> None:
        """Take the machine's login when google-auth is installed."""
        try:
            found = self._take_default()
        except ImportError:
            return
        if found:
            self.resolve()

    def to_gcs_credentials(self) -> dict[str, Any]:
        """Arguments of gcsfs."""
        if self.has_default_credentials():
            return {"project": self.project_id, "token": self.default_credentials()}
        return super().to_gcs_credentials()


GcpClientCredentials = GcpServiceAccountCredentialsWithoutDefaults
GcpClientCredentialsWithDefault = GcpServiceAccountCredentials


def _fill(config: CredentialsConfiguration, values: Mapping[str, Any]) -> None:
    finals = ("token_uri", "auth_uri", "type", "client_type")
    for name, value in values.items():
        if name in config and name not in finals:
            config[name] = value


def _is_google(value: Any) -> bool:
    return any(base.__module__.startswith("google.") for base in type(value).__mro__)
