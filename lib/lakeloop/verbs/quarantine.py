"""Quarantined rows and refused files: what is open, what it was, back through the pipeline, or closed by decision."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConcurrentRunError, ConfigError, TableError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.replay import OpenRow, columns_of_source, open_rows, require_waiting
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import History, Ledger
from lakeloop.lake.quarantine import Chosen, Quarantine
from lakeloop.lake.quarantine_decisions import PERSONAL, QUARANTINE
from lakeloop.lake.quarantine_history import Decided, Event, latest_decisions, row_history
from lakeloop.serving.access_spec import load_access
from lakeloop.serving.data.policies import load_policies
from lakeloop.verbs.access import require_pii


@dataclass(frozen=True)
class OpenQuarantine:
    """What is open of one pipeline: rows, the same by rule (`rule`, `rows`, `since`), and refused files."""

    pipeline: str
    rows: int
    by_rule: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]


def open_quarantine(project: Project, names: list[str]) -> list[OpenQuarantine]:
    """The open rows and files of pipelines (none named: all); starts no Spark."""
    found = []
    for spec in [load_pipeline(project, name) for name in names or project.names("pipelines")]:
        rows = quarantine_of(project, spec)
        files = _catalog(project, spec).refused()
        found.append(OpenQuarantine(spec.pipeline, rows.count(Chosen()), tuple(rows.by_rule()), tuple(files)))
    return found


def quarantined_rows(
    project: Project, name: str, chosen: Chosen, context: RunContext, *, limit: int, pii: bool = False
) -> Iterator[OpenRow]:
    """Open rows, the oldest batch first; one more than `limit` if there is.

    Where the pipeline has pii columns, texts, cells and messages are masked unless the user may see personal data and
    asks to; such a look is recorded in `ops.audit` before the first row is given.
    """
    spec = load_pipeline(project, name)
    is_masked = has_masks(project, spec) and not pii
    if pii:
        note_look(project, context, spec.record_table, ("_original", "_reasons"))
    rows = open_rows(spec, quarantine_of(project, spec), with_whole_id(project, spec, chosen), limit + 1)
    return (row.masked for row in rows) if is_masked else rows


def columns_of_rows(project: Project, name: str, chosen: Chosen, *, limit: int) -> tuple[str, ...]:
    """The columns that the first open rows have at their source."""
    spec = load_pipeline(project, name)
    if (columns := columns_of_source(project.lake_root, spec)) is not None:
        return columns
    rows = open_rows(spec, quarantine_of(project, spec), with_whole_id(project, spec, chosen), limit)
    return tuple(dict.fromkeys(column for row in rows for column in row.cells))


def history_of_row(project: Project, name: str, row: str, context: RunContext, *, pii: bool = False) -> list[Event]:
    """Everything that happened to a row, whose id begins so; reasons and cells masked as in `quarantined_rows`."""
    spec = load_pipeline(project, name)
    is_masked = has_masks(project, spec) and not pii
    if pii:
        note_look(project, context, QUARANTINE, PERSONAL)
    found = quarantine_of(project, spec)
    events = row_history(found, found.find(row))
    return [event.masked for event in events] if is_masked else events


def history_of_pipeline(project: Project, name: str, limit: int) -> list[Decided]:
    """The latest decisions on the rows of a pipeline, by run, the newest first; starts no Spark."""
    return latest_decisions(quarantine_of(project, load_pipeline(project, name)), limit)


def discard(project: Project, name: str, chosen: Chosen, why: str, context: RunContext) -> int:
    """Close open rows by decision, and give how many; they stay in bronze. Starts no Spark.

    Raises ConfigError without a reason, ConcurrentRunError while a replay is under way or was interrupted.
    """
    spec = load_pipeline(project, name)
    require_waiting(spec)
    require_why(why)
    history = Ledger(project.lake_root).history(name)
    if history.last is not None and history.outcome is None and history.last.plan.kind == "replay":
        raise ConcurrentRunError(
            f"{name}: a replay is under way or was interrupted, and may hold these rows; let it end, or finish it by "
            f"`lakeloop quarantine replay {name}`, then discard"
        )
    return quarantine_of(project, spec).discard(with_whole_id(project, spec, chosen), context, why)


def settle_file(
    project: Project, name: str, path: str, outcome: Literal["forgotten", "discarded"], why: str, context: RunContext
) -> str:
    """Let a refused file be read again by the next run (`forgotten`), or close it; gives its whole path.

    `path` may be its end, as long as only one file ends so. Raises TableError for a file that is not refused.
    """
    spec = load_pipeline(project, name)
    if outcome == "discarded":
        require_why(why)
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


def quarantine_of(project: Project, spec: PipelineSpec) -> Quarantine:
    """The quarantined rows of a pipeline, without those of a batch under way."""
    history = Ledger(project.lake_root).history(spec.pipeline)
    return Quarantine(project.lake_root, spec.pipeline, open_batch_of(history))


def open_batch_of(history: History) -> int | None:
    """The batch that has not ended."""
    return history.last.batch_id if history.last is not None and history.outcome is None else None


def _catalog(project: Project, spec: PipelineSpec) -> FileCatalog:
    if not isinstance(spec.source, FilesSource):
        return FileCatalog(project.lake_root, spec.pipeline, None)
    return FileCatalog(project.lake_root, spec.pipeline, spec.owner)


def with_whole_id(project: Project, spec: PipelineSpec, chosen: Chosen) -> Chosen:
    """What is chosen, with the whole id of the row; raises as `Quarantine.find`."""
    return chosen if chosen.row is None else replace(chosen, row=quarantine_of(project, spec).find(chosen.row))


def has_masks(project: Project, spec: PipelineSpec) -> bool:
    """Whether rows of the pipeline hold personal data."""
    return bool(load_policies(project)[spec.record_table].masks)


def note_look(project: Project, context: RunContext, table: str, columns: tuple[str, ...]) -> None:
    """Record a look at personal data. Raises ConfigError for a user who may not have it."""
    require_pii(load_access(project), context)
    seen = AuditEntry(context.user, "terminal", "query", (table,), columns, message="with personal data")
    append_audit(project.lake_root, [seen])


def require_why(why: str) -> None:
    """Raise ConfigError for a decision without a reason."""
    if not why.strip():
        raise ConfigError('a decision needs its reason, for whoever asks later; give --reason-text "…"')
