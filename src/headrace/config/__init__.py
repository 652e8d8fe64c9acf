"""Settings and secrets: typed configurations found along a path of sections.

Names are loaded when they are first used, so that a script pays for what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names

if TYPE_CHECKING:
    from headrace.config.accessors import config as config
    from headrace.config.accessors import secrets as secrets
    from headrace.config.credentials import ConnectionStringCredentials as ConnectionStringCredentials
    from headrace.config.fields import is_secret_hint as is_secret_hint
    from headrace.config.fields import is_valid_hint as is_valid_hint
    from headrace.config.fields import resolve_type as resolve_type
    from headrace.config.hints import NotResolved as NotResolved
    from headrace.config.hints import TSecretStrValue as TSecretStrValue
    from headrace.config.hints import TSecretValue as TSecretValue
    from headrace.config.inject import create_resolved_partial as create_resolved_partial
    from headrace.config.inject import get_fun_spec as get_fun_spec
    from headrace.config.inject import get_orig_args as get_orig_args
    from headrace.config.inject import last_config as last_config
    from headrace.config.inject import with_config as with_config
    from headrace.config.resolve import resolve_configuration as resolve_configuration
    from headrace.config.sections import ConfigSectionContext as ConfigSectionContext
    from headrace.config.sections import config_section_context as config_section_context
    from headrace.config.sections import inject_section as inject_section
    from headrace.config.spec import BaseConfiguration as BaseConfiguration
    from headrace.config.spec import CredentialsConfiguration as CredentialsConfiguration
    from headrace.config.spec import CredentialsWithDefault as CredentialsWithDefault
    from headrace.config.spec import configspec as configspec

_where = {
    name: f"headrace.config.{module}:{name}"
    for module, names in {
        "accessors": ("config", "secrets"),
        "credentials": ("ConnectionStringCredentials",),
        "hints": ("NotResolved", "TSecretStrValue", "TSecretValue"),
        "inject": ("create_resolved_partial", "get_fun_spec", "get_orig_args", "last_config", "with_config"),
        "resolve": ("resolve_configuration",),
        "sections": ("ConfigSectionContext", "config_section_context", "inject_section"),
        "spec": (
            "BaseConfiguration",
            "CredentialsConfiguration",
            "CredentialsWithDefault",
            "configspec",
        ),
        "fields": ("is_secret_hint", "is_valid_hint", "resolve_type"),
    }.items()
    for name in names
}
__getattr__, __dir__ = lazy_names(__name__, _where)
__all__ = sorted(_where)
