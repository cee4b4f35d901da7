"""How much a slot retains: rows in `ops.slots`, an incident beyond what is declared, and one slot for one pipeline."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.slot_states import SLOTS, SlotState, last_state, record_state
from lakeloop.monitoring.causes import PipelineRun, causes_of, is_gone
from lakeloop.monitoring.incidents import Event
from lakeloop.verbs.alerting import large_slot_of
from lakeloop.verbs.pipelines import in_order

PIPELINE = """
pipeline: {name}
description: P
source: {{cdc: crm, table: public.{name}, slot: {slot}, publication: lakeloop, retains_at_most: 1GB}}
sink: {{table: silver.{name}, mode: merge, keys: [id]}}
"""


def project_of(folder: Path, slots: dict[str, str]) -> Project:
    (folder / "conf/base/pipelines").mkdir(parents=True)
    (folder / "conf/local").mkdir()
    for name, slot in slots.items():
        (folder / f"conf/base/pipelines/{name}.yml").write_text(PIPELINE.format(name=name, slot=slot))
    return Project(folder / "conf", "local")


def test_a_slot_that_retains_too_much_is_an_incident_until_it_does_not(tmp_path: Path) -> None:
    spec, root = load_pipeline(project_of(tmp_path, {"p": "s"}), "p"), str(tmp_path)
    assert large_slot_of(root, spec) is None
    large = SlotState("p", now(), "s", 3 << 30, 12.5, "0/64", "reserved")
    record_state(root, replace(large, retained_bytes=1 << 30, at=now() - dt.timedelta(hours=1)))
    record_state(root, replace(large, pipeline="q", retained_bytes=9 << 40))
    assert large_slot_of(root, spec) is None
    record_state(root, large)
    said = large_slot_of(root, spec)
    assert said is not None
    assert said.startswith("the slot s retains 3.0 GB of the server's log, more than 1.0 GB; ")
    run = PipelineRun("p", large_slot=said)
    assert [(cause.kind, cause.severity) for cause in causes_of(run, now())] == [("slot_large", "error")]
    incident = Event("i", "slot_large", "p", "error", "p:slot_large:", said, "r", now(), "opened")
    assert not is_gone(incident, run)
    assert is_gone(incident, PipelineRun("p"))


def test_a_look_is_recorded_with_a_batch_and_else_when_the_last_one_is_old(tmp_path: Path) -> None:
    root, state = str(tmp_path), SlotState("p", now(), "s", 1, None, "0/64", None)
    record_state(root, replace(state, at=now() - dt.timedelta(minutes=6)), always=False)
    record_state(root, state, always=False)
    record_state(root, replace(state, retained_bytes=2), always=False)
    record_state(root, replace(state, retained_bytes=3, at=now() + dt.timedelta(seconds=1)))
    assert sorted(row["retained_bytes"] for row in read_rows(root, SLOTS)) == [1, 1, 3]
    last = last_state(root, "p")
    assert last is not None
    assert last.retained_bytes == 3


def test_two_pipelines_on_one_slot_are_refused_before_anything_runs(tmp_path: Path) -> None:
    project = project_of(tmp_path, {"a": "s", "b": "s", "c": "t"})
    assert [spec.pipeline for spec in in_order(project, ["c"])] == ["c"]
    for names in (["a", "b", "c"], ["a", "c"]):  # the other may be run by somebody else
        with pytest.raises(ConfigError, match=r"a and b both read the slot s of crm, .* a slot of its own"):
            in_order(project, names)
