"""What became of the rules of pipelines in their latest batches, from `ops.runs` and `ops.rule_results`."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ledger import BACKFILL, FIX, REPLAY, RUNS, Outcome
from lakeloop.lake.ops_tables import UNREADABLE, files_of_table, has_table, read_columns, unreadable, uri_of
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.rule_results import RULE_RESULTS

RUN_COLUMNS = [
    "run_id", "verb", "name", "batch_id", "outcome", "rows_read", "rows_good", "rows_quarantined", "rows_dropped",
    "ended_at", "message",
]  # fmt: skip
RESULT_COLUMNS = (
    "run_id", "pipeline", "batch_id", "rule", "severity", "violations", "kind", "columns", "rows", "value", "message",
    "owner",
)  # fmt: skip


@dataclass(frozen=True)
class PastBatch:
    """A batch that was published, and when."""

    batch_id: int
    run_id: str
    at: dt.datetime
    counts: RowCounts


@dataclass(frozen=True)
class LastRun:
    """How the latest run of a pipeline ended."""

    outcome: Outcome
    at: dt.datetime
    message: str


@dataclass(frozen=True)
class PastResult:
    """A rule in one batch. `rows` is how many it looked at; `value` and `message` are those of a measured rule.

    What the ledger does not say is None.
    """

    batch_id: int
    run_id: str
    rule: str
    severity: str
    violations: int
    kind: str | None = None
    columns: str | None = None
    rows: int | None = None
    value: float | None = None
    message: str | None = None
    owner: str | None = None


@dataclass(frozen=True)
class RuleHistory:
    """The latest batches of a pipeline, oldest first, its last run, and what its rules found in these batches."""

    batches: tuple[PastBatch, ...] = ()
    last_run: LastRun | None = None
    results: tuple[PastResult, ...] = ()


def rule_histories(root: str, pipelines: Sequence[str], most: int) -> dict[str, RuleHistory]:
    """The history of each pipeline in its `most` latest batches of new data; starts no Spark.

    However many results the ledger has, only those of these batches are held. Raises DamageError.
    """
    runs = read_columns(root, RUNS, [("name", "in", list(pipelines))], RUN_COLUMNS) if pipelines else None
    if runs is None:
        return {name: RuleHistory() for name in pipelines}
    brings_nothing_new = pc.is_in(runs["verb"], pa.array([REPLAY, FIX, BACKFILL]))
    runs = runs.filter(pc.invert(brings_nothing_new)).sort_by("ended_at")
    batches: dict[str, tuple[PastBatch, ...]] = {}
    last: dict[str, LastRun | None] = {}
    for name in pipelines:
        own = runs.filter(pc.equal(runs["name"], name))
        published = pc.and_(pc.equal(own["outcome"], "succeeded"), pc.is_valid(own["batch_id"]))
        newest = own.filter(published)
        batches[name] = tuple(map(_batch, _rows(newest.slice(max(newest.num_rows - most, 0)))))
        final = _rows(own.slice(max(own.num_rows - 1, 0)))
        last[name] = LastRun(final[0]["outcome"], final[0]["ended_at"], final[0]["message"]) if final else None
    results = _results(root, batches)
    return {name: RuleHistory(batches[name], last[name], tuple(results[name])) for name in pipelines}


def _results(root: str, batches: dict[str, tuple[PastBatch, ...]]) -> dict[str, list[PastResult]]:
    found: dict[str, list[PastResult]] = defaultdict(list)
    asked = {name: of_name for name, of_name in batches.items() if of_name}
    if not asked or not has_table(root, RULE_RESULTS):
        return found
    wanted = reduce(
        or_,
        (
            (pc.field("pipeline") == name) & (pc.field("batch_id") >= min(batch.batch_id for batch in of_name))
            for name, of_name in asked.items()
        ),
    )
    try:
        delta, files = DeltaTable(uri_of(root, RULE_RESULTS)), files_of_table(root, RULE_RESULTS)
        rows = delta.to_pyarrow_dataset(filesystem=files)
        table = rows.to_table(columns=list(RESULT_COLUMNS), filter=wanted)
    except UNREADABLE as error:
        raise unreadable(RULE_RESULTS, error) from error
    known: Collection[tuple[str, int, str]] = {
        (name, batch.batch_id, batch.run_id) for name, of_name in asked.items() for batch in of_name
    }
    for row in table.to_pylist():
        pipeline = row.pop("pipeline")
        if (pipeline, row["batch_id"], row["run_id"]) in known:
            found[pipeline].append(PastResult(**row))
    return found


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    columns = [column_values(table[name].combine_chunks()) for name in table.column_names]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _batch(row: dict[str, Any]) -> PastBatch:
    counts = RowCounts(*(row[f"rows_{name}"] for name in ("read", "good", "quarantined", "dropped")))
    return PastBatch(row["batch_id"], row["run_id"], row["ended_at"], counts)
