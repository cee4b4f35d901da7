"""The changes of an accepted batch into the table that people read, in the order of their commits.

The table holds the good rows of the source as it is: a change in quarantine takes its key out, since what the row was
before is not true any more and what it is now is not good. The next good change brings it back.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.changes import CHANGE, TRUNCATE, is_removal
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.sources.protocol import POSITION
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.history import merge_history, refuse_version_columns
from lakeloop.lake.ledger import Batch
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.tables import Lake, data_columns
from lakeloop.quality.judgement import GOOD, QUARANTINED, VERDICT
from lakeloop.quality.row_rules.columns import value_of

RECORD, GONE, TIME = "_record", "_gone_now", "effective_time"


def publish_changes(lake: Lake, spec: PipelineSpec, batch: Batch) -> None:
    """Merge the batch's changes in one commit; doing it again changes nothing.

    A quarantined change whose key cannot be read takes no key out.
    """
    target, bronze = spec.targets[0], lake.read(spec.record_table)
    table, keys = target.table, target.keys
    rows = bronze.where(F.col("_batch_id") == batch.batch_id).withColumns({
        RECORD: F.col(POSITION)["record"],
        GONE: is_removal() | (F.col(VERDICT) != GOOD),
    })  # fmt: skip
    truncates = bool(batch.plan.details["truncates"])
    if target.history:
        refuse_version_columns(table, [name.strip("`") for name in data_columns(bronze)])
        events = _events(lake, target, rows, truncates=truncates)
        merge_history(lake, table, events, keys=keys, sequence_by=TIME, commit=batch.commit, deleted=GONE)
        return
    if truncates:
        cut = rows.where(_is_truncate()).agg(F.max(RECORD).alias("_cut"))
        rows = rows.join(F.broadcast(cut), F.col(RECORD) > F.col("_cut"), "left_semi")
    latest = _last_of(_keyed(rows, keys), keys).select(*data_columns(bronze), GONE)
    merge_latest(
        lake,
        table,
        latest,
        keys=keys,
        sequence_by=None,
        commit=batch.commit,
        deleted=GONE,
        replaces=truncates,
    )


def state_before(lake: Lake, spec: PipelineSpec, batch_id: int) -> DataFrame | None:
    """The latest state of each row before a batch, one per key, as far as it is known; None before the first one.

    A row that is not in the sink because its last change is in quarantine has its state there.
    """
    target = spec.targets[0]
    if not lake.exists(spec.record_table) or not lake.exists(target.table):
        return None
    keys, sink = target.keys, lake.read(target.table)
    if target.history:
        sink = sink.where("is_current")
    bronze = lake.read(spec.record_table)
    held = bronze.where((F.col("_batch_id") < batch_id) & (F.col(VERDICT) == QUARANTINED) & ~is_removal())
    held = _last_of(_keyed(held.withColumn(RECORD, F.col(POSITION)["record"]), keys), keys)
    columns = [f"`{field.name}`" for field in bronze.schema if field.name in sink.columns and field.name[0] != "_"]
    published = sink.select(*columns)
    return published.unionByName(held.select(*columns).join(published.select(*keys), list(keys), "left_anti"))


def _events(lake: Lake, target: Target, rows: DataFrame, *, truncates: bool) -> DataFrame:
    """What happened to each key at each time: a version, or its end. Of one transaction the last one counts."""
    keys = target.keys
    timed = rows.withColumn(TIME, F.col(CHANGE)["committed_at"])
    columns = [*data_columns(rows), TIME, GONE, RECORD]
    events = _keyed(timed, keys).select(*columns)
    if truncates:
        known = events.select(*keys)
        if lake.exists(target.table):
            known = known.unionByName(lake.read(target.table).where("is_current").select(*keys))
        emptied = timed.where(_is_truncate()).select(TIME, GONE, RECORD)
        events = events.unionByName(known.distinct().crossJoin(F.broadcast(emptied)), allowMissingColumns=True)
    return _last_of(events, [*keys, TIME]).drop(RECORD)


def _is_truncate() -> Column:
    return F.col(CHANGE)["operation"] == TRUNCATE


def _keyed(rows: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Changes of one row, without those whose key is not known."""
    for key in keys:
        rows = rows.where(value_of(key).isNotNull())
    return rows


def _last_of(rows: DataFrame, keys: Sequence[str]) -> DataFrame:
    newest_first = Window.partitionBy(*(value_of(key) for key in keys)).orderBy(F.col(RECORD).desc())
    return rows.withColumn("_place", F.row_number().over(newest_first)).where("_place = 1").drop("_place")
