"""Bringing alerts to where they go: on threads, with time-outs and a few retries; no address is ever told."""

from __future__ import annotations

import email.utils
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from headrace.base.logs import get_logger
from headrace.base.retry import RetryPolicy
from headrace.base.version import VERSION
from headrace.errors.base import HeadraceException
from headrace.errors.masking import HIDDEN, SHORTEST, remember, without_secrets
from headrace.model.wording import count

logger = get_logger("headrace.alerts")
CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
LONGEST_WAIT = 60.0
"""Seconds beyond which nobody waits for a server that says when to come again."""
_RETRIES = RetryPolicy(attempts=4, first_wait=0.5, factor=3.0, max_wait=10.0)
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_speaking: set[int] = set()


class AlertNotDelivered(HeadraceException):
    """A message did not reach the place it was sent to; its address is a secret and not in the text.

    Attributes:
        again: Whether another try may help.
        after: Seconds after which the server wants the next one; None when it did not say.
    """

    def __init__(self, what: str, *, again: bool = False, after: float | None = None, fix: str | None = None) -> None:
        self.again, self.after = again, after
        super().__init__(what, fix=fix)


@dataclass
class Sending:
    """A message on its way.

    Attributes:
        name: Of the channel, for the log.
        send: Sends it, or raises.
        setting: What to look at when it does not go.
        done: It has arrived.
    """

    name: str
    send: Callable[[], None]
    setting: str = ""
    done: bool = False


def deliver(sendings: Sequence[Sending], pipeline_name: str, wait: float) -> None:
    """Send all at the same time, and wait for them a while. What goes wrong is logged and not raised.

    Args:
        sendings: The messages; ``done`` tells afterwards which have arrived.
        pipeline_name: For the log.
        wait: Seconds to wait at most. What is not done by then goes on while the process lives.
    """
    # daemons: a server that hangs must not keep the process alive
    threads = [
        threading.Thread(
            target=copy_context().run,  # what is logged there belongs to this run
            args=(_try, one, pipeline_name),
            name=f"headrace-alert-{one.name}",
            daemon=True,
        )
        for one in sendings
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + wait
    for one, thread in zip(sendings, threads, strict=True):
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            logger.warning(
                "pipeline `%s`: the alert by %s was not delivered within %g s. The run does not wait longer; as long "
                "as the process lives it is tried on.",
                *(pipeline_name, one.name, wait),
            )


def _try(one: Sending, pipeline_name: str) -> None:
    failures = 0
    while True:
        try:
            one.send()
        except Exception as error:  # noqa: BLE001 - nobody could catch it on this thread
            failures += 1
            pause = _pause(error, failures)
            if pause is None:
                _complain(one, pipeline_name, error, failures)
                return
            time.sleep(pause)
        else:
            one.done = True
            return


def _pause(error: Exception, failures: int) -> float | None:
    """Seconds until the next try; None for no more."""
    if not isinstance(error, AlertNotDelivered) or not error.again or failures >= _RETRIES.attempts:
        return None
    if error.after is not None:
        return error.after if error.after <= LONGEST_WAIT else None
    return _RETRIES.wait(failures)


def _complain(one: Sending, pipeline_name: str, error: Exception, failures: int) -> None:
    # of foreign errors the type alone: their texts have addresses in them
    what = error.what if isinstance(error, AlertNotDelivered) else type(error).__name__
    logger.warning(
        "pipeline `%s`: the alert by %s was NOT delivered, after %s: %s.%s The run is not affected.",
        *(
            pipeline_name,
            one.name,
            count(failures, "try", "tries"),
            what,
            f" Look at {one.setting}" if one.setting else "",
        ),
        exc_info=error if logger.isEnabledFor(logging.DEBUG) and isinstance(error, AlertNotDelivered) else None,
    )


# ---- HTTP ------------------------------------------------------------------------------------------------------------


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Post a body; any answer of 2xx is fine.

    Raises:
        AlertNotDelivered: There was none. Redirections are not followed: they would turn a POST into a GET.
    """
    import requests

    remember(url)
    told = {"Content-Type": "application/json; charset=utf-8", "User-Agent": f"headrace/{VERSION}", **(headers or {})}
    problem: AlertNotDelivered | None = None
    try:
        with _unheard():
            answer = requests.post(
                url,
                data=body,
                headers=told,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            )
            with answer:
                if not 200 <= answer.status_code < 300:
                    problem = _refused(answer, url)
    except requests.RequestException as error:
        problem = _unreachable(error)
    if problem is not None:
        # raised outside the handler: what requests says has the address in it
        raise problem


def _refused(answer: Any, url: str) -> AlertNotDelivered:
    code = answer.status_code
    said = answer.raw.read(300, decode_content=True).decode("utf-8", "replace").strip() if answer.raw else ""
    for part in filter(lambda part: len(part) >= SHORTEST, re.split(r"[/?&=]", url)):
        # some servers repeat what they were asked for
        said = said.replace(part, HIDDEN)
    text = f"the server answered {code}{f': {without_secrets(said)}' if said else ''}"
    if 300 <= code < 400:
        text += ", a redirection, which is not followed"
    return AlertNotDelivered(text, again=code in _AGAIN, after=retry_after(answer.headers.get("Retry-After")))


def _unreachable(error: Any) -> AlertNotDelivered:
    import requests

    again = isinstance(error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError))
    cause = getattr(error.args[0], "reason", None) if error.args else None
    kind = type(cause if isinstance(cause, BaseException) else error).__name__
    said = (
        "the server did not answer in time" if isinstance(error, requests.Timeout) else "the server cannot be reached"
    )
    if not again:
        said = "the request could not be made"
    return AlertNotDelivered(f"{said} ({kind})", again=again)


def retry_after(value: str | None) -> float | None:
    """Seconds that a header ``Retry-After`` asks for, which has seconds or an instant (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


@contextmanager
def _unheard() -> Iterator[None]:
    """Let urllib3 not log what this thread does: at the level DEBUG it writes addresses, and they are secrets."""
    log, me = logging.getLogger("urllib3.connectionpool"), threading.get_ident()
    if _not_ours not in log.filters:
        log.addFilter(_not_ours)
    _speaking.add(me)
    try:
        yield
    finally:
        _speaking.discard(me)


def _not_ours(record: logging.LogRecord) -> bool:
    return threading.get_ident() not in _speaking
