"""A batch that a full disk stopped: which disk, what of the batch stands, and what to do."""

from lakeloop.core.disk import full_disk, is_full, spill_folders
from lakeloop.core.errors import DiskFullError
from lakeloop.core.spark_failures import SPARK_FAILURES, all_said
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Batch
from lakeloop.lake.tables import Lake


def explain_full_disk(problem: Exception, spec: PipelineSpec, lake: Lake, batch: Batch | None) -> DiskFullError | None:
    """The error for a run that ended so; None where no disk was full."""
    if not (isinstance(problem, DiskFullError) or is_full(all_said(problem))):
        return None
    tables = [lake.path(name) for name in (spec.record_table, *spec.tables)]
    logs = [f"{table}/_delta_log" for table in tables]
    spills = spill_folders(lake.spark.conf.get("spark.local.dir", None))
    disk = full_disk([*tables, *logs, f"{lake.root}/ops", *spills])
    return DiskFullError(
        f"{spec.pipeline}: {disk}, so {_landed(spec, lake, batch)}; free some space there and run again: the next run "
        "goes on where this one stopped, and no row is lost or comes twice"
    )


def _landed(spec: PipelineSpec, lake: Lake, batch: Batch | None) -> str:
    if batch is None:
        return "no new batch was planned"
    try:
        stands = lake.find_commit(spec.record_table, batch.commit) is not None
    except SPARK_FAILURES:
        return f"batch {batch.batch_id} did not end"
    if stands:
        return f"batch {batch.batch_id} stands in {spec.record_table} and did not end"
    return f"nothing of batch {batch.batch_id} stands in {spec.record_table}"
