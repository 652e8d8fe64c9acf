"""E-mail, by the standard library's SMTP client."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from html import escape
from typing import Literal

from headrace.errors.base import ValueErrorWithKnownValues
from headrace.errors.masking import remember, without_secrets
from headrace.observers.alerts.alert import Alert, TKind, clip
from headrace.observers.alerts.delivery import CONNECT_SECONDS, READ_SECONDS, AlertNotDelivered

TSecurity = Literal["starttls", "ssl", "none"]
_PORTS = {"starttls": 587, "ssl": 465, "none": 25}
_STYLE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;white-space:pre-wrap"


class Email:
    """People that alerts are sent to.

    Args:
        to: Their addresses.
        sender: Whom it comes from.
        host: The SMTP server.
        port: Of the server; by default 587, 465 with ``ssl``, 25 with ``none``.
        user: For servers that ask for a login.
        password: Its password.
        security: ``starttls`` (the default), ``ssl``, or ``none`` for a server on this machine.
        on: What is told; all when None.

    Raises:
        ValueErrorWithKnownValues: ``security`` is none of these.
        ValueError: There is nobody to send to.
    """

    name = "e-mail"

    def __init__(
        self,
        to: str | Sequence[str],
        sender: str,
        host: str,
        port: int | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        security: TSecurity = "starttls",
        on: Sequence[TKind] | None = None,
    ) -> None:
        if security not in _PORTS:
            raise ValueErrorWithKnownValues("security", security, list(_PORTS))
        self.on = on
        names = to.split(",") if isinstance(to, str) else to
        self._to = [name.strip() for name in names if name.strip()]
        if not self._to:
            raise ValueError("e-mail needs somebody to send to: `runtime.alerts.email_to`")
        self._sender, self._host, self._port = sender, host, port or _PORTS[security]
        self._user, self._password, self._security = user, password, security
        remember(password)

    def send(self, alert: Alert) -> None:
        """Send an alert.

        Raises:
            AlertNotDelivered: The server did not take it.
        """
        problem: AlertNotDelivered | None = None
        try:
            with self._connect() as server:
                if self._user is not None:
                    server.login(self._user, self._password or "")
                server.send_message(self.message(alert), self._sender, self._to)
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error
            text = without_secrets(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))
            problem = AlertNotDelivered(
                f"the mail server answered {error.smtp_code}: {clip(text, 300)} ({type(error).__name__})",
                again=400 <= error.smtp_code < 500,
            )
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({str(code) for code, _ in error.recipients.values()})
            problem = AlertNotDelivered(f"the mail server refused all recipients ({', '.join(codes)})")
        except smtplib.SMTPNotSupportedError:
            problem = AlertNotDelivered("the mail server does not know STARTTLS or logins; see `email_security`")
        except ssl.SSLError as error:
            problem = AlertNotDelivered(f"no secure connection to the mail server: {error.reason or error}")
        except (OSError, smtplib.SMTPException) as error:
            problem = AlertNotDelivered(f"the mail server cannot be reached ({type(error).__name__})", again=True)
        if problem is not None:
            raise problem

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._security == "ssl":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=READ_SECONDS, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=CONNECT_SECONDS)
        if self._security == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server

    def message(self, alert: Alert) -> EmailMessage:
        """What is sent: plain text, and the same as HTML."""
        message = EmailMessage()
        # a line end in a header would begin another one
        message["Subject"] = clip(" ".join(f"[headrace] {alert.title}".split()), 150)
        message["From"] = self._sender
        message["To"] = ", ".join(self._to)
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain="headrace.invalid")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message["X-Headrace-Alert"] = ", ".join(alert.kinds)
        if alert.is_trouble:
            message["Importance"] = "high"
        message.set_content(alert.text() + "\n")
        message.add_alternative(_html(alert), subtype="html")
        return message


def _html(alert: Alert) -> str:
    color = "#b3261e" if alert.is_trouble else "#1e7b34"
    rows = "".join(
        f'<tr><th align="left" style="padding-right:1em">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in alert.facts()
    )
    parts = "".join(
        f'<h3>{escape(section.title)}</h3><div style="{_STYLE}">{escape(chr(10).join(section.lines))}</div>'
        for section in alert.sections()
    )
    return (
        '<!DOCTYPE html><html><body style="font-family:sans-serif">'
        f'<h2 style="color:{color}">{escape(alert.title)}</h2><table>{rows}</table>{parts}'
        f'<p style="color:#777">run {escape(alert.run_id)}</p></body></html>'
    )
