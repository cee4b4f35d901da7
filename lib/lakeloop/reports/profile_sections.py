"""The page of a table's profile, as sections: what is in it, what is odd, which rules it suggests, column by column."""

from collections.abc import Iterator, Sequence

from lakeloop.quality.profiling import ColumnProfile, Proposal, Relations, TableProfile, remarks_on
from lakeloop.quality.profiling.relations import Candidate
from lakeloop.quality.profiling.rules_yaml import flow
from lakeloop.quality.profiling.table_profile import QUANTILES
from lakeloop.reports.charts import ALERT
from lakeloop.reports.page import Card, Chart, Section, Table, Verdict
from lakeloop.reports.profile_charts import empty_shares, frequent_values, histogram

MOST_COLUMNS = 60
MOST_BARS = 20
MOST_SHAPES = 6
HIDDEN = "hidden: personal data"
ERRORS = (
    "Rows, NULLs, minima, maxima and means are exact. Above 256 values, distinct counts are ± 4% (HyperLogLog++, in 95 "
    "of 100 cases) and the most frequent values are Misra-Gries counts, too low by at most what is said beside them. "
    "Quantiles are off by at most 0.05% of the rows in rank (Greenwald-Khanna), the MAD by 0.5%."
)


def profile_sections(
    profile: TableProfile, relations: Relations, proposals: Sequence[Proposal], sampled: str = ""
) -> list[Section]:
    """Every section of the page; `sampled` says which rows were read, where these are not all."""
    remarks = remarks_on(profile)
    return [
        _summary(profile, proposals, len(remarks), sampled),
        _remarks(remarks),
        _rules(proposals),
        _relations(profile, relations),
        *(_column(column) for column in profile.columns[:MOST_COLUMNS]),
    ]


def _summary(profile: TableProfile, proposals: Sequence[Proposal], remarks: int, sampled: str) -> Section:
    with_nulls = [column for column in profile.columns if column.nulls]
    keys = sum(each.kind == "is_unique" and each.holds for each in proposals)
    with_nulls.sort(key=lambda column: -column.nulls)
    charts = []
    if with_nulls:
        more = f", the {MOST_BARS} emptiest" if len(with_nulls) > MOST_BARS else ""
        charts.append(Chart(f"Columns with NULLs{more}", empty_shares(with_nulls[:MOST_BARS])))
    holding = sum(each.holds for each in proposals)
    return Section(
        title="Summary",
        intro=" ".join(filter(None, [sampled, ERRORS])),
        cards=(
            Card("Rows", f"{profile.rows:,}"),
            Card("Columns", f"{len(profile.columns):,}"),
            Card("With NULLs", f"{len(with_nulls):,}", "columns"),
            Card("Keys", f"{keys:,}", "unique in every row"),
            Card("Remarks", f"{remarks:,}", "things to look at", ALERT if remarks else ""),
            Card("Proposed rules", f"{holding:,}", "for review"),
        ),
        charts=tuple(charts),
        tables=(
            Table(
                "Columns",
                ("column", "type", "NULL", "distinct", "smallest", "median", "greatest", "most frequent"),
                tuple(_row(column) for column in profile.columns),
            ),
        ),
    )


def _row(column: ColumnProfile) -> tuple[object, ...]:
    share = f"{column.nulls / column.rows:.1%}" if column.nulls else None
    ends: tuple[object, ...] = (None, None, None)
    if not column.hidden and column.kind == "time":
        ends = (_day(column, 0), _day(column, 0.5), _day(column, 1))
    elif not column.hidden and column.kind == "number":
        ends = tuple(_number(value) for value in (column.number("min"), column.quantile(0.5), column.number("max")))
    frequent = (
        HIDDEN
        if column.hidden
        else ", ".join(text if text.strip() else repr(text) for text, _ in _told(column)[:3]) or None
    )
    return column.name, column.type, share, _distinct(column), *ends, frequent


