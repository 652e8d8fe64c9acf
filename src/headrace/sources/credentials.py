"""Credentials that sources take."""

from headrace.config.cloud import (
    AwsCredentials,
    AzureCredentials,
    AzureServicePrincipalCredentials,
    OAuth2Credentials,
    SFTPCredentials,
)
from headrace.config.credentials import ConnectionStringCredentials
from headrace.config.google import GcpCredentials, GcpOAuthCredentials, GcpServiceAccountCredentials
from headrace.config.spec import CredentialsConfiguration, configspec

__all__ = [
    "AwsCredentials",
    "AzureCredentials",
    "AzureServicePrincipalCredentials",
    "ConnectionStringCredentials",
    "CredentialsConfiguration",
    "GcpCredentials",
    "GcpOAuthCredentials",
    "GcpServiceAccountCredentials",
    "OAuth2Credentials",
    "SFTPCredentials",
    "configspec",
]
