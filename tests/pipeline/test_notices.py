"""A message reaches chat and mail, or it is said why not, without a secret."""

from collections.abc import Iterator

import pytest
import stamina
from pydantic import ValidationError

from pipeline.config.upkeep import AlertSettings
from pipeline.errors import NoticeError
from pipeline.notices import MOST, tell
from tests.pipeline.listeners import Chat, MailServer, serving


@pytest.fixture
def chat() -> Iterator[Chat]:
    with serving(Chat()) as server:
        yield server


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        yield server


@pytest.fixture(autouse=True)
def _hurried() -> Iterator[None]:
    """Attempts follow each other at once."""
    with stamina.set_testing(True, attempts=3):
        yield


def by_mail(mail: MailServer, **more: object) -> AlertSettings:
    to = ("kea@example.org", "kaka@example.org")
    return AlertSettings(mail_to=to, smtp_host="127.0.0.1", smtp_port=mail.port, smtp_security="none", **more)


def test_nobody_is_told_where_nobody_is_named() -> None:
    assert tell(AlertSettings(), subject="a run failed", text="photos: no host") == []


def test_chat_and_mail_are_told_the_same(chat: Chat, mail: MailServer) -> None:
    both = by_mail(mail, webhook=chat.address, mail_from="naturewatch@example.org")
    said = "photos: kākā\n.\nhttp://dagster/runs/1"
    assert tell(both, subject="a run failed", text=said) == ["127.0.0.1", "kea@example.org, kaka@example.org"]
    assert chat.messages == [{"text": f"a run failed\n{said}"}]
    (sent,) = mail.mails
    assert (sent["From"], sent["To"]) == ("naturewatch@example.org", "kea@example.org, kaka@example.org")
    assert sent["Subject"] == "a run failed"
    assert sent["Date"]
    assert sent["Message-ID"].endswith("@example.org>")
    body = sent.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "photos: kākā" in body.decode()
    assert mail.recipients == ["kea@example.org", "kaka@example.org"]


def test_what_passes_is_tried_again(chat: Chat, mail: MailServer) -> None:
    chat.answers = [503, 429]
    mail.refusals = ["451 come back later"]
    assert len(tell(by_mail(mail, webhook=chat.address), subject="a run failed", text="")) == 2
    assert (len(chat.messages), len(mail.mails)) == (1, 1)


def test_a_chat_that_refuses_does_not_hold_up_the_mail_and_its_address_stays_secret(
    chat: Chat, mail: MailServer
) -> None:
    chat.answers = [403, 200]
    with pytest.raises(NoticeError, match=r"127\.0\.0\.1 answered 403; check alerts\.webhook") as error:
        tell(by_mail(mail, webhook=chat.address), subject="a run failed", text="")
    assert "SECRET" not in str(error.value)
    assert "a run failed" in str(error.value)
    assert len(mail.mails) == 1
    assert chat.messages == []


def test_a_server_that_is_not_there_is_named(chat: Chat, mail: MailServer) -> None:
    alerts = by_mail(mail, webhook=chat.address)
    for server in (chat, mail):
        server.server_close()
    with pytest.raises(NoticeError) as error:
        tell(alerts, subject="a run failed", text="")
    assert "127.0.0.1 did not answer (ConnectionError); check alerts.webhook" in str(error.value)
    assert f"the mail server 127.0.0.1:{mail.port} did not take the mail (ConnectionRefusedError" in str(error.value)
    assert "SECRET" not in str(error.value)


def test_a_password_is_sent_encrypted_or_not_at_all(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_USER", "kea")
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    assert tell(by_mail(mail), subject="a run failed", text="")
    assert mail.accounts == []
    encrypted = by_mail(mail).model_copy(update={"smtp_security": "starttls"})
    # This server speaks no TLS.
    with pytest.raises(NoticeError, match="SMTPNotSupportedError") as error:
        tell(encrypted, subject="a run failed", text="")
    assert "secret" not in str(error.value)
    assert mail.accounts == []


def test_a_message_fits_into_a_chat(chat: Chat) -> None:
    tell(AlertSettings(webhook=chat.address), subject="a run failed", text="x" * 2 * MOST)
    assert len(chat.messages[0]["text"]) == MOST


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail_to": ["kea@example.org"]},
        {"mail_to": ["kea"], "smtp_host": "mail.example.org"},
        {"mail_to": ["a@b.org\nBcc: c@d.org"], "smtp_host": "mail.example.org"},
        {"webhook": "file:///etc/passwd"},
        {"smtp_host": "http://mail.example.org"},
    ],
)
def test_a_configuration_that_could_reach_nobody_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings.model_validate(wrong)
