"""The page on quality: all tables in one section, then a section for each with its trends, bands and examples."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from lakeloop.core.durations import in_words
from lakeloop.lake.batch_measures import Number
from lakeloop.lake.batch_profiles import HIGH, LOW, SCORE, BatchNumbers
from lakeloop.lake.examples import Example
from lakeloop.quality.batch_anomalies import ROWS, SCALES, WAIT, named, shown
from lakeloop.reports.charts import ALERT, OUTCOME_COLORS
from lakeloop.reports.health_sections import incidents_section
from lakeloop.reports.page import Card, Chart, Section, Table, Verdict
from lakeloop.reports.quality_facts import learned_rows
from lakeloop.reports.table_quality import TableQuality
from lakeloop.reports.trend_charts import STYLES, Expected, lines_over_time, number_with_band

WORDS = {"good": "good", "watch": "to be looked at", "failing": "failing", "no_data": "without rows yet"}
ORDER = ("failing", "watch", "no_data", "good")
CHARTS_OF_ONE, CHARTS_OF_MANY = 12, 3  # learned numbers that are drawn of a table
SHOWN_POINTS = 400


def quality_sections(
    tables: Sequence[TableQuality],
    now: dt.datetime,
    open_rows: Mapping[str, int],
    examples: Mapping[str, Sequence[Example]],
) -> list[Section]:
    """All tables at a glance where there are several, the open incidents, and table by table.

    `open_rows` in quarantine and `examples` of them are by pipeline.
    """
    incidents = sorted((one for table in tables for one in table.incidents), key=lambda one: one.opened_at)
    most = CHARTS_OF_ONE if len(tables) == 1 else CHARTS_OF_MANY
    each = [
        table_section(table, now, open_rows.get(table.spec.pipeline, 0), examples.get(table.spec.pipeline, ()), most)
        for table in _ranked(tables)
    ]
    overview = [overview_section(tables, now, open_rows)] if len(tables) != 1 else []
    return [*overview, incidents_section(incidents, now), *each]


def overview_section(tables: Sequence[TableQuality], now: dt.datetime, open_rows: Mapping[str, int]) -> Section:
    """One line per table, those that need somebody first."""
    ranked = _ranked(tables)
    counted = {state: sum(table.state == state for table in tables) for state in ORDER}
    concerned = [table.name for table in ranked if table.state in {"failing", "watch"}]
    text = f"To be looked at: {', '.join(concerned)}." if concerned else "Every table is good."
    rows = tuple(
        (
            table.name,
            WORDS[table.state],
            table.last.counts.read if table.last else None,
            _percent(table.good_shares[-1] if table.good_shares else None),
            f"{table.violated} of {len(table.rules)}" if table.rules else None,
            f"{_fresh(table, now)}{', late' if _is_late(table) else ''}",
            open_rows.get(table.spec.pipeline, 0),
            ", ".join(dict.fromkeys(one.last.kind.replace("_", " ") for one in table.incidents)) or _follows(table),
            table.spec.owner,
        )
        for table in ranked
    )
    columns = (
        "table", "state", "newest batch", "good", "rules violated", "last rows", "open in quarantine",
        "incidents", "owner",
    )  # fmt: skip
    return Section(
        title="All tables",
        intro="The newest batch of each table, what its rules found in it, and what is open.",
        verdict=Verdict(text, holds=not concerned) if tables else None,
        cards=(
            Card("Good", f"{counted['good']} of {len(tables)}", "tables", OUTCOME_COLORS["good"]),
            Card("To be looked at", str(counted["watch"]), "tables", OUTCOME_COLORS["quarantined"]),
            Card("Failing", str(counted["failing"]), "tables", ALERT),
            Card("Open incidents", str(sum(len(table.incidents) for table in tables)), "one per cause"),
            Card("Open in quarantine", f"{sum(open_rows.values()):,}", "rows"),
        ),
        tables=(Table("Tables, those that need somebody first", columns, rows, empty="No pipeline is declared."),),
    )


def _ranked(tables: Sequence[TableQuality]) -> list[TableQuality]:
    return sorted(tables, key=lambda table: (ORDER.index(table.state), table.name))


def table_section(
    table: TableQuality, now: dt.datetime, open_rows: int, examples: Sequence[Example], most: int
) -> Section:
    """Everything on one table: its rules and learned numbers over time, and rows that were not good."""
    last, owner = table.last, table.spec.owner or "nobody"
    reasons = [one.last.message for one in table.incidents]
    reasons += [f"follows the open incident of {table.follows}"] if table.follows else []
    said = f"{table.name} is {WORDS[table.state]}{': ' + '; '.join(reasons) if reasons else ''}."
    window = f"last {len(table.history.batches)} batches"
    return Section(
        title=table.name,
        intro=f"{table.spec.description}. Pipeline {table.spec.pipeline}, owner {owner}.",
        verdict=Verdict(said, holds=table.state in {"good", "no_data"}),
        cards=(
            Card("Rows", f"{last.counts.read:,}" if last else "–", "read in the newest batch"),
            Card("Good", _percent(table.good_shares[-1] if table.good_shares else None) or "–", "of these",
                 OUTCOME_COLORS["good"]),
            Card("Rules violated", f"{table.violated} of {len(table.rules)}", "in the newest batch"),
            _freshness_card(table, now),
            Card("Open", f"{open_rows:,}", "rows in quarantine", OUTCOME_COLORS["quarantined"]),
        ),
        charts=(*_rule_chart(table, window), *_good_chart(table, window), *_learned_charts(table, most)),
        tables=(
            _rules_table(table, window),
            *((_learned_table(table),) if table.spec.watch_over else ()),
            Table.of("Rows that were not good", [_shown(one) for one in examples], empty="No row was quarantined."),
        ),
    )  # fmt: skip


def _rule_chart(table: TableQuality, window: str) -> list[Chart]:
    violated = sorted((rule for rule in table.rules if rule.total), key=lambda rule: -rule.total)
    if len(table.history.batches) < 2 or not violated:
        return []
    lines = {
        rule.name: [(batch.at, share) for (batch, _), share in zip(rule.points, rule.shares, strict=True)]
        for rule in violated[: len(STYLES)]
    }
    which = f"the {len(lines)} most violated of {len(violated)} rules" if len(violated) > len(lines) else "per rule"
    return [Chart(f"Violating rows, {which}, {window}", lines_over_time(lines, "share of rows", ".2%"))]


def _good_chart(table: TableQuality, window: str) -> list[Chart]:
    """Rows per batch, where they are not learned and drawn with their band."""
    if table.numbers.batch_ids or len(table.history.batches) < 2:
        return []
    rows = {
        name: [(batch.at, float(getattr(batch.counts, name))) for batch in table.history.batches]
        for name in ("good", "quarantined")
    }
    return [Chart(f"Rows, {window}", lines_over_time(rows, "rows"))]


def _learned_charts(table: TableQuality, most: int) -> list[Chart]:
    past = table.numbers
    judged = [one.number for one in learned_rows(past) if len(one.values) > 1]
    stood_out = {number: sum(not math.isnan(v) for v in past.of(number, SCORE)[-SHOWN_POINTS:]) for number in judged}
    first = [number for number in (ROWS, WAIT) if number in stood_out]
    rest = sorted((n for n in judged if n not in first and n.metric != "rows_read"), key=lambda n: -stood_out[n])
    charts = []
    for number in [*first, *rest][:most]:
        found = stood_out[number]
        anomalies = f", {found} {'anomaly' if found == 1 else 'anomalies'}" if found else ""
        title, divisor, number_format = _axis(number)
        drawn = number_with_band(_points(past, number, divisor), title, number_format)
        charts.append(
            Chart(f"{named(number).capitalize() if number.column is None else named(number)}{anomalies}", drawn)
        )
    return charts


def _axis(number: Number) -> tuple[str, float, str]:
    """The title of the axis, what values are divided by, and their format."""
    if number == WAIT:
        return "hours", 3600.0, ",.1f"
    if SCALES[number.metric] == "share":
        return "share of rows", 1.0, ".1%"
    return ("rows", 1.0, ",.0f") if SCALES[number.metric] == "count" else ("mean", 1.0, ",.4~g")


def _points(past: BatchNumbers, number: Number, divisor: float) -> list[Expected]:
    lines = zip(
        past.ended_at, past.of(number), past.of(number, LOW), past.of(number, HIGH), past.of(number, SCORE), strict=True
    )
    points = [
        Expected(at, value / divisor, _known(low, divisor), _known(high, divisor), not math.isnan(score))
        for at, value, low, high, score in lines
        if not math.isnan(value)
    ]
    return points[-SHOWN_POINTS:]


def _rules_table(table: TableQuality, window: str) -> Table:
    rows = tuple(
        (
            rule.name,
            rule.latest.severity,
            rule.latest.columns.replace(",", ", ") if rule.latest.columns else None,
            rule.latest.violations,
            _percent(rule.shares[-1]),
            rule.total,
            rule.owner,
            rule.latest.message or (None if rule.latest.value is None else f"{rule.latest.value:,.6g}"),
        )
        for rule in table.rules
    )
    columns = ("rule", "severity", "columns", "violations", "share", window, "owner", "found")
    return Table("Rules, most violated first", columns, rows, empty="No rule has been judged yet.")


def _learned_table(table: TableQuality) -> Table:
    rows = tuple(
        (
            named(one.number),
            shown(one.number, one.value),
            one.expected or "being learned",
            "✗ anomaly" if one.is_outside else "✓ as expected" if one.expected else None,
        )
        for one in learned_rows(table.numbers)
    )
    caption = f"Learned numbers of the newest batch{' (' + table.learning + ')' if table.learning else ''}"
    return Table(caption, ("number", "found", "expected", "so"), rows, empty="Nothing has been measured yet.")


def _shown(example: Example) -> dict[str, object]:
    return {name: value for name, value in example._asdict().items() if name != "pipeline"}


def _fresh(table: TableQuality, now: dt.datetime) -> str:
    if table.last_rows_at is None:
        return "never"
    return f"{in_words(now - table.last_rows_at)} ago"


def _freshness_card(table: TableQuality, now: dt.datetime) -> Card:
    if table.last_rows_at is None:
        return Card("Last rows", "never")
    return Card("Last rows", in_words(now - table.last_rows_at), "ago, late" if _is_late(table) else "ago")


def _is_late(table: TableQuality) -> bool:
    return table.is_overdue or table.silent is not None


def _follows(table: TableQuality) -> str | None:
    return f"follows {table.follows}" if table.follows else None


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _known(value: float, divisor: float) -> float | None:
    return None if math.isnan(value) else value / divisor
