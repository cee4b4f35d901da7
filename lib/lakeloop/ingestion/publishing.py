"""The good rows of an accepted batch into the table that people read."""

from deltalake import DeltaTable
from pyspark.sql import functions as F

from lakeloop.ingestion.change_publishing import publish_changes
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.history import merge_history
from lakeloop.lake.ledger import Batch
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.ops_tables import has_table
from lakeloop.lake.tables import Lake, data_columns
from lakeloop.lake.version_range import FEED, is_on
from lakeloop.quality.judgement import GOOD, VERDICT


def publish(lake: Lake, spec: PipelineSpec, batch: Batch) -> None:
    """Bring the batch's good rows from bronze into the sink; a table that only grows is a view that grows.

    Doing it again changes nothing.
    """
    if spec.sink.mode == "append":
        lake.publish_view(spec.sink.table, spec.record_table, batch.batch_id)
        return
    if spec.has_changes:
        publish_changes(lake, spec, batch)
    else:
        _publish_rows(lake, spec, batch)
    keep_changes(lake, spec)


def _publish_rows(lake: Lake, spec: PipelineSpec, batch: Batch) -> None:
    sink = spec.sink
    bronze = lake.read(spec.record_table)
    good = bronze.where((F.col("_batch_id") == batch.batch_id) & (F.col(VERDICT) == GOOD))
    rows = good.select(*data_columns(good))
    if sink.history and sink.sequence_by:
        merge_history(lake, sink.table, rows, keys=sink.keys, sequence_by=sink.sequence_by, commit=batch.commit)
    elif sink.mode == "merge":
        merge_latest(lake, sink.table, rows, keys=sink.keys, sequence_by=sink.sequence_by, commit=batch.commit)
    else:
        lake.write(sink.table, rows, mode="overwrite", commit=batch.commit)


def keep_changes(lake: Lake, spec: PipelineSpec) -> None:
    """Let Delta keep how the sink's rows change from now on, where that is declared and it does not do so yet."""
    if not spec.sink.change_feed or not has_table(lake.root, spec.sink.table):
        return
    path = lake.path(spec.sink.table)
    if not is_on(FEED, DeltaTable(path).metadata().configuration):
        quoted = path.replace("`", "``")
        lake.spark.sql(f"ALTER TABLE delta.`{quoted}` SET TBLPROPERTIES ('{FEED}' = 'true')")


def is_published(lake: Lake, spec: PipelineSpec, batch: Batch) -> bool:
    """Whether an earlier run has published the batch."""
    if spec.sink.mode == "append":
        view = lake.view(spec.sink.table)
        return view is not None and view.accepted >= batch.batch_id
    return lake.find_commit(spec.sink.table, batch.commit) is not None
