"""Alerts through real receivers on loopback: the bytes that arrive, and what happens when nobody takes them."""

import datetime as dt
import email
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from lakeloop.core.errors import DeliveryError, DeliveryRefusedError
from lakeloop.monitoring.delivery import Outbox, deliver
from lakeloop.monitoring.messages import Message, Notice
from lakeloop.monitoring.post import SIGNATURE, signature_of
from lakeloop.monitoring.spec import Channel
from tests.services.alert_receivers import SECRETS, Receiver, free_port

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
HOSTILE = "<!channel> <script>alert(1)</script> & *bold*\r\nBcc: evil@example.org\n\n.\n\u2028\u202ebackwards"
PAUSES = (0.01, 0.01)


def message(text: str = "crm is out of reach", pipeline: str = "customers", owner: str | None = "crm-team") -> Message:
    return Message(pipeline, owner, "20260102T030405-abc", "test", AT, (Notice("run_failed", "error", text),))


class Mailbox:
    """Takes mail, all of it or not that for `refused@example.org`."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.answers: list[str] = []

    async def handle_RCPT(  # noqa: N802  aiosmtpd looks the method up by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused@"):
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"

    def only(self) -> EmailMessage:
        ((_, content),) = self.mails
        parsed = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@contextmanager
def mail_server(box: Mailbox, **options: Any) -> Iterator[int]:
    """A mail server on a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def mail_channel(port: int, **changes: Any) -> Channel:
    settings = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "lakeloop@example.org",
                "to": ["duty@example.org"], "timeout_seconds": 5}  # fmt: skip
    return Channel.model_validate({"email": settings | changes})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=loopback",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def secured_mail_server(box: Mailbox, certificate: tuple[Path, Path], logins: list[LoginPassword]) -> Iterator[int]:
    """A mail server that wants STARTTLS and a login first."""

    def authenticate(*arguments: Any) -> AuthResult:
        logins.append(arguments[-1])
        return AuthResult(success=arguments[-1].password == SECRETS["password"].encode(), handled=False)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with mail_server(
        box, tls_context=context, require_starttls=True, authenticator=authenticate, auth_required=True
    ) as port:
        yield port


def webhook(url: str, **changes: Any) -> Channel:
    return Channel.model_validate({"webhook": {"url": url, "timeout_seconds": 5} | changes})


def slack(folder: Path, url: str) -> Channel:
    (folder / "slack_url").write_text(url)
    return Channel.model_validate({"slack": {"url": "${secret:slack_url}", "timeout_seconds": 5}})


def test_a_mail_arrives_with_everything_a_person_on_duty_needs() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        assert deliver(mail_channel(port, to=["a@example.org", "b@example.org"]), message("größer"), None) == ""
    assert box.mails[0][0] == ["a@example.org", "b@example.org"]
    mail = box.only()
    assert {name: mail[name] for name in ("From", "To", "Subject", "Auto-Submitted", "Message-ID")} == {
        "From": "lakeloop@example.org",
        "To": "a@example.org, b@example.org",
        "Subject": "[Lakeloop test] customers: run failed",
        "Auto-Submitted": "auto-generated",
        "Message-ID": "<20260102T030405-abc.customers@example.org>",
    }
    assert mail["Date"].datetime == AT
    assert mail.get_content().splitlines() == [
        "run failed: größer",
        "",
        "pipeline customers, owner crm-team",
        "run 20260102T030405-abc in test, 2026-01-02 03:04 UTC",
    ]


def test_hostile_text_adds_no_header_no_recipient_and_no_line_to_a_mail() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        deliver(mail_channel(port), message(HOSTILE, pipeline=f"p{HOSTILE}", owner=HOSTILE), None)
    mail = box.only()
    assert "Bcc" not in mail
    assert box.mails[0][0] == ["duty@example.org"]
    assert mail["Message-ID"].startswith("<20260102T030405-abc.p--channel---script-")
    assert mail["Subject"].startswith("[Lakeloop test] p<!channel> <script>alert(1)</script> & *bold* Bcc: evil")
    assert mail.get_content_type() == "text/plain"
    assert "*bold* Bcc: evil@example.org . backwards" in mail.get_content().splitlines()[0]


