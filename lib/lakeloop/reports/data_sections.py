"""Sections on data: what became of every row and which rules were violated."""

from collections import Counter
from collections.abc import Mapping, Sequence

from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ledger import RunEntry
from lakeloop.quality import Severity
from lakeloop.reports.charts import ALERT, NEUTRAL, OUTCOME_COLORS, horizontal_bars
from lakeloop.reports.page import Card, Chart, Section, Table, Verdict

SEVERITY_COLORS = {"error": OUTCOME_COLORS["quarantined"], "warn": NEUTRAL, "fail": ALERT}
NOTHING_COUNTED = RowCounts()


def rows_section(entries: Sequence[RunEntry]) -> Section:
    """What became of every row that was read: one bar and one line per entry of the ledger, in the order given."""
    counted = [entry for entry in entries if entry.counts != NOTHING_COUNTED]
    labels = [entry.name if entry.batch_id is None else f"{entry.name}, batch {entry.batch_id}" for entry in counted]
    fates = {fate: [getattr(entry.counts, fate) for entry in counted] for fate in OUTCOME_COLORS}
    total = RowCounts(sum(entry.counts.read for entry in counted), *(sum(rows) for rows in fates.values()))
    not_good = {fate: rows for fate, rows in fates.items() if fate != "good"}
    charts = []
    if counted:
        charts.append(Chart("Every row that was read", horizontal_bars(labels, fates, OUTCOME_COLORS, "rows")))
    if total.quarantined or total.dropped:
        charts.append(
            Chart("Only the rows that are not good", horizontal_bars(labels, not_good, OUTCOME_COLORS, "rows"))
        )
    return Section(
        title="Rows",
        intro="Every row that was read is good, quarantined with its reasons, or dropped by a declared transform.",
        verdict=_rows_verdict(entries, total),
        cards=(
            Card("Read", f"{total.read:,}", f"{len(counted)} of {len(entries)} runs had rows"),
            *(
                Card(fate.capitalize(), f"{sum(rows):,}", _share(sum(rows), total.read), OUTCOME_COLORS[fate])
                for fate, rows in fates.items()
            ),
        ),
        charts=tuple(charts),
        tables=(
            Table(
                "Runs, and whether read = good + quarantined + dropped",
                ("pipeline", "table", "batch", "read", "good", "quarantined", "dropped", "adds up", "outcome"),
                tuple(
                    (entry.name, entry.table, entry.batch_id, *_counts(entry.counts), _ending(entry))
                    for entry in entries
                ),
                total=("all", "", "", *_counts(total), "") if len(counted) > 1 else (),
                empty="No run is on record.",
            ),
        ),
    )


def reasons_section(
    results: Sequence[tuple[str, str, Severity, int]], examples: Sequence[Mapping[str, object]]
) -> Section:
    """Why rows did not pass: one chart per pipeline, one bar per violated rule, and some of the rows themselves.

    `results` holds pipeline, rule, severity and violating rows, and may name a rule once per batch. An example maps
    `pipeline`, `origin`, `record`, `rule` and `message` to what is shown.
    """
    rows: Counter[tuple[str, str, Severity]] = Counter()
    for pipeline, rule, severity, violations in results:
        rows[pipeline, rule, severity] += violations
    violated = {key: count for key, count in rows.most_common() if count}
    charts = []
    for pipeline in dict.fromkeys(pipeline for pipeline, *_ in results):
        found = {(rule, severity): count for (name, rule, severity), count in violated.items() if name == pipeline}
        if found:
            series = {
                severity: [count if severity == own else 0 for (_, own), count in found.items()]
                for severity in SEVERITY_COLORS
                if any(severity == own for _, own in found)
            }
            bars = horizontal_bars([rule for rule, _ in found], series, SEVERITY_COLORS, "violating rows")
            charts.append(Chart(f"Pipeline {pipeline}: rows per rule ({', '.join(series)})", bars))
    return Section(
        title="Reasons",
        intro=f"{len(violated)} of {len(rows)} rules were violated. A row counts once for each rule that it violates; "
        "severity error and fail quarantine it, warn only marks it.",
        charts=tuple(charts),
        tables=(Table.of("Examples", examples, empty="No row violates a rule."),),
    )


def _rows_verdict(entries: Sequence[RunEntry], total: RowCounts) -> Verdict:
    parts = f"{total.good:,} good + {total.quarantined:,} quarantined + {total.dropped:,} dropped"
    sentences = [
        f"{total.read:,} read = {parts}: every row is accounted for." if total.read else "Nothing new was read."
    ]
    wrong = [entry.name for entry in entries if not entry.counts.adds_up]
    if wrong:
        sentences = [f"Rows are unaccounted for in {', '.join(wrong)}: see the column 'adds up'."]
    failed = [entry.name for entry in entries if entry.outcome in {"failed", "withdrawn"}]
    if failed:
        sentences.append(f"Failed or withdrawn: {', '.join(failed)}; see the column 'outcome'.")
    return Verdict(" ".join(sentences), holds=not wrong and not failed)


def _counts(counts: RowCounts) -> tuple[object, ...]:
    if counts == NOTHING_COUNTED:
        return (None,) * 5
    return counts.read, counts.good, counts.quarantined, counts.dropped, "✓ yes" if counts.adds_up else "✗ no"


def _ending(entry: RunEntry) -> str:
    outcome = entry.outcome.replace("_", " ")
    return outcome if entry.message in {"", outcome} else f"{outcome}: {entry.message}"


def _share(rows: int, total: int) -> str:
    return f"{rows / total:.2%} of rows read" if total else "no rows read"