def _remarks(remarks: Sequence[tuple[str, str]]) -> Section:
    return Section(
        title="Remarks",
        intro="What to know of the table before trusting it.",
        verdict=None if remarks else Verdict("Nothing looks odd."),
        tables=(Table("What is odd", ("column", "remark"), tuple(remarks)),) if remarks else (),
    )


def _rules(proposals: Sequence[Proposal]) -> Section:
    violated = sum(bool(each.violations) for each in proposals)
    verdict = None
    if proposals and all(each.violations is not None for each in proposals):
        rest = "; the others are shown for what they tell, and not for use" if violated else ""
        held = len(proposals) - violated
        verdict = Verdict(f"{held} of {len(proposals)} proposals hold in every row of the table{rest}.")
    return Section(
        title="Proposed rules",
        intro="Nothing here is switched on: take what is true of your data. Sure is a lower bound, at 95%, of the "
        "share of later rows that hold the rule, if they come as these came; what is less sure than 0.95 is not "
        "proposed. --rules FILE writes them as YAML, judged by the rules themselves.",
        verdict=verdict,
        tables=(
            Table(
                "Rules for review",
                ("sure", "rule", "judged", "evidence"),
                tuple((each.confidence, flow(each.declaration), _judged(each), each.evidence) for each in proposals),
                empty="The profile suggests no rule.",
            ),
        ),
    )


def _judged(proposal: Proposal) -> str:
    if proposal.violations is None:
        return "a candidate, not judged" if proposal.only_if_judged else "not judged"
    return f"✗ {proposal.violations:,} rows violate it" if proposal.violations else "✓ every row holds it"


def _relations(profile: TableProfile, relations: Relations) -> Section:
    of = "all rows" if profile.sampled == profile.rows else f"a sample of {relations.rows:,} rows"
    found = [
        *_said("unique together", relations.keys),
        *_said("the first determines the second", relations.dependencies),
        *_said("the first is never greater than the second", relations.orders),
        *_said("NULL in the same rows", relations.filled_together),
    ]
    correlated = tuple((*each.columns, each.coefficient, each.error, each.rows) for each in relations.correlations)
    columns = ("columns", "seen", "in rows")
    return Section(
        title="Relations",
        intro=f"What columns have to do with each other, as {of} show it: candidates, at most 20 of each kind, among "
        "the first 40 columns.",
        tables=(
            Table("Candidates", columns, tuple(found), empty="No key of two columns, dependency or order was seen."),
            Table(
                "Numbers that go together (Pearson's r, ± at 95%)",
                ("column", "other", "r", "±", "rows"),
                correlated,
                empty="No two numbers have an r of 0.3 or more.",
            ),
        ),
    )


def _said(what: str, found: Sequence[Candidate]) -> Iterator[tuple[object, ...]]:
    for each in found:
        yield ", ".join(each.columns), what, each.tested


def _column(column: ColumnProfile) -> Section:
    charts, values = [], _told(column)
    if not column.hidden:
        if drawn := histogram(column):
            charts.append(Chart(f"How the {'times' if column.kind == 'time' else 'numbers'} lie{drawn[1]}", drawn[0]))
        if values:
            error = column.values.error
            about = f", each too low by at most {error / column.filled:.2%}" if error else ""
            title = f"Most frequent of {_distinct(column)} values" if column.distinct != len(values) else "Values"
            charts.append(Chart(f"{title}{about}", frequent_values(column, values)))
    tables = list(_quantiles(column))
    if (
        column.kind == "text"
        and not column.hidden
        and column.shapes.counts
        and column.filled
        and not column.is_constant
    ):
        shapes = column.shapes.most_common(MOST_SHAPES)
        rows = tuple((shape, f"{count / column.filled:.1%}") for shape, count in shapes)
        if (column.distinct or 0) > len(values):
            tables.append(Table("Shapes (A a capital, a a small letter, 9 a digit)", ("shape", "share"), rows))
    like = ", ".join(f"{name} {share:.1%}" for name, share in column.formats.items())
    said = [column.type, f"looks like {like}" if like else "", HIDDEN if column.hidden else ""]
    return Section(
        title=column.name,
        intro=" · ".join(filter(None, said)),
        cards=tuple(_cards(column)),
        charts=tuple(charts),
        tables=tuple(tables),
    )


