"""The settings of alerts, looked up when something of them is set."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from headrace.config.hints import SecretSentinel, TSecretStrValue
from headrace.config.resolve import resolve_configuration
from headrace.config.spec import BaseConfiguration, configspec


@configspec
class AlertsConfiguration(BaseConfiguration):
    """Who is told what of runs: section `runtime.alerts`. Times are in seconds.

    `on` and `<channel>_on` name what is told: `success`, `failure`, `retries_exhausted`, `failed_jobs`, `set_aside`,
    `rejected`, `schema_change`, `recovered`; without them all is. `rejected` is a list of tables with the fields
    `table`, `rule`, `rows` and `share`: the bounds from which rejected rows are told. `repeat_after`: for how long
    trouble that was told is not told again. `wait`: how long a run waits at its end for alerts to be delivered.

    Lists may also be texts with commas. The hook of Slack is `runtime.slack_incoming_hook`.
    """

    __section__: ClassVar[str | None] = "alerts"

    on: list[Any] | str | None = None
    on_schema_change: bool | None = None
    rejected: list[Any] | None = None
    repeat_after: float = 14_400
    wait: float = 5
    slack_on: list[Any] | str | None = None
    slack_mention: list[Any] | str | None = None
    teams_url: TSecretStrValue | None = None
    teams_on: list[Any] | str | None = None
    teams_mention: list[Any] | str | None = None
    webhook_url: TSecretStrValue | None = None
    webhook_headers: Annotated[dict[str, Any], SecretSentinel] | None = None
    webhook_secret: TSecretStrValue | None = None
    webhook_on: list[Any] | str | None = None
    email_to: list[Any] | str | None = None
    email_from: str | None = None
    email_host: str | None = None
    email_port: int | None = None
    email_user: str | None = None
    email_password: TSecretStrValue | None = None
    email_security: Literal["starttls", "ssl", "none"] = "starttls"
    email_on: list[Any] | str | None = None

    def is_set(self) -> bool:
        """Whether any of them was found."""
        return bool(self.as_dict_nondefault())


def alerts_settings() -> AlertsConfiguration:
    """The settings of `runtime.alerts`."""
    return resolve_configuration(AlertsConfiguration(), sections=("runtime",))
