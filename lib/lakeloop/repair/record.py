"""The rows of the record against what the ledger says that batches came to."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction

from lakeloop.core.run_record import RowCounts, now
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.lake.delta_log import list_log
from lakeloop.lake.file_catalog import FILE_SCHEMA, FILES
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.lake.ops_tables import append_rows, read_rows, uri_of
from lakeloop.lake.quarantine_decisions import CAME_BACK, QUARANTINE
from lakeloop.lake.storage import filesystem
from lakeloop.lake.tables import Commit
from lakeloop.repair.ailment import Ailment, Bench, batches_in_words
from lakeloop.repair.facts import Facts
from lakeloop.repair.logs import let_go, unreadable_files
from lakeloop.repair.orphans import OrphanFile, adopt, orphan_batches, rows_of

CHUNK = 4 << 20
REPAIR = "repair"  # the verb of entries in `ops.runs` that note a batch whose rows are not complete


def lost_data_files(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Data files of the record that are gone or torn. Their batches are noted before the table goes on without them."""
    table = facts.spec.record_table
    lost = unreadable_files(uri_of(bench.root, table))
    if not lost:
        return
    added = pa.table(DeltaTable(uri_of(bench.root, table)).get_add_actions(flatten=True)).to_pylist()
    ranges = [(row["min._batch_id"], row["max._batch_id"]) for row in added if row["path"] in lost]
    batches = [number for number in facts.succeeded if any(a is None or a <= number <= b for a, b in ranges)]

    def mend() -> None:
        for batch_id in batches:
            note(bench, facts, batch_id, "data files of the batch were lost")
        let_go(bench, table, list(lost))

    said = f"; what {batches_in_words(batches)} lost is said below" if batches else ""
    cure = f"the table goes on without them{said}"
    yield Ailment(table, "; ".join(lost.values()), cure, mend)


def record_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """Batches whose rows are not what the ledger says, where a lost commit or file explains it."""
    spec, table = facts.spec, facts.spec.record_table
    for batch_id in sorted(facts.recorded.keys() & facts.ends.keys()):
        if facts.ends[batch_id]["outcome"] == "withdrawn":
            rows = facts.counts(batch_id).read
            what = f"batch {batch_id} was withdrawn, but {rows:,} rows of it are there"
            yield Ailment(table, what, "they are taken out again", partial(take_out, bench, facts, batch_id))
    wanted = facts.succeeded[-1:] if spec.sink.is_replaced else facts.succeeded
    noted = {row["batch_id"] for row in facts.runs if row["verb"] == REPAIR and row["outcome"] == "failed"}
    lacking = {
        number: lack
        for number in wanted
        if (lack := _lack(facts, number)).read and (number in noted or not facts.has_commit(number))
    }
    orphans = orphan_batches(bench.root, table) if lacking else {}
    left: dict[int, tuple[Commit, list[OrphanFile]]] = {}
    for batch_id, lack in lacking.items():
        groups = [(run_id, files) for (number, run_id), files in orphans.items() if number == batch_id]
        fitting = [(run_id, files) for run_id, files in groups if rows_of(files) == lack]
        if fitting:
            run_id, files = next((each for each in fitting if each[0] == facts.ends[batch_id]["run_id"]), fitting[0])
            left[batch_id] = Commit(facts.planned[batch_id]["writer"], batch_id, run_id), files
    yield from _adoptions(bench, table, left, lacking)
    # Where `keep` lets rows go, only the youngest and those whose files were lost are sure to have been damaged.
    newest = max(facts.commits, default=-1)
    sure = {number for number in lacking if not spec.keep or number in noted or number > newest}
    yield from _losses(bench, facts, {number: lacking[number] for number in sorted(sure - left.keys())})


def _adoptions(
    bench: Bench, table: str, left: dict[int, tuple[Commit, list[OrphanFile]]], lacking: dict[int, RowCounts]
) -> Iterator[Ailment]:
    def mend() -> None:
        for commit, files in left.values():
            adopt(bench.root, table, commit, files)

    if left:
        count = sum(len(files) for _, files in left.values())
        cure = f"their {count} data files are still there and are taken in again"
        yield Ailment(table, _missing(left, lacking), cure, mend)


def _losses(bench: Bench, facts: Facts, lacking: dict[int, RowCounts]) -> Iterator[Ailment]:
    table, obstacles = facts.spec.record_table, {n: _obstacle(bench, facts, n, set(lacking)) for n in lacking}
    again = [number for number, obstacle in obstacles.items() if obstacle is None]

    def mend() -> None:
        for number in again:
            _reopen(bench, facts, number)

    if again:
        read = "they are taken back, and the next run reads them again from their source"
        yield Ailment(table, _missing(again, lacking), read, mend)
    for number, obstacle in obstacles.items():
        if obstacle is not None:
            rows = facts.counts(number).read
            kept = f"{rows:,} rows of it are kept" if rows else "none is left"
            yield Ailment(table, _missing([number], lacking), f"{kept}. {obstacle}", None)


