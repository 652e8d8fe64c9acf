"""Alerts: runs that fail, lose rows or change tables are told to people, by Slack, e-mail, Teams or a webhook.

The settings of `runtime.alerts` bring them to every run; by hand they are an observer like others:

    from headrace.observers.alerts import Alerts, Email, Slack

    pipeline.observe(Alerts(Slack(hook), Email(["team@shop.example"], "etl@shop.example", "mail.shop.example")))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

_HOME = "headrace.observers.alerts"
_where = {
    "Alert": f"{_HOME}.alert:Alert",
    "AlertNotDelivered": f"{_HOME}.delivery:AlertNotDelivered",
    "Alerts": f"{_HOME}.observer:Alerts",
    "Channel": f"{_HOME}.observer:Channel",
    "Email": f"{_HOME}.mail:Email",
    "Log": f"{_HOME}.log:Log",
    "RejectedRule": f"{_HOME}.rules:RejectedRule",
    "Slack": f"{_HOME}.slack:Slack",
    "Teams": f"{_HOME}.teams:Teams",
    "TraceTo": f"{_HOME}.webhook:TraceTo",
    "Webhook": f"{_HOME}.webhook:Webhook",
    "send_slack_message": f"{_HOME}.slack:send_slack_message",
}
__getattr__, __dir__ = _lazy_names(__name__, _where)

if TYPE_CHECKING:
    from headrace.observers.alerts.alert import Alert as Alert
    from headrace.observers.alerts.delivery import AlertNotDelivered as AlertNotDelivered
    from headrace.observers.alerts.log import Log as Log
    from headrace.observers.alerts.mail import Email as Email
    from headrace.observers.alerts.observer import Alerts as Alerts
    from headrace.observers.alerts.observer import Channel as Channel
    from headrace.observers.alerts.rules import RejectedRule as RejectedRule
    from headrace.observers.alerts.slack import Slack as Slack
    from headrace.observers.alerts.slack import send_slack_message as send_slack_message
    from headrace.observers.alerts.teams import Teams as Teams
    from headrace.observers.alerts.webhook import TraceTo as TraceTo
    from headrace.observers.alerts.webhook import Webhook as Webhook

__all__ = [
    "Alert",
    "AlertNotDelivered",
    "Alerts",
    "Channel",
    "Email",
    "Log",
    "RejectedRule",
    "Slack",
    "Teams",
    "TraceTo",
    "Webhook",
    "send_slack_message",
]
