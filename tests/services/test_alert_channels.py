"""Alerts through real receivers on loopback: the bytes that arrive, and what happens when nobody takes them."""

import datetime as dt
import email
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from typer.testing import CliRunner

from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.core.errors import DeliveryError, DeliveryRefusedError, LakeloopError, SourceError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import Ledger, Outcome, RunEntry
from lakeloop.monitoring.delivery import Outbox, deliver
from lakeloop.monitoring.incidents import open_incidents
from lakeloop.monitoring.messages import Message, Notice
from lakeloop.monitoring.post import SIGNATURE, signature_of
from lakeloop.monitoring.spec import Channel, load_alerts
from lakeloop.verbs.alerting import alert

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
HOSTILE = "<!channel> <script>alert(1)</script> & *bold*\r\nBcc: evil@example.org\n\n.\n\u2028\u202ebackwards"
SECRETS = {"password": "hunter2", "key": "signing-key", "token": "Bearer letmein"}
PAUSES = (0.01, 0.01)


def message(text: str = "crm is out of reach", pipeline: str = "customers", owner: str | None = "crm-team") -> Message:
    return Message(pipeline, owner, "20260102T030405-abc", "test", AT, (Notice("run_failed", "error", text),))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder of secrets as they are mounted."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(value + "\n")
    return folder


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


class Receiver:
    """An HTTP server on 127.0.0.1 that answers with `statuses` in turn, the last one for good."""

    def __init__(self, statuses: list[int], before_answer: Callable[[], None] = lambda: None) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, dict(self.headers), body))
                before_answer()
                status = statuses[min(len(receiver.posts), len(statuses)) - 1]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def webhook(url: str, **changes: Any) -> Channel:
    return Channel.model_validate({"webhook": {"url": url, "timeout_seconds": 5} | changes})


def slack(folder: Path, url: str) -> Channel:
    (folder / "slack_url").write_text(url)
    return Channel.model_validate({"slack": {"url": "${secret:slack_url}", "timeout_seconds": 5}})


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


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


PIPELINE = """pipeline: {name}
description: one row per line
owner: {name}-team
source: {{files: drop, formats: {{csv: {{}}}}, fields: [id], expect: {{every: 1d, grace: 2h}}}}
sink: {{table: silver.{name}}}
"""


