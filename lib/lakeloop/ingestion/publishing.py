"""The good rows of an accepted batch into the table that people read."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.change_publishing import publish_changes
from lakeloop.ingestion.source_specs import CdcSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.history import merge_history
from lakeloop.lake.ledger import Batch
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.tables import Lake, data_columns
from lakeloop.quality.judgement import GOOD, VERDICT


def publish(lake: Lake, spec: PipelineSpec, batch: Batch) -> None:
    """Bring the batch's good rows from bronze into the sink; a table that only grows is a view that grows.

    Doing it again changes nothing.
    """
    sink = spec.sink
    if sink.mode == "append":
        lake.publish_view(sink.table, spec.record_table, batch.batch_id)
        return
    if isinstance(spec.source, CdcSource):
        publish_changes(lake, spec, batch)
        return
    bronze = lake.read(spec.record_table)
    good = bronze.where((F.col("_batch_id") == batch.batch_id) & (F.col(VERDICT) == GOOD))
    rows = good.select(*data_columns(good))
    if sink.history and batch.plan.kind != "source":
        rows = _with_versions_of_their_keys(bronze, spec, batch)
    elif sink.sequence_by and batch.plan.kind == "backfill":
        rows = _newest(rows, sink.keys, sink.sequence_by)
    if sink.history and sink.sequence_by:
        merge_history(lake, sink.table, rows, keys=sink.keys, sequence_by=sink.sequence_by, commit=batch.commit)
    elif sink.mode == "merge":
        merge_latest(lake, sink.table, rows, keys=sink.keys, sequence_by=sink.sequence_by, commit=batch.commit)
    else:
        lake.write(sink.table, rows, mode="overwrite", commit=batch.commit)


def _newest(rows: DataFrame, keys: Sequence[str], sequence_by: str) -> DataFrame:
    """Of each key the row that merging one batch after the other would have left."""
    in_order = Window.partitionBy(*keys).orderBy(F.col(f"`{sequence_by}`").desc_nulls_last())
    return rows.withColumn("_nth", F.row_number().over(in_order)).where(F.col("_nth") == 1).drop("_nth")


def _with_versions_of_their_keys(bronze: DataFrame, spec: PipelineSpec, batch: Batch) -> DataFrame:
    """The good rows of a batch that came late, and what bronze has of their keys.

    A version that was like the one before it opened no interval, and may differ from one that has come between them.
    Of several rows of one time, of which the history takes but one, that of the first batch counts, as it did.
    """
    sink = spec.sink
    good = bronze.where((F.col("_batch_id") <= batch.batch_id) & (F.col(VERDICT) == GOOD))
    mine = good.where(F.col("_batch_id") == batch.batch_id).select(*sink.keys).distinct()
    of_keys = good.join(mine, list(sink.keys), "left_semi")
    first = Window.partitionBy(*sink.keys, str(sink.sequence_by)).orderBy("_batch_id")
    once = of_keys.withColumn("_nth", F.row_number().over(first)).where(F.col("_nth") == 1)
    return once.select(*data_columns(good))


def is_published(lake: Lake, spec: PipelineSpec, batch: Batch) -> bool:
    """Whether an earlier run has published the batch."""
    if spec.sink.mode == "append":
        view = lake.view(spec.sink.table)
        return view is not None and view.accepted >= batch.batch_id
    return lake.find_commit(spec.sink.table, batch.commit) is not None