def test_mail_goes_by_starttls_with_a_login(certificate: tuple[Path, Path], secrets: Path) -> None:
    box, logins = Mailbox(), list[LoginPassword]()
    secured = {"tls": "starttls", "ca_file": str(certificate[0]), "user": "lake", "password": "${secret:password}"}
    with secured_mail_server(box, certificate, logins) as port:
        deliver(mail_channel(port, **secured), message(), secrets)
        assert logins[-1] == LoginPassword(b"lake", SECRETS["password"].encode())
        assert box.only()["To"] == "duty@example.org"

        (secrets / "password").write_text("hunter2-ä")
        with pytest.raises(DeliveryRefusedError, match="other than ASCII"):
            deliver(mail_channel(port, **secured), message(), secrets)
        (secrets / "password").write_text("wrong-word")
        with pytest.raises(DeliveryRefusedError, match="answered 535") as refused:
            deliver(mail_channel(port, **secured), message(), secrets)
        assert "wrong-word" not in str(refused.value)
        assert set(logins[1:]) == {LoginPassword(b"lake", b"wrong-word")}

        with pytest.raises(DeliveryRefusedError, match="certificate is not trusted"):
            deliver(mail_channel(port, **secured | {"ca_file": None}), message(), secrets)
        with pytest.raises(DeliveryRefusedError, match="answered 530"):
            deliver(mail_channel(port), message(), None)
    assert len(box.mails) == 1


def test_no_password_leaves_for_a_server_without_starttls(secrets: Path) -> None:
    box = Mailbox()
    with mail_server(box) as port, pytest.raises(DeliveryRefusedError, match="no STARTTLS"):
        deliver(mail_channel(port, tls="starttls", user="lake", password="${secret:password}"), message(), secrets)
    assert box.mails == []


def test_a_mail_server_that_is_busy_is_asked_again() -> None:
    box = Mailbox()
    box.answers = ["451 later", "451 later"]
    with mail_server(box) as port:
        deliver(mail_channel(port), message(), None, PAUSES)
        assert len(box.mails) == 1
        box.answers = ["451 later"] * 3
        with pytest.raises(DeliveryError, match="answered 451"):
            deliver(mail_channel(port), message(), None, PAUSES)
        assert box.answers == []
        box.answers = ["554 never", "250 not reached"]
        with pytest.raises(DeliveryRefusedError, match="answered 554"):
            deliver(mail_channel(port), message(), None, PAUSES)
        assert box.answers == ["250 not reached"]


def test_one_recipient_refused_is_a_remark_and_all_refused_an_error() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        remark = deliver(mail_channel(port, to=["refused@example.org", "a@example.org"]), message(), None)
        assert remark == "the mail server refuses refused@example.org"
        assert box.mails[0][0] == ["a@example.org"]
        with pytest.raises(DeliveryRefusedError, match=r"refuses refused@example\.org"):
            deliver(mail_channel(port, to=["refused@example.org"]), message(), None)


def test_a_mail_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = mail_channel(silent.getsockname()[1], timeout_seconds=0.2)
        with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s"):
            deliver(channel, message(), None, PAUSES)


def test_nobody_listens() -> None:
    with pytest.raises(DeliveryError, match=r"no mail could be sent \(ConnectionRefusedError\)"):
        deliver(mail_channel(free_port()), message(), None, PAUSES)
    with pytest.raises(DeliveryError, match=r"no connection \(ConnectionError\)"):
        deliver(webhook(f"http://127.0.0.1:{free_port()}"), message(), None, PAUSES)


def test_a_webhook_gets_json_with_the_secret_header_and_a_signature_of_these_bytes(secrets: Path) -> None:
    with Receiver([204]) as receiver:
        header = {"name": "Authorization", "value": "${secret:token}"}
        deliver(
            webhook(f"{receiver.url}/in?x=1", secret_header=header, sign_with="${secret:key}"),
            message(HOSTILE),
            secrets,
        )
    ((path, headers, body),) = receiver.posts
    assert (path, headers["Authorization"], headers["Content-Type"]) == (
        "/in?x=1",
        SECRETS["token"],
        "application/json",
    )
    assert headers[SIGNATURE] == signature_of(body, SECRETS["key"])
    # HMAC-SHA256 as openssl computes it, so that a receiver needs nothing of ours.
    checked = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRETS["key"], "-r"], input=body, check=True, capture_output=True
    )
    assert headers[SIGNATURE] == f"sha256={checked.stdout.split()[0].decode()}"
    assert json.loads(body) == {
        "id": "20260102T030405-abc.customers",
        "subject": "[Lakeloop test] customers: run failed",
        "pipeline": "customers",
        "owner": "crm-team",
        "environment": "test",
        "run_id": "20260102T030405-abc",
        "at": "2026-01-02T03:04:05+00:00",
        "incidents": [{"kind": "run_failed", "severity": "error", "state": "opened", "message": HOSTILE}],
    }


