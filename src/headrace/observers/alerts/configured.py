"""The alerts that settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.base.logs import get_logger
from headrace.observers.alerts.alert import KINDS
from headrace.observers.alerts.log import Log
from headrace.observers.alerts.observer import Alerts, Channel, check_kinds

if TYPE_CHECKING:
    from headrace.bus.observer import Observer, Run
    from headrace.config.alerting import AlertsConfiguration
    from headrace.model.events import AnyEvent
    from headrace.pipeline.core import PipelineCore

logger = get_logger("headrace.alerts")
# without a channel that would tell good news, the log tells the rest
_LOGGED = [kind for kind in KINDS if kind != "success"]


def observer_for(p: PipelineCore) -> Observer | None:
    """The observer for the settings of a pipeline; None when they name nothing to tell.

    Raises:
        ValueError: A setting has a value that it cannot have.
        ConfigFieldMissingException: A channel lacks a setting.
    """
    from headrace.config.alerting import alerts_settings

    runtime, alerts = p._settings.runtime, alerts_settings()
    if not (runtime.slack_incoming_hook or runtime.trace_url or alerts.is_set()):
        return None
    return ConfiguredAlerts(runtime, alerts)


class ConfiguredAlerts(Alerts):
    """Alerts by the settings of a pipeline; ``runtime_config`` may be changed between runs.

    Args:
        runtime: Settings of `runtime`.
        alerts: Settings of `runtime.alerts`.
    """

    def __init__(self, runtime: Any, alerts: AlertsConfiguration) -> None:
        self._runtime, self._settings = runtime, alerts
        self._said: set[str] = set()
        super().__init__(
            *self._channels(),
            on=check_kinds("runtime.alerts.on", _names(alerts.on)),
            on_schema_change=alerts.on_schema_change,
            rejected=alerts.rejected,
            repeat_after=alerts.repeat_after,
            wait=alerts.wait,
        )

    def notify(self, event: AnyEvent, run: Run) -> None:
        """As `Alerts.notify`, with the settings as they are now."""
        from headrace.model.events import RunEnded

        if isinstance(event, RunEnded):
            self.channels, self.trace_to = self._channels(), self._trace()
        super().notify(event, run)

    def _trace(self) -> Any:
        if not self._runtime.trace_url:
            return None
        from headrace.observers.alerts.webhook import TraceTo

        return TraceTo(self._runtime.trace_url, self._runtime.trace_headers)

    def _channels(self) -> list[Channel]:
        """The channels that are set; one that is set wrongly is named in the log once, and the others go on."""
        settings, found = self._settings, []
        for is_set, make in (
            (self._runtime.slack_incoming_hook, self._slack),
            (settings.teams_url, self._teams),
            (settings.webhook_url, self._webhook),
            (settings.email_to, lambda: _email(settings)),
        ):
            try:
                found += [make()] if is_set else []
            except ValueError as error:
                if str(error) not in self._said:
                    self._said.add(str(error))
                    logger.warning("A channel of alerts could not be set up and is told nothing: %s.", error)
        if not found and not self._said and settings.is_set():
            named = _names(settings.on)
            found.append(Log(check_kinds("runtime.alerts.on", named) or _LOGGED))
        for channel in found:
            channel.setting = _SETTINGS[channel.name]  # type: ignore[attr-defined]
        return found

    def _slack(self) -> Channel:
        from headrace.observers.alerts.slack import Slack

        mention = _names(self._settings.slack_mention) or ()
        return Slack(self._runtime.slack_incoming_hook, _kinds(self._settings, "slack"), mention)

    def _teams(self) -> Channel:
        from headrace.observers.alerts.teams import Teams

        settings = self._settings
        return Teams(str(settings.teams_url), _kinds(settings, "teams"), _names(settings.teams_mention) or ())

    def _webhook(self) -> Channel:
        from headrace.observers.alerts.webhook import Webhook

        settings = self._settings
        headers, secret = settings.webhook_headers, settings.webhook_secret
        return Webhook(str(settings.webhook_url), _kinds(settings, "webhook"), headers, secret)


_SETTINGS = {
    "Slack": "`runtime.slack_incoming_hook`.",
    "Teams": "`runtime.alerts.teams_url`.",
    "webhook": "`runtime.alerts.webhook_url` and `webhook_headers`.",
    "e-mail": "`runtime.alerts.email_host`, `email_port`, `email_security`, `email_user` and `email_password`.",
    "log": "",
}


def _email(settings: AlertsConfiguration) -> Channel:
    from headrace.observers.alerts.mail import Email

    if not settings.email_host:
        raise ValueError("`runtime.alerts.email_to` is set, but not `runtime.alerts.email_host`, the mail server")
    to = _names(settings.email_to) or []
    return Email(
        to,
        settings.email_from or to[0],
        settings.email_host,
        settings.email_port,
        user=settings.email_user,
        password=settings.email_password,
        security=settings.email_security,
        on=_kinds(settings, "email"),
    )


def _kinds(settings: AlertsConfiguration, channel: str) -> Any:
    key = f"{channel}_on"
    return check_kinds(f"runtime.alerts.{key}", _names(settings[key]))


def _names(value: Any) -> list[str] | None:
    """A list, or names with commas between them as the environment has them."""
    if value is None:
        return None
    found = value.split(",") if isinstance(value, str) else value
    return [str(name).strip() for name in found if str(name).strip()]
