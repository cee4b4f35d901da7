"""The numbers of a published batch, judged against those of the past and kept for those to come."""

import datetime as dt

from lakeloop.core import logs
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RowCounts, now
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.batch_measures import Number, measure_batch
from lakeloop.lake.batch_profiles import BatchNumbers, forget_batches, past_batches
from lakeloop.lake.ledger import Batch
from lakeloop.lake.ops_tables import UNREADABLE
from lakeloop.lake.table_profiles import append_numbers
from lakeloop.quality.batch_anomalies import READ, ROWS, WAIT, completed, judge_numbers, last_rows_at, with_bands

log = logs.get(__name__)


def profile_batch(root: str, spec: PipelineSpec, batch: Batch, counts: RowCounts) -> tuple[str, ...]:
    """Measure, judge and keep the numbers of a batch, without Spark; sentences on columns that cannot be watched.

    A batch of a replay or backfill says nothing of what is usual and is left out. Trouble with a table of `ops` is
    logged and never raised: the rows are published, and the batch is a gap in what is known.
    """
    watched = spec.watch_over
    if watched is None or batch.plan.kind != "source":
        return ()
    try:
        at = now()
        measured = measure_batch(root, spec.record_table, batch.commit, watched.means, watched.shares)
        past = past_batches(root, [spec.pipeline], without=batch.batch_id).get(spec.pipeline, BatchNumbers())
        numbers: dict[Number, float] = {READ: counts.read, ROWS: counts.good}
        if counts.read:
            numbers[Number(None, "quarantined_share")] = counts.quarantined / counts.read
            if (before := last_rows_at(past)) is not None:
                numbers[WAIT] = (at - before).total_seconds()
        if measured is not None:
            numbers |= measured.numbers
        numbers = completed(past, numbers)
        kept = with_bands(numbers, judge_numbers(past, numbers, at, least=watched.learn))
        where = (watched_table(spec), spec.pipeline, batch.batch_id, None, at)
        append_numbers(root, [(*where, n.column, n.metric, n.category, value) for n, value in kept.items()])
        oldest = at - dt.timedelta(days=watched.remember.days)
        forget_batches(root, spec.pipeline, past, watched.remember.batches, oldest)
    except (LakeloopError, *UNREADABLE) as error:
        log.error("a batch is not watched over", pipeline=spec.pipeline, batch_id=batch.batch_id, exc_info=error)
        return (f"its numbers are not kept: {error}",)
    return () if measured is None else tuple(f"watch_over: {problem}" for problem in measured.problems)


def watched_table(spec: PipelineSpec) -> str:
    """The table that the numbers are of: where rows go several ways, the record of all of them."""
    return spec.tables[0] if len(spec.tables) == 1 else spec.record_table
