"""Alerts of runs, from the declaration to a receiver on loopback, and the command that tests a channel."""

import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError, SourceError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import Ledger, Outcome, RunEntry
from lakeloop.monitoring.incidents import open_incidents
from lakeloop.monitoring.spec import load_alerts
from lakeloop.verbs.alerting import alert
from tests.services.alert_receivers import Receiver, free_port

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
