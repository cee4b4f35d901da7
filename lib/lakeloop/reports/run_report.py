"""The page of one run: what `ops` and bronze say, as sections. Read without Spark."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.examples import quarantined_examples
from lakeloop.lake.ledger import RUNS, RunEntry
from lakeloop.lake.ops_tables import has_table, read_rows
from lakeloop.lake.rule_results import RULE_RESULTS
from lakeloop.monitoring.incidents import open_incidents
from lakeloop.quality.arrivals import RunEnd, judge_arrival
from lakeloop.reports.data_sections import reasons_section, rows_section
from lakeloop.reports.health_sections import (
    Freshness,
    Violations,
    freshness_section,
    incidents_section,
    schema_section,
    trend_section,
)
from lakeloop.reports.page import Section

SCHEMA_CHANGES = "ops.schema_changes"
TREND_BATCHES = 20
CHANGES_SHOWN = 30

Row = dict[str, Any]


def run_sections(
    root: str, run_id: str, specs: Sequence[PipelineSpec], now: dt.datetime, also: Sequence[RunEntry] = ()
) -> list[Section]:
    """Rows, open incidents, reasons, trend, freshness, and schema changes where these are recorded.

    `specs` are the pipelines to speak of. An entry of `also` is shown where `ops.runs` holds none of that name.
    """
    names = [spec.pipeline for spec in specs]
    runs = sorted((row for row in read_rows(root, RUNS) if row["name"] in names), key=lambda row: row["ended_at"])
    results = read_rows(root, RULE_RESULTS)
    here = [_entry(row) for row in runs if row["run_id"] == run_id]
    unrecorded = [entry for entry in also if entry.name not in {recorded.name for recorded in here}]
    batches = [(entry.name, entry.batch_id) for entry in here if entry.batch_id is not None]
    found = [
        (row["pipeline"], row["rule"], row["severity"], row["violations"]) for row in results if row["run_id"] == run_id
    ]
    examples = [
        example._asdict() for name, batch_id in batches for example in quarantined_examples(root, name, batch_id)
    ]
    sections = [
        rows_section([*here, *unrecorded]),
        incidents_section(open_incidents(root), now),
        reasons_section(found, examples),
        trend_section(_trend(runs, results, names)),
        freshness_section([_freshness(spec, runs, now) for spec in specs], now),
    ]
    if has_table(root, SCHEMA_CHANGES):
        changes = sorted(read_rows(root, SCHEMA_CHANGES), key=lambda change: change["at"])
        sections.append(schema_section(changes[-CHANGES_SHOWN:], run_id))
    return sections


def _entry(row: Row) -> RunEntry:
    counts = RowCounts(*(row[f"rows_{name}"] for name in ("read", "good", "quarantined", "dropped")))
    return RunEntry(
        row["name"], row["table"], row["outcome"], row["started_at"], row["message"], row["batch_id"], counts
    )


def _trend(runs: Sequence[Row], results: Sequence[Row], names: Sequence[str]) -> list[Violations]:
    """The results of the latest batches of each pipeline, with the time from `ops.runs`."""
    ended = {(row["name"], row["run_id"], row["batch_id"]): row["ended_at"] for row in runs}
    keyed = [(row, ended.get((row["pipeline"], row["run_id"], row["batch_id"]))) for row in results]
    history = []
    for name in names:
        own = [(row, at) for row, at in keyed if row["pipeline"] == name and at is not None]
        latest = sorted({at for _, at in own})[-TREND_BATCHES:]
        history += [Violations(name, row["rule"], at, row["violations"]) for row, at in own if at in latest]
    return history


def _freshness(spec: PipelineSpec, runs: Sequence[Row], now: dt.datetime) -> Freshness:
    own = [row for row in runs if row["name"] == spec.pipeline]
    brought = [row for row in own if row["outcome"] == "succeeded" and row["rows_read"]]
    at, rows = (brought[-1]["ended_at"], brought[-1]["rows_read"]) if brought else (None, None)
    expected = spec.source.expect if isinstance(spec.source, FilesSource) else None
    if expected is None:
        return Freshness(spec.said_tables, spec.pipeline, at, rows)
    ends = [RunEnd(row["outcome"], row["rows_read"], row["started_at"], row["ended_at"]) for row in own]
    state = judge_arrival(expected, ends, now).state
    return Freshness(spec.said_tables, spec.pipeline, at, rows, expected.every, state)