def test_slack_mentions_nobody_and_makes_no_link_of_what_a_text_says(secrets: Path) -> None:
    with Receiver([200]) as receiver:
        deliver(slack(secrets, f"{receiver.url}/services/T0/B0"), message(HOSTILE, f"p{HOSTILE}", HOSTILE), secrets)
    ((path, _, body),) = receiver.posts
    sent = json.loads(body)
    assert (path, set(sent)) == ("/services/T0/B0", {"text", "blocks"})
    header, section, facts = sent["blocks"]
    assert (header["text"]["type"], section["text"]["type"]) == ("plain_text", "mrkdwn")
    assert len(header["text"]["text"]) <= 150
    escaped = "&lt;!channel&gt; &lt;script&gt;alert(1)&lt;/script&gt; &amp; *bold* Bcc: evil@example.org . backwards"
    assert section["text"]["text"] == f"*run failed*\n{escaped}"
    for text in (sent["text"], section["text"]["text"], facts["elements"][0]["text"]):
        assert "<" not in text
        assert ">" not in text


@pytest.mark.parametrize(("statuses", "tries"), [([500, 200], 2), ([429, 503, 200], 3)])
def test_a_receiver_in_trouble_is_asked_again(statuses: list[int], tries: int) -> None:
    with Receiver(statuses) as receiver:
        deliver(webhook(receiver.url), message(), None, PAUSES)
    assert len(receiver.posts) == tries
    assert len({body for _, _, body in receiver.posts}) == 1


@pytest.mark.parametrize(("status", "error", "tries"), [(500, DeliveryError, 3), (404, DeliveryRefusedError, 1)])
def test_a_receiver_that_never_takes_it_is_given_up(status: int, error: type[Exception], tries: int) -> None:
    with Receiver([status]) as receiver, pytest.raises(error, match=f"the receiver answered {status}"):
        deliver(webhook(receiver.url), message(), None, PAUSES)
    assert len(receiver.posts) == tries


def test_a_redirect_is_not_followed() -> None:
    with Receiver([302]) as receiver, pytest.raises(DeliveryRefusedError, match="answered 302"):
        deliver(webhook(receiver.url), message(), None, PAUSES)
    assert [path for path, _, _ in receiver.posts] == ["/"]


def test_a_slow_receiver_costs_its_time_out_and_no_second_message_waits_for_it() -> None:
    released = threading.Event()
    with Receiver([200], before_answer=lambda: released.wait() and None) as receiver:  # type: ignore[func-returns-value]
        outbox = Outbox({"slow": webhook(receiver.url, timeout_seconds=0.2)}, pauses_seconds=(0.01,))
        assert not outbox.send("slow", message())
        assert outbox.failures == {"slow": "no answer within 0.2 s"}
        assert not outbox.send("slow", message(pipeline="usage"))
        assert len(receiver.posts) == 2
        released.set()


def test_what_cannot_be_sent_is_told_without_its_secrets(secrets: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Receiver([403]) as receiver:
        broken = slack(secrets, f"{receiver.url}/services/T0/SECRET")
        outbox = Outbox({"refusing": broken}, secrets)
        outbox.send("refusing", message())
    for url in (
        "http://127.0.0.1:1/services/T0/SECRET",
        "nonsense SECRET",
        "http://[SECRET",
        "http://127.0.0.1:99999/SECRET",
    ):
        outbox.channels[url] = slack(secrets, url)
        assert not outbox.send(url, message())
    assert len(outbox.failures) == 5
    assert "SECRET" not in "".join(outbox.failures.values())
    (secrets / "slack_url").unlink()
    outbox.channels["unset"] = broken
    assert not outbox.send("unset", message())
    assert "the secret 'slack_url' has no value" in outbox.failures["unset"]
