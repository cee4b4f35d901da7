"""The ledger of models: who held which role when, what a rollback does, and what keeps a version out. Without Spark."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lakeloop import verbs
from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.core.errors import ConcurrentRunError, ConfigError, ModelError, PromotionRefusedError, TableError
from lakeloop.core.run_record import RunContext
from lakeloop.lake import champions
from lakeloop.lake.champions import (
    Gate,
    Switch,
    append_switch,
    fetch_release,
    holder,
    put_release,
    switches,
)
from lakeloop.scoring.release import ARCHIVE, DOCUMENT, complaints, digest_of, read_release, write_release
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear
from lakeloop.scoring.stages.vectors import Assemble
from lakeloop.training.spec.gates import AlikeSlices, Gates
from lakeloop.verbs.gates import champion_gate, incidents_gate, release_gates, slices_gate

RUN = RunContext("champion", "local", user="ann")
COLUMNS = {"id": "bigint", "age": "double"}
PIPELINE = """
pipeline: people
description: People
source: {files: drop, formats: {csv: {}}, fields: [id, age]}
rules: [{is_in_range: {column: age, min: 0, max: 120}}]
sink: {table: gold.people, mode: overwrite}
"""


def scorer(weight: float, column: str = "age") -> Scorer:
    """Margin = weight * age."""
    stages = [
        Assemble([column], "features"),
        BinaryLinear("features", "raw", "probability", "prediction", np.array([weight]), 0.0, 0.0),
    ]
    return Scorer({column: "double"}, stages, "binary")


def release(folder: Path, made: Scorer, table: str = "gold.people") -> Path:
    folder.mkdir()
    rows = [{"age": 30.0}, {"age": 30.0}, {"age": None}]
    write_release(folder, made, model="churn", table=table, key="id", background=rows[:1], probes=rows[:2])
    return folder


def promoted(version: int, **more: Any) -> Switch:
    return Switch("churn", "champion", "promoted", version, "ann", "better", "run", training_run="r", **more)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A table of two versions, two champions one after the other, and the rules that the first one learned under."""
    for name, text in {
        "base/platform.yml": f"lake: {tmp_path}/lake\n",
        "base/models/churn.yml": "model: churn\ntable: gold.people\n",
        "base/connections.yml": "drop: {files: {folder: drop}}\n",
        "base/pipelines/people.yml": PIPELINE,
        "local/.keep": "",
    }.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    root = f"{tmp_path}/lake"
    for ages in ([30.0, None], [30.0, 30.0, 40.0]):
        ids = pa.array(range(len(ages)), pa.int64())
        write_deltalake(
            f"{root}/gold/people", pa.table({"id": ids, "age": pa.array(ages, pa.float64())}), mode="overwrite"
        )
    for version, weight in ((1, 1.0), (2, -1.0)):
        folder = release(tmp_path / f"release{version}", scorer(weight))
        where = put_release(root, f"churn/{digest_of(folder)}", folder)
        made = promoted(version, release=where, tables={"gold.people": version - 1}, previous=version - 1 or None)
        append_switch(root, lambda _, made=made: made, dt.timedelta())
    return Project(tmp_path / "conf", "local")


