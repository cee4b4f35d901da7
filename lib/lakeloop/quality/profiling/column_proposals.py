"""Rules that the profile of one column suggests."""

import datetime as dt
import math
import re
from collections.abc import Iterator

from lakeloop.quality.profiling import confidence
from lakeloop.quality.profiling.proposal import Proposal
from lakeloop.quality.profiling.table_profile import ColumnProfile
from lakeloop.quality.profiling.text_shapes import pattern_of

MARGIN = 0.1  # of the range that was seen, on either side
MOST_ALLOWED = 50
MOST_ALLOWED_NUMBERS = 5
MOST_NULL = 0.5
MOST_SHAPES = 60
LONGEST_KEY = 64
FORMAT_RULES = {
    "email": "is_email", "iban": "is_iban", "uuid": "is_uuid", "url": "is_url", "ip": "is_ip", "json": "is_json",
    "phone": "is_phone", "date": "is_date", "timestamp": "is_timestamp",
}  # fmt: skip
IDENTIFIER = re.compile(r"(?i)(^|_|\.)(id|ids|key|nr|no|number|code|uuid)$|[a-z](Id|ID|Key)$")
DAY_AHEAD = "1d"


def propose_for(column: ColumnProfile) -> Iterator[Proposal]:
    """The rules for one column, none for one that is constant or has no values; of a hidden one no values are told."""
    if not column.filled or column.kind == "other":
        return
    told = list(_allowed(column)) or [*_format(column), *_pattern(column)]
    told = told or [*_type(column), *_range(column), *_length(column)]
    yield from _present(column, bool(told))
    yield from told
    yield from _times(column)
    yield from _unique(column)


def _present(column: ColumnProfile, is_told: bool) -> Iterator[Proposal]:
    if column.nulls:
        yield from _mostly_present(column)
        return
    sure, rows = confidence.never_violated(column.rows), f"{column.rows:,}"
    if column.kind == "text" and not is_told and not column.count("empty") + column.count("blank"):
        yield Proposal("is_not_blank", {"column": column.name}, sure, f"no NULL and no blank text in {rows} rows")
    else:
        yield Proposal("is_not_null", {"column": column.name}, sure, f"no NULL in {rows} rows")


def _mostly_present(column: ColumnProfile) -> Iterator[Proposal]:
    """How many NULLs there may be: a tenth more than Wilson's upper bound of their share."""
    upper = 1 - confidence.holds(column.filled, column.rows)
    most = math.ceil(upper * (1 + MARGIN) * 1000) / 1000
    if most <= MOST_NULL:
        seen = f"{column.nulls:,} NULLs in {column.rows:,} rows, at most {upper:.4f} at 95%, a margin of 10% above it"
        sure = confidence.LOWEST if column.rows >= confidence.FEWEST else 0.0
        yield Proposal("null_ratio", {"column": column.name, "max": most}, sure, seen, is_counted=True)


def _type(column: ColumnProfile) -> Iterator[Proposal]:
    for name, kind in (("integer", "bigint"), ("number", "double")):
        if column.kind == "text" and column.formats.get(name) == 1:
            sure, evidence = confidence.never_violated(column.filled), f"all {column.filled:,} texts are {name}s"
            parameters = {"column": column.name, "type": kind}
            yield Proposal("is_castable", parameters, sure, evidence, only_if_judged=True)
            return


def _allowed(column: ColumnProfile) -> Iterator[Proposal]:
    is_whole = column.kind == "number" and not column.type.startswith(("double", "float", "decimal"))
    if column.hidden or not column.has_exact_values or column.is_constant or not (column.kind == "text" or is_whole):
        return
    values = [value for value, _ in column.values.most_common()]
    if any(value != value.strip() or not value for value in values):  # a defect is no value to allow
        return
    if len(values) > (MOST_ALLOWED_NUMBERS if is_whole else MOST_ALLOWED):
        return
    seen_once = sum(count == 1 for count in column.values.counts.values())
    yield Proposal(
        "is_in",
        {"column": column.name, "values": [int(value) if is_whole else value for value in values], "severity": "warn"},
        confidence.all_values_seen(seen_once, column.filled),
        f"{len(values)} values in {column.filled:,} rows, {seen_once} of them seen once",
    )


def _format(column: ColumnProfile) -> Iterator[Proposal]:
    for name, kind in FORMAT_RULES.items():
        if column.formats.get(name) == 1:
            evidence = f"all {column.filled:,} values look like it"
            # What looks like it need not be right, so the rule itself must say.
            yield Proposal(
                kind, {"column": column.name}, confidence.never_violated(column.filled), evidence, only_if_judged=True
            )
            return


