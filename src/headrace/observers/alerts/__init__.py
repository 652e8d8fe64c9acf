"""Alerts: runs that fail, lose rows or change tables are told to people, by Slack, e-mail, Teams or a webhook."""
