"""`lakeloop quality`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from lakeloop import verbs
from lakeloop.cli.quarantine_rows import visible
from lakeloop.cli.terminal import ConfDir, Env, Names, console, explained, start
from lakeloop.core.config import Project
from lakeloop.core.durations import in_words
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import now
from lakeloop.quality.batch_anomalies import named, shown
from lakeloop.reports.quality_facts import as_json, learned_rows
from lakeloop.reports.table_quality import TableQuality

BARS = "▁▂▃▄▅▆▇█"
TREND, TREND_AT_A_GLANCE = 15, 8
STYLES = {"good": "green", "watch": "yellow", "failing": "red", "no_data": "dim"}
SIGNS = {"good": "●", "watch": "▲", "failing": "✗", "no_data": "○"}


def quality(
    names: Names = None,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="table is for eyes")] = "table",
    report: Annotated[bool, typer.Option("--report", help="Write the page with charts, and say where")] = False,
    mark: Annotated[
        int | None, typer.Option(help="A batch of the named table that is known to be unusual: it teaches nothing")
    ] = None,
    conf_dir: ConfDir = Path("conf"),
    env: Env = "local",
) -> None:
    """Show how good tables are, a line each; named ones (or their pipelines) rule by rule. Starts no Spark."""
    with explained():
        project = Project(conf_dir, env)
        if mark is not None:
            if len(names or []) != 1:
                raise ConfigError("--mark is about a batch of one table; name the table or its pipeline")
            context = start("quality", conf_dir, env)
            console.print(verbs.mark_batch(project, (names or [])[0], mark, context), soft_wrap=True)
            return
        if report:
            console.print(f"Report: {verbs.report_quality(project, names or [])}", soft_wrap=True)
            return
        found = verbs.quality(project, names or [])
        if form == "json":
            sys.stdout.write(json.dumps([as_json(table, now()) for table in found], indent=2) + "\n")
            return
        if not found:
            console.print(f"No pipeline is declared in {project.folder}.", soft_wrap=True)
            return
        console.print(_overview(found))
        if names:
            for table in found:
                _print_table(table)
        else:
            console.print("Next: lakeloop quality NAME, lakeloop quality --report, lakeloop incidents", soft_wrap=True)


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """One bar per value between `low` and `high`; all the lowest where these are equal."""
    steps, width = len(BARS) - 1, high - low
    return "".join(BARS[0 if width <= 0 else round(steps * (min(max(v, low), high) - low) / width)] for v in values)


def _overview(tables: Sequence[TableQuality]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "table", "rows", "good", "trend", "rules", "last rows", "open"):
        right = heading in {"rows", "good"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "open", overflow="fold")
    moment = now()
    for each in tables:
        style, shares = STYLES[each.state], each.good_shares[-TREND_AT_A_GLANCE:]
        at = each.last_rows_at
        late = " late" if each.is_overdue or each.silent else ""
        rules = f"{each.violated} of {len(each.rules)}" if each.rules else "–"
        table.add_row(
            f"[{style}]{SIGNS[each.state]}[/{style}]",
            escape(each.name),
            f"{each.last.counts.read:,}" if each.last else "–",
            f"{shares[-1]:.2%}" if shares else "–",
            f"[{style}]{sparkline(shares, min([*shares, 0.9]), 1.0)}[/{style}]",
            rules,
            f"{in_words(moment - at)}{late}" if at else "never",
            _open_words(each),
        )
    return table


def _open_words(table: TableQuality) -> str:
    if table.incidents:
        return escape(", ".join(dict.fromkeys(one.last.kind.replace("_", " ") for one in table.incidents)))
    return f"follows {escape(table.follows)}" if table.follows else "–"


def _print_table(each: TableQuality) -> None:
    owner = f" · owner {visible(each.spec.owner)}" if each.spec.owner else ""
    console.print(f"\n[bold]{escape(each.name)}[/bold] · pipeline {each.spec.pipeline}{owner}", soft_wrap=True)
    if run := each.history.last_run:
        console.print(f"last run {run.outcome.replace('_', ' ')}: {visible(run.message)}", style="dim", soft_wrap=True)
    for one in each.incidents:
        console.print(f"[red]{one.last.kind.replace('_', ' ')}[/red]: {visible(one.last.message)}", soft_wrap=True)
    if each.follows:
        console.print(f"[yellow]follows the open incident of {escape(each.follows)}[/yellow]", soft_wrap=True)
    rules = Table(box=None, pad_edge=False)
    for heading in ("rule", "severity", "rows", "share", "trend", "owner"):
        right = heading in {"rows", "share"}
        rules.add_column(heading, justify="right" if right else "left", no_wrap=heading != "rule", overflow="fold")
    for rule in each.rules:
        style = "" if not rule.latest.violations else "yellow" if rule.latest.severity == "warn" else "red"
        shares = rule.shares[-TREND:]
        said = f"\n[dim]{visible(rule.latest.message)}[/dim]" if rule.latest.message else ""
        rules.add_row(
            f"{visible(rule.name)}{said}",
            rule.latest.severity,
            f"[{style or 'default'}]{rule.latest.violations:,}[/]",
            f"{shares[-1]:.2%}",
            sparkline(shares, 0.0, max(shares)),
            visible(rule.owner or "–"),
        )
    console.print(rules if each.rules else "No rule has been judged yet.")
    if each.spec.watch_over is None:
        console.print("Nothing is learned of it: declare `watch_over`.", style="dim", soft_wrap=True)
        return
    learned = Table(box=None, pad_edge=False)
    for heading in ("learned", "newest", "expected", "trend"):
        learned.add_column(heading, no_wrap=heading == "trend", overflow="fold")
    for number in learned_rows(each.numbers):
        style = "red" if number.is_outside else "default"
        values = number.values[-TREND:]
        learned.add_row(
            visible(named(number.number)),
            f"[{style}]{shown(number.number, number.value)}[/{style}]",
            number.expected or "[dim]learning[/dim]",
            sparkline(values, min(values), max(values)),
        )
    console.print(learned)
    if each.learning:
        console.print(each.learning, style="dim")