@pytest.fixture
def project(tmp_path: Path, secrets: Path) -> Project:
    conf = tmp_path / "conf"
    (conf / "base/pipelines").mkdir(parents=True)
    (conf / "local").mkdir()
    (conf / "base/platform.yml").write_text(f"lake: {tmp_path}/lake\nsecrets_folder: {secrets}\n")
    (conf / "base/connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    for name in ("orders", "returns"):
        (conf / f"base/pipelines/{name}.yml").write_text(PIPELINE.format(name=name))
    return Project(conf)


def declare(project: Project, url: str, mail_port: int) -> None:
    (project.folder / "base/alerts.yml").write_text(f"""
channels:
  hook: {{webhook: {{url: "{url}", sign_with: "${{secret:key}}"}}}}
  duty: {{email: {{host: 127.0.0.1, port: {mail_port}, tls: none, sender: l@example.org, to: [d@example.org]}}}}
rules:
  - {{kinds: [run_failed, file_missing, rows_quarantined, recovered], channels: [hook], over: 10%}}
  - {{kinds: [run_failed], channels: [duty], pipelines: [orders]}}
""")


def lakeloop(project: Project, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--conf-dir", str(project.folder)])
    assert "Traceback" not in result.output
    return result.exit_code, " ".join(result.output.split())


def test_the_command_tests_a_channel_and_names_what_is_wrong(project: Project) -> None:
    with Receiver([200]) as receiver:
        declare(project, receiver.url, free_port())
        assert lakeloop(project, "alerts", "test", "hook") == (0, "hook took the message")
        assert json.loads(receiver.posts[0][2])["incidents"][0]["kind"] == "test"
    code, said = lakeloop(project, "alerts", "test", "duty")
    assert (code, said) == (1, "channel duty: no mail could be sent (ConnectionRefusedError)")
    code, said = lakeloop(project, "alerts", "test", "hok")
    assert code == 1
    assert "did you mean 'hook'?" in said
    assert not Ledger(project.lake_root).runs(1)
    assert open_incidents(project.lake_root) == []


def alerted(project: Project, failures: dict[str, LakeloopError], *ended: RunEntry) -> tuple[str, ...]:
    """What `run` says of its alerts after pipelines have ended so."""
    context, ledger = RunContext("run", "local"), Ledger(project.lake_root)
    for entry in ended:
        ledger.record(context, entry)
    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    return alert(project, load_alerts(project), specs, failures, context)


def ended(name: str, outcome: Outcome, counts: RowCounts | None = None, hours_ago: int = 0) -> RunEntry:
    started_at = now() - dt.timedelta(hours=hours_ago)
    return RunEntry(name, f"silver.{name}", outcome, started_at, "", 0, counts or RowCounts())


def test_a_run_opens_tells_and_resolves_and_a_dead_channel_is_only_named(project: Project) -> None:
    with Receiver([500, 200]) as receiver:
        declare(project, receiver.url, free_port())
        failed = {"orders": SourceError("the folder is gone")}
        notes = alerted(project, failed, ended("orders", "failed"), ended("returns", "nothing_new", hours_ago=27))
        assert notes == (
            "Incidents: 2 opened; told: hook · lakeloop incidents",
            "Alerts did not reach duty: no mail could be sent (ConnectionRefusedError)",
        )
        first, again, second = (json.loads(body) for _, _, body in receiver.posts)
        assert first == again  # the first try was answered with 500
        assert [(m["pipeline"], m["owner"], m["incidents"][0]["kind"]) for m in (first, second)] == [
            ("orders", "orders-team", "run_failed"),
            ("returns", "returns-team", "file_missing"),
        ]
        code, said = lakeloop(project, "incidents")
        assert code == 0
        assert "orders run failed (error): the folder is gone open for" in said
        assert "seen in 1 run(s), told: hook" in said

        bad = RowCounts(10, 8, 2, 0)
        notes = alerted(
            project, {}, ended("orders", "succeeded", RowCounts(10, 9, 1, 0)), ended("returns", "succeeded", bad)
        )
        assert notes == ("Incidents: 1 opened, 2 resolved; told: hook · lakeloop incidents",)
        sent = [json.loads(body) for _, _, body in receiver.posts[3:]]
        assert [[(i["kind"], i["state"]) for i in m["incidents"]] for m in sent] == [
            [("run_failed", "resolved")],
            [("rows_quarantined", "opened"), ("file_missing", "resolved")],
        ]
        assert [m["subject"].split(": ")[1] for m in sent] == ["recovered", "rows quarantined, 1 recovered"]
        assert alerted(project, {}, ended("orders", "nothing_new"), ended("returns", "nothing_new")) == ()
        assert len(receiver.posts) == 5


def test_people_are_told_even_when_no_incident_can_be_remembered(project: Project) -> None:
    with Receiver([200]) as receiver:
        declare(project, receiver.url, free_port())
        (Path(project.lake_root) / "ops").mkdir(parents=True)
        (Path(project.lake_root) / "ops/incidents").write_text("not a folder")
        notes = alerted(project, {"returns": SourceError("down")}, ended("returns", "failed"))
        assert len(receiver.posts) == 1
        assert notes[0] == "Incidents: 1 opened; told: hook · lakeloop incidents"
        assert [note.split(": ")[0] for note in notes[1:]] == [
            "Earlier incidents cannot be read, so all count as new",
            "The incidents of this run are not on record",
        ]
        assert all(note.isprintable() for note in notes)
