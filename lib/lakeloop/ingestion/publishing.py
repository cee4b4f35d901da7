"""The good rows of an accepted batch into the tables that people read."""

from collections.abc import Mapping, Sequence

from deltalake import DeltaTable
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.ingestion.change_publishing import publish_changes
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.history import merge_history
from lakeloop.lake.ledger import Batch
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.ops_tables import has_table
from lakeloop.lake.table_turns import in_turn
from lakeloop.lake.tables import Lake, data_columns
from lakeloop.lake.version_range import FEED, is_on
from lakeloop.lake.views import ROUTE
from lakeloop.quality.judgement import GOOD, VERDICT


def publish(lake: Lake, spec: PipelineSpec, batch: Batch) -> None:
    """Bring the batch's good rows from bronze into each table; one that only grows is a view that grows.

    Each table has a commit of the batch's identity of its own, so doing it again changes nothing where it was done.
    """
    for target in spec.targets:
        publish_into(lake, spec, target, batch)


def publish_into(lake: Lake, spec: PipelineSpec, target: Target, batch: Batch) -> None:
    """Bring the batch's good rows of one table into it. Doing it again changes nothing."""
    if target.mode == "append":
        lake.publish_view(target.table, target.view(spec.record_table, batch.batch_id))
        return
    if spec.has_changes:
        publish_changes(lake, spec, batch)
    else:
        _publish_rows(lake, spec, target, batch)
    keep_changes(lake, target)


def _publish_rows(lake: Lake, spec: PipelineSpec, target: Target, batch: Batch) -> None:
    bronze = lake.read(spec.record_table)
    good = bronze.where((F.col("_batch_id") == batch.batch_id) & (F.col(VERDICT) == GOOD))
    if target.route is not None:
        good = good.where(F.col(ROUTE) == target.route)
    rows, table = good.select(*_columns(target, data_columns(good))), target.table
    if target.history and batch.plan.kind != "source":
        rows = _with_versions_of_their_keys(bronze, target, batch)
    elif target.sequence_by and batch.plan.kind == "backfill":
        rows = _newest(rows, target.keys, target.sequence_by)
    if target.history and target.sequence_by:
        merge_history(lake, table, rows, keys=target.keys, sequence_by=target.sequence_by, commit=batch.commit)
    elif target.mode == "merge":
        merge_latest(lake, table, rows, keys=target.keys, sequence_by=target.sequence_by, commit=batch.commit)
    else:
        lake.write(table, rows, mode="overwrite", commit=batch.commit)


def keep_changes(lake: Lake, target: Target) -> None:
    """Let Delta keep how the table's rows change from now on, where that is declared and it does not do so yet."""
    if not target.change_feed or not has_table(lake.root, target.table):
        return
    path = lake.path(target.table)
    if not is_on(FEED, DeltaTable(path).metadata().configuration):
        quoted = path.replace("`", "``")
        switch_on = f"ALTER TABLE delta.`{quoted}` SET TBLPROPERTIES ('{FEED}' = 'true')"
        in_turn(path, lambda: lake.spark.sql(switch_on))


def _newest(rows: DataFrame, keys: Sequence[str], sequence_by: str) -> DataFrame:
    """Of each key the row that merging one batch after the other would have left."""
    in_order = Window.partitionBy(*keys).orderBy(F.col(f"`{sequence_by}`").desc_nulls_last())
    return rows.withColumn("_nth", F.row_number().over(in_order)).where(F.col("_nth") == 1).drop("_nth")


def _with_versions_of_their_keys(bronze: DataFrame, target: Target, batch: Batch) -> DataFrame:
    """The good rows of a table in a batch that came late, and what bronze has of their keys.

    A version that was like the one before it opened no interval, and may differ from one that has come between them.
    Of several rows of one time, of which the history takes but one, that of the first batch counts, as it did.
    """
    good = bronze.where((F.col("_batch_id") <= batch.batch_id) & (F.col(VERDICT) == GOOD))
    if target.route is not None:
        good = good.where(F.col(ROUTE) == target.route)
    mine = good.where(F.col("_batch_id") == batch.batch_id).select(*target.keys).distinct()
    of_keys = good.join(mine, list(target.keys), "left_semi")
    first = Window.partitionBy(*target.keys, str(target.sequence_by)).orderBy("_batch_id")
    once = of_keys.withColumn("_nth", F.row_number().over(first)).where(F.col("_nth") == 1)
    return once.select(*_columns(target, data_columns(good)))


def is_published(lake: Lake, spec: PipelineSpec, batch: Batch) -> bool:
    """Whether an earlier run has published the batch to every table."""
    return all(_is_in(lake, target, batch) for target in spec.targets)


def require_same_routes(lake: Lake, spec: PipelineSpec) -> None:
    """Raise TableError where a view would show other rows of the same record than it has shown until now."""
    for target in spec.targets:
        view = lake.view(target.table) if target.mode == "append" else None
        if view is not None and view.record_table == spec.record_table and view.route != target.route:
            shown = "every good row" if view.route is None else f"the rows of the route {view.route}"
            raise TableError(
                f"{spec.pipeline}: {target.table} shows {shown} of {view.record_table}, and rows that are there "
                "have no other route; give the table another name in the sink, which begins with what comes now, or "
                "the pipeline another name, which reads its source anew"
            )


def require_routes_of(spec: PipelineSpec, batch: Batch, by_route: Mapping[str | None, int]) -> None:
    """Raise TableError where rows of a batch, recorded before the declaration changed, have no table any more."""
    if spec.sink.routes is None:
        return
    if lost := {route: rows for route, rows in by_route.items() if rows and route not in spec.tables}:
        said = ", ".join(f"{rows:,} for {route or 'the one table that there was'}" for route, rows in lost.items())
        raise TableError(
            f"{spec.pipeline}: batch {batch.batch_id} was recorded with rows that no route takes any more ({said}); "
            "declare the sink as it was, run, and change it then"
        )


def _is_in(lake: Lake, target: Target, batch: Batch) -> bool:
    if target.mode == "append":
        view = lake.view(target.table)
        return view is not None and view.accepted >= batch.batch_id
    return lake.find_commit(target.table, batch.commit) is not None


def _columns(target: Target, quoted: list[str]) -> list[str]:
    return quoted if target.columns is None else [f"`{name}`" for name in target.columns]
