"""Sections on health: violations from batch to batch, how fresh each table is, what changed, what is open."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from lakeloop.core.durations import in_words
from lakeloop.monitoring.incidents import OpenIncident
from lakeloop.quality.arrivals import ArrivalState
from lakeloop.reports.page import Chart, Section, Table, Verdict
from lakeloop.reports.trend_charts import STYLES, lines_over_time

MOST = len(STYLES)


class Violations(NamedTuple):
    """Rows of one batch that violate one rule. `at` is when the batch ended."""

    pipeline: str
    rule: str
    at: dt.datetime
    rows: int


class Freshness(NamedTuple):
    """When rows came last into a table. `expected_every` and `state` are None where nothing is declared."""

    table: str
    pipeline: str
    last_rows_at: dt.datetime | None
    rows: int | None
    expected_every: dt.timedelta | None = None
    state: ArrivalState | None = None


def trend_section(history: Sequence[Violations]) -> Section:
    """How often each rule was violated in the latest batches: a chart per pipeline that has had two of them.

    `history` holds every rule of every batch shown, those without violations too. The six rules with most violations
    are drawn.
    """
    charts, batches = [], defaultdict[str, set[dt.datetime]](set)
    for entry in history:
        batches[entry.pipeline].add(entry.at)
    for pipeline, moments in batches.items():
        counts: Counter[str] = Counter()
        for entry in history:
            counts[entry.rule] += entry.rows if entry.pipeline == pipeline else 0
        violated = [(rule, rows) for rule, rows in counts.most_common() if rows]
        if violated and len(moments) > 1:
            lines = {
                rule: sorted((e.at, e.rows) for e in history if (e.pipeline, e.rule) == (pipeline, rule))
                for rule, _ in violated[:MOST]
            }
            which = f"the {MOST} most violated of {len(violated)} rules" if len(violated) > MOST else "violating rows"
            caption = f"Pipeline {pipeline}: {which}, last {len(moments)} batches"
            charts.append(Chart(caption, lines_over_time(lines, "violating rows")))
    intro = "Violating rows per rule and batch, at the time when the batch ended (UTC)."
    return Section(
        "Trend", intro if charts else "No rule was violated in a pipeline with two batches yet.", charts=tuple(charts)
    )


def freshness_section(tables: Sequence[Freshness], now: dt.datetime) -> Section:
    """How long ago rows came into each table, and whether that is as declared."""
    overdue = [entry.table for entry in tables if entry.state in {"late", "missing"}]
    declared = [entry for entry in tables if entry.expected_every is not None]
    verdict = None
    if declared:
        text = f"Overdue: {', '.join(overdue)}." if overdue else "Rows came as often as declared."
        verdict = Verdict(text, holds=not overdue)
    rows = tuple(
        (
            entry.table,
            entry.pipeline,
            _ago(entry.last_rows_at, now),
            _minute(entry.last_rows_at),
            entry.rows,
            None if entry.expected_every is None else in_words(entry.expected_every),
            None if entry.state is None else entry.state.replace("_", " "),
        )
        for entry in tables
    )
    columns = ("table", "pipeline", "last rows", "at (UTC)", "rows", "expected every", "state")
    return Section(
        title="Freshness",
        intro="The last batch that brought rows into each table.",
        verdict=verdict,
        tables=(Table("Time since the last batch with rows", columns, rows, empty="No pipeline is declared."),),
    )


def schema_section(changes: Sequence[dict[str, Any]], run_id: str) -> Section:
    """What changed in the columns of tables: rows of `ops.schema_changes`, in any order; the newest are shown first."""
    newest = sorted(changes, key=lambda change: change["at"], reverse=True)
    ours = sum(change["run_id"] == run_id for change in newest)
    rows = tuple(
        (
            "✓ this run" if change["run_id"] == run_id else None,
            change["pipeline"],
            change["change"],
            change["column"],
            change["detail"],
            change["version"],
            _minute(change["at"]),
        )
        for change in newest
    )
    columns = ("", "pipeline", "change", "column", "detail", "version", "at (UTC)")
    return Section(
        title="Schema",
        intro=f"{ours} changes in this run; the latest {len(newest)} are listed." if newest else "",
        tables=(Table("Changes of columns, newest first", columns, rows, empty="No column has changed yet."),),
    )


def incidents_section(incidents: Sequence[OpenIncident], now: dt.datetime) -> Section:
    """The incidents that were open when the page was made."""
    errors = sum(incident.last.severity == "error" for incident in incidents)
    text = f"{len(incidents)} open, {errors} of them errors." if incidents else "No incident is open."
    rows = tuple(
        (
            incident.last.pipeline,
            incident.last.kind.replace("_", " "),
            incident.last.severity,
            incident.last.message,
            _ago(incident.opened_at, now),
            incident.runs,
            ", ".join(sorted(incident.told)) or "nobody",
        )
        for incident in incidents
    )
    columns = ("pipeline", "incident", "severity", "message", "opened", "runs", "told")
    return Section(
        title="Incidents",
        intro="Causes that are not gone yet. alerts.yml says who is told of which.",
        verdict=Verdict(text, holds=not incidents),
        tables=(Table("Open incidents, oldest first", columns, rows, empty="Nothing is open."),),
    )


def _minute(moment: dt.datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    return "never" if moment is None else f"{in_words(now - moment)} ago"
