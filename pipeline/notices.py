"""Tells people of something by chat and mail: where to is configured (`alerts`); what is said, the caller decides."""

import contextlib
import functools
import os
import smtplib
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final
from urllib.parse import urlsplit

import requests
import stamina

from pipeline.config.upkeep import AlertSettings
from pipeline.errors import NoticeError

TIMEOUT: Final = 20.0
"""Seconds for a connection, and for each answer."""
ATTEMPTS: Final = 3
MOST: Final = 4_000
"""Characters of a message to a chat; Slack takes 40,000, others less."""


def tell(alerts: AlertSettings, *, subject: str, text: str) -> list[str]:
    """Send a message wherever the configuration says; one way that fails does not hold up the other.

    Args:
        alerts: Who is told.
        subject: One line: the subject of a mail, the beginning of a message to a chat.
        text: The rest, in lines.

    Returns:
        Where it was sent to, in words without secrets; empty where nobody is to be told.

    Raises:
        NoticeError: it could not be sent in one of the ways, after several attempts.
    """
    ways: list[Callable[[], str]] = []
    if alerts.webhook is not None:
        ways.append(functools.partial(_to_chat, alerts.webhook, f"{subject}\n{text}"))
    if alerts.mail_to:
        ways.append(functools.partial(_by_mail, alerts, subject=subject, text=text))
    told, problems = [], []
    for way in ways:
        try:
            told.append(way())
        except NoticeError as error:
            problems.append(str(error))
    if problems:
        raise NoticeError(f"people could not be told of this: {subject} ({'; '.join(problems)})")
    return told


def _to_chat(address: str, text: str) -> str:
    """Post a message to an incoming webhook; return its host. The path of the address is a secret."""
    host = str(urlsplit(address).hostname)
    shown = text if len(text) <= MOST else f"{text[: MOST - 4]} ..."
    try:
        for attempt in stamina.retry_context(on=_passes, attempts=ATTEMPTS, wait_initial=0.5, wait_max=10.0):
            with attempt:
                requests.post(address, json={"text": shown}, timeout=TIMEOUT).raise_for_status()
    except requests.HTTPError as error:
        raise NoticeError(f"{host} answered {error.response.status_code}; check alerts.webhook") from None
    except requests.RequestException as error:
        # Its words repeat the address.
        raise NoticeError(f"{host} did not answer ({type(error).__name__}); check alerts.webhook") from None
    return host


def _passes(error: Exception) -> bool:
    """Whether another attempt may help."""
    if isinstance(error, requests.HTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    refused = smtplib.SMTPRecipientsRefused | smtplib.SMTPNotSupportedError | ssl.SSLError
    return isinstance(error, OSError) and not isinstance(error, refused)


def _by_mail(alerts: AlertSettings, *, subject: str, text: str) -> str:
    """Send a plain mail to all addresses; return them."""
    sender = alerts.mail_from or alerts.mail_to[0]
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, ", ".join(alerts.mail_to), " ".join(subject.split())
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=sender.partition("@")[2])
    # Not every server takes mails of eight bits.
    mail.set_content(f"{text}\n", cte="quoted-printable")
    where = f"{alerts.smtp_host}:{alerts.smtp_port}"
    try:
        for attempt in stamina.retry_context(on=_passes, attempts=ATTEMPTS, wait_initial=0.5, wait_max=10.0):
            with attempt, _server(alerts) as server:
                server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        raise NoticeError(
            f"the mail server {where} did not take the mail ({type(error).__name__}: {error}); check alerts.smtp_host, "
            "smtp_port and smtp_security, and SMTP_USER and SMTP_PASSWORD in the environment"
        ) from None
    return ", ".join(alerts.mail_to)


@contextlib.contextmanager
def _server(alerts: AlertSettings) -> Iterator[smtplib.SMTP]:
    """A connection to the mail server, encrypted and signed in as configured."""
    host, port = str(alerts.smtp_host), alerts.smtp_port
    trusted = ssl.create_default_context()
    if alerts.smtp_security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=trusted)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT)
    with connection as server:
        if alerts.smtp_security == "starttls":
            server.starttls(context=trusted)
        user = os.environ.get("SMTP_USER")
        if user and alerts.smtp_security != "none":
            server.login(user, os.environ.get("SMTP_PASSWORD", ""))
        yield server
