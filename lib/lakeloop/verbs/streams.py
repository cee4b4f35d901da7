"""The intake of a pipeline: how far it is, and how people pause, resume and reset it."""

from dataclasses import dataclass

from deltalake import DeltaTable

from lakeloop.core.config import Project
from lakeloop.core.errors import StreamError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.backfill_rules import growing_tables
from lakeloop.ingestion.source_specs import CdcSource, FilesSource, JoinSource, TablesSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import History, Ledger, RunEntry
from lakeloop.lake.ops_tables import has_table, uri_of
from lakeloop.lake.stream_decisions import Decision, decide, decisions, find_pause


@dataclass(frozen=True)
class Stream:
    """How far a pipeline has come: its last batch, the last one that was read of the source, and what was decided."""

    pipeline: str
    history: History
    pause: Decision | None
    decisions: tuple[Decision, ...]

    @property
    def has_unfinished(self) -> bool:
        """Whether a batch was planned that has not ended."""
        return self.history.last is not None and self.history.outcome is None


def find_stream(project: Project, pipeline: str) -> Stream:
    """The state of one pipeline. Raises ConfigError for one that is not declared; starts no Spark."""
    root, spec = project.lake_root, load_pipeline(project, pipeline)
    made = tuple(decisions(root, spec.pipeline))
    return Stream(spec.pipeline, Ledger(root).history(spec.pipeline), find_pause(root, spec.pipeline), made)


def pause_stream(project: Project, pipeline: str, why: str, run: RunContext) -> Decision:
    """Take in nothing more until it is resumed; the batch under way is brought to its end.

    Raises StreamError for one that is paused already.
    """
    stream = find_stream(project, pipeline)
    if stream.pause:
        raise StreamError(f"{pipeline} is {stream.pause.said} already; `lakeloop stream resume {pipeline}` ends that")
    return decide(project.lake_root, run, pipeline, "paused", why=why, batch_id=_last(stream.history))


def resume_stream(project: Project, pipeline: str, why: str, run: RunContext) -> Decision:
    """Take in again what has come meanwhile. Raises StreamError for a pipeline that is not paused."""
    stream = find_stream(project, pipeline)
    if stream.pause is None:
        raise StreamError(f"{pipeline} is not paused; `lakeloop stream show {pipeline}` says how far it is")
    return decide(project.lake_root, run, pipeline, "resumed", why=why, batch_id=_last(stream.history))


def reset_stream(project: Project, pipeline: str, why: str, run: RunContext) -> Decision:
    """Let the source be read from its beginning again; nothing that is in the lake is touched.

    Raises StreamError where that would bring rows twice or leave a batch half done.
    """
    stream, spec, root = find_stream(project, pipeline), load_pipeline(project, pipeline), project.lake_root
    if stream.history.last is None:
        raise StreamError(f"{pipeline} has read nothing yet, so there is nothing to reset")
    if stream.has_unfinished and not _can_be_let_go(root, spec, stream.history):
        raise StreamError(
            f"batch {stream.history.last.batch_id} of {pipeline} has not ended: its rows may be in bronze and not in "
            f"{spec.said_tables}; run `lakeloop run {pipeline}` first, which brings it to its end"
        )
    if isinstance(spec.source, CdcSource):
        raise StreamError(
            f"the slot {spec.source.slot} has let the server forget what {pipeline} has; give the source a `slot` of a "
            "new name, and the next run reads the table anew and then its changes"
        )
    if growing := growing_tables(spec):
        verb = "only grows" if len(growing) == 1 else "only grow"
        raise StreamError(
            f"{', '.join(growing)} {verb}, so every row of {pipeline} would come twice; give the sink `mode: merge` "
            "with keys, or the transforms a dedupe with `against: table`, and reset then"
        )
    if stream.has_unfinished:
        said = "let go by a reset before it was read"
        Ledger(root).record(
            run, RunEntry(pipeline, spec.said_tables, "withdrawn", now(), said, stream.history.last.batch_id)
        )
    if isinstance(spec.source, FilesSource):
        FileCatalog(project.lake_root, pipeline, spec.owner).forget_all(run, f"reset: {why}" if why else "reset")
    return decide(project.lake_root, run, pipeline, "reset", why=why, batch_id=_last(stream.history))


def _can_be_let_go(root: str, spec: PipelineSpec, history: History) -> bool:
    """Whether the batch under way left no row; where versions of its tables are gone, no run could end it."""
    if not isinstance(spec.source, JoinSource | TablesSource) or history.last is None:
        return False
    if not has_table(root, spec.record_table):
        return True
    written = DeltaTable(uri_of(root, spec.record_table)).transaction_version(history.last.commit.writer)
    return written is None or written < history.last.batch_id


def _last(history: History) -> int | None:
    return history.last.batch_id if history.last else None
