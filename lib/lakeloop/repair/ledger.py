"""Plans and ends that the ledger lost, from data files that are left of it and from what other tables know."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lakeloop.core.run_record import RowCounts, now
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.planning import schema_of
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.inspection import inspect_files
from lakeloop.ingestion.sources.files.listing import Listed, stat_files
from lakeloop.lake.ledger import BATCH_SCHEMA, BATCHES, RUN_SCHEMA, RUNS, Ledger, Outcome, Plan, RunEntry
from lakeloop.lake.ops_tables import append_rows
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.repair.ailment import Ailment, Bench, batches_in_words
from lakeloop.repair.facts import ENDS, Facts, Row
from lakeloop.repair.orphans import orphan_rows
from lakeloop.repair.record import is_there, take_out

MADE_UP = "plan lost, made up from what it left"


def plan_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Batches that other tables know and `ops.batches` does not."""
    known = {*facts.commits, *facts.recorded, *facts.ends, *facts.files}
    missing = sorted(known - facts.planned.keys())
    if not missing:
        return
    left = [row for row in orphan_rows(bench.root, BATCHES) if row["pipeline"] == facts.spec.pipeline]
    found = {number: row for number in missing if (row := _own(facts, number, left)) is not None}
    if found:
        rows = [tuple(row[name] for name in BATCH_SCHEMA.names) for row in found.values()]
        yield Ailment(
            BATCHES, f"the plan of {batches_in_words(found)} is missing", "its data file is left and is entered again",
            lambda: append_rows(bench.root, BATCHES, rows, BATCH_SCHEMA),
        )  # fmt: skip
    rest = [number for number in missing if number not in found]
    needed = [number for number in rest if facts.ends.get(number, {}).get("outcome") != "withdrawn"]
    is_replaced = facts.spec.sink.is_replaced
    if needed and not isinstance(facts.spec.source, FilesSource) and not is_replaced:
        left_over = "how far the source was read stood in it alone; restore the table from a backup"
        yield Ailment(BATCHES, f"the plan of {batches_in_words(needed)} is missing", left_over, None)
    elif rest:
        yield Ailment(
            BATCHES, f"the plan of {batches_in_words(rest)} is missing", "it is made up from record and file catalog",
            lambda: _make_up(bench, facts, rest),
        )  # fmt: skip