def _pattern(column: ColumnProfile) -> Iterator[Proposal]:
    shapes, covered = column.shapes, sum(column.shapes.counts.values())
    if {"email", "url", "json"} & set(column.formats):
        return
    if column.kind != "text" or not shapes.is_complete or covered != column.filled or len(shapes.counts) > MOST_SHAPES:
        return
    if column.formats.get("number") == 1 and column.formats.get("integer", 0) == 1 and not _is_identifier(column):
        return
    if (pattern := pattern_of(shapes.counts)) is None:
        return
    seen_once = sum(count == 1 for count in shapes.counts.values())
    yield Proposal(
        "matches",
        {"column": column.name, "pattern": pattern, "severity": "warn"},
        confidence.all_values_seen(seen_once, column.filled),
        f"{column.filled:,} values of {len(shapes.counts)} shapes, such as {shapes.most_common(1)[0][0]}"
        if len(shapes.counts) > 1
        else f"all {column.filled:,} values of the shape {shapes.most_common(1)[0][0]}",
    )


def _range(column: ColumnProfile) -> Iterator[Proposal]:
    """The range that was seen and a tenth of it on either side; not below 0 for numbers of which none is."""
    low, high = column.number("min"), column.number("max")
    is_number = column.kind == "number" or (column.kind == "text" and column.formats.get("number") == 1)
    if column.hidden or not is_number or low is None or high is None or low == high:
        return
    if column.count("nan") or column.count("infinite"):
        return
    margin = (high - low) * MARGIN
    step = 10.0 ** math.floor(math.log10(margin))
    bounds = {"min": math.floor((low - margin) / step) * step, "max": math.ceil((high + margin) / step) * step}
    if low >= 0:
        bounds["min"] = max(bounds["min"], 0)
    is_fraction = column.type.startswith(("double", "float", "decimal"))
    if not is_fraction and (column.may_be_key or _is_identifier(column)):  # those grow
        if low < 0:
            return
        bounds = {"min": 0}
    elif low >= 0 and high <= 1 and is_fraction:
        bounds = {"min": 0, "max": 1}
    plain = {
        name: int(value) if float(value).is_integer() else float(f"{value:.12g}") for name, value in bounds.items()
    }
    seen = f"{low:.12g} to {high:.12g} seen in {column.filled:,} rows"
    yield Proposal(
        "is_in_range",
        {"column": column.name, **plain, "severity": "warn"},
        confidence.within_range(column.filled),
        seen if len(plain) == 1 or plain == {"min": 0, "max": 1} else f"{seen}, a margin of 10% around it",
    )


def _length(column: ColumnProfile) -> Iterator[Proposal]:
    low, high = column.count("length_min"), column.count("length_max")
    if column.kind == "text" and low == high and not column.is_constant and column.formats.get("number") != 1:
        sure = confidence.never_violated(column.filled)
        parameters = {"column": column.name, "min": low, "max": high, "severity": "warn"}
        yield Proposal("has_length", parameters, sure, f"all {column.filled:,} values have {low} characters")


def _times(column: ColumnProfile) -> Iterator[Proposal]:
    earliest, latest = column.moment(0), column.moment(1)
    if column.kind != "time" or earliest is None or latest is None or earliest == latest:
        return
    if not column.count("ahead"):
        yield Proposal(
            "is_not_ahead",
            {"column": column.name, "by": DAY_AHEAD},
            confidence.never_violated(column.filled),
            f"none of {column.filled:,} times was ahead of the clock",
        )
    if not column.hidden:
        start = _start_of_year(earliest, (latest - earliest) * MARGIN)
        yield Proposal(
            "is_between",
            {"column": column.name, "since": start, "severity": "warn"},
            confidence.within_range(column.filled),
            f"the earliest of {column.filled:,} times is of {earliest:%Y-%m-%d}, a margin of 10% before it",
        )


def _start_of_year(moment: dt.datetime, before: dt.timedelta) -> str:
    first = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    return f"{(moment - min(before, moment - first)).year:04}-01-01"


def _unique(column: ColumnProfile) -> Iterator[Proposal]:
    is_long = column.kind == "text" and column.count("length_max") > LONGEST_KEY
    is_measure = column.kind == "time" or column.type.startswith(("double", "float"))
    if not column.may_be_key or is_long or is_measure or column.rows < 2:
        return
    about = "" if column.has_exact_values else f" ± {column.distinct_error:,}"
    yield Proposal(
        "is_unique",
        {"columns": [column.name]},
        confidence.never_violated(column.rows),
        f"{column.distinct:,}{about} different values in {column.rows:,} rows",
        only_if_judged=not column.has_exact_values,
    )


def _is_identifier(column: ColumnProfile) -> bool:
    return bool(IDENTIFIER.search(column.name))
