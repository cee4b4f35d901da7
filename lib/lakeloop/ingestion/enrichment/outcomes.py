"""How each row of a batch fared in an enrichment: one hidden column in bronze, and what is counted of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.ingestion.changes import CHANGE, is_removal
from lakeloop.ingestion.enrichment.spec import Enrichment
from lakeloop.ingestion.transforms import DROPPED, Conformed
from lakeloop.lake.rule_results import RuleResult
from lakeloop.quality import COUNTED, Finding
from lakeloop.quality.row_rules.columns import value_of

MATCHED, STALE, MISSING, FELL_BACK = "matched", "stale", "missing", "fell_back"
OUTCOMES = (MATCHED, STALE, MISSING, FELL_BACK)


def outcome_column(name: str) -> str:
    """Where the outcome of the enrichment `name` stands: one of `OUTCOMES`, NULL for a row that did not ask."""
    return f"_lookup_{name}"


def asks(rows: Conformed, columns: Collection[str]) -> Column:
    """Whether a row is looked up by these columns at all: it was not dropped and its key is not known to be wrong."""
    asking = ~F.col(DROPPED) if DROPPED in rows.frame.columns else F.lit(True)
    if CHANGE in rows.frame.columns:
        asking = asking & ~is_removal()
    for finding in rows.findings:
        if finding.blocking and (not finding.columns or set(finding.columns) & set(columns)):
            asking = asking & finding.violation.isNull()
    return asking


def require_new(rows: Conformed, columns: Sequence[str], step: str) -> None:
    """Raise TableError for columns that the rows have already."""
    there = {name.lower() for name in rows.frame.columns}
    if taken := [column for column in columns if column.lower() in there]:
        raise TableError(f"{step}: the rows have a column {', '.join(taken)} already; give the new one another name")


def missing_finding(name: str, missing: str | None, columns: Sequence[str], expected: str) -> list[Finding]:
    """The finding `<name>_matches` on rows without a match, by `missing`; none where they are left alone."""
    if missing is None:
        return []
    shown = F.concat_ws(", ", *(F.coalesce(value_of(column).cast("string"), F.lit("NULL")) for column in columns))
    text = F.concat(F.lit(f"{', '.join(columns)}: found "), shown, F.lit(f", expected {expected}"))
    violation = F.when(F.col(outcome_column(name)) == MISSING, text)
    return [Finding(f"{name}_matches", violation, "error" if missing == "quarantine" else "warn", tuple(columns))]


@dataclass(frozen=True)
class MatchCount:
    """Rows of one batch by their outcome in the enrichment `name`."""

    name: str
    rows: Mapping[str, int]

    @property
    def asked(self) -> int:
        """Rows that were looked up."""
        return sum(self.rows.values())

    @property
    def found(self) -> int:
        """Rows with a match; one that fell back has none."""
        return self.rows[MATCHED] + self.rows[STALE]


def measures(enrichments: Sequence[Enrichment]) -> list[Column]:
    """Aggregates that count the outcomes of every enrichment, each a struct under the name of its column."""
    return [
        F.struct(
            *(F.count(F.when(F.col(outcome_column(each.name)) == outcome, 1)).alias(outcome) for outcome in OUTCOMES)
        ).alias(outcome_column(each.name))
        for each in enrichments
    ]


def match_counts(
    enrichments: Sequence[Enrichment], outcomes: Mapping[str, Mapping[str, int]]
) -> tuple[MatchCount, ...]:
    """The counts out of the rows by outcome, which stand under the name of the enrichment's column."""
    found = ((each.name, outcomes[outcome_column(each.name)]) for each in enrichments)
    return tuple(MatchCount(name, {outcome: rows.get(outcome, 0) for outcome in OUTCOMES}) for name, rows in found)


def unmarked(enrichments: Sequence[Enrichment], counts: Sequence[MatchCount]) -> tuple[RuleResult, ...]:
    """What no finding counts: the rows without a match that `missing: null` leaves alone."""
    by_name = {count.name: count for count in counts}
    return tuple(
        RuleResult(f"{each.name}_matches", COUNTED, by_name[each.name].rows[MISSING])
        for each in enrichments
        if each.declared.missing is None and each.name in by_name
    )


def shortfalls(enrichments: Sequence[Enrichment], counts: Sequence[MatchCount]) -> list[str]:
    """A sentence for each enrichment that matched a smaller share of the rows than declared; none asked is enough."""
    by_name = {count.name: count for count in counts}
    found = []
    for each in enrichments:
        wanted, count = each.declared.at_least, by_name.get(each.name)
        if wanted is None or count is None or count.found * 100 >= wanted * count.asked:
            continue
        share = (Decimal(count.found * 100) / count.asked).quantize(Decimal("0.01"), ROUND_DOWN)
        found.append(
            f"{each.name} matched {share}% of {count.asked:,} rows ({count.found:,}), expected at least {wanted}%"
        )
    return found
