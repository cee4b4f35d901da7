"""One cause, one message: told once, again after `repeat_after`, once more when it is gone, and never fifty times."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.core.config import Project
from lakeloop.core.errors import FormatError, LakeloopError, RuleFailedError, SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.lake.rule_results import RuleResult, append_results
from lakeloop.monitoring.causes import PipelineRun, causes_of
from lakeloop.monitoring.incidents import Event, open_incidents, record_events, still_open
from lakeloop.monitoring.messages import Message, one_line
from lakeloop.monitoring.routing import events_of, send_all
from lakeloop.monitoring.spec import AlertRule, AlertsSpec
from lakeloop.quality.arrivals import Arrival
from lakeloop.verbs.alerting import alert

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
GOOD = RowCounts(100, 100, 0, 0)
BROKEN = SourceError("crm is out of reach")
OVERDUE = Arrival("missing", START - 30 * HOUR, has_arrived=True)


def rules(*declared: dict[str, object]) -> list[AlertRule]:
    return [AlertRule.model_validate({"channels": ["duty"], **rule}) for rule in declared]


@dataclass
class Watch:
    """Runs one after the other, an hour apart, with the events and messages that came of them."""

    rules: Sequence[AlertRule]
    down: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    sent: list[tuple[int, str, Message]] = field(default_factory=list)
    hour: int = -1

    def run(self, *runs: PipelineRun) -> list[tuple[str, str]]:
        """State and kind of every event of the next run."""
        self.hour += 1
        context, at = RunContext("run", "test", run_id=f"r{self.hour}"), START + self.hour * HOUR
        before = still_open(self.events)
        due = [item for run in runs for item in events_of(run, before, self.rules, context, at)]
        events = send_all(due, {"p": "crm-team"}, context, self._send)
        self.events += events
        return [(event.state, event.kind) for event in events]

    def _send(self, channel: str, message: Message) -> bool:
        if channel in self.down:
            return False
        self.sent.append((self.hour, channel, message))
        return True

    def told(self) -> list[tuple[int, str, list[str]]]:
        """Hour, channel and headings of every message that arrived."""
        return [(hour, channel, [n.heading for n in message.notices]) for hour, channel, message in self.sent]


def test_a_failure_is_told_once_and_its_end_once() -> None:
    watch = Watch(rules({"kinds": ["run_failed", "recovered"]}))
    states = [watch.run(PipelineRun("p", error)) for error in (BROKEN, BROKEN, None, None)]
    failed = "run_failed"
    assert states == [[("opened", failed)], [("repeated", failed)], [("resolved", failed)], []]
    assert watch.told() == [(0, "duty", ["run failed"]), (2, "duty", ["recovered from run failed"])]
    assert len({event.id for event in watch.events}) == 1
    watch.run(PipelineRun("p", BROKEN))
    assert watch.told()[-1] == (4, "duty", ["run failed"])
    assert len({event.id for event in watch.events}) == 2


def test_it_is_told_again_after_repeat_after_and_not_before() -> None:
    watch = Watch(rules({"kinds": ["run_failed"], "repeat_after": "3h"}))
    for _ in range(8):
        watch.run(PipelineRun("p", BROKEN))
    assert [hour for hour, _, _ in watch.told()] == [0, 3, 6]
    assert watch.told()[1] == (3, "duty", ["still run failed"])


def test_a_recovery_is_told_only_to_those_who_heard_of_the_cause_and_asked() -> None:
    watch = Watch(
        rules(
            {"kinds": ["run_failed", "recovered"], "channels": ["duty"]},
            {"kinds": ["run_failed"], "channels": ["room"]},
            {"kinds": ["recovered"], "channels": ["board"]},
        )
    )
    watch.run(PipelineRun("p", BROKEN))
    watch.run(PipelineRun("p"))
    assert [(hour, channel) for hour, channel, _ in watch.told()] == [(0, "duty"), (0, "room"), (1, "duty")]


def test_fifty_failing_rules_of_a_batch_are_one_message() -> None:
    watch = Watch(rules({"kinds": ["rule_violated", "rows_quarantined"]}))
    results = [RuleResult(f"rule_{number:02}", "error", 1) for number in range(50)]
    run = PipelineRun("p", counts=RowCounts(100, 50, 50, 0), results=results)
    assert len(watch.run(run)) == 51
    (message,) = [message for _, _, message in watch.sent]
    assert message.subject == "[Lakeloop test] p: 51 problems"
    assert "rule violated: rule_00: 1 rows" in message.as_text()
    assert "and 31 more: lakeloop incidents" in message.as_text()
    assert "owner crm-team" in message.as_text()
    watch.run(replace(run, results=[*results, RuleResult("rule_new", "error", 1)]))
    assert watch.told()[1:] == [(1, "duty", ["rule violated"])]


def test_pipelines_and_channels_get_messages_of_their_own() -> None:
    watch = Watch(rules({"kinds": ["run_failed"], "channels": ["duty", "room"]}))
    watch.run(PipelineRun("p", BROKEN), PipelineRun("q", BROKEN))
    assert sorted((channel, message.pipeline) for _, channel, message in watch.sent) == [
        ("duty", "p"), ("duty", "q"), ("room", "p"), ("room", "q"),
    ]  # fmt: skip


def test_a_channel_that_was_down_is_told_by_the_next_run_that_shows_the_cause() -> None:
    watch = Watch(rules({"kinds": ["run_failed"], "channels": ["duty", "room"]}), down={"room"})
    watch.run(PipelineRun("p", BROKEN))
    assert (watch.events[-1].channels, watch.events[-1].undelivered) == (("duty",), ("room",))
    watch.down.clear()
    watch.run(PipelineRun("p", BROKEN))
    assert [(hour, channel) for hour, channel, _ in watch.told()] == [(0, "duty"), (1, "room")]


def test_an_error_says_which_kind_of_incident_it_is() -> None:
    kinds = {FormatError: "file_refused", RuleFailedError: "batch_withdrawn", SourceError: "run_failed"}
    for error, kind in kinds.items():
        (cause,) = causes_of(PipelineRun("p", error("why")), START)
        assert (cause.kind, cause.severity, cause.message) == (kind, "error", "why")


def test_another_error_is_another_cause_and_the_end_of_the_run_resolves_both() -> None:
    watch = Watch([])
    watch.run(PipelineRun("p", BROKEN))
    assert watch.run(PipelineRun("p", FormatError("no XML"))) == [("opened", "file_refused")]
    assert len(still_open(watch.events)) == 2
    assert watch.run(PipelineRun("p")) == [("resolved", "run_failed"), ("resolved", "file_refused")]


def test_bad_rows_are_incidents_only_where_a_rule_asks_and_end_with_a_better_batch() -> None:
    bad = PipelineRun("p", counts=RowCounts(100, 98, 2, 0), results=[RuleResult("r", "warn", 2)])
    assert Watch(rules({"kinds": ["run_failed"]})).run(bad) == []
    watch = Watch(rules({"kinds": ["rows_quarantined"], "over": "1%"}))
    assert watch.run(bad) == [("opened", "rows_quarantined")]
    assert watch.events[0].message == "2 of 100 rows are quarantined (2.00%)"
    assert watch.run(PipelineRun("p")) == []  # nothing new says nothing of the last batch
    assert watch.run(PipelineRun("p", BROKEN)) == [("opened", "run_failed")]
    assert watch.run(PipelineRun("p", counts=GOOD)) == [("resolved", "rows_quarantined"), ("resolved", "run_failed")]


def test_late_files_stay_late_while_they_are_missing_or_nobody_knows() -> None:
    watch = Watch(rules({"kinds": ["file_late", "file_missing", "recovered"]}))
    late = Arrival("late", START - 25 * HOUR, has_arrived=True)
    assert watch.run(PipelineRun("p", arrival=late)) == [("opened", "file_late")]
    assert watch.run(PipelineRun("p", arrival=OVERDUE)) == [("opened", "file_missing")]
    assert watch.events[-1].message == "the last rows came at 2025-12-30 18:00 UTC, 1 d 7 h ago"
    assert watch.run(PipelineRun("p", arrival=Arrival("unknown"))) == []
    assert sorted(watch.run(PipelineRun("p", counts=GOOD, arrival=Arrival("on_time", START)))) == [
        ("resolved", "file_late"), ("resolved", "file_missing"),
    ]  # fmt: skip
    assert len(watch.sent) == 3


def test_incidents_of_pipelines_that_did_not_run_are_left_alone() -> None:
    watch = Watch([])
    watch.run(PipelineRun("p", BROKEN), PipelineRun("q", BROKEN))
    assert watch.run(PipelineRun("p")) == [("resolved", "run_failed")]
    assert [incident.last.pipeline for incident in still_open(watch.events)] == ["q"]


@given(st.lists(st.booleans(), max_size=12), st.randoms())
def test_whatever_happens_a_cause_is_open_exactly_while_it_lasts(failing: list[bool], random: object) -> None:
    watch = Watch(rules({"kinds": ["run_failed", "recovered"]}))
    for fails in failing:
        watch.run(PipelineRun("p", BROKEN if fails else None))
    assert len(still_open(watch.events)) == (bool(failing) and failing[-1])
    spells = sum(now and not before for before, now in zip([False, *failing], failing, strict=False))
    assert len(watch.sent) == 2 * spells - len(still_open(watch.events))
    shuffled = list(watch.events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert still_open(shuffled) == still_open(watch.events)


def test_events_come_back_from_the_table_as_they_were(tmp_path: Path) -> None:
    assert open_incidents(str(tmp_path)) == []
    record_events(str(tmp_path), [])
    assert list(tmp_path.iterdir()) == []
    watch = Watch(rules({"kinds": ["run_failed"]}), down={"room"})
    watch.run(PipelineRun("p", LakeloopError("<b>\n'")), PipelineRun("q", BROKEN))
    record_events(str(tmp_path), watch.events)
    watch.run(PipelineRun("q"))
    record_events(str(tmp_path), watch.events[2:])
    assert open_incidents(str(tmp_path)) == still_open(watch.events)
    assert [incident.last for incident in open_incidents(str(tmp_path))] == [watch.events[0]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\x00c\x07d", "a b c d"),
        ("\x1b[31mred\x1b[0m \x1b]0;title", "red ]0;title"),
        ("x\u2028y\u202ez\x85", "x y z"),
        ("é " * 400, ("é " * 400)[:599] + "…"),
    ],
)
def test_a_text_in_a_message_is_one_printable_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_rule_of_alerts_may_be_for_some_owners(tmp_path: Path) -> None:
    results = [RuleResult("r", "warn", 1, owner="ann"), RuleResult("s", "warn", 1, message="rows: found 0")]
    causes = causes_of(PipelineRun("p", BROKEN, GOOD, results, owner="shop"), START)
    assert [(cause.kind, cause.owner, cause.message) for cause in causes[1:]] == [
        ("rule_violated", "ann", "r: 1 rows"),
        ("rule_violated", "shop", "s: rows: found 0"),
    ]
    declared = {"kinds": ["rule_violated", "run_failed"], "channels": ["duty"]}
    for owners, concerned in (["ann"], [False, True, False]), (["shop", "x"], [True, False, True]), ([], [True] * 3):
        rule = AlertRule.model_validate({**declared, "owners": owners})
        assert [rule.concerns(cause) for cause in causes] == concerned


@pytest.mark.parametrize("severity", ["error", "fail", "warn"])
def test_a_violated_rule_is_as_severe_as_it_is_declared(severity: str) -> None:
    run = PipelineRun("p", counts=GOOD, results=[RuleResult("r", severity, 1), RuleResult("s", severity, 0)])
    assert [cause.severity for cause in causes_of(run, START)] == ["warn" if severity == "warn" else "error"]


def test_rows_that_a_look_up_only_counts_open_no_incident(tmp_path: Path) -> None:
    for folder in ("base/pipelines", "local"):
        (tmp_path / "conf" / folder).mkdir(parents=True)
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    source = "source: {query: SELECT 1 AS id, inputs: {a: silver.a}}"
    pipeline = f"pipeline: p\ndescription: P\n{source}\nsink: {{table: silver.p}}\n"
    (tmp_path / "conf/base/pipelines/p.yml").write_text(pipeline)
    project, run = Project(tmp_path / "conf"), RunContext("run", "local")
    ledger = Ledger(project.lake_root)
    ledger.record(run, RunEntry("p", "silver.p", "succeeded", START, "", 0, RowCounts(3, 3, 0, 0)))
    results = [RuleResult("plans_matches", "counted", 2), RuleResult("id_is_unique", "warn", 1)]
    append_results(project.lake_root, run, "p", 0, "v", results)
    nobody = {"webhook": {"url": "http://127.0.0.1:9/"}}
    told = AlertsSpec.model_validate(
        {"channels": {"duty": nobody}, "rules": [{"kinds": ["rule_violated"], "channels": ["duty"]}]}
    )
    alert(project, told, [load_pipeline(project, "p")], {}, run)
    assert [incident.last.message for incident in open_incidents(project.lake_root)] == ["id_is_unique: 1 rows"]
