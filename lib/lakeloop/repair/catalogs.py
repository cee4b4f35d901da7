"""The catalogs of files, schemas and decisions against the plans of the batches that succeeded."""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.reader import entries_of
from lakeloop.lake.file_catalog import FILE_SCHEMA, FILES, FileCatalog
from lakeloop.lake.ops_tables import append_rows, read_rows
from lakeloop.lake.quarantine_decisions import DECISION_SCHEMA, QUARANTINE, append_decisions, has_replayed
from lakeloop.lake.schema_versions import SCHEMAS, SchemaVersion, SchemaVersions
from lakeloop.repair.ailment import Ailment, Bench
from lakeloop.repair.facts import Facts, Row
from lakeloop.repair.orphans import orphan_rows


def file_catalog_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Batches whose files are not in `ops.files`, and decisions on files that a data file of it still has."""
    if not isinstance(facts.spec.source, FilesSource):
        return
    missing = [n for n in facts.succeeded if n not in facts.files and facts.plan(n).details.get("files")]
    left = [row for row in orphan_rows(bench.root, FILES) if row["pipeline"] == facts.spec.pipeline]
    known = {(row["path"], row["taken_at"]) for row in _all_files(facts)}
    entries = [row for number in missing for row in _latest([row for row in left if row["batch_id"] == number])]
    entries += [row for row in left if row["batch_id"] is None and (row["path"], row["taken_at"]) not in known]
    if entries:
        rows = [tuple(row[name] for name in FILE_SCHEMA.names) for row in entries]
        yield Ailment(
            FILES, f"{len(rows)} entries are missing", "their data files are left and are entered again",
            partial(append_rows, bench.root, FILES, rows, FILE_SCHEMA),
        )  # fmt: skip
    if rest := sorted(set(missing) - {row["batch_id"] for row in entries}):
        files = sum(len(facts.plan(number).details["files"]) for number in rest)
        what = f"{files} files of {len(rest)} batches are missing, which would be read twice"
        yield Ailment(
            FILES, what, "they are entered as plans and record have them", partial(_enter, bench, facts, rest)
        )


def schema_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Versions that batches were read by and that `ops.schemas` lacks."""
    versions = SchemaVersions(bench.root, facts.spec.pipeline)
    known = {each.version for each in versions.all()}
    plans = (facts.plan(number) for number in facts.succeeded)
    schemas = [PlannedSchema.of_json(plan.details["schema"]).schema for plan in plans if "schema" in plan.details]
    missing = {schema.version: schema for schema in schemas if schema.version not in known}
    if missing:
        new = [
            SchemaVersion(s.version, s.origin, tuple((c.name, c.type) for c in s.columns), s.file)
            for s in missing.values()
        ]
        what = f"version {', '.join(map(str, sorted(missing)))} is missing"
        cure = "it is entered as the plans have it"
        yield Ailment(SCHEMAS, what, cure, lambda: versions.record(bench.run, max(missing), new, ()))


def decision_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Replays whose decisions are lost, so that their rows are open a second time."""
    replays = [number for number in facts.succeeded if facts.plan(number).kind == "replay"]
    for number in replays:
        if not facts.plan(number).details["replay"]["rows"] or has_replayed(bench.root, facts.spec.pipeline, number):
            continue
        what = f"the decisions of batch {number} are missing, whose rows would be replayed twice"
        left = [row for row in orphan_rows(bench.root, QUARANTINE) if row["pipeline"] == facts.spec.pipeline]
        rows = [row for row in left if row["replayed_to"] == number]
        if rows:
            batch = pa.RecordBatch.from_pylist(rows, schema=DECISION_SCHEMA)
            cure = "their data file is left and is entered again"
            yield Ailment(QUARANTINE, what, cure, partial(append_decisions, bench.root, [batch]))
        else:
            yield Ailment(QUARANTINE, what, "Do not replay them; restore the table from a backup", None)


def _all_files(facts: Facts) -> list[Row]:
    return read_rows(facts.root, FILES, [("pipeline", "=", facts.spec.pipeline)], ["path", "taken_at"])


def _latest(rows: list[Row]) -> list[Row]:
    """The entries of the run that entered a batch last: a killed one may have left its own."""
    last = max((row["taken_at"] for row in rows), default=None)
    return [row for row in rows if row["taken_at"] == last]


def _enter(bench: Bench, facts: Facts, numbers: list[int]) -> None:
    catalog = FileCatalog(bench.root, facts.spec.pipeline, facts.spec.owner)
    for number in numbers:
        entries = entries_of(facts.plan(number), facts.recorded.get(number, {}), catalog.known())
        catalog.record(bench.run, number, entries, facts.ends[number]["ended_at"])