def end_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Batches that have no end although a later one was planned. A last one without an end is finished by a run."""
    ended = {n for n, end in facts.ends.items() if n in facts.planned and end["ended_at"] >= _planned_at(facts, n)}
    missing = [number for number in sorted(facts.planned)[:-1] if number not in ended]
    if not missing:
        return
    left = [
        row
        for row in sorted(orphan_rows(bench.root, RUNS), key=lambda row: row["ended_at"])
        if row["name"] == facts.spec.pipeline and row["outcome"] in ENDS
    ]
    found = {row["batch_id"]: row for row in left if row["batch_id"] in missing}
    if found:
        rows = [tuple(row[name] for name in RUN_SCHEMA.names) for row in found.values()]
        yield Ailment(
            RUNS, f"the end of {batches_in_words(found)} is missing", "its data file is left and is entered again",
            lambda: append_rows(bench.root, RUNS, rows, RUN_SCHEMA),
        )  # fmt: skip
    if rest := [number for number in missing if number not in found]:

        def mend() -> None:
            for number in rest:
                is_known = number in facts.commits or number in facts.recorded or number in facts.files
                _end(bench, facts, number, "succeeded" if is_known else "withdrawn")

        cure = "it is entered as record and catalog of files have it"
        yield Ailment(RUNS, f"the end of {batches_in_words(rest)} is missing", cure, mend)


def _own(facts: Facts, number: int, left: list[Row]) -> Row | None:
    """The plan that was carried out: that of a run which left something of the batch, or the only one."""
    rows = [row for row in left if row["batch_id"] == number]
    runs = {row["run_id"] for row in facts.runs if row["batch_id"] == number}
    runs |= {row["run_id"] for row in facts.files.get(number, ())}
    if number in facts.commits:
        runs.add(facts.commits[number].run_id)
    same = [row for row in rows if row["run_id"] in runs]
    return same[0] if len(same) == 1 else rows[0] if len(rows) == 1 else None


def _make_up(bench: Bench, facts: Facts, numbers: list[int]) -> None:
    """Enter plans, and ends where there is none: a plan that is made up is never carried out."""
    others = [row["writer"] for _, row in sorted(facts.planned.items())]
    others += [commit.writer for commit in facts.commits.values()]
    writer = others[-1] if others else f"{facts.spec.pipeline}-{uuid.uuid4().hex[:12]}"
    rows, at = [], now()
    for number in numbers:
        commit, end = facts.commits.get(number), facts.ends.get(number)
        planned_at = end["started_at"] if end else facts.times.get(number, at)
        run_id = commit.run_id if commit else end["run_id"] if end else bench.run.run_id
        plan = Plan(_details(facts, number), MADE_UP)
        own = commit.writer if commit else writer
        rows.append((facts.spec.pipeline, own, number, run_id, planned_at, json.dumps(asdict(plan))))
    append_rows(bench.root, BATCHES, rows, BATCH_SCHEMA)
    after = Facts(bench.root, facts.spec, facts.folder)
    for number in (number for number in numbers if number not in facts.ends):
        if facts.shows(number) or number in facts.files or not all(_present(after, number)):
            _end(bench, after, number, "succeeded")
        else:
            _end(bench, after, number, "withdrawn")
            take_out(bench, after, number)


def _present(facts: Facts, number: int) -> Iterator[bool]:
    """For each file that rows of a batch come from, whether it is still there."""
    paths = {origin.split("!/")[0] for origin in facts.recorded.get(number, {})}
    for file in stat_files([Listed(path, 0, 0) for path in sorted(paths)]):
        yield file is not None and file.modified / 1e9 <= _taken_by(facts, number)


def _details(facts: Facts, number: int) -> dict[str, Any]:
    """The files of a batch that are still there, looked into again, for the headers of their rows."""
    spec = facts.spec.source
    if not isinstance(spec, FilesSource) or facts.folder is None:
        return {}
    taken = [
        Listed(row["path"], row["size"], row["modified_ns"]) for row in facts.files.get(number, ()) if is_there(row)
    ]
    if number not in facts.files:
        paths = {origin.split("!/")[0] for origin in facts.recorded.get(number, {})}
        there = stat_files([Listed(path, 0, 0) for path in sorted(paths)])
        taken = [file for file in there if file is not None and file.modified / 1e9 <= _taken_by(facts, number)]
    details: dict[str, Any] = {"files": [asdict(file) for file in inspect_files(taken, spec, _silent, facts.folder)]}
    versions = {row["schema_version"] for row in facts.files.get(number, ())}
    recorded = SchemaVersions(facts.root, facts.spec.pipeline).all()
    if chosen := [each for each in recorded if not versions or each.version in versions]:
        details["schema"] = PlannedSchema(schema_of(chosen[-1])).as_json
    return details


def _taken_by(facts: Facts, number: int) -> float:
    """The second by which the files of a batch had been read; a younger file is another one."""
    times = [facts.ends[number]["ended_at"]] if number in facts.ends else []
    return float(min([*times, facts.times.get(number, now())]).timestamp())


def _end(bench: Bench, facts: Facts, number: int, outcome: Outcome) -> None:
    spec, files = facts.spec, facts.files.get(number, [])
    parts = [(r["rows_read"], r["rows_good"], r["rows_quarantined"], r["rows_dropped"]) for r in files]
    counts = sum((RowCounts(*part) for part in parts), RowCounts()) if files else facts.counts(number)
    counts = counts if outcome == "succeeded" else RowCounts()
    message = "end lost, entered by a repair"
    entry = RunEntry(spec.pipeline, spec.said_tables, outcome, _planned_at(facts, number), message, number, counts)
    Ledger(bench.root).record(bench.run, entry)


def _planned_at(facts: Facts, number: int) -> Any:
    return facts.planned[number]["planned_at"]


def _silent(text: str) -> None:
    """Nobody watches."""
