"""Quarantined rows back through their pipeline: as they came, or with cells that somebody has corrected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pyspark.sql import functions as F

from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.changes import source_columns
from lakeloop.ingestion.enrichment.service import open_services
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION
from lakeloop.ingestion.sources.replay import (
    Edits,
    ReplayReader,
    Replays,
    WithReplays,
    columns_of_source,
    require_replayable,
)
from lakeloop.ingestion.sources.replay.edits import require_readable
from lakeloop.ingestion.sources.replay.overlay import ROW_ID
from lakeloop.ingestion.sources.replay.reader import MOST_REHEARSED
from lakeloop.ingestion.sources.replay.selection import Selection, extract_of
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.ledger import Batch, Ledger, Plan, RunEntry
from lakeloop.lake.masks import REDACTED
from lakeloop.lake.pipeline_turns import WAITS, Turns
from lakeloop.lake.quarantine import Chosen
from lakeloop.lake.tables import Commit
from lakeloop.quality.judgement import REASONS, VERDICT
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.progress import Progress, silent
from lakeloop.verbs.quarantine import has_masks, note_look, open_batch_of, quarantine_of, require_why, with_whole_id

MOST_SHOWN = 20  # rows that a rehearsal of a fix shows one by one


@dataclass(frozen=True)
class Foreseen:
    """A row that a fix would change, and what today's rules would say of it.

    `changes` are (column, before, after), `reasons` (rule, message).
    """

    row_id: str
    origin: str | None
    record: int | None
    changes: tuple[tuple[str, str | None, str | None], ...]
    verdict: str
    reasons: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Replayed:
    """What a replay did, or in a rehearsal would do: entries, rows by rule, and how many rows are open then.

    Of a fix, `rows` it changes, `left` it could not, `named` are the first of these as (row, why), and `foreseen` the
    first rows of a rehearsal.
    """

    entries: tuple[RunEntry, ...]
    by_rule: tuple[tuple[str, int], ...]
    still_open: int
    notes: tuple[str, ...] = ()
    rows: int = 0
    left: int = 0
    named: tuple[tuple[str, str], ...] = ()
    foreseen: tuple[Foreseen, ...] = ()


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
    spec = load_pipeline(project, name)
    require_replayable(spec)
    asked = replace(asked, chosen=with_whole_id(project, spec, asked.chosen))
    return _carried_out(project, spec, asked, context, dry_run=dry_run, pii=False, progress=progress)


def fix(
    project: Project,
    name: str,
    edits: Edits,
    chosen: Chosen,
    why: str,
    context: RunContext,
    *,
    dry_run: bool = False,
    pii: bool = False,
    progress: Progress = silent,
) -> Replayed:
    """Correct cells of open rows and judge them as a batch of their own; in a rehearsal only say what would come.

    The record in bronze stays as it came: what was changed, from what, to what, stands in `ops.quarantine`. Rows that
    are closed or read otherwise than when they were shown are left and named. Raises ConfigError without a reason, and
    for a mistake in what is asked, for which nothing is fixed; else what `replay` raises.
    """
    spec = load_pipeline(project, name)
    require_replayable(spec)
    if not dry_run:
        require_why(why)
    if bool(edits.cells) == (edits.file is not None):
        raise ConfigError("say what to change: --set COLUMN=VALUE for all chosen rows, or --from FILE.csv")
    if edits.file is not None:
        if chosen != Chosen():
            raise ConfigError("--from names its rows itself; leave --reason, --origin and --row out")
        require_readable(edits.file, name, columns_of_source(project.lake_root, spec))
    elif chosen == Chosen():
        raise ConfigError("--set changes every row that is chosen; say which: --reason, --origin or --row")
    _require_columns(project, spec, edits.cells)
    if pii:
        note_look(project, context, spec.record_table, ("_original", "_reasons"))
    asked = Replays(with_whole_id(project, spec, chosen), why, again=True, fix=edits)
    return _carried_out(project, spec, asked, context, dry_run=dry_run, pii=pii, progress=progress)


def _carried_out(
    project: Project,
    spec: PipelineSpec,
    asked: Replays,
    context: RunContext,
    *,
    dry_run: bool,
    pii: bool,
    progress: Progress,
) -> Replayed:
    from lakeloop.ingestion.events import open_events
    from lakeloop.ingestion.pipeline import Pipeline
    from lakeloop.ingestion.sources.opening import open_source

    name, lake = spec.pipeline, open_lake(project)
    services, usual = open_services(project, spec), open_source(project, spec, lake).usual
    reader = ReplayReader(lake, spec, asked, usual, has_masks(project, spec))
    if dry_run:
        open_rows = quarantine_of(project, spec).count(Chosen())
        return _rehearsed(reader, open_rows, context, services, is_masked=reader.has_masks and not pii)
    source = WithReplays(usual, reader, is_asked=True)
    pipeline = Pipeline(spec, source, lake, services, open_events(project, spec))
    say = partial(_named, progress, name)
    with Turns(lake.root).taken(name, partial(say, WAITS)):
        is_interrupted = open_batch_of(Ledger(lake.root).history(name)) is not None
        entries = [pipeline.run(context, say) for _ in range(1 + is_interrupted)]
    notes = (*_key_notes(spec, reader.found.columns), *_warnings(spec, entries))
    still_open = quarantine_of(project, spec).count(Chosen())
    found = reader.found
    return Replayed(tuple(entries), (), still_open, notes, found.rows, found.left, tuple(found.named))


def _rehearsed(
    reader: ReplayReader, open_rows: int, context: RunContext, services: Any, *, is_masked: bool
) -> Replayed:
    from lakeloop.ingestion.recording import Recorder

    spec, started_at = reader.spec, now()
    selection = reader.rehearsal(open_batch_of(Ledger(reader.lake.root).history(spec.pipeline)))
    found = reader.found
    if selection is None:
        said = "no open row can be replayed" if reader.asked.fix is None else "nothing changes"
        entry = RunEntry(spec.pipeline, spec.said_tables, "nothing_new", started_at, said)
        return Replayed((entry,), (), open_rows, (), found.rows, found.left, tuple(found.named))
    is_fix = reader.asked.fix is not None
    extract = extract_of(reader.lake, spec, reader.usual, selection, with_ids=is_fix)
    batch = Batch(Commit("rehearsal", -1, context.run_id), Plan({}, "rehearsal", kind="replay"))
    recorder = Recorder(spec, WithReplays(reader, reader), reader.lake, services)
    judged = recorder.rehearse(extract, batch)
    foreseen: tuple[Foreseen, ...] = ()
    if is_fix:
        foreseen = _foreseen(selection, recorder, extract, batch, is_masked=is_masked)
    selection.rows.unpersist()
    entry = RunEntry(
        spec.pipeline, spec.said_tables, "succeeded", started_at, "nothing was written", counts=judged.counts
    )
    by_rule = tuple((each.rule, each.violations) for each in judged.results if each.violations)
    still_open = open_rows - judged.counts.read + judged.counts.quarantined
    cut = (f"of the file the first {MOST_REHEARSED:,} rows were looked at",) if found.was_cut else ()
    notes = (*cut, *_key_notes(spec, found.columns), *_warnings(spec, [entry]))
    return Replayed((entry,), by_rule, still_open, notes, found.rows, found.left, tuple(found.named), foreseen)


def _foreseen(
    selection: Selection, recorder: Any, extract: Any, batch: Batch, *, is_masked: bool
) -> tuple[Foreseen, ...]:
    """The first rows that a fix changes, each with its verdict; what was there before is masked where it must be."""
    rows = selection.rows.where("form IS NOT NULL").orderBy("line", "batch_id", "origin", "record").limit(MOST_SHOWN)
    first = rows.collect()
    id_ = F.col(POSITION)[ROW_ID]
    verdicts = recorder.verdicts(extract, batch).where(id_.isin([row["row_id"] for row in first]))
    judged = {row["row_id"]: row for row in verdicts.select(id_.alias("row_id"), VERDICT, REASONS).collect()}

    def shown(text: str | None) -> str | None:
        return REDACTED if is_masked and text else text

    return tuple(
        Foreseen(
            row["row_id"],
            row["origin"],
            row["record"],
            tuple((cell["column"], shown(cell["before"]), cell["after"]) for cell in row["changes"]),
            judged[row["row_id"]][VERDICT],
            tuple((one["rule"], shown(one["message"])) for one in judged[row["row_id"]][REASONS] or ()),
        )
        for row in first
    )


def _require_columns(project: Project, spec: PipelineSpec, cells: Mapping[str, str | None]) -> None:
    known = columns_of_source(project.lake_root, spec)
    for column, value in cells.items():
        if column != ORIGINAL and known is not None and column not in known:
            raise ConfigError(
                f"{spec.pipeline}: --set {column}: its rows have no column '{column}'; "
                f"{propose(column, [*known, ORIGINAL])}"
            )
        if value == REDACTED and has_masks(project, spec):
            raise ConfigError(
                f"{spec.pipeline}: --set {column}: {REDACTED} is what is shown in place of personal data, and no value"
            )


def _key_notes(spec: PipelineSpec, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the changed columns are keys: such a row takes another place than the one that it came for."""
    keys = {key for target in spec.targets for key in source_columns(target.keys, spec.transforms)}
    changed = ", ".join(column for column in columns if column in keys)
    return (f"{changed} is a key, so rows that were changed there take the place of their new key",) if changed else ()


def _warnings(spec: PipelineSpec, entries: list[RunEntry]) -> tuple[str, ...]:
    if not any(entry.counts.good for entry in entries):
        return ()
    return tuple(
        f"{target.table} has no sequence_by, so a replayed row replaces what came for its keys since then"
        for target in spec.targets
        if target.mode == "merge" and not target.sequence_by
    )


def _named(progress: Progress, name: str, text: str) -> None:
    progress(f"{name}: {text}")
