"""The providers in use, in the order they are asked."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from headrace.base.logs import get_logger
from headrace.config.providers import ConfigProvider, EnvironProvider
from headrace.config.toml import ConfigTomlProvider, SecretsTomlProvider
from headrace.errors.config import DuplicateConfigProviderException

_lock = threading.RLock()
_providers: list[ConfigProvider] | None = None
_scoped: ContextVar[list[ConfigProvider] | None] = ContextVar("headrace_config_providers", default=None)
_extras_done = False


def default_providers() -> list[ConfigProvider]:
    """Environment, secrets.toml, config.toml."""
    return [EnvironProvider(), SecretsTomlProvider(), ConfigTomlProvider()]


def providers() -> Sequence[ConfigProvider]:
    """The providers in use; not to be changed."""
    scoped = _scoped.get()
    if scoped is not None:
        return scoped
    if _providers is None or not _extras_done:
        _start()
    return _providers or ()


def add_provider(provider: ConfigProvider) -> None:
    """Ask one more provider, behind the others.

    Raises:
        DuplicateConfigProviderException: There is one of that name.
    """
    with _lock:
        present = _scoped.get()
        if present is None:
            providers()
            present = _providers or []
        if any(p.name == provider.name for p in present):
            raise DuplicateConfigProviderException(provider.name)
        present.append(provider)


def get_provider(name: str) -> ConfigProvider:
    """The provider of a name.

    Raises:
        KeyError: There is none.
    """
    for provider in providers():
        if provider.name == name:
            return provider
    raise KeyError(name)


def reset() -> None:
    """Go back to the default providers; what was set in memory is forgotten."""
    global _providers, _extras_done
    with _lock:
        _providers, _extras_done = None, False


@contextmanager
def providers_scope(*only: ConfigProvider) -> Iterator[list[ConfigProvider]]:
    """Ask only these providers within a block, in the calling context."""
    present = list(only)
    token = _scoped.set(present)
    try:
        yield present
    finally:
        _scoped.reset(token)


def _start() -> None:
    """Make the default providers; then those that the settings switch on, which the default ones must be there for."""
    global _providers, _extras_done
    with _lock:
        if _providers is None:
            _providers = default_providers()
        if _extras_done:
            return
        _extras_done = True
        switched_on = [name for name, default in _switches() if _is_on(name, default)]
    if switched_on:
        _add_vaults(switched_on)


def _switches() -> Iterator[tuple[str, bool]]:
    yield "enable_airflow_secrets", bool(sys.modules.get("airflow"))
    yield "enable_google_secrets", False
    yield "enable_aws_secrets", False


def _is_on(name: str, default: bool) -> bool:
    from headrace.config.coerce import coerce
    from headrace.config.lookup import Lookup

    found = Lookup(None).find(name, False, (("providers",), ()))
    value = default if found is None else bool(coerce(found.value, bool))
    return value and (name != "enable_airflow_secrets" or bool(sys.modules.get("airflow")))


def _add_vaults(names: Sequence[str]) -> None:
    from headrace.config.vaults import AirflowSecretsTomlProvider, make_provider

    for name in names:
        try:
            made = make_provider(name)
            if isinstance(made, AirflowSecretsTomlProvider):
                made.probe()  # what is called airflow may be a folder of somebody's, or have no database
            add_provider(made)
        except Exception as error:
            if name != "enable_airflow_secrets":
                raise
            get_logger("headrace.config").warning("Airflow's variables cannot be read: %s", error)