def _missing(numbers: Iterable[int], lacking: dict[int, RowCounts]) -> str:
    shown = list(numbers)
    return f"{sum(lacking[number].read for number in shown):,} rows of {batches_in_words(shown)} are missing"


def note(bench: Bench, facts: Facts, batch_id: int, why: str) -> None:
    """Enter into `ops.runs` that the rows of a batch are not complete, which the next repair goes by."""
    spec = facts.spec
    Ledger(bench.root).record(bench.run, RunEntry(spec.pipeline, spec.said_tables, "failed", now(), why, batch_id))


def _lack(facts: Facts, batch_id: int) -> RowCounts:
    """The rows by verdict that the ledger has and the record has not; nothing where it has more of a verdict."""
    end, found = facts.ends[batch_id], facts.counts(batch_id)
    parts = [end[f"rows_{verdict}"] - getattr(found, verdict) for verdict in ("good", "quarantined", "dropped")]
    return RowCounts(sum(parts), *parts) if min(parts) >= 0 else RowCounts()


def _obstacle(bench: Bench, facts: Facts, batch_id: int, lacking: set[int]) -> str | None:
    """Why a batch cannot be read again, and what to do; None where it can. `lacking` are the others like it."""
    spec, plan = facts.spec, facts.plan(batch_id)
    if spec.sink.is_replaced:
        return None
    if plan.kind == "replay":
        return "It was a replay, whose decisions stand; restore the table from a backup"
    mine = [("pipeline", "=", spec.pipeline), ("batch_id", "=", batch_id), ("status", "in", CAME_BACK)]
    if read_rows(bench.root, QUARANTINE, mine, ["row_id"]):
        return "Rows of it have been replayed since and would come twice; restore the table from a backup"
    if not isinstance(spec.source, FilesSource):
        later = [number for number in facts.succeeded if number > batch_id and number not in lacking]
        return "Later batches of its source have been read since; restore the table from a backup" if later else None
    gone = [row for row in facts.files[batch_id] if row["outcome"] == "read" and not is_there(row)]
    if not gone:
        return None
    by_file: dict[str, int] = {}
    for origin, counts in facts.recorded.get(batch_id, {}).items():
        by_file[origin.split("!/")[0]] = by_file.get(origin.split("!/")[0], 0) + counts.read
    short = [f"{row['path']} ({row['rows_read'] - by_file.get(row['path'], 0):,} rows lost)" for row in gone]
    return f"Put these files back as they were, then run `lakeloop repair` again: {', '.join(short)}"


def is_there(row: Mapping[str, Any]) -> bool:
    """Whether a file of the catalog lies where it was read, and is the one that was read."""
    system, path = filesystem(row["path"])
    info = system.get_file_info(path)
    if not info.is_file or info.size != row["size"]:
        return False
    if info.mtime_ns == row["modified_ns"]:
        return True
    with system.open_input_stream(path, compression=None) as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return bool(digest.hexdigest() == row["sha256"])


def _reopen(bench: Bench, facts: Facts, batch_id: int) -> None:
    """Let the next run read a batch again: its files forgotten, its end withdrawn, its last rows taken out."""
    spec = facts.spec
    forgotten: dict[str, Any] = {"outcome": "forgotten", "reason": "read again after a repair", "batch_id": None}
    forgotten |= {"run_id": bench.run.run_id, "taken_at": now(), "user": bench.run.user}
    rows = [tuple((row | forgotten)[name] for name in FILE_SCHEMA.names) for row in facts.files[batch_id]]
    if rows:
        append_rows(bench.root, FILES, rows, FILE_SCHEMA)
    message = "taken back by a repair, and read again"
    entry = RunEntry(spec.pipeline, spec.said_tables, "withdrawn", now(), message, batch_id)
    Ledger(bench.root).record(bench.run, entry)
    take_out(bench, facts, batch_id)


def take_out(bench: Bench, facts: Facts, batch_id: int) -> None:
    """Delete the rows of a batch from the record, in the commit that a withdrawal by a run would be."""
    folder = uri_of(bench.root, facts.spec.record_table)
    if list_log(folder).latest is None or batch_id not in facts.recorded:
        return
    writer = facts.planned[batch_id]["writer"] if batch_id in facts.planned else facts.commits[batch_id].writer
    identity = Commit(writer, batch_id, bench.run.run_id).withdrawal
    properties = CommitProperties(
        {"userMetadata": identity.metadata}, app_transactions=[Transaction(identity.writer, batch_id)]
    )
    DeltaTable(folder).delete(f"_batch_id = {batch_id}", commit_properties=properties)
