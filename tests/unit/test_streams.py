"""Pause, resume and reset: what they change, what they refuse and why; without a JVM."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakeloop import verbs
from lakeloop.cli import app
from lakeloop.core.config import Project
from lakeloop.core.errors import StreamError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.file_catalog import FileCatalog, FileEntry
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from tests.small_lake import write_lake

RUN = RunContext("stream", "local", run_id="r9", user="keeper")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_lake(tmp_path)


def add_batch(project: Project, pipeline: str, *, ends: bool = True, upto: int = 0) -> None:
    ledger = Ledger(project.lake_root)
    batch = ledger.plan(pipeline, Plan({"upto": upto, "files": []}, f"upto {upto}"), RUN, ledger.history(pipeline))
    if ends:
        ledger.record(RUN, RunEntry(pipeline, f"silver.{pipeline}", "succeeded", now(), "", batch.batch_id))


def test_a_pause_holds_until_it_is_resumed(project: Project) -> None:
    verbs.pause_stream(project, "people", "the drop is being moved", RUN)
    stream = verbs.find_stream(project, "people")
    assert stream.pause is not None
    assert (stream.pause.why, stream.pause.user) == ("the drop is being moved", "keeper")
    assert verbs.find_stream(project, "visits").pause is None
    with pytest.raises(StreamError, match=r"people is paused by keeper .* already; `lakeloop stream resume people`"):
        verbs.pause_stream(project, "people", "", RUN)
    verbs.resume_stream(project, "people", "", RUN)
    assert verbs.find_stream(project, "people").pause is None
    with pytest.raises(StreamError, match="people is not paused"):
        verbs.resume_stream(project, "people", "", RUN)
    assert [each.kind for each in verbs.find_stream(project, "people").decisions] == ["paused", "resumed"]


def test_a_reset_lets_the_source_be_read_from_its_beginning(project: Project) -> None:
    for upto in (1, 2):
        add_batch(project, "people", upto=upto)
    before = Ledger(project.lake_root).history("people")
    assert before.finished is not None
    verbs.reset_stream(project, "people", "new addresses", RUN)
    after = Ledger(project.lake_root).history("people")
    assert after.finished is None
    assert (after.batches, after.last, after.succeeded) == (before.batches, before.last, before.succeeded)
    add_batch(project, "people", upto=3)
    again = Ledger(project.lake_root).history("people")
    assert again.finished is not None
    assert (again.finished.details["upto"], again.finished_id) == (3, 2)


def test_a_reset_makes_files_new_again(project: Project) -> None:
    add_batch(project, "people")
    catalog = FileCatalog(project.lake_root, "people", None)
    read = FileEntry("/drop/a.csv", 3, 5, "aa", "csv", "utf-8", "read", None, RowCounts(1, 1), None, None)
    refused = FileEntry("/drop/b.csv", 4, 6, "bb", "csv", "", "refused", "it is empty", RowCounts(), None, None)
    catalog.record(RUN, 0, [read, refused])
    other = FileCatalog(project.lake_root, "visits", None)
    other.record(RUN, 0, [read])
    assert not catalog.known().is_new("/drop/a.csv", 3, 5)
    for _ in range(2):
        verbs.reset_stream(project, "people", "", RUN)
    assert catalog.known().is_new("/drop/a.csv", 3, 5)
    assert catalog.known().is_new("/drop/b.csv", 4, 6)
    assert len(catalog.rows("path")) == 4
    assert not other.known().is_new("/drop/a.csv", 3, 5)


def test_a_reset_is_refused_where_rows_would_come_twice_or_a_batch_is_half_done(project: Project) -> None:
    with pytest.raises(StreamError, match="people has read nothing yet"):
        verbs.reset_stream(project, "people", "", RUN)
    add_batch(project, "visits")
    with pytest.raises(StreamError, match=r"silver.visits only grows, so every row of visits would come twice"):
        verbs.reset_stream(project, "visits", "", RUN)
    add_batch(project, "people", ends=False)
    with pytest.raises(StreamError, match=r"batch 0 of people has not ended: .* run `lakeloop run people` first"):
        verbs.reset_stream(project, "people", "", RUN)
    assert verbs.find_stream(project, "people").decisions == ()


def lakeloop(project: Project, monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["stream", *arguments, "--conf-dir", str(project.folder)])
    assert result.exit_code == code, result.output
    return result.stdout


def test_people_pause_see_and_resume(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add_batch(project, "people", upto=7)
    said = lakeloop(project, monkeypatch, "pause", "people", "--why", "a [move]")
    assert said.startswith("people paused by ")
    assert said.endswith(": a [move]. Next: lakeloop stream resume people\n")
    shown = lakeloop(project, monkeypatch, "show")
    assert "batch 0 succeeded: upto 7" in shown
    assert "a [move]" in shown
    assert "nothing read yet" in shown
    assert "Next: lakeloop run people" in lakeloop(project, monkeypatch, "resume", "people")
    add_batch(project, "visits")
    assert "visits would come twice" in lakeloop(project, monkeypatch, "reset", "visits", code=1)
    assert "did you mean 'people'?" in lakeloop(project, monkeypatch, "show", "peple", code=1)
