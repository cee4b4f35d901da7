"""OpenLineage's events, sent to a real receiver on loopback and read there as any catalog would."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lakeloop.core.config import Project
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.rule_results import RuleResult, append_results
from lakeloop.verbs.lineage import emit_lineage
from tests.small_lake import write_lake

RUN = RunContext("run", "local", run_id="r7")
ENDED = RunEntry("people", "silver.people", "succeeded", now(), "2 new files", 0, RowCounts(5, 4, 1, 0))


class Receiver:
    """What a catalog was sent: (path, Authorization, event)."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str | None, dict[str, Any]]] = []
        self.status = 201

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_lake(tmp_path)


def declare(project: Project, lineage: str) -> Project:
    with (project.folder / "base/platform.yml").open("a") as file:
        file.write(f"lineage: {lineage}\n")
    return Project(project.folder)


def emit(project: Project, *entries: RunEntry, **failures: SourceError) -> tuple[str, ...]:
    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    return emit_lineage(project, specs, entries, failures, RUN)


def test_a_run_is_told_as_a_start_and_an_end(project: Project, receiver: Receiver) -> None:
    results = [RuleResult("age_in_range", "error", 1), RuleResult("seen", "warn", 0)]
    append_results(project.lake_root, RUN, "people", 0, "v1", results)
    told = declare(project, f"{{url: '{receiver.url}', api_key: '${{secret:analyst}}', namespace: crm}}")
    assert emit(told, ENDED, RunEntry("visits", "silver.visits", "nothing_new", now())) == ()
    assert [(path, key) for path, key, _ in receiver.got] == [
        ("/api/v1/lineage", "Bearer analyst-0123456789abcdef")
    ] * 2
    start, end = (event for _, _, event in receiver.got)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["job"]["namespace"] == "crm"
    assert end["job"]["name"] == "people"
    assert end["job"]["facets"]["documentation"]["description"] == "People, one row per person"
    assert [(each["namespace"], each["name"]) for each in end["inputs"]] == [("file", f"{told.folder.parent}/drop")]
    record, table = end["outputs"]
    assert (table["namespace"], table["name"]) == ("file", f"{told.lake_root}/silver/people")
    assert record["outputFacets"]["outputStatistics"]["rowCount"] == 5
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 4
    checks = {each["name"]: (each["status"], each["actual"]) for each in end["run"]["facets"]["test"]["tests"]}
    assert checks == {"age_in_range": ("fail", "1"), "seen": ("pass", "0")}
    columns = {each["name"]: each for each in table["facets"]["schema"]["fields"]}
    assert columns["email"]["description"] == "Contact address"
    assert {(tag["field"], tag["key"]) for tag in table["facets"]["tags"]["tags"]} == {
        ("email", "pii"),
        ("city", "pii"),
    }
    (origin,) = table["facets"]["columnLineage"]["fields"]["email"]["inputFields"]
    assert (origin["namespace"], origin["name"], origin["field"]) == ("file", f"{told.folder.parent}/drop", "email")
    assert origin["transformations"] == [{"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "merge"}]


def test_each_of_several_tables_is_told_with_its_rows(project: Project, receiver: Receiver) -> None:
    visits = project.folder / "base/pipelines/visits.yml"
    routes = "{routes: [{where: seconds > 1, table: silver.visits}], otherwise: silver.glances}"
    visits.write_text(visits.read_text().replace("{table: silver.visits}", routes))
    told, tables = declare(project, f"{{url: '{receiver.url}'}}"), {"silver.visits": 3, "silver.glances": 1}
    counts = RowCounts(5, 4, 1, 0)
    assert emit(told, RunEntry("visits", ", ".join(tables), "succeeded", now(), "", 0, counts, tables)) == ()
    _, end = (event for _, _, event in receiver.got)
    assert [(each["name"], each["outputFacets"]["outputStatistics"]["rowCount"]) for each in end["outputs"]] == [
        (f"{told.lake_root}/bronze/visits", 5), (f"{told.lake_root}/silver/glances", 1),
        (f"{told.lake_root}/silver/visits", 3),
    ]  # fmt: skip


def test_a_failure_is_told_with_its_sentence(project: Project, receiver: Receiver) -> None:
    told = declare(project, f"{{url: '{receiver.url}'}}")
    assert emit(told, visits=SourceError("drop: the folder is gone; create it")) == ()
    _, end = (event for _, _, event in receiver.got)
    assert end["eventType"] == "FAIL"
    assert end["run"]["facets"]["errorMessage"]["message"] == "drop: the folder is gone; create it"
    assert end["outputs"] == []


def test_events_go_to_a_file_too(project: Project, tmp_path: Path) -> None:
    told = declare(project, f"{{file: {tmp_path}/events/lineage.jsonl}}")
    assert emit(told, ENDED) == emit(told, ENDED) == ()
    events = [json.loads(line) for line in (tmp_path / "events/lineage.jsonl").read_text().splitlines()]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 2


def test_a_catalog_that_does_not_answer_fails_no_run(project: Project, receiver: Receiver) -> None:
    receiver.status = 401
    told = declare(project, f"{{url: '{receiver.url}', api_key: '${{secret:analyst}}'}}")
    (note,) = emit(told, ENDED)
    assert note.startswith("Lineage was not sent: people: its lineage was not delivered: ")
    assert "401" in note
    assert "analyst-0123456789abcdef" not in note


def test_nothing_is_sent_unless_it_is_declared(project: Project) -> None:
    assert emit(project, ENDED) == ()
