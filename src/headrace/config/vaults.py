"""Values kept in vaults: Airflow variables, Google Secret Manager, AWS Secrets Manager.

A vault has no sections, so documents are kept in it as TOML: all under the key ``dlt_secrets_toml``, or fragments under
the path of a section (``sources.shop``, ``destination.postgres``), or single values under their full path.
"""

from __future__ import annotations

import base64
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headrace.base.lazy import need
from headrace.config.documents import DocProvider, DocReader
from headrace.config.fields import is_secret_hint
from headrace.config.providers import ConfigProvider, Reader
from headrace.config.spec import BaseConfiguration, configspec
from headrace.config.toml import SECRETS_TOML_KEY, parse_toml
from headrace.errors.config import ConfigProviderException, TomlProviderReadException


class VaultDocProvider(DocProvider):
    """Base of vaults; subclasses implement `_look_vault` and, to save requests, `_list_vault`.

    What was asked once is not asked again, also when it was not there.

    Args:
        only_secrets: Ask for single values only when they are secrets.
        only_toml_fragments: Never ask for single values.
        list_secrets: List the names once and ask only for those.
    """

    def __init__(self, only_secrets: bool, only_toml_fragments: bool, list_secrets: bool = False) -> None:
        super().__init__()
        self.only_secrets, self.only_toml_fragments, self.list_secrets = only_secrets, only_toml_fragments, list_secrets
        self._asked: dict[str, str | None] = {}
        self._names: frozenset[str] | None = None

    @abstractmethod
    def _look_vault(self, full_key: str, hint: Any) -> str | None:
        """Ask for one entry; None when it is not there."""

    def _list_vault(self) -> set[str]:
        """The names of all entries.

        Raises:
            NotImplementedError: The vault cannot tell.
        """
        raise NotImplementedError(f"{self.name} cannot list its entries")

    def vault_key(self, *path: str) -> str:
        """Name of the entry for a path."""
        return ".".join(path)

    def probe(self) -> None:
        """Ask for the document that all paths share, which is asked for in any case, and kept.

        Raises:
            Exception: Whatever the vault raises when it cannot be asked.
        """
        try:
            self._load(SECRETS_TOML_KEY, ())
        except TomlProviderReadException:
            self._asked.pop(SECRETS_TOML_KEY)  # it is there; who looks something up is told what is wrong with it

    def get_value(self, key: str, hint: Any, pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look at one place."""
        path = tuple(filter(None, (pipeline_name, *sections)))
        full_key = ".".join((*path, key))
        self._load_fragments((*path, key), pipeline_name)
        value = DocReader(self._config_doc).get(key, False, pipeline_name, sections)
        if value is None and not self.only_toml_fragments and (is_secret_hint(hint) or not self.only_secrets):
            value = self._ask(self.vault_key(*path, key), hint)
        return value, full_key

    def _load_fragments(self, path: Sequence[str], pipeline_name: str | None) -> None:
        """Join the documents that may hold a path into the one in memory."""
        self._load(SECRETS_TOML_KEY, ())
        if pipeline_name:
            self._load(self.vault_key(pipeline_name, SECRETS_TOML_KEY), (pipeline_name,))
        # sources and destinations have fragments down to their name
        for depth in range(1, min(len(path), 4) + 1):
            self._load(self.vault_key(*path[:depth]), tuple(path[:depth]), fragment=True)

    def _load(self, name: str, at: Sequence[str], fragment: bool = False) -> None:
        if name in self._asked:
            return
        text = self._ask(name, str)
        if not text:
            return
        try:
            document: Mapping[str, Any] = parse_toml(text)
        except ValueError:
            if fragment:  # a single value that is no document
                return
            document = {}
        if not document and not fragment:
            raise TomlProviderReadException(self.name, name, "the entry holds no TOML")
        self._join(document, at)

    def _join(self, document: Mapping[str, Any], at: Sequence[str]) -> None:
        # a fragment may spell its own path, or leave it out
        inner: Any = document
        for part in at:
            inner = inner.get(part) if isinstance(inner, Mapping) else None
        if isinstance(inner, Mapping):
            document, at = document[at[0]] if at else document, at[:1]
        if at:
            self.set_value(at[-1], dict(document), None, *at[:-1])
            return
        for key, value in document.items():
            self.set_value(key, value, None)

    def _ask(self, name: str, hint: Any) -> str | None:
        if name not in self._asked:
            if self.list_secrets and self._names is None:
                self._names = frozenset(self._list_vault())
            present = self._names is None or name in self._names
            self._asked[name] = self._look_vault(name, hint) if present else None
        return self._asked[name]

    def clear_lookup_cache(self) -> None:
        """Forget all answers."""
        self._asked, self._names, self._config_doc = {}, None, {}

    def open(self) -> Reader | None:
        """Begin a run of lookups."""
        return ConfigProvider.open(self)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look at."""
        return False

    @property
    def is_writable(self) -> bool:
        """Whether values can be set."""
        return False


class AirflowSecretsTomlProvider(VaultDocProvider):
    """Variables of Airflow."""

    def __init__(
        self, only_secrets: bool = False, only_toml_fragments: bool = True, list_secrets: bool = False
    ) -> None:
        super().__init__(only_secrets, only_toml_fragments, list_secrets)

    @property
    def name(self) -> str:
        """The provider's name."""
        return "Airflow Secrets TOML Provider"

    @property
    def locations(self) -> Sequence[str]:
        """Files that are looked for."""
        return ["Airflow Variables"]

    def _look_vault(self, full_key: str, hint: Any) -> str | None:
        variable = need("airflow.models", "Airflow variables as configuration").Variable
        found = variable.get(full_key, default_var=None)
        return None if found is None else str(found)


class GoogleSecretsProvider(VaultDocProvider):
    """Entries of Google Secret Manager, asked for over its web interface with google-auth.

    Args:
        credentials: Google credentials with `project_id` and `to_native_credentials`.
        only_secrets: See `VaultDocProvider`.
        only_toml_fragments: See `VaultDocProvider`.
        list_secrets: See `VaultDocProvider`.
    """

    def __init__(
        self, credentials: Any, only_secrets: bool = True, only_toml_fragments: bool = True, list_secrets: bool = False
    ) -> None:
        super().__init__(only_secrets, only_toml_fragments, list_secrets)
        self.credentials = credentials
        self._session: Any = None

    @property
    def name(self) -> str:
        """The provider's name."""
        return "Google Secrets"

    @property
    def locations(self) -> Sequence[str]:
        """Files that are looked for."""
        return [str(self.credentials)]

    def vault_key(self, *path: str) -> str:
        """Names in Google Secret Manager have letters, digits, hyphens and underscores only."""
        clean = ["".join(c if c.isalnum() or c in "-_" else "" for c in part) for part in path]
        return "-".join(filter(None, clean))

    def _get(self, path: str, **params: str) -> Any:
        if self._session is None:
            requests = need("google.auth.transport.requests", "Google Secret Manager", "gcp")
            self._session = requests.AuthorizedSession(self.credentials.to_native_credentials())
        url = f"https://secretmanager.googleapis.com/v1/projects/{self.credentials.project_id}/{path}"
        response = self._session.get(url, params=params)
        if response.status_code == 404:
            return None
        if response.status_code >= 400:
            raise ConfigProviderException(
                self.name,
                f"Google Secret Manager refused a request with status {response.status_code}.",
                fix=f"give {self.credentials} the role Secret Manager Secret Accessor",
            )
        return response.json()

    def _look_vault(self, full_key: str, hint: Any) -> str | None:
        answer = self._get(f"secrets/{full_key}/versions/latest:access")
        return None if answer is None else base64.b64decode(answer["payload"]["data"]).decode("utf-8")

    def _list_vault(self) -> set[str]:
        names: set[str] = set()
        token = ""
        while True:
            answer = self._get("secrets", pageSize="1000", pageToken=token) or {}
            names.update(entry["name"].rpartition("/")[2] for entry in answer.get("secrets", ()))
            token = answer.get("nextPageToken", "")
            if not token:
                return names


class AwsSecretsManagerProvider(VaultDocProvider):
    """Entries of AWS Secrets Manager, asked for with boto3.

    Args:
        credentials: AWS credentials.
        only_secrets: See `VaultDocProvider`.
        only_toml_fragments: See `VaultDocProvider`.
        list_secrets: See `VaultDocProvider`.
        secret_name_prefix: What the names of the entries begin with.
    """

    def __init__(
        self,
        credentials: Any,
        only_secrets: bool = True,
        only_toml_fragments: bool = True,
        list_secrets: bool = False,
        secret_name_prefix: str = "dlt/",
    ) -> None:
        super().__init__(only_secrets, only_toml_fragments, list_secrets)
        self.credentials, self.prefix = credentials, secret_name_prefix
        self._client: Any = None

    @property
    def name(self) -> str:
        """The provider's name."""
        return "AWS Secrets Manager"

    def vault_key(self, *path: str) -> str:
        """Names in AWS Secrets Manager are paths."""
        return "/".join(path)

    def _connect(self) -> Any:
        if self._client is None:
            boto3 = need("boto3", "AWS Secrets Manager", "s3")
            session = boto3.Session(
                **self.credentials.to_session_credentials(), region_name=self.credentials.region_name
            )
            self._client = session.client("secretsmanager")
        return self._client

    def _look_vault(self, full_key: str, hint: Any) -> str | None:
        client = self._connect()
        try:
            answer = client.get_secret_value(SecretId=self.prefix + full_key)
        except client.exceptions.ResourceNotFoundException:
            return None
        return answer.get("SecretString")  # type: ignore[no-any-return]

    def _list_vault(self) -> set[str]:
        pages = self._connect().get_paginator("list_secrets").paginate()
        names = (entry["Name"] for page in pages for entry in page["SecretList"])
        return {name[len(self.prefix) :] for name in names if name.startswith(self.prefix)}


@configspec
class VaultProviderConfiguration(BaseConfiguration):
    """Settings of a vault: section `providers.<airflow|google|aws>_secrets`."""

    only_secrets: bool = True
    only_toml_fragments: bool = True
    list_secrets: bool = False
    secret_name_prefix: str = "dlt/"

    __section__: ClassVar[str | None] = None


def make_provider(switch: str) -> ConfigProvider:
    """Make the vault that a setting switches on.

    Args:
        switch: ``enable_airflow_secrets``, ``enable_google_secrets`` or ``enable_aws_secrets``.
    """
    from headrace.config.resolve import resolve_configuration

    kind = switch.removeprefix("enable_")
    given = VaultProviderConfiguration(only_secrets=kind != "airflow_secrets")
    settings = resolve_configuration(given, sections=("providers", kind))
    flags = (settings.only_secrets, settings.only_toml_fragments, settings.list_secrets)
    if kind == "airflow_secrets":
        return AirflowSecretsTomlProvider(*flags)
    if kind == "google_secrets":
        from headrace.config.google import GcpServiceAccountCredentials

        google = resolve_configuration(GcpServiceAccountCredentials(), sections=("providers", kind))
        return GoogleSecretsProvider(google, *flags)
    from headrace.config.cloud import AwsCredentials

    aws = resolve_configuration(AwsCredentials(), sections=("providers", kind))
    return AwsSecretsManagerProvider(aws, *flags, secret_name_prefix=settings.secret_name_prefix)
