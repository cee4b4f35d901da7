"""Whether a pipeline's tables agree with each other, asked before a run plans: a lost file must not pass in silence.

Reads listings, ends of logs and a few rows, never data, and starts no Spark. `lakeloop repair` looks closer and mends.
"""

from collections.abc import Iterator
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakeloop.core.errors import ConcurrentRunError, DamageError
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.source_specs.cdc import CdcSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.delta_log import data_files, list_log
from lakeloop.lake.file_catalog import FILES
from lakeloop.lake.ledger import BATCHES, RUNS, History, Ledger
from lakeloop.lake.ops_tables import UNREADABLE, files_of_table, read_rows, unreadable, uri_of
from lakeloop.lake.quarantine_decisions import QUARANTINE, has_replayed
from lakeloop.lake.schema_versions import SCHEMAS, SchemaVersions
from lakeloop.lake.stream_decisions import STREAMS
from lakeloop.lake.views import ROUTE, View, find_view

LEDGER = (BATCHES, RUNS, FILES, SCHEMAS, QUARANTINE, STREAMS)


def require_sound_logs(root: str, spec: PipelineSpec) -> None:
    """Raise DamageError where the log of a table that the pipeline reads or writes is not whole.

    Files without any commit are what a run leaves that ended while it wrote the first batch of a table: no damage.
    """
    for table in (*LEDGER, spec.record_table, *spec.tables):
        folder = uri_of(root, table)
        if not list_log(folder).defects:
            continue
        log = list_log(folder)  # a second look: a listing may miss a commit that is made meanwhile
        if log.latest is None and (not data_files(folder) or (table not in LEDGER and _is_first_batch(root, spec))):
            continue
        if log.defects:
            raise _damage(spec, f"{table} is damaged: {', '.join(log.defects[:3])}")


def require_agreement(root: str, spec: PipelineSpec, history: History, *, files: bool) -> None:
    """Raise DamageError where record, ledger, catalogs and view contradict each other.

    With `files`, every data file of the record must be there in its size. Raises ConcurrentRunError where `history` is
    that of the ledger no longer.
    """
    for problem in _contradictions(root, spec, history):
        if Ledger(root).history(spec.pipeline) != history:
            raise ConcurrentRunError(f"{spec.pipeline}: another run is under way; let it end, then run again")
        raise _damage(spec, problem)
    for table in (spec.record_table, *spec.tables) if files else ():
        for problem in lost_files(uri_of(root, table)).values():
            raise _damage(spec, f"{table} is damaged: {problem}")


def lost_files(folder: str) -> dict[str, str]:
    """Data files that the present version of a table needs and that are missing or torn, with words on each."""
    if not list_log(folder).commits:
        return {}
    there, lost = data_files(folder), {}
    added = pa.table(DeltaTable(folder).get_add_actions())
    for path, size in zip(added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True):
        found = there.get(unquote(path))
        if found != size:
            lost[unquote(path)] = (
                f"its data file {path} is missing"
                if found is None
                else f"its data file {path} has {found} bytes of {size}"
            )
    return lost


def _is_first_batch(root: str, spec: PipelineSpec) -> bool:
    """Whether a batch was planned and none has succeeded, by a ledger whose own logs are whole."""
    history = Ledger(root).history(spec.pipeline)
    return history.last is not None and history.succeeded is None and history.finished is None


def _contradictions(root: str, spec: PipelineSpec, history: History) -> Iterator[str]:
    last = history.last.batch_id if history.last else -1
    if history.not_ended:
        yield f"{RUNS} says of batch {history.not_ended[0]} no end, but a later one was planned"
    if history.ended is not None and history.ended > last:
        yield f"{RUNS} has the end of batch {history.ended}, which {BATCHES} does not know"
    yield from _of_record(root, spec, history, last)
    for target in spec.targets:
        if target.mode == "append":
            yield from _of_view(root, spec, target, history, last)
    yield from _of_catalogs(root, spec, history)


def _of_record(root: str, spec: PipelineSpec, history: History, last: int) -> Iterator[str]:
    table = spec.record_table
    written = None
    if list_log(uri_of(root, table)).latest is not None:
        if history.last is None:
            yield f"{table} has batches, but {BATCHES} knows none of this pipeline"
            return
        try:
            record = DeltaTable(uri_of(root, table))
            written = record.transaction_version(history.last.commit.writer)
        except UNREADABLE as error:
            raise unreadable(table, error) from error
    if written is not None and written > last:
        yield f"{table} has batch {written}, which {BATCHES} does not know"
    if history.succeeded is not None and (written is None or written < history.succeeded):
        yield f"{table} lacks batch {history.succeeded}, which {RUNS} says succeeded"


def _of_view(root: str, spec: PipelineSpec, target: Target, history: History, last: int) -> Iterator[str]:
    view = find_view(uri_of(root, target.table))
    if view is not None and view.accepted > last:
        yield f"the view {target.table} shows batch {view.accepted}, which {BATCHES} does not know"
    if history.succeeded is not None and lacks_batches(root, spec, target, view, history.succeeded):
        yield f"the view {target.table} lacks batch {history.succeeded}, which {RUNS} says succeeded"


def lacks_batches(root: str, spec: PipelineSpec, target: Target, view: View | None, succeeded: int) -> bool:
    """Whether a view does not show what it must, up to the batch `succeeded`.

    A route that was declared since then has no rows in those batches, and no view before the next one is published.
    """
    shown = -1 if view is None else view.accepted
    if shown >= succeeded or target.route is None:
        return shown < succeeded
    record = DeltaTable(uri_of(root, spec.record_table))
    if ROUTE not in {field.name for field in record.schema().fields}:
        return False
    batch = pc.field("_batch_id")
    own = (pc.field(ROUTE) == target.route) & (pc.field("_verdict") == "good")
    rows = record.to_pyarrow_dataset(filesystem=files_of_table(root, spec.record_table))
    missing = rows.scanner(filter=own & (batch > shown) & (batch <= succeeded), columns=["_batch_id"])
    return bool(missing.head(1).num_rows)


def _of_catalogs(root: str, spec: PipelineSpec, history: History) -> Iterator[str]:
    if history.finished is not None and isinstance(spec.source, CdcSource | FilesSource):
        mine = [("pipeline", "=", spec.pipeline), ("batch_id", "=", history.finished_id)]
        has_catalog = isinstance(spec.source, FilesSource)
        if has_catalog and history.finished.details.get("files") and not read_rows(root, FILES, mine, ["batch_id"]):
            yield f"{FILES} lacks the files of batch {history.finished_id}, which would be read twice"
        version = history.finished.details.get("schema", {}).get("version")
        known = {each.version for each in SchemaVersions(root, spec.pipeline).all()}
        if version is not None and version not in known:
            yield f"{SCHEMAS} lacks version {version}, by which batch {history.finished_id} was read"
    last = history.last
    rows = last.plan.details["replay"]["rows"] if last and last.plan.kind == "replay" else 0
    if last and rows and history.outcome == "succeeded" and not has_replayed(root, spec.pipeline, last.batch_id):
        yield f"{QUARANTINE} lacks the decisions of batch {last.batch_id}, whose rows would be replayed twice"


def _damage(spec: PipelineSpec, problem: str) -> DamageError:
    return DamageError(
        f"{spec.pipeline}: {problem}; nothing was read. See what `lakeloop repair --dry-run` says of it, then run "
        "`lakeloop repair`"
    )