def test_who_holds_a_role_depends_on_the_time(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert switches(root) == []
    first = append_switch(root, lambda _: promoted(1, percent=None, metrics={"test_f1": 0.5}), dt.timedelta(hours=1))
    append_switch(root, lambda _: replace(promoted(2), action="refused", gates=(Gate("parity", False, "no", "yes"),)))
    append_switch(root, lambda _: replace(promoted(3), role="canary", percent=10.0), dt.timedelta())
    ledger = switches(root, "churn")
    assert [switch.number for switch in ledger] == [1, 2, 3]
    assert ledger[0] == first
    assert ledger[1].gates == (Gate("parity", False, "no", "yes"),)
    # What is written later never takes effect before what is written already.
    assert ledger[2].effective_at >= first.effective_at
    before, after = first.effective_at - dt.timedelta(seconds=1), first.effective_at
    assert holder(ledger, "churn", "champion", before) is None
    assert holder(ledger, "churn", "champion", after) == first
    assert holder(ledger, "churn", "champion") == first
    assert holder(ledger, "other", "champion") is None
    append_switch(root, lambda _: Switch("churn", "champion", "withdrawn", None, "ann", "", "run"))
    assert holder(switches(root), "churn", "champion") is None
    assert switches(root)[-1].effective_at == after


def test_two_who_switch_at_once_stand_one_after_the_other(tmp_path: Path) -> None:
    root, seen = str(tmp_path), []

    def slow(ledger: Sequence[Switch]) -> Switch:
        seen.append(len(ledger))
        if len(seen) == 1:
            append_switch(root, lambda _: promoted(1))
        return promoted(2, previous=ledger[-1].version if ledger else None)

    assert append_switch(root, slow).previous == 1
    assert seen == [0, 1]
    assert [switch.version for switch in switches(root)] == [1, 2]


def test_a_ledger_that_others_keep_writing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(champions, "append_against", lambda *_: False)
    with pytest.raises(ConcurrentRunError, match="20 times in a row"):
        append_switch(str(tmp_path), lambda _: promoted(1))


def test_a_rollback_brings_the_champion_before_and_once_more_none(project: Project) -> None:
    heard: list[Switch] = []
    done = verbs.roll_back(project, "churn", RUN, heard.append, why="too many calls")
    assert heard == [done.switch]
    assert (done.switch.action, done.switch.version, done.switch.previous) == ("rolled_back", 1, 2)
    assert (done.switch.who, done.switch.why, done.restored) == ("ann", "too many calls", None)
    assert [gate.name for gate in done.switch.gates] == ["release", "signature", "answers"]
    assert "MLflow's alias champion stays as it was" in done.trouble  # there is no such version in MLflow
    with pytest.raises(ModelError, match="has had no champion before the present one"):
        verbs.roll_back(project, "churn", RUN)
    assert verbs.roll_back(project, "churn", RUN, to=2).switch.version == 2
    with pytest.raises(ModelError, match="version 2 of churn is champion already"):
        verbs.roll_back(project, "churn", RUN, to=2)
    with pytest.raises(ModelError, match="version 7 of churn was never champion; those that were: 1, 2"):
        verbs.roll_back(project, "churn", RUN, to=7)


def test_a_champion_that_was_withdrawn_comes_back(project: Project) -> None:
    verbs.withdraw_model(project, "churn", "champion", RUN)
    with pytest.raises(ModelError, match="churn has no champion to withdraw"):
        verbs.withdraw_model(project, "churn", "champion", RUN)
    assert verbs.roll_back(project, "churn", RUN).switch.version == 2


def test_what_cannot_answer_does_not_come_back(project: Project) -> None:
    root = project.lake_root
    first = switches(root)[0].release
    (Path(root) / str(first) / ARCHIVE).write_bytes(b"torn")
    with pytest.raises(PromotionRefusedError, match=r"1 of churn does not come back: release: .* is no archive"):
        verbs.roll_back(project, "churn", RUN)
    assert switches(root)[-1].action == "refused"
    (Path(root) / str(first) / ARCHIVE).unlink()
    with pytest.raises(PromotionRefusedError, match="release: there is no archive"):
        verbs.roll_back(project, "churn", RUN)
    current = holder(switches(root), "churn", "champion")
    assert current is not None
    assert current.version == 2


def test_the_table_comes_back_when_asked(project: Project) -> None:
    done = verbs.roll_back(project, "churn", RUN, tables=True)
    assert done.restored is not None
    assert done.restored.table == "gold.people has the rows of version 0 again, as version 2"
    rows = DeltaTable(f"{project.lake_root}/gold/people").to_pyarrow_table().sort_by("id")["age"].to_pylist()
    assert rows == [30.0, None]


def test_a_version_of_the_table_that_was_cleaned_up_is_said_so(project: Project) -> None:
    table = DeltaTable(f"{project.lake_root}/gold/people")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(TableError, match=r"gold\.people has no version 0 any more"):
        verbs.roll_back(project, "churn", RUN, tables=True)
    assert len(switches(project.lake_root)) == 2


def with_rules(project: Project, rules: Mapping[str, str]) -> None:
    """The champion before was promoted under these rule sets."""
    first, second = switches(project.lake_root)
    for switch in (replace(first, rules=rules), second):
        append_switch(project.lake_root, lambda _, switch=switch: switch, dt.timedelta())


def test_rules_come_back_in_the_overlay_when_asked(project: Project) -> None:
    from lakeloop.ingestion.spec import load_pipeline
    from lakeloop.quality import rules_version
    from lakeloop.verbs.restoring import keep_rules

    file, overlay = project.folder / "base/pipelines/people.yml", project.folder / "local/pipelines/people.yml"
    version = rules_version(load_pipeline(project, "people").all_rules)
    keep_rules(project, {"people": version})
    with_rules(project, {"people": version})
    file.write_text(PIPELINE.replace("max: 120", "max: 99"))
    overlay.parent.mkdir()
    overlay.write_text("owner: ann\n")
    with pytest.raises(ConfigError, match="is there already; put the kept rules into it by hand"):
        verbs.roll_back(project, "churn", RUN, rules=True)
    overlay.unlink()
    assert len(switches(project.lake_root)) == 4
    done = verbs.roll_back(project, "churn", RUN, rules=True)
    assert done.restored is not None
    assert done.restored.files == (overlay,)
    again = Project(project.folder, "local")
    assert rules_version(load_pipeline(again, "people").all_rules) == version


def test_rules_that_depend_on_more_do_not_come_back_alone(project: Project) -> None:
    from lakeloop.lake.rule_sets import put_rule_set

    put_rule_set(project.lake_root, "0123456789ab", [])
    with_rules(project, {"people": "0123456789ab"})
    with pytest.raises(ConfigError, match="the rules of people are not all of its rule set 0123456789ab"):
        verbs.roll_back(project, "churn", RUN, rules=True)
    assert not (project.folder / "local/pipelines/people.yml").exists()


def test_the_command_tells_history_times_and_refusals(project: Project) -> None:
    arguments = ["--conf-dir", str(project.folder)]
    said = CliRunner().invoke(app, ["champion", "rollback", "churn", "--why", "calls", *arguments])
    assert said.exit_code == 0, said.output
    assert "churn: version 1 is champion, after version 2, from " in said.output
    said = CliRunner().invoke(app, ["champion", "history", "churn", *arguments])
    lines = [" ".join(line.split()) for line in said.output.splitlines()]
    assert [line.split(" champion")[0].rsplit("version ", 1)[-1] for line in lines[1:]] == ["1 is", "2 is", "1 is"]
    first = switches(project.lake_root)[0].effective_at
    said = CliRunner().invoke(app, ["champion", "at", "churn", first.isoformat(), *arguments])
    assert "version 1 since" in said.output
    assert "gold.people version 0" in said.output
    said = CliRunner().invoke(app, ["champion", "at", "churn", "2020-01-01T00:00:00", *arguments])
    assert "Nobody answered for churn at 2020-01-01" in said.output
    assert CliRunner().invoke(app, ["champion", "at", "churn", "yesterday", *arguments]).exit_code == 2
    said = CliRunner().invoke(app, ["champion", "rollback", "churn", "--to", "9", *arguments])
    assert (said.exit_code, "was never champion" in said.output) == (1, True)


def test_a_release_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    root, folder = f"{tmp_path}/lake", release(tmp_path / "one", scorer(1.0))
    where = put_release(root, "churn/x", folder)
    assert where == "_releases/churn/x"
    (tmp_path / "two").mkdir()
    again = fetch_release(root, where, tmp_path / "two")
    assert digest_of(again) == digest_of(folder)
    read = read_release(again)
    assert read.card.probes[0] == ({"age": 30.0}, *scorer(1.0).score({"age": 30.0}))
    assert complaints(read) == []


@pytest.mark.parametrize(
    ("made", "columns", "gate", "found"),
    [
        (scorer(1.0), {"id": "bigint", "age": "string"}, "signature", "age is string, double at the training"),
        (scorer(1.0), {"id": "bigint"}, "signature", "age is not there"),
        (scorer(float("nan")), COLUMNS, "answers", "which is no number"),
    ],
)
def test_gates_of_a_release_say_what_is_wrong(
    tmp_path: Path, made: Scorer, columns: dict[str, str], gate: str, found: str
) -> None:
    gates = {g.name: g for g in release_gates(release(tmp_path / "r", made), "churn", columns, 1e6)}
    assert not gates[gate].holds
    assert found in gates[gate].found
    assert all(other.holds for name, other in gates.items() if name != gate)


def test_a_release_that_answers_otherwise_or_slowly_is_refused(tmp_path: Path) -> None:
    folder = release(tmp_path / "r", scorer(1.0))
    gates = {g.name: g.holds for g in release_gates(folder, "churn", COLUMNS, 1e-3)}
    assert gates == {"release": True, "signature": True, "answers": True, "latency": False}
    card = json.loads((folder / DOCUMENT).read_text())
    card["probes"][0][2] += 1e-6
    (folder / DOCUMENT).write_text(json.dumps(card))
    wrong = {g.name: g for g in release_gates(folder, "churn", COLUMNS, None)}
    assert "was at the training" in wrong["answers"].found
    assert not next(release_gates(folder, "other", COLUMNS, None)).holds


def test_gates_on_metrics_incidents_and_slices() -> None:
    gates = Gates.model_validate({"champion": {"by": -0.01}})
    assert champion_gate(gates, None, None).holds
    gain = SimpleNamespace(metric="f1", new=0.5, old=0.505, gain=-0.005, at_least=-0.009, rows=10)
    assert champion_gate(gates, cast("Any", gain), 3).holds
    gain.at_least = -0.01
    refused = champion_gate(gates, cast("Any", gain), 3)
    assert not refused.holds
    assert "f1 0.5000 beside 0.5050 of version 3" in refused.found
    assert incidents_gate(["people"], []).holds
    assert not incidents_gate(["people"], ["people: file missing"]).holds
    declared = AlikeSlices.model_validate({"metric": "recall", "largest_gap": 0.2, "fewest_rows": 50})
    slices = [
        {"column": "sex", "value": "f", "rows": 50, "figures": {"recall": 0.5}},
        {"column": "sex", "value": "m", "rows": 50, "figures": {"recall": 0.75}},
        {"column": "sex", "value": None, "rows": 49, "figures": {"recall": 0.0}},
        {"column": "plan", "value": "a", "rows": 50, "figures": {"recall": 0.1}},
    ]
    found = slices_gate(declared, slices)
    assert (found.holds, found.found) == (False, "0.2500 in sex, where f has 0.5000")
    assert slices_gate(declared, slices[1:]).holds


@given(st.lists(st.tuples(st.sampled_from(["promoted", "refused", "withdrawn"]), st.integers(1, 9)), max_size=8))
def test_the_holder_is_the_last_who_was_not_refused(history: list[tuple[Any, int]]) -> None:
    ledger = [
        replace(promoted(version), action=action, version=None if action == "withdrawn" else version, number=number)
        for number, (action, version) in enumerate(history)
    ]
    counted = [None if action == "withdrawn" else version for action, version in history if action != "refused"]
    held = holder(ledger, "churn", "champion")
    assert (held.version if held else None) == (counted[-1] if counted else None)
