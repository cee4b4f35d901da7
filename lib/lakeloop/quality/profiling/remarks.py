"""What somebody should know of a table before trusting it, a sentence each."""

from collections.abc import Iterator

from lakeloop.quality.profiling.table_profile import ColumnProfile, TableProfile

MOSTLY_NULL = 0.5
COUNTED = {
    "nan": "rows are NaN, which is no number and not NULL",
    "infinite": "rows are infinite",
    "empty": "texts are empty, which is not NULL",
    "blank": "texts are nothing but white space",
    "padded": "texts begin or end with white space",
    "ahead": "times are ahead of the clock",
}
FAR_OUT = 20  # median absolute deviations


def remarks_on(profile: TableProfile) -> list[tuple[str, str]]:
    """Columns and what is odd about each."""
    return [(column.name, text) for column in profile.columns for text in _odd(column)]


def _odd(column: ColumnProfile) -> Iterator[str]:
    if not column.filled:
        yield from ["has no value in any row"] if column.rows else []
        return
    if column.nulls / column.rows >= MOSTLY_NULL:
        yield f"is NULL in {column.nulls / column.rows:.1%} of the rows"
    if column.is_constant and column.rows > 1:
        yield "has the same value in every row that has one"
    counts = {name: column.count(name) for name in COUNTED} if column.kind != "other" else {}
    yield from (f"{count:,} {COUNTED[name]}" for name, count in counts.items() if count)
    whole = [name for name in ("number", "date", "timestamp") if column.formats.get(name) == 1]
    yield from (f"is a text, and all its values are {name}s" for name in whole)
    if column.likely_pii:
        share = column.formats[column.likely_pii]
        yield f"looks like personal data: {share:.1%} of its values look like {column.likely_pii}; tag it pii"
    yield from _far_out(column)


def _far_out(column: ColumnProfile) -> Iterator[str]:
    middle, spread = column.quantile(0.5), column.mad
    low, high = column.number("min"), column.number("max")
    if column.hidden or not spread or middle is None or low is None or high is None or column.kind != "number":
        return
    far = max(high - middle, middle - low) / spread
    if far >= FAR_OUT:
        yield f"has values {far:,.0f} median absolute deviations away from its median"
