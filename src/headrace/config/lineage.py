"""The settings of lineage, and a quick look at whether anybody asks for it."""

from __future__ import annotations

import os
from typing import Annotated, Any, ClassVar

from headrace.config.hints import SecretSentinel, TSecretStrValue
from headrace.config.resolve import resolve_configuration
from headrace.config.spec import BaseConfiguration, configspec

DEFAULT_NAMESPACE = "default"
_VARIABLES = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
_NESTED = "OPENLINEAGE__TRANSPORT"
_FILES = ("openlineage.yml", os.path.join("~", ".openlineage", "openlineage.yml"))  # noqa: PTH118 - expanded each time


@configspec
class LineageConfiguration(BaseConfiguration):
    """What is told of runs as OpenLineage events, and where to: section `lineage`. Times are in seconds.

    Lineage is on when anything of the section is set, or when OpenLineage's own variables or files name a transport;
    `enabled: false` or `OPENLINEAGE_DISABLED=true` turn it off whatever else is set.

    `namespace` is that of jobs, before `OPENLINEAGE_NAMESPACE`. `owners` (`["team:data"]`, or a mapping of a name to
    its kind), `tags` (a mapping), `run_tags` and `description` are told of jobs and runs; `dataset_owners` maps
    patterns of table names to owners, of which the first that meets decides, before `owners`. `parent` is the run that
    started this one: `namespace/job/run id`, or the JSON of `OPENLINEAGE_CONTEXT`. `environment` names the variables
    that may be told. `source_code` tells the text of resource functions, `stack_traces` those of errors; without
    `data_values` no range of a cursor and no partition is told: they are values of the data. `namespaces`
    maps namespaces of datasets to those that shall be told.
    `column_budget`: column edges of a run at most.

    `url`, `endpoint`, `api_key`, `transport` (a mapping, as in an `openlineage.yml`) and `path` (a file of events) say
    where events go; without any of them they are only kept in the working folder. `to_destination` writes lineage into
    the destination of the pipeline as tables, at the end of each run that loads. `drain_seconds`: how long the end of
    the process waits for events that are not sent yet. `store_max_bytes`: how much of them is kept in the working
    folder; `spool_max_bytes`: how much is kept for receivers that take nothing, before the oldest runs are given up.
    `batch_size`: events that are sent for one pipeline before it is another's turn. `breaker_failures`: tries in a row
    after which a receiver is left alone, for `breaker_seconds` at first.
    """

    __section__: ClassVar[str | None] = "lineage"

    enabled: bool | None = None
    namespace: str | None = None
    owners: Any | None = None
    dataset_owners: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None
    run_tags: dict[str, Any] | None = None
    description: str | None = None
    parent: str | None = None
    environment: list[Any] | str | None = None
    source_code: bool = False
    stack_traces: bool = False
    namespaces: dict[str, Any] | None = None
    data_values: bool = True
    column_budget: int = 5_000
    url: str | None = None
    endpoint: str | None = None
    api_key: TSecretStrValue | None = None
    transport: Annotated[dict[str, Any], SecretSentinel] | None = None
    path: str | None = None
    to_destination: bool = False
    drain_seconds: float = 1.0
    store_max_bytes: int = 64 * 2**20
    spool_max_bytes: int = 256 * 2**20
    batch_size: int = 50
    breaker_failures: int = 3
    breaker_seconds: float = 30.0

    def is_on(self) -> bool:
        """Whether events shall be made."""
        if is_disabled() or self.enabled is False:
            return False
        return bool(self.as_dict_nondefault()) or client_is_configured()

    @property
    def namespace_map(self) -> dict[str, str]:
        """The setting `namespaces` as texts."""
        return {str(one): str(other) for one, other in (self.namespaces or {}).items()}

    @property
    def job_namespace(self) -> str:
        """The namespace of jobs; slashes would break the variable `OPENLINEAGE_PARENT_ID` of those who read it."""
        return self.namespace or os.environ.get("OPENLINEAGE_NAMESPACE") or DEFAULT_NAMESPACE


def is_disabled() -> bool:
    """Whether `OPENLINEAGE_DISABLED` is set, which beats everything."""
    return os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() in ("true", "1", "yes")


def client_is_configured() -> bool:
    """Whether OpenLineage's own variables or files name a transport. They are only looked for, not read."""
    if any(os.environ.get(name) for name in _VARIABLES) or any(name.startswith(_NESTED) for name in os.environ):
        return True
    return any(os.path.isfile(os.path.expanduser(path)) for path in _FILES)  # noqa: PTH111, PTH113 - a tenth of pathlib


def may_be_on(has_section: bool) -> bool:
    """A quick look: False is sure.

    Args:
        has_section: Something may be set in the section `lineage`.
    """
    return not is_disabled() and (has_section or client_is_configured())


def lineage_settings() -> LineageConfiguration:
    """The settings of `lineage`."""
    return resolve_configuration(LineageConfiguration(), sections=("lineage",))