def _quantiles(column: ColumnProfile) -> Iterator[Table]:
    """Where the values lie, of numbers and times that may be shown."""
    if column.hidden or not column.quantiles or column.is_constant:
        return
    titles = tuple(f"{share:.0%}" for share in QUANTILES.values())
    if column.kind == "time":
        yield Table("Quantiles", titles, (tuple(_day(column, share) for share in QUANTILES.values()),))
        return
    values = [*map(column.quantile, QUANTILES.values()), column.mad, column.number("mean"), column.number("stddev")]
    counts = [f"{column.count(name):,}" for name in ("zeros", "negative")]
    names = (*titles, "MAD", "mean", "stddev", "zeros", "negative")
    yield Table("Quantiles and moments", names, ((*map(_number, values), *counts),))


def _told(column: ColumnProfile) -> list[tuple[str, int]]:
    """The frequent values worth telling: not those of a column in which none stands out."""
    values = column.most_frequent()
    if not column.has_exact_values:
        values = [(text, count) for text, count in values if count > max(column.values.error, column.filled * 0.005)]
    return values if (column.distinct or 0) < column.filled or column.filled == 1 else []


def _cards(column: ColumnProfile) -> Iterator[Card]:
    share = column.filled / column.rows if column.rows else 0
    yield Card("Filled", f"{share:.1%}", f"{column.nulls:,} NULL", "" if column.filled else ALERT)
    if column.distinct is not None:
        error = f"± {column.distinct_error:,}" if column.distinct_error else ""
        is_key = column.may_be_key and column.kind in {"text", "number"} and column.rows > 1
        yield Card("Distinct", f"{column.distinct:,}", ", ".join(filter(None, [error, "a key?" if is_key else ""])))
    if column.kind == "text" and column.filled:
        low, high = column.count("length_min"), column.count("length_max")
        mean = column.number("length_mean") or 0
        yield Card("Characters", f"{low}" if low == high else f"{low}–{high}", f"{mean:.1f} on average")
        blank = column.count("empty") + column.count("blank")
        yield Card("Empty or blank", f"{blank:,}", f"{column.count('padded'):,} padded", ALERT if blank else "")
    if column.hidden or not column.filled:
        return
    if column.kind == "number":
        yield Card("Median", _number(column.quantile(0.5)) or "–", f"MAD {_number(column.mad) or '–'}")
        yield Card("Mean", _number(column.number("mean")) or "–", f"± {_number(column.number('stddev')) or '–'}")
        inner = f"90% in {_number(column.quantile(0.05))} to {_number(column.quantile(0.95))}"
        yield Card("Range", f"{_number(column.number('min'))} to {_number(column.number('max'))}", inner)
        if odd := column.count("nan") + column.count("infinite"):
            yield Card("NaN or infinite", f"{odd:,}", "", ALERT)
    elif column.kind == "time":
        yield Card("Earliest", _day(column, 0) or "–")
        yield Card("Latest", _day(column, 1) or "–", f"{column.count('ahead'):,} ahead of the clock")


def _distinct(column: ColumnProfile) -> str:
    if column.distinct is None:
        return "–"
    return f"{column.distinct:,}" + (f"\u00a0±\u00a0{column.distinct_error:,}" if column.distinct_error else "")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.6g}"


def _day(column: ColumnProfile, share: float) -> str | None:
    found = column.moment(share)
    return None if found is None else f"{found:%Y-%m-%d}".replace("-", "\u2011")  # no line breaks at the hyphens
