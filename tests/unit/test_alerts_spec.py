"""`alerts.yml`: what may stand in it, and the line of what may not."""

from pathlib import Path

import pytest

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RowCounts
from lakeloop.monitoring.incidents import Cause, Kind, Severity
from lakeloop.monitoring.spec import AlertRule, load_alerts
from lakeloop.verbs import validate

CHANNELS = """channels:
  duty:
    email: {host: mail.example.org, port: 587, tls: starttls, user: u, password: "${secret:mail}",
            sender: l@example.org, to: [a@example.org, b@example.org]}
  hook:
    webhook: {url: "https://example.org/x", secret_header: {name: Authorization, value: "${secret:token}"},
              sign_with: "${secret:key}"}
  room: {slack: {url: "${secret:slack_url}"}}
"""
PIPELINE = """pipeline: orders
description: Orders
source: {files: drop, formats: {csv: {}}, fields: [id], expect: {every: 1d, grace: 2h}}
sink: {table: silver.orders}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "base/pipelines").mkdir(parents=True)
    (tmp_path / "local").mkdir()
    (tmp_path / "base/platform.yml").write_text("lake: lake\n")
    (tmp_path / "base/connections.yml").write_text("drop: {files: {path: drop}}\n")
    (tmp_path / "base/pipelines/orders.yml").write_text(PIPELINE)
    return tmp_path


def refusal(conf: Path, text: str) -> str:
    (conf / "base/alerts.yml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_alerts(Project(conf))
    assert validate(Project(conf), secrets=False) == str(refused.value).splitlines()
    return str(refused.value).replace(f"{conf}/base/alerts.yml:", "")


def rule(**declared: object) -> AlertRule:
    return AlertRule.model_validate({"channels": ["duty"], **declared})


def cause(kind: Kind, severity: Severity = "error", pipeline: str = "orders", detail: str = "", bad: int = 0) -> Cause:
    return Cause(kind, pipeline, severity, "text", detail, RowCounts(200, 200 - bad, bad, 0))


def test_a_project_without_the_file_has_no_alerts(conf: Path) -> None:
    assert (load_alerts(Project(conf)).channels, validate(Project(conf))) == ({}, [])


def test_every_secret_is_checked_and_none_is_printed(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (conf / "base/alerts.yml").write_text(CHANNELS)
    assert validate(Project(conf), secrets=False) == []
    monkeypatch.setenv("LAKELOOP_SECRET_TOKEN", "hunter2")
    problems = validate(Project(conf))
    assert [problem.split("'")[1] for problem in problems] == ["mail", "key", "slack_url"]
    assert "hunter2" not in repr(load_alerts(Project(conf)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chanels: {}\n", ["1: unknown key 'chanels'; did you mean 'channels'?"]),
        ("channels:\n  a: {}\n", ["2: channels.a: a channel has exactly one of the keys email, slack, webhook"]),
        ("channels:\n  a:\n    slack: {url: https://x}\n", ["3: channels.a.slack.url: a secret is given by reference"]),
        ("channels:\n  a:\n    webhook: {url: ftp://x}\n", ["3: channels.a.webhook.url", "found 'ftp://x'"]),
        (CHANNELS.replace("a@example.org", '"a@b.c\\nBcc: x@y.z"'), ["channels.duty.email.to.0", "pattern"]),
        (CHANNELS.replace("l@example.org", "Lakeloop <l@b.c>"), ["channels.duty.email.sender", "pattern"]),
        (CHANNELS.replace("starttls", "none"), ["3: channels.duty.email: tls: none would send the password readable"]),
        (CHANNELS.replace("user: u, ", ""), ["user and password are given together"]),
        ("rules:\n  - kinds: [run_faild]\n    channels: [a]\n", ["2: rules.0.kinds.0", "'run_failed'"]),
        ("rules:\n  - kinds: [run_failed]\n    channels: [a]\n    over: 1%\n", ["over belongs to the kind rows_quar"]),
        ("rules:\n  - {kinds: [rows_quarantined], channels: [a], over: 100%}\n", ["a share below 100%"]),
        ("rules:\n  - {kinds: [rows_quarantined], channels: [a], over: 0.5}\n", ["a number of rows"]),
        ("rules:\n  - {kinds: [run_failed], channels: [a], repeat_after: 6}\n", ["as 90s or as 7d"]),
        (
            CHANNELS + "rules:\n  - kinds: [run_failed]\n    channels: [duty, dutty]\n    pipelines: [order]\n",
            ["11: no channel 'dutty'; did you mean 'duty'?", "12: no pipeline 'order'; did you mean 'orders'?"],
        ),
    ],
)
def test_a_mistake_is_refused_with_its_line(conf: Path, text: str, said: list[str]) -> None:
    refused = refusal(conf, text)
    assert all(words in refused for words in said), refused


def test_the_example_of_the_documentation_is_valid(conf: Path) -> None:
    document = (Path(__file__).parents[2] / "docs/alerts.md").read_text()
    example = document.split("```yaml\n")[1].split("```")[0]
    (conf / "base/alerts.yml").write_text(example.replace("[customers]", "[orders]"))
    spec = load_alerts(Project(conf))
    assert (len(spec.channels), len(spec.rules), len(spec.secrets)) == (3, 4, 4)


def test_an_environment_overlays_the_channels(conf: Path) -> None:
    (conf / "base/alerts.yml").write_text(CHANNELS)
    (conf / "local/alerts.yml").write_text("channels: {duty: {email: {port: 2525}}}\n")
    mail = load_alerts(Project(conf)).channels["duty"].email
    assert mail is not None
    assert (mail.host, mail.port) == ("mail.example.org", 2525)


def test_a_rule_concerns_its_kinds_pipelines_and_severity() -> None:
    both = ["run_failed", "file_late"]
    assert rule(kinds=both).concerns(cause("run_failed"))
    assert not rule(kinds=both).concerns(cause("batch_withdrawn"))
    assert rule(kinds=both).concerns(cause("file_late", "warn"))
    assert not rule(kinds=both, min_severity="error").concerns(cause("file_late", "warn"))
    assert rule(kinds=both, min_severity="error").concerns(cause("run_failed"))
    assert rule(kinds=both, pipelines=["orders"]).concerns(cause("run_failed"))
    assert not rule(kinds=both, pipelines=["other"]).concerns(cause("run_failed"))


@pytest.mark.parametrize(
    ("over", "bad", "is_alerted"),
    [(None, 1, True), (None, 0, False), (2, 2, False), (2, 3, True), ("1%", 2, False), ("1%", 3, True),
     ("0.5%", 1, False), ("0.5%", 2, True), ("0%", 1, True)],
)  # fmt: skip
def test_a_threshold_is_bearable_and_what_goes_beyond_is_not(over: object, bad: int, is_alerted: bool) -> None:
    declared = {} if over is None else {"over": over}
    assert rule(kinds=["rows_quarantined"], **declared).concerns(cause("rows_quarantined", bad=bad)) is is_alerted


def test_a_violated_rule_may_be_named() -> None:
    assert rule(kinds=["rule_violated"]).concerns(cause("rule_violated", detail="a"))
    assert rule(kinds=["rule_violated"], violated=["a", "b"]).concerns(cause("rule_violated", detail="a"))
    assert not rule(kinds=["rule_violated"], violated=["b"]).concerns(cause("rule_violated", detail="a"))
