"""Quarantined rows and refused files: what is open, what it was, back through the pipeline, or closed by decision."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pyarrow as pa

from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConcurrentRunError, ConfigError, TableError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.enrichment.service import open_services
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.replay import ReplayReader, Replays, WithReplays, require_replayable, require_waiting
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import Batch, History, Ledger, Plan, RunEntry
from lakeloop.lake.masks import REDACTED
from lakeloop.lake.pipeline_turns import WAITS, Turns
from lakeloop.lake.quarantine import Chosen, Quarantine
from lakeloop.lake.tables import Commit
from lakeloop.serving.access_spec import load_access
from lakeloop.serving.policies import load_policies
from lakeloop.verbs.access import require_pii
from lakeloop.verbs.lakes import Progress, open_lake, silent


@dataclass(frozen=True)
class OpenQuarantine:
    """What is open of one pipeline: rows, the same by rule (`rule`, `rows`, `since`), and refused files."""

    pipeline: str
    rows: int
    by_rule: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Replayed:
    """What a replay did, or in a rehearsal would do: entries, rows by rule, and how many rows are open then."""

    entries: tuple[RunEntry, ...]
    by_rule: tuple[tuple[str, int], ...]
    still_open: int
    notes: tuple[str, ...] = ()


def open_quarantine(project: Project, names: list[str]) -> list[OpenQuarantine]:
    """The open rows and files of pipelines (none named: all); starts no Spark."""
    found = []
    for spec in [load_pipeline(project, name) for name in names or project.names("pipelines")]:
        rows = _quarantine(project, spec)
        files = _catalog(project, spec).refused()
        found.append(OpenQuarantine(spec.pipeline, rows.count(Chosen()), tuple(rows.by_rule()), tuple(files)))
    return found


def quarantined_rows(
    project: Project, name: str, chosen: Chosen, context: RunContext, *, limit: int, pii: bool = False
) -> Iterator[pa.RecordBatch]:
    """Open rows as `batch_id`, `origin`, `record`, `came_in`, `reasons`, `original`; one more than `limit` if there is.

    Where the pipeline has pii columns, texts and messages are masked unless the user may see personal data and asks
    to; such a look is recorded in `ops.audit` before the first row is given.
    """
    spec = load_pipeline(project, name)
    if pii:
        require_pii(load_access(project), context)
    masks = load_policies(project)[spec.record_table].masks
    rows = _quarantine(project, spec).open_rows(chosen, limit + 1)
    if pii:
        seen = AuditEntry(
            context.user, "terminal", "query", (spec.record_table,), ("_original", "_reasons"),
            message="with personal data",
        )  # fmt: skip
        append_audit(project.lake_root, [seen])
    return map(_masked, rows) if masks and not pii else rows


def replay(
    project: Project,
    name: str,
    asked: Replays,
    context: RunContext,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Replayed:
    """Judge open rows again, as the pipeline is declared today, as a batch of its own; or only count what would come.

    A batch that an interrupted run left is finished first. Raises ConfigError for a pipeline that replaces its rows,
    else what a run raises.
    """
    from lakeloop.ingestion.events import open_events
    from lakeloop.ingestion.pipeline import Pipeline
    from lakeloop.ingestion.sources.opening import open_source

    spec = load_pipeline(project, name)
    require_replayable(spec)
    lake = open_lake(project)
    services, usual = open_services(project, spec), open_source(project, spec, lake).usual
    if dry_run:
        open_rows = _quarantine(project, spec).count(Chosen())
        return _rehearsed(ReplayReader(lake, spec, asked, usual), open_rows, context, services)
    source = WithReplays(usual, ReplayReader(lake, spec, asked, usual), is_asked=True)
    pipeline = Pipeline(spec, source, lake, services, open_events(project, spec))
    say = partial(_named, progress, name)
    with Turns(lake.root).taken(name, partial(say, WAITS)):
        is_interrupted = _open_batch(Ledger(lake.root).history(name)) is not None
        entries = [pipeline.run(context, say) for _ in range(1 + is_interrupted)]
    return Replayed(tuple(entries), (), _quarantine(project, spec).count(Chosen()), _warnings(spec, entries))


def discard(project: Project, name: str, chosen: Chosen, why: str, context: RunContext) -> int:
    """Close open rows by decision, and give how many; they stay in bronze. Starts no Spark.

    Raises ConfigError without a reason, ConcurrentRunError while a replay is under way or was interrupted.
    """
    spec = load_pipeline(project, name)
    require_waiting(spec)
    _require_why(why)
    history = Ledger(project.lake_root).history(name)
    if history.last is not None and history.outcome is None and history.last.plan.kind == "replay":
        raise ConcurrentRunError(
            f"{name}: a replay is under way or was interrupted, and may hold these rows; let it end, or finish it by "
            f"`lakeloop quarantine replay {name}`, then discard"
        )
    return _quarantine(project, spec).discard(chosen, context, why)


def settle_file(
    project: Project, name: str, path: str, outcome: Literal["forgotten", "discarded"], why: str, context: RunContext
) -> str:
    """Let a refused file be read again by the next run (`forgotten`), or close it; gives its whole path.

    `path` may be its end, as long as only one file ends so. Raises TableError for a file that is not refused.
    """
    spec = load_pipeline(project, name)
    if outcome == "discarded":
        _require_why(why)
    catalog = _catalog(project, spec)
    refused = sorted({row["path"] for row in catalog.refused()})
    found = [one for one in refused if one == path] or [one for one in refused if one.endswith(f"/{path}")]
    if len(found) != 1:
        what = f"{len(found)} refused files end in '{path}'" if found else f"'{path}' is no refused file"
        remedy = propose(path, found or refused) if refused else "none is open"
        raise TableError(f"{what} of {name}; {remedy}")
    whole: str = found[0]
    catalog.settle(context, whole, outcome, why)
    return whole


def _rehearsed(reader: ReplayReader, open_rows: int, context: RunContext, services: Any) -> Replayed:
    from lakeloop.ingestion.recording import Recorder

    spec, started_at = reader.spec, now()
    extract = reader.rehearsal(_open_batch(Ledger(reader.lake.root).history(spec.pipeline)))
    if extract is None:
        entry = RunEntry(spec.pipeline, spec.said_tables, "nothing_new", started_at, "no open row can be replayed")
        return Replayed((entry,), (), open_rows)
    batch = Batch(Commit("rehearsal", -1, context.run_id), Plan({}, "rehearsal", kind="replay"))
    judged = Recorder(spec, WithReplays(reader, reader), reader.lake, services).rehearse(extract, batch)
    entry = RunEntry(
        spec.pipeline, spec.said_tables, "succeeded", started_at, "nothing was written", counts=judged.counts
    )
    by_rule = tuple((each.rule, each.violations) for each in judged.results if each.violations)
    still_open = open_rows - judged.counts.read + judged.counts.quarantined
    return Replayed((entry,), by_rule, still_open, _warnings(spec, [entry]))


def _warnings(spec: PipelineSpec, entries: list[RunEntry]) -> tuple[str, ...]:
    if not any(entry.counts.good for entry in entries):
        return ()
    return tuple(
        f"{target.table} has no sequence_by, so a replayed row replaces what came for its keys since then"
        for target in spec.targets
        if target.mode == "merge" and not target.sequence_by
    )


def _masked(rows: pa.RecordBatch) -> pa.RecordBatch:
    reasons = [
        None if found is None else [{"rule": one["rule"], "message": REDACTED} for one in found]
        for found in rows.column("reasons").to_pylist()
    ]
    originals = [None if text is None else REDACTED for text in rows.column("original").to_pylist()]
    kinds = {name: rows.schema.field(name).type for name in ("reasons", "original")}
    shown = {"reasons": pa.array(reasons, kinds["reasons"]), "original": pa.array(originals, kinds["original"])}
    columns = [shown.get(name, rows.column(name)) for name in rows.schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _quarantine(project: Project, spec: PipelineSpec) -> Quarantine:
    history = Ledger(project.lake_root).history(spec.pipeline)
    return Quarantine(project.lake_root, spec.pipeline, _open_batch(history))


def _open_batch(history: History) -> int | None:
    return history.last.batch_id if history.last is not None and history.outcome is None else None


def _catalog(project: Project, spec: PipelineSpec) -> FileCatalog:
    if not isinstance(spec.source, FilesSource):
        return FileCatalog(project.lake_root, spec.pipeline, None)
    return FileCatalog(project.lake_root, spec.pipeline, spec.owner)


def _require_why(why: str) -> None:
    if not why.strip():
        raise ConfigError('a decision needs its reason, for whoever asks later; give --reason-text "…"')


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")
