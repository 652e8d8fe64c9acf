"""Errors that configuration classes raise about their own values, credentials most of all.

::

    SpecException (a ConfigurationException)
    ├── NativeValueError                   (also ValueError)
    │   ├── InvalidConnectionString, InvalidBoto3Session
    │   └── InvalidGoogleNativeCredentialsType, InvalidGoogleServicesJson, InvalidGoogleOauth2Json
    ├── OAuth2ScopesRequired
    └── ObjectStoreRsCredentialsException, UnsupportedAuthenticationMethodException

No text and no attribute of these errors holds the value of a secret.
"""

from __future__ import annotations

from typing import Any

from headrace.errors.config import ConfigurationException


class SpecException(ConfigurationException):
    """Root of errors that a configuration class raises about its own values."""


class NativeValueError(SpecException, ValueError):
    """A value in a configuration's own notation is wrong.

    Args:
        spec: The configuration class.
        native_value: The value; only its type is kept.
        msg: What is expected instead.
    """

    def __init__(self, spec: type[Any], native_value: Any, msg: str) -> None:
        self.spec, self.native_value_type = spec, type(native_value)
        super().__init__(msg)


class InvalidConnectionString(NativeValueError):
    """A connection string cannot be taken apart."""

    def __init__(self, spec: type[Any], native_value: Any, driver: str | None = None) -> None:
        self.driver = driver
        super().__init__(
            spec,
            native_value,
            f"`{spec.__name__}` is written {driver or 'driver'}://username:password@host:port/database?option=value; "
            "the signs @ : / ? in a password are written %40 %3A %2F %3F",
        )


class InvalidGoogleNativeCredentialsType(NativeValueError):
    """Google credentials were given as something unknown."""

    def __init__(self, spec: type[Any], native_value: Any) -> None:
        super().__init__(
            spec,
            native_value,
            f"`{spec.__name__}` takes the text of a JSON key file or a credentials object of google-auth, "
            f"not a {type(native_value).__name__}",
        )


class InvalidGoogleServicesJson(NativeValueError):
    """A service account's key file cannot be read."""

    def __init__(self, spec: type[Any], native_value: Any) -> None:
        super().__init__(
            spec,
            native_value,
            f"`{spec.__name__}` takes a service account's JSON with project_id, private_key and client_email",
        )


class InvalidGoogleOauth2Json(NativeValueError):
    """An OAuth client's file cannot be read."""

    def __init__(self, spec: type[Any], native_value: Any) -> None:
        super().__init__(
            spec,
            native_value,
            f"`{spec.__name__}` takes an OAuth client's JSON with client_id, client_secret and refresh_token",
        )


class InvalidBoto3Session(NativeValueError):
    """Something other than a session of boto3 or botocore was given."""

    def __init__(self, spec: type[Any], native_value: Any) -> None:
        super().__init__(
            spec,
            native_value,
            f"`{spec.__name__}` takes a boto3 or botocore session, not a {type(native_value).__name__}",
        )


class OAuth2ScopesRequired(SpecException):
    """An OAuth login needs scopes and got none."""

    def __init__(self, spec: type[Any]) -> None:
        self.spec = spec
        super().__init__(f"`{spec.__name__}` needs scopes to log in.", fix="set `scopes` or call add_scopes()")


class ObjectStoreRsCredentialsException(SpecException):
    """Credentials cannot be handed to the Rust object store."""


class UnsupportedAuthenticationMethodException(SpecException):
    """Credentials use a way to log in that the caller does not know."""
